"""Checks preconditions and ranges against the properties of an object."""

from __future__ import annotations

from bucketry._core.checks import etag_matches, same_etag, version_named
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry.errors import AlreadyExistsError, InvalidRangeError, PreconditionFailedError


def judge_read(info: ObjectInfo, options: ReadOptions, where: str) -> None:
    """Check the preconditions of a read against the object.

    Raises:
        PreconditionFailedError: The object's etag is not `if_match`, or is `if_none_match`.
    """
    if options.if_match is not None and not etag_matches(info.etag, options.if_match):
        now = version_named(info.etag)
        message = f"{where}: the object {now} now, and if_match names {options.if_match}; read it anew"
        raise PreconditionFailedError(message, key=info.key)
    if options.if_none_match is not None and etag_matches(info.etag, options.if_none_match):
        message = f"{where}: the object still {version_named(info.etag)}: what you have is current"
        raise PreconditionFailedError(message, key=info.key)


def judge_write(etag: str | None, options: WriteOptions, *, key: str, where: str) -> None:
    """Check the preconditions of a write against the etag of the present object; `None`: there is no object.

    Raises:
        AlreadyExistsError: `if_none_match` is `"*"`, and there is an object.
        PreconditionFailedError: The object's etag is not `if_match`, or there is no object.
    """
    if options.if_none_match is not None and etag is not None:
        message = f"{where}: the object exists already, and was left as it is"
        raise AlreadyExistsError(message, key=key)
    if options.if_match is not None and (etag is None or not same_etag(etag, options.if_match)):
        now = "does not exist" if etag is None else f"{version_named(etag)} now"
        message = f"{where}: the object {now}, and if_match names {options.if_match}; nothing was written"
        raise PreconditionFailedError(message, key=key)


def cut_range(info: ObjectInfo, byte_range: ByteRange | None, where: str) -> ByteRange:
    """Return the range to read: the whole object, or `byte_range` cut at the object's end.

    Raises:
        InvalidRangeError: The range begins at or beyond the object's end. As on S3, an empty object has no valid range.
    """
    if byte_range is None:
        return ByteRange(0, info.size)
    if byte_range.start >= info.size:
        raise _beyond(info, byte_range.start, where)
    return ByteRange(byte_range.start, min(byte_range.end, info.size))


def check_start(info: ObjectInfo, start: int, where: str) -> None:
    """Raise an error for a range that begins at or beyond the object's end; accept every range of an empty object.

    Raises:
        InvalidRangeError: The range begins at or beyond the end of an object that is not empty.
    """
    if info.size and start >= info.size:
        raise _beyond(info, start, where)


def _beyond(info: ObjectInfo, start: int, where: str) -> InvalidRangeError:
    message = f"{where}: the range begins at byte {start}, the object has {info.size}"
    return InvalidRangeError(message, key=info.key)
