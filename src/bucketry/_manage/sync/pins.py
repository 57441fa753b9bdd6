"""The pinned states of a plan, compared with the present ones: what changed since the plan was made is left alone.

An object's state is its size and etag, a file's state is its size and time.
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
"""What an action finds at its target: the pinned state, the state that the action is to make, or another one."""

PRECISION = 1_000  # ns: times that differ by less are equal, because some file systems and programs round them


def same_time(one: int | None, other: int | None) -> bool:
    """Tell whether two times in nanoseconds are equal; an unknown time equals none."""
    return one is not None and other is not None and abs(one - other) < PRECISION


def object_is(info: ObjectInfo | None, pin: EntryState | None) -> bool:
    """Tell whether an object has the pinned state; `None`: there is no object."""
    if info is None or pin is None:
        return info is None and pin is None
    if info.size != pin.size or not same_etag(info.etag, pin.etag or ""):
        return False
    return bool(info.etag) or pin.mtime is None or same_time(mtime_of(info), pin.mtime)


def file_is(status: os.stat_result | None, pin: EntryState | None) -> bool:
    """Tell whether a file has the pinned state; `None`: there is no file."""
    if status is None or pin is None:
        return status is None and pin is None
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (pin.size, pin.mtime)


def uploaded(info: ObjectInfo | None, source: EntryState) -> bool:
    """Tell whether an object is the upload of a file with this state."""
    return info is not None and info.size == source.size and same_time(stored_mtime(info), source.mtime)


def downloaded(status: os.stat_result, info: ObjectInfo) -> bool:
    """Tell whether a file is the download of an object."""
    return (
        stat.S_ISREG(status.st_mode) and status.st_size == info.size and same_time(status.st_mtime_ns, mtime_of(info))
    )


def copied(info: ObjectInfo, source: ObjectInfo) -> bool:
    """Tell whether an object is the copy of another one of its size.

    It has the other's time, or both have no time in their metadata, and have the same etag.
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

    A link to a target that does not exist is something, so its own status is returned.
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
    """Refuse a file that is not as the plan saw it. Blocks.

    Raises:
        PreconditionFailedError: It has another size or time, appeared, or is gone.
    """
    if not file_is(status_of(path), pin):
        raise changed(path)


def changed(where: str, cause: str = "") -> PreconditionFailedError:
    """Return the error for an entry that is not as the plan saw it.

    Args:
        where: The file's path, or the object's URL.
        cause: What was found, if it is known.
    """
    message = f"{where}: {cause or 'this changed since the plan was made'}; it was left as it is, so plan again"
    return PreconditionFailedError(message)
