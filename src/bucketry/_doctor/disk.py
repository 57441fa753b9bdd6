"""Examines the directory of a local provider: it exists, has space, and its file system behaves as expected."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bucketry._core.os_errors import local_error
from bucketry._core.units import GiB
from bucketry._doctor.scratch import OLD, SCRATCH, is_name, new_name, removed_old
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
async def scratch_directory(path: Path, report: Callable[[Check], None]) -> AsyncIterator[Path | None]:
    """Make an empty directory below `path` for a store of its own, and remove it at the end.

    A store has files for locks, so one in the user's directory would leave files there. Directories of examinations
    that were killed more than an hour ago are removed, too; a directory with another name is not one of them.

    Args:
        path: The directory that is examined.
        report: Gets the checks that say what is wrong, what was removed, and whether something is left.

    Returns:
        The directory; `None`: it cannot be made.
    """
    directory = path / SCRATCH / new_name()
    try:
        checks = await in_thread(_make, directory)
        for check in checks:
            report(check)
        yield None if any(check.error is not None for check in checks) else directory
    finally:
        removed = await finish(lambda: in_thread(_remove, directory))
        if removed is not None:
            report(removed)


def _make(directory: Path) -> list[Check]:
    try:
        directory.mkdir(parents=True)
        others = [other for other in directory.parent.iterdir() if other != directory and _is_left(other)]
    except OSError as exc:
        error = local_error(exc, directory, "making a directory for the examination")
        outcome: Outcome = "denied" if isinstance(error, PermissionError) else "failed"
        return [_check("write", outcome, str(error), error=error)]
    for other in others:
        shutil.rmtree(other, ignore_errors=True)
    count = sum(not other.exists() for other in others)
    return [removed_old(count)] if count else []


def _is_left(path: Path) -> bool:
    """Return whether a killed examination made this directory, and nothing in it was changed for an hour."""
    if not is_name(path.name) or path.is_symlink() or not path.is_dir():
        return False
    try:
        newest = path.stat().st_mtime
        for directory, folders, files in os.walk(path, onerror=_raise):
            for name in (*folders, *files):
                newest = max(newest, os.lstat(os.path.join(directory, name)).st_mtime)
    except OSError:  # its examination removes it now
        return False
    return time.time() - newest > OLD.total_seconds()


def _raise(error: OSError) -> None:
    raise error


def _remove(directory: Path) -> Check | None:
    """Remove the directory; return `None` if it was not made."""
    made = directory.exists()
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # another examination is running there
        directory.parent.rmdir()
    if directory.exists():
        text, advice = f"{directory} could not be removed", "delete this directory"
        return Check(group="cleanup", name="cleanup", outcome="failed", text=text, advice=advice)
    return Check(group="cleanup", name="cleanup", outcome="ok", text=f"{directory} was removed") if made else None


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
