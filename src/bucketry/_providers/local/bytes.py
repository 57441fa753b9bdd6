"""Copies bytes between memory and open files in pieces; a copy can be cancelled between two pieces.

Every read and write names its offset, because several threads share a descriptor, and so the descriptor's own offset
must not change.
"""

from __future__ import annotations

import os
from collections.abc import Generator

from bucketry._core.optional import RangeSink
from bucketry._core.values import Body, FileRange, body_size
from bucketry._runtime.file_bodies import check_unchanged
from bucketry._runtime.file_copies import BLOCK, PIECE, copy_range, copy_steps, write_at
from bucketry.errors import IntegrityError


def write_body(body: Body, fd: int, where: str) -> Generator[None, None, int]:
    """Write a request's body at the beginning of the file `fd`, in steps, and return its length.

    Raises:
        IntegrityError: The body is a range of a file, and the file ends early or has changed.
    """
    if isinstance(body, FileRange):
        copied = yield from copy_steps(body.fd, body.start, body.size, fd, 0)
        check_unchanged(body, where)
    else:
        copied = yield from _write_steps(body, fd)
    if copied != body_size(body):
        raise IntegrityError(f"{where}: the source ended after {copied} of {body_size(body)} bytes; nothing was stored")
    return copied


def fill_sink(fd: int, start: int, end: int, sink: RangeSink) -> Generator[None, None, int]:
    """Write the bytes `[start, end)` of a file into a sink, in steps, and return the offset that was reached."""
    reached = start
    while reached < end:
        if reached > start:
            yield
        piece_end = min(reached + PIECE, end)
        if sink.needs_bytes:
            reached = _feed(fd, reached, piece_end, sink)
        else:
            copied = copy_range(fd, reached, sink.fd, sink.position, piece_end - reached)
            sink.skip(copied)
            reached += copied
        if reached < piece_end:
            break
    return reached


def _feed(fd: int, start: int, end: int, sink: RangeSink) -> int:
    while start < end and (data := os.pread(fd, min(BLOCK, end - start), start)):
        sink.write(data)
        start += len(data)
    return start


def _write_steps(body: bytes | bytearray | memoryview, fd: int) -> Generator[None, None, int]:
    view = memoryview(body)
    data = view.cast("B") if view.c_contiguous else memoryview(bytes(view))
    for start in range(0, len(data), PIECE):
        if start:
            yield
        write_at(fd, data[start : start + PIECE], start)
    return len(data)
