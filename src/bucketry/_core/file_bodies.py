"""Reading the range of a file that a request sends. Blocks: for worker threads."""

from __future__ import annotations

import os

from bucketry._core.os_errors import local_error
from bucketry._core.values import FileRange
from bucketry.errors import IntegrityError


def read_body(body: FileRange, where: str) -> bytes:
    """Give the bytes of the range.

    Raises:
        IntegrityError: The file ends early, or is not as of when it was opened.
        LocalFileError: It cannot be read.
    """
    pieces, at = [], body.start
    try:
        while at < body.end:
            piece = os.pread(body.fd, body.end - at, at)
            if not piece:
                missing = body.end - at
                message = f"{where}: the file ended at byte {at}, {missing} bytes early; nothing was stored"
                raise IntegrityError(message)
            pieces.append(piece)
            at += len(piece)
    except OSError as exc:
        raise local_error(exc, f"the file with descriptor {body.fd}", where) from exc
    check_unchanged(body, where)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def check_unchanged(body: FileRange, where: str) -> None:
    """Refuse a file that was written to since it was opened.

    Raises:
        IntegrityError: Its size or time is not `as_of` any more.
    """
    if body.as_of is None:
        return
    found = os.fstat(body.fd)
    if (found.st_size, found.st_mtime_ns) != body.as_of:
        message = f"{where}: the file changed while it was uploaded, and nothing was stored; upload it again"
        raise IntegrityError(message)
