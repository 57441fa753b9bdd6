"""Reads the range of a file that a request sends. The functions block: call them in a worker thread."""

from __future__ import annotations

import os

from bucketry._core.os_errors import local_error
from bucketry._core.values import Body, FileRange
from bucketry.errors import IntegrityError


def read_body(body: Body, where: str) -> bytes:
    """Return the bytes of a request's body. If the body is in a file, this function blocks: call it in a worker thread.

    Args:
        body: Bytes in memory, or a range of an open file. A `bytearray` or `memoryview` is copied, `bytes` are not.
        where: The object's URL, which begins the message of an error.

    Raises:
        IntegrityError: The file ends early, or has changed since it was opened.
        LocalFileError: The file cannot be read.
    """
    if not isinstance(body, FileRange):
        return bytes(body)
    pieces, at = [], body.start
    try:
        while at < body.end:
            piece = os.pread(body.fd, body.end - at, at)
            if not piece:
                raise ended_early(body, at, where)
            pieces.append(piece)
            at += len(piece)
    except OSError as exc:
        raise local_error(exc, f"the file with descriptor {body.fd}", where) from exc
    check_unchanged(body, where)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_some(body: FileRange, at: int, into: memoryview, where: str) -> int:
    """Read some of the range's bytes, beginning at `at`, and return their number, at least 1.

    Raises:
        IntegrityError: The file ends at `at`.
        LocalFileError: The file cannot be read.
    """
    try:
        count = os.preadv(body.fd, [into[: body.end - at]], at)
    except OSError as exc:
        raise local_error(exc, f"the file with descriptor {body.fd}", where) from exc
    if not count:
        raise ended_early(body, at, where)
    return count


def ended_early(body: FileRange, at: int, where: str) -> IntegrityError:
    """Return the error for a file that has no byte at `at`."""
    return IntegrityError(f"{where}: the file ended at byte {at}, {body.end - at} bytes early; nothing was stored")


def file_state(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return values that change with each write to a file; a program can reset `st_mtime_ns`, but not `st_ctime_ns`."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def check_unchanged(body: FileRange, where: str) -> None:
    """Raise an error if a file was written since it was opened.

    Raises:
        IntegrityError: The file's state differs from `as_of`.
    """
    if body.as_of is not None and file_state(os.fstat(body.fd)) != body.as_of:
        message = f"{where}: the file changed while it was uploaded, and nothing was stored; upload it again"
        raise IntegrityError(message)
