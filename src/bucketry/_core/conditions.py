"""Preconditions and ranges, judged where the package itself keeps the objects."""

from __future__ import annotations

from bucketry._core.checks import etag_matches
from bucketry._core.values import ByteRange, ObjectInfo, WriteOptions
from bucketry.errors import AlreadyExistsError, InvalidRangeError, PreconditionFailedError, UnsupportedError


def judge_read(info: ObjectInfo, *, if_match: str | None, if_none_match: str | None, where: str) -> None:
    """Judge the preconditions of a read against the object.

    Raises:
        PreconditionFailedError: The object is another version than `if_match`, or still is `if_none_match`.
    """
    if if_match is not None and not etag_matches(info.etag, if_match):
        message = f"{where}: the object is {info.etag} now, not {if_match}; read it anew"
        raise PreconditionFailedError(message, key=info.key)
    if if_none_match is not None and etag_matches(info.etag, if_none_match):
        message = f"{where}: the object still is {info.etag}: what you have is current"
        raise PreconditionFailedError(message, key=info.key)


def judge_write(etag: str | None, options: WriteOptions, *, key: str, where: str) -> None:
    """Judge the preconditions of a write against the etag in its place, `None` where there is no object.

    Raises:
        AlreadyExistsError: `if_none_match="*"` and there is an object.
        PreconditionFailedError: The object is another version than `if_match`, or there is none.
    """
    if options.if_none_match is not None and etag is not None:
        message = f"{where}: the object exists already, and was left as it is"
        raise AlreadyExistsError(message, key=key)
    if options.if_match is not None and (etag is None or not etag_matches(etag, options.if_match)):
        now = "does not exist" if etag is None else f"is {etag} now"
        message = f"{where}: the object {now}, not {options.if_match}; nothing was written"
        raise PreconditionFailedError(message, key=key)


def cut_range(info: ObjectInfo, byte_range: ByteRange | None, where: str) -> ByteRange:
    """Give the bytes of the object that a read asks for: all of them, or a range cut at the object's end.

    Raises:
        InvalidRangeError: The range begins at or beyond the end.
    """
    if byte_range is None:
        return ByteRange(0, info.size)
    if byte_range.start >= info.size:
        message = f"{where}: the range begins at byte {byte_range.start}, the object ends before {info.size}"
        raise InvalidRangeError(message, key=info.key)
    return ByteRange(byte_range.start, min(byte_range.end, info.size))


def refuse_version(version_id: str | None, where: str) -> None:
    """Refuse to read a version by its id.

    Raises:
        UnsupportedError: One is asked for.
    """
    if version_id is not None:
        raise UnsupportedError(f"{where}: this provider keeps no versions; leave version_id out")
