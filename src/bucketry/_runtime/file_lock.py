"""A lock between the processes of a machine, on a file; the kernel releases it when the process with the lock ends."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from contextlib import suppress
from types import TracebackType
from typing import Self

from bucketry._core.os_errors import check_path, local_error
from bucketry._runtime.threads import in_thread
from bucketry.errors import LocalFileError

_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.2  # seconds between two attempts; short, because a download takes longer


class FileLock:
    """`async with FileLock(path):` holds an exclusive lock, which only one task on this machine can have at a time.

    The lock ends with the block or with the process, also if the process is killed, so no lock is left over. But if the
    process forks a child inside the block and is killed, the child keeps the lock until the child ends. The file is not
    deleted, because after a deletion two processes could lock two different files. The order of the waiting tasks is
    random.

    The lock works between several machines only if the file system sends locks to its server, as NFS does.

    Source: https://man7.org/linux/man-pages/man2/flock.2.html

    Attributes:
        path: The file.
        waited: Whether another task or process had the lock at the first attempt.
    """

    def __init__(self, path: str) -> None:
        """Store the path; no I/O.

        Args:
            path: The file. If it is missing, it is made; its directory must exist.
        """
        check_path(path)
        self.path = path
        self.waited = False
        self._fd = -1

    async def __aenter__(self) -> Self:
        """Wait for the lock; a cancellation ends the wait and leaves nothing open.

        Raises:
            LocalFileError: The file cannot be opened, or its file system has no locks.
        """
        wait = _FIRST_WAIT
        try:
            await in_thread(self._open)
            # The attempts do not block, because a thread that blocks in the kernel could not be cancelled.
            while not await in_thread(self._attempt):
                self.waited = True
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
        except BaseException:
            await in_thread(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        await in_thread(self._close)

    def _open(self) -> None:
        try:
            # The file is opened for writing, because NFS requires that for an exclusive lock. Links are refused,
            # because they could lead to a file of another user.
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as exc:
            raise local_error(exc, self.path, "opening the lock file") from exc

    def _attempt(self) -> bool:
        try:
            return try_lock(self._fd)
        except OSError as exc:
            if exc.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                message = f"{self.path}: this file system has no locks; choose a directory on another one"
                raise LocalFileError(message, path=self.path) from exc
            raise local_error(exc, self.path, "locking the file") from exc

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            unlock(fd)


def try_lock(fd: int) -> bool:
    """Take the lock of an open file or directory, without waiting; return `False` if another descriptor has the lock.

    Raises:
        OSError: The file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(fd: int) -> None:
    """Release the lock of an open file, if this descriptor has it, and close the file."""
    try:
        # Closing is not enough, because a forked child may have a copy of the descriptor, which keeps the lock.
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)
