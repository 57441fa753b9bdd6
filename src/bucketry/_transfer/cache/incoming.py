"""The unfinished files of a cache. Each writer locks its file, so that other processes see whether it still runs.

All functions block: call them in a worker thread.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

from bucketry._core.os_errors import local_error
from bucketry._runtime.file_lock import try_lock, unlock
from bucketry.errors import LocalFileError

_LONGEST_PAUSE = 0.05  # seconds between two attempts to take a lock
_BYTES = ".bytes"  # a file that is being written, locked by its writer
_LOCK = ".lock"  # the lock file of a `Fetch`; the other files of the `Fetch` have the suffixes below
_PART = ".part"
_DATA = ".data"


class StagedBytes:
    """`with StagedBytes(directory, data) as path:` writes a locked file; on exit the file is removed if it exists."""

    def __init__(self, directory: str, data: bytes) -> None:
        """Store the arguments; no I/O."""
        self._directory = directory
        self._data = data
        self._fd = -1
        self._path = ""

    def __enter__(self) -> str:
        """Write the file."""
        _make(self._directory)
        while self._fd < 0:
            self._path = os.path.join(self._directory, secrets.token_hex(8) + _BYTES)
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if try_lock(fd) and _is_at(fd, self._path):
                self._fd = fd
            else:
                unlock(fd)  # another process removed the file before it was locked
        try:
            view = memoryview(self._data)
            while view:
                view = view[os.write(self._fd, view) :]
        except BaseException:
            self.__exit__()
            raise
        return self._path

    def __exit__(self, *_: object) -> None:
        """Remove the file, unless it was renamed."""
        remove(self._path)
        unlock(self._fd)


class Fetch:
    """The right to fetch one object into a cache; only one task of all processes has this right at a time.

    Attributes:
        path: The path to which the object is downloaded.
        staged_name: A name for the file of an unfinished download, in the same directory.
    """

    def __init__(self, directory: str, name: str) -> None:
        """Store the arguments; no I/O.

        Args:
            directory: The directory of files that are being written.
            name: The object's name in this directory.
        """
        self._base = os.path.join(directory, name)
        self._fd = -1
        self.path = self._base + _DATA
        self.staged_name = name + _PART

    def try_begin(self) -> bool:
        """Take the right, unless another task has it; return whether it was taken."""
        with local_errors(self._base):
            _make(os.path.dirname(self._base))
            path = self._base + _LOCK
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not (try_lock(fd) and _is_at(fd, path)):
                unlock(fd)
                return False
            self._fd = fd
            _remove_leftovers(self._base)
        return True

    def end(self) -> None:
        """Release the right, and remove the files; do nothing if the right was not taken."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            _remove_leftovers(self._base)
            remove(self._base + _LOCK)
            unlock(fd)


def sweep(directory: str) -> None:
    """Remove the files that killed processes left behind."""
    with local_errors(directory):
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith((_BYTES, _LOCK)):
                _sweep(os.path.join(directory, name))


def _sweep(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if try_lock(fd) and _is_at(fd, path):
            if path.endswith(_LOCK):
                _remove_leftovers(path.removesuffix(_LOCK))
            remove(path)
    finally:
        unlock(fd)


def _make(directory: str) -> None:
    """Make the directory of unfinished files, and before it the cache's own; only this user can read them."""
    for path in (os.path.dirname(directory), directory):
        os.makedirs(path, mode=0o700, exist_ok=True)  # the mode is that of the last directory, not of its parents


def _remove_leftovers(base: str) -> None:
    remove(base + _PART)
    remove(base + _DATA)


def remove(path: str) -> None:
    """Remove a file if it exists."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def acquire(fd: int) -> Generator[None, None, None]:
    """Take a lock; a generator for `in_steps`, so that the wait for another process can be cancelled."""
    pause = _LONGEST_PAUSE / 64
    while not try_lock(fd):
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        yield


def _is_at(fd: int, path: str) -> bool:
    """Return whether the open file still has its name; another process may have removed it before it was locked."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def local_errors(path: str) -> Iterator[None]:
    """Turn the operating system's errors into the package's errors."""
    try:
        yield
    except LocalFileError:
        raise
    except OSError as exc:
        raise local_error(exc, exc.filename or path, "using the cache") from exc
