"""Copies bytes between memory and open files in pieces; a copy can be cancelled between two pieces.

Every read and write names its offset, because several threads share a descriptor, and so the descriptor's own offset
must not change.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator

from bucketry._core.optional import RangeSink
from bucketry._core.units import MiB
from bucketry._core.values import Body, FileRange, body_size
from bucketry._runtime.file_bodies import check_unchanged
from bucketry.errors import IntegrityError

PIECE = 64 * MiB  # copying it takes about 50 ms, and a cancellation waits at most so long
BLOCK = 1 * MiB  # larger reads are not faster
_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


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


def copy_steps(source: int, start: int, count: int, target: int, position: int) -> Generator[None, None, int]:
    """Copy a range of one file into another, in steps, and return the number of copied bytes.

    The number is less than `count` if the source ends early.
    """
    copied = 0
    while copied < count:
        if copied:
            yield
        wanted = min(PIECE, count - copied)
        step = copy_range(source, start + copied, target, position + copied, wanted)
        copied += step
        if step < wanted:
            break
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


def copy_range(source: int, start: int, target: int, position: int, count: int) -> int:
    """Copy `count` bytes between files, in the kernel if possible, and return the number of copied bytes.

    The number is less than `count` only if the source ends early.
    """
    copied = 0
    in_kernel = getattr(os, "copy_file_range", None)  # Linux
    while in_kernel and copied < count:
        try:
            step = in_kernel(source, target, count - copied, start + copied, position + copied)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
            break
        if step == 0:  # the file ends here, or its size is not known; the read below shows which
            break
        copied += step
    while copied < count and (data := os.pread(source, min(BLOCK, count - copied), start + copied)):
        write_at(target, data, position + copied)
        copied += len(data)
    return copied


def write_at(fd: int, data: bytes | memoryview, position: int) -> None:
    """Write all of `data` at `position`."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, position)
        rest = rest[written:]
        position += written


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
