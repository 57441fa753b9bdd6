"""Compares the state of an entry with its pinned state, which is the state that the plan saw.

Entries that have changed since then are left alone. The state of an object is its size and etag, the state of a file is
its size and time.
"""

from __future__ import annotations

import os
import stat
from typing import Literal, TypeAlias

from bucketry._core.checks import same_etag
from bucketry._core.mtimes import mtime_of, stored_mtime
from bucketry._core.os_errors import local_error
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import ObjectInfo
from bucketry._manage.sync.values import EntryState
from bucketry.errors import NotFoundError, PreconditionFailedError

Seen: TypeAlias = Literal["as_planned", "done", "changed"]
"""The state of an action's target: the pinned state, the state that the action would make, or another state."""

PRECISION = 1_000  # ns; times with a smaller difference are equal, because some file systems and programs round them


def same_time(one: int | None, other: int | None) -> bool:
    """Return whether two times in nanoseconds are equal; an unknown time is not equal to any time."""
    return one is not None and other is not None and abs(one - other) < PRECISION


def object_is(info: ObjectInfo | None, pin: EntryState | None) -> bool:
    """Return whether an object has the pinned state; `None`: there is no object."""
    if info is None or pin is None:
        return info is None and pin is None
    if info.size != pin.size or not same_etag(info.etag, pin.etag or ""):
        return False
    return bool(info.etag) or pin.mtime is None or same_time(mtime_of(info), pin.mtime)


def file_is(status: os.stat_result | None, pin: EntryState | None) -> bool:
    """Return whether a file has the pinned state; `None`: there is no file."""
    if status is None or pin is None:
        return status is None and pin is None
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (pin.size, pin.mtime)


def uploaded(info: ObjectInfo | None, source: EntryState) -> bool:
    """Return whether an object seems to be the upload of a file with this state: size and time are equal."""
    return info is not None and info.size == source.size and same_time(stored_mtime(info), source.mtime)


def downloaded(status: os.stat_result, info: ObjectInfo) -> bool:
    """Return whether a file seems to be the download of an object: size and time are equal."""
    return (
        stat.S_ISREG(status.st_mode) and status.st_size == info.size and same_time(status.st_mtime_ns, mtime_of(info))
    )


def copied(info: ObjectInfo, source: ObjectInfo) -> bool:
    """Return whether an object seems to be the copy of another object of its size.

    It has the time of `source` in its metadata. If neither has a time in its metadata, their etags are equal.
    """
    if stored_mtime(info) is not None:
        return same_time(stored_mtime(info), mtime_of(source))
    return stored_mtime(source) is None and bool(info.etag) and same_etag(info.etag, source.etag)


async def object_at(provider: ObjectRequests, key: str) -> ObjectInfo | None:
    """Return the object's properties; `None`: there is no object.

    Cost: 1 HEAD.
    """
    try:
        return await provider.head(key)
    except NotFoundError:
        return None


def status_of(path: str) -> os.stat_result | None:
    """Return the status of a file, or of the target of a link; `None`: nothing is there. Blocks.

    For a link whose target does not exist, the status of the link is returned.
    """
    try:
        return os.stat(path)
    except OSError:
        pass  # perhaps a link that leads nowhere
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise local_error(exc, path, "looking at the file") from exc


def check_file(path: str, pin: EntryState | None) -> None:
    """Refuse a file that has changed since the plan was made. Blocks.

    Raises:
        PreconditionFailedError: The file has another size or time, was added, or was removed.
    """
    if not file_is(status_of(path), pin):
        raise target_changed(path, pin)


def target_changed(where: str, pin: EntryState | None, key: str | None = None) -> PreconditionFailedError:
    """Return the error for a target that is not in its pinned state.

    Args:
        where: The file's path, or the object's URL.
        pin: The state that the plan saw; `None`: there was no entry.
        key: The object's key.
    """
    what = "it appeared" if pin is None else "it was changed or removed"
    message = f"{where}: {what} after the plan was made, so it was left as it is; plan again"
    return PreconditionFailedError(message, key=key)


def source_changed(where: str, key: str | None, *, removed: bool) -> PreconditionFailedError:
    """Return the error for a source that is not in its pinned state; `where` is the file's path or the object's URL."""
    what = "removed" if removed else "changed"
    message = f"{where}: it was {what} after the plan was made, so nothing was transferred; plan again"
    return PreconditionFailedError(message, key=key)
