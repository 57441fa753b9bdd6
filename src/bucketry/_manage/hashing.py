"""The hashes of local files, in steps, so that reading a large file can be cancelled. Blocks between the steps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from bucketry._core import checksums
from bucketry._core.os_errors import local_error
from bucketry._core.units import MiB
from bucketry._runtime.file_bodies import file_state

State = tuple[int, int, int, int]
"""`st_ino`, `st_size`, `st_mtime_ns` and `st_ctime_ns` of a file, as `file_state` returns them."""

_CHUNK = MiB
_STEP = 64  # chunks between two points where a cancellation takes effect; about 50 ms


@dataclass(frozen=True, slots=True)
class HashedFile:
    """The content of a file when it was read.

    Attributes:
        sha256: The SHA-256 of its bytes, in hex.
        size: Their number.
        checksums: Other checksums of its bytes, in hex, by algorithm.
        before: The file's state before it was read.
        after: The file's state after it was read.
    """

    sha256: str
    size: int
    checksums: Mapping[str, str]
    before: State
    after: State

    @property
    def mtime(self) -> int:
        """The file's `st_mtime_ns` before it was read."""
        return self.before[2]


def hash_file(path: str, algorithms: tuple[str, ...] = ()) -> Generator[None, None, HashedFile]:
    """Hash a file in steps, for `in_steps`, and return its hashes, size and states.

    Args:
        path: The file.
        algorithms: Checksums to compute besides SHA-256.

    Raises:
        LocalFileError: The file cannot be read.
    """
    digest = hashlib.sha256()
    sums = {name: checksums.new(name) for name in algorithms}
    size = chunks = 0
    buffer = memoryview(bytearray(_CHUNK))
    try:
        with open(path, "rb", buffering=0) as file:
            before = file_state(os.fstat(file.fileno()))
            while count := file.readinto(buffer):
                for one in (digest, *sums.values()):
                    one.update(buffer[:count])
                size += count
                chunks += 1
                if not chunks % _STEP:
                    yield
            after = file_state(os.fstat(file.fileno()))
    except OSError as exc:
        raise local_error(exc, path, "reading the file") from exc
    return HashedFile(digest.hexdigest(), size, {name: one.hexdigest() for name, one in sums.items()}, before, after)
