"""Examines the directory of a local provider: it exists, has space, and its file system behaves as expected."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bucketry._core.units import GiB
from bucketry._doctor.subject import Subject
from bucketry._doctor.values import Check, Outcome
from bucketry._runtime.threads import in_thread
from bucketry.errors import LocalFileError, StorageError

_LITTLE = 1 * GiB
_SLOW = 0.1  # seconds


async def examine_directory(path: Path) -> AsyncIterator[Check]:
    """Examine the directory without writing; end if it cannot be used."""
    problem = await in_thread(_problem, path)
    if problem is not None:
        yield problem
        return
    yield _check("directory", "ok", f"{path} is a directory that can be read and written")
    free, files = await in_thread(_space, path)
    text = f"{free / GiB:,.1f} GiB free" + ("" if files is None else f", room for {files:,} more files")
    little = free < _LITTLE or files == 0
    yield _check("free_space", "warning" if little else "ok", text)
    try:
        seconds = await in_thread(_flush, path)
    except OSError as error:
        yield _check("fsync", "warning", f"the directory cannot be flushed to the disk: {error.strerror}")
    else:
        slow = "; transfers with fsync=True are slow here" if seconds > _SLOW else ""
        yield _check("fsync", "ok", f"flushing the directory takes {seconds * 1000:.1f} ms{slow}")


async def examine_case(subject: Subject) -> Check:
    """Store two keys that differ only by case."""
    try:
        await subject.scratch.put("Case", b"upper")
        await subject.scratch.put("case", b"lower")
        async with subject.requests.open_body(subject.scratch.key("Case")) as body:
            same = await body.read() == b"upper"
    except StorageError as error:
        return _check("case", "failed", str(error), error=error)
    if same:
        return _check("case", "ok", "keys that differ only by case are different objects")
    text = "keys that differ only by case are one file here; a cloud keeps both"
    return _check("case", "warning", text, advice="use keys that differ by more than case")


def _problem(path: Path) -> Check | None:
    if not path.exists():
        text = f"{path} does not exist; the first upload makes it"
        return _check("directory", "warning", text, advice="make the directory, and run this command again")
    if not path.is_dir():
        error = LocalFileError(f"{path} is not a directory", path=str(path))
        return _check("directory", "failed", f"{path} is not a directory", advice="name a directory", error=error)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        error = LocalFileError(f"{path} cannot be read and written", path=str(path))
        return _check("directory", "denied", str(error), advice="change its owner or its mode", error=error)
    return None


def _space(path: Path) -> tuple[int, int | None]:
    """Return the free bytes, and the free entries for files; `None`: the file system has no limit."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None


def _flush(path: Path) -> float:
    began = time.monotonic()
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return time.monotonic() - began


def _check(name: str, outcome: Outcome, text: str, *, advice: str = "", error: StorageError | None = None) -> Check:
    return Check(group="access", name=name, outcome=outcome, text=text, advice=advice, error=error)
