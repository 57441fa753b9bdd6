"""Stores the time of a file's last change in its object's metadata, because a provider sets `last_modified` itself.

The metadata name and the format (seconds since 1970 with nine decimals) are those of rclone, so that both programs
understand each other's objects. Source: https://rclone.org/s3/#modification-times-and-hashes
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from bucketry._core.values import ObjectInfo

MTIME = "mtime"
"""The name of the metadata entry with the time."""

_FORM = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?", re.ASCII)
_NANOSECONDS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def mtime_text(nanoseconds: int) -> str:
    """Return the metadata value for a time in nanoseconds since 1970, such as `"1700000000.123456789"`."""
    seconds, rest = divmod(abs(nanoseconds), _NANOSECONDS)
    return f"{'-' if nanoseconds < 0 else ''}{seconds}.{rest:09d}"


def stored_mtime(info: ObjectInfo) -> int | None:
    """Return the time in the object's metadata in nanoseconds since 1970; `None` if there is none or it is malformed.

    A listing has no metadata, so `info` must come from a HEAD or a GET.
    """
    found = _FORM.fullmatch(info.metadata.get(MTIME, ""))
    if found is None:
        return None
    sign, seconds, decimals = found.groups(default="")
    nanoseconds = int(seconds) * _NANOSECONDS + int(decimals.ljust(9, "0"))
    return -nanoseconds if sign else nanoseconds


def stored_at(info: ObjectInfo) -> int:
    """Return the time when the object was stored, in nanoseconds since 1970."""
    return (info.last_modified - _EPOCH) // _MICROSECOND * 1_000


def mtime_of(info: ObjectInfo) -> int:
    """Return the time in the object's metadata, else the time when it was stored, in nanoseconds since 1970."""
    stored = stored_mtime(info)
    return stored_at(info) if stored is None else stored
