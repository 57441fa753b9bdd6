"""Computes the SHA-256 of local files in steps, so that reading a large file can be cancelled. Each step blocks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from dataclasses import dataclass

from bucketry._core.os_errors import local_error
from bucketry._core.units import MiB

_CHUNK = MiB
_STEP = 64  # chunks between two points where a cancellation takes effect; about 50 ms


@dataclass(frozen=True, slots=True)
class HashedFile:
    """The hash, size and time of a file.

    Attributes:
        sha256: The SHA-256 of its bytes, in hex.
        size: The number of its bytes.
        mtime: The file's `st_mtime_ns` before it was read.
    """

    sha256: str
    size: int
    mtime: int


def hash_file(path: str) -> Generator[None, None, HashedFile]:
    """Hash a file in steps, for `in_steps`, and return its SHA-256, size and mtime.

    Raises:
        LocalFileError: The file cannot be read.
    """
    digest = hashlib.sha256()
    size = 0
    buffer = memoryview(bytearray(_CHUNK))
    try:
        with open(path, "rb", buffering=0) as file:
            mtime = os.fstat(file.fileno()).st_mtime_ns
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
                size += count
                if not size % (_STEP * _CHUNK):
                    yield
    except OSError as exc:
        raise local_error(exc, path, "reading the file") from exc
    return HashedFile(digest.hexdigest(), size, mtime)
