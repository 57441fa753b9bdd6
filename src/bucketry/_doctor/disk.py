"""Examines the directory of a local provider: it exists, has space, and its file system behaves as expected."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bucketry._core.units import GiB
from bucketry._doctor.scratch import OLD, SCRATCH
from bucketry._doctor.subject import Subject
from bucketry._doctor.values import Check, Outcome
from bucketry._runtime.finish import finish
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


@asynccontextmanager
async def scratch_directory(path: Path, report: Callable[[Check], None]) -> AsyncIterator[Path]:
    """Make an empty directory below `path` for a store of its own, and remove it at the end.

    A store has files for locks, so one in the user's directory would leave files there. Directories of examinations
    that were killed more than an hour ago are removed, too.

    Args:
        path: The directory that is examined.
        report: Gets the check that says whether something is left.
    """
    directory = path / SCRATCH / secrets.token_hex(8)
    try:
        await in_thread(_make, directory)
        yield directory
    finally:
        report(await finish(lambda: in_thread(_remove, directory)))


def _make(directory: Path) -> None:
    directory.mkdir(parents=True)
    for other in directory.parent.iterdir():
        if other != directory and time.time() - other.stat().st_mtime > OLD.total_seconds():
            shutil.rmtree(other, ignore_errors=True)


def _remove(directory: Path) -> Check:
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # another examination is running there
        directory.parent.rmdir()
    if directory.exists():
        text, advice = f"{directory} could not be removed", "delete this directory"
        return Check(group="cleanup", name="cleanup", outcome="failed", text=text, advice=advice)
    return Check(group="cleanup", name="cleanup", outcome="ok", text=f"{directory} was removed")


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
