"""The file of a download: it is staged next to the target, and renamed to the target's name when it is complete."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from bucketry._core.os_errors import check_path, local_error
from bucketry._runtime.threads import in_thread
from bucketry.errors import AlreadyExistsError, LocalFileError, LocalIsADirectoryError

_TOKEN = 8  # random bytes in a staged file's name
_STAGED = re.compile(rf"\.bucketry-[0-9a-f]{{{2 * _TOKEN}}}\.part")


def staged_name() -> str:
    """Return a unique name for a staged file."""
    return f".bucketry-{secrets.token_hex(_TOKEN)}.part"


def is_staged(name: str) -> bool:
    """Return whether the name is that of a staged file; a download that was killed leaves such a file behind."""
    return _STAGED.fullmatch(name) is not None


class StagedFile:
    """`with StagedFile(path, size, …) as staged:` replaces the target with a complete file, or leaves it unchanged.

    The staged file is made next to the target, and its space is preallocated. `publish` renames it to the target; if
    the context ends without `publish`, the staged file is removed. A target that is a symbolic link is replaced.
    `async with` makes and removes the staged file in worker threads; all other methods block.
    """

    def __init__(
        self, path: str | os.PathLike[str], size: int | None, *, name: str, fsync: bool, what: str = "the download"
    ) -> None:
        """Store the arguments; no I/O.

        Args:
            path: The target.
            size: Bytes to preallocate; 0: none, because the caller has all bytes in memory; `None`: `make` makes the
                file later, when the size is known.
            name: The staged file's name, from `staged_name`.
            fsync: Flush the file to the disk before it is renamed, and its directory afterwards.
            what: What is written, for error messages.
        """
        self.path = os.fspath(path)
        self.fd = -1
        self._name = name
        self._size = size
        self._fsync = fsync
        self._what = what
        self._staged: str | None = None

    def __enter__(self) -> Self:
        """Make the staged file, and preallocate its space; without a size, do nothing."""
        try:
            if self._size is not None:
                self.make(self._size)
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the staged file if it was not published."""
        self._discard()

    async def __aenter__(self) -> Self:
        """Make the staged file; if the caller is cancelled meanwhile, remove it."""
        if self._size is None:
            return self
        try:
            return await in_thread(self.__enter__)
        except BaseException:
            await in_thread(self._discard)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the staged file if it was not published."""
        if self.fd >= 0 or self._staged is not None:
            await in_thread(self._discard)

    def make(self, size: int) -> None:
        """Make the staged file, and preallocate `size` bytes. If it exists, give it this length. Blocks.

        Raises:
            LocalFileError: The file cannot be made, or does not fit on the disk.
        """
        if self.fd < 0:
            self._open()
        try:
            present = os.fstat(self.fd).st_size
            if present > size:
                os.ftruncate(self.fd, size)
            elif present < size:
                self._reserve(size)
        except OSError as exc:
            raise local_error(exc, self.path, f"staging {self._what}") from exc

    def publish(self, *, mtime: int | None = None, check: Callable[[], None] | None = None) -> None:
        """Rename the staged file to the target.

        Args:
            mtime: The time to set, in nanoseconds since 1970; `None`: the time of the last write.
            check: Called just before the rename; if it raises an error, the target is left unchanged.
        """
        assert self._staged is not None  # noqa: S101 - callers publish inside the context
        try:
            if mtime is not None:
                os.utime(self.fd, ns=(mtime, mtime))
            if self._fsync:
                os.fsync(self.fd)
            fd, self.fd = self.fd, -1
            os.close(fd)
            if check is not None:
                check()
            os.replace(self._staged, self.path)
            self._staged = None
            if self._fsync:
                sync_directory(os.path.dirname(self.path) or ".")
        except AlreadyExistsError:  # from `check`; it is an `OSError`, too
            raise
        except OSError as exc:
            raise local_error(exc, self.path, f"publishing {self._what}") from exc

    def _open(self) -> None:
        check_target(self.path)
        directory = os.path.dirname(self.path)
        name = os.path.join(directory, self._name)
        try:
            try:
                self.fd = _make(name)
            except FileNotFoundError:
                make_directories(directory or ".")
                self.fd = _make(name)
            self._staged = name
        except OSError as exc:
            raise local_error(exc, self.path, f"staging {self._what}") from exc

    def _reserve(self, size: int) -> None:
        # Report a full disk before the first byte is written. On a file system without its own disk (memory, network,
        # overlay), only check the free space, because allocating there writes every page or block, which takes long.
        if os.major(os.fstat(self.fd).st_dev):
            try:
                os.posix_fallocate(self.fd, 0, size)
            except (AttributeError, OSError) as exc:
                if isinstance(exc, OSError) and type(local_error(exc, self.path, "")) is not LocalFileError:
                    raise
            else:
                return
        free = os.fstatvfs(self.fd)
        if free.f_bavail * free.f_frsize < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        os.ftruncate(self.fd, size)

    def _discard(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)
        if self._staged is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._staged)
            self._staged = None


def _make(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def make_directories(path: str) -> None:
    """Make a directory and its parents; if one of them is a file, raise `NotADirectoryError`. Blocks."""
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as exc:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from exc


def check_target(path: str) -> None:
    """Raise an error for a target that a file cannot replace. Blocks.

    Raises:
        LocalIsADirectoryError: The path is a directory.
        LocalFileError: The path is a device, a FIFO or a socket, or is empty.
    """
    check_path(path)
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = stat.S_IFREG  # missing or not accessible: if there is a problem, making the staged file raises the error
    if stat.S_ISDIR(mode) or path.endswith(os.sep):
        message = f"{path}: is a directory; name the file to write"
        raise LocalIsADirectoryError(message, path=path)
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        message = f"{path}: is not a regular file; a download replaces its target, so name another"
        raise LocalFileError(message, path=path)


def sync_directory(path: str) -> None:
    """Flush a directory's entries to the disk. Blocks."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
