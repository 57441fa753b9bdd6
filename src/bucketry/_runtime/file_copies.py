"""Copies bytes between open files, in the kernel if possible, in pieces: a copy can be cancelled between two of them.

Every offset is explicit: descriptors are shared, and their own offsets never change. All functions block.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator

from bucketry._core.units import MiB

PIECE = 64 * MiB  # about 50 ms of copying, the longest that a cancellation waits
BLOCK = 1 * MiB  # larger reads are not faster
_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def copy_steps(source: int, start: int, count: int, target: int, position: int) -> Generator[None, None, int]:
    """Copy a range of one file into another, in steps; return the bytes copied: fewer if the source ends early."""
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
    """Copy up to `count` bytes between files, in the kernel if possible; fewer only if the source ends early."""
    copied = 0
    in_kernel = getattr(os, "copy_file_range", None)  # Linux
    while in_kernel and copied < count:
        try:
            step = in_kernel(source, target, count - copied, start + copied, position + copied)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
            break
        if step == 0:  # the end of the file, or a file without a known size: the read below decides
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
