"""Copies bytes between open files, in the kernel if possible. A copy is made in steps, so that it can be cancelled.

All functions get offsets as arguments and do not move the offsets of descriptors, because descriptors are shared. All
functions block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator

from bucketry._core.units import MiB

PIECE = 64 * MiB  # bytes of one step; copying them takes about 50 ms, for which a cancellation must wait
BLOCK = 1 * MiB  # larger reads are not faster
_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def copy_steps(source: int, start: int, count: int, target: int, position: int) -> Generator[None, None, int]:
    """Copy a range of one file into another, in steps, for `in_steps`; return the number of bytes that were copied.

    The number is less than `count` only if the source ends early.
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


def copy_range(source: int, start: int, target: int, position: int, count: int) -> int:
    """Copy `count` bytes between files, in the kernel if possible; return the number of bytes that were copied.

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
        if step == 0:  # the file has ended, or its size is unknown; then the code below reads the rest
            break
        copied += step
    while copied < count and (data := os.pread(source, min(BLOCK, count - copied), start + copied)):
        write_at(target, data, position + copied)
        copied += len(data)
    return copied


def write_at(fd: int, data: bytes | memoryview, position: int) -> None:
    """Write all bytes of `data` at `position`."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, position)
        rest = rest[written:]
        position += written
