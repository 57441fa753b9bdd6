"""A hidden directory for files that are not complete yet, which later calls remove if its process was killed.

Its name is `.bucketry-<16 hex digits>.part`, so uploads and syncs leave it out. The process locks the directory, and
the kernel releases the lock when the process ends. So a later call knows which directories were left by killed
processes. All functions block.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress

from bucketry._runtime.file_lock import try_lock, unlock
from bucketry._transfer.one.staging import is_staged, staged_name

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class StagedDirectory:
    """A staging directory of this process.

    Attributes:
        path: The directory.
    """

    def __init__(self, parent: str) -> None:
        """Choose a name; no I/O."""
        self.path = os.path.join(parent, staged_name())
        self._lock = -1

    def make(self) -> None:
        """Make the directory, and lock it.

        Raises:
            OSError: It cannot be made.
        """
        os.mkdir(self.path)
        self._lock = os.open(self.path, _OPEN)
        with suppress(OSError):  # without locks on this file system, nobody removes what a killed process leaves
            try_lock(self._lock)

    def remove(self, *, keep: bool = False) -> None:
        """Remove the directory with everything in it, and release the lock; do nothing if it was not made.

        Args:
            keep: Only release the lock; a later call treats the directory as that of a killed process.
        """
        if self._lock >= 0:
            fd, self._lock = self._lock, -1
            if not keep:
                shutil.rmtree(self.path, ignore_errors=True)
            unlock(fd)
        else:
            with suppress(OSError):
                os.rmdir(self.path)


def left_over(parent: str, is_ours: Callable[[str], bool]) -> Iterator[str]:
    """Give the staging directories of killed processes; each is locked until the next one is asked for.

    Args:
        parent: Where they are.
        is_ours: Whether the caller wants the directory at this path.
    """
    try:
        names = [name for name in os.listdir(parent) if is_staged(name)]
    except OSError:
        return  # if the parent cannot be used, the caller fails later with an error that says so
    for path in (os.path.join(parent, name) for name in names):
        if not is_ours(path):
            continue
        try:
            fd = os.open(path, _OPEN)
        except OSError:
            continue  # it was removed just now, or is not a directory
        try:
            with suppress(OSError):  # without locks on this file system, it may belong to a living process
                if try_lock(fd):
                    yield path
        finally:
            unlock(fd)
