"""The local end of a download: a staged file beside the target that takes its name when it is whole."""

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

from bucketry._core import checksums
from bucketry._core.checksums import Buffer, Digest
from bucketry._core.os_errors import check_path, local_error
from bucketry._runtime.threads import in_thread
from bucketry.errors import IntegrityError, LocalFileError, LocalIsADirectoryError

_TOKEN = 8  # bytes of chance in a staged file's name
_STAGED = re.compile(rf"\.bucketry-[0-9a-f]{{{2 * _TOKEN}}}\.part")


def staged_name() -> str:
    """Give a name for a staged file that no other one has."""
    return f".bucketry-{secrets.token_hex(_TOKEN)}.part"


def is_staged(name: str) -> bool:
    """Tell whether a file of this name is what a download has staged, or left when it was killed."""
    return _STAGED.fullmatch(name) is not None


class FileSink:
    """A place in an open file that is filled from `start` up to `end` and no further."""

    def __init__(self, fd: int, start: int, end: int, algorithm: str | None, path: str) -> None:
        """Begin at `start`; sum the bytes with `algorithm` if one is given."""
        self.fd = fd
        self.start = start
        self.end = end
        self.position = start
        self._algorithm = algorithm
        self._digest: Digest | None = checksums.new(algorithm) if algorithm else None
        self._path = path

    @property
    def needs_bytes(self) -> bool:
        """Whether the bytes are summed."""
        return self._digest is not None

    @property
    def checksum(self) -> str | None:
        """Of the bytes written so far, in hex."""
        return self._digest.hexdigest() if self._digest else None

    def moved_since(self, position: int) -> Callable[[], int]:
        """Give a function that tells how many bytes were written from a position on."""
        return lambda: self.position - position

    def rewind(self) -> None:
        """Forget all bytes and begin again."""
        self.position = self.start
        self._digest = checksums.new(self._algorithm) if self._algorithm else None

    def write(self, data: Buffer) -> None:
        """Write the next bytes. Blocks."""
        view = memoryview(data)
        self._check(len(view))
        if self._digest is not None:
            self._digest.update(view)
        while view:
            try:
                count = os.pwrite(self.fd, view, self.position)
            except OSError as exc:
                raise local_error(exc, self._path, "writing the download") from exc
            self.position += count
            view = view[count:]

    def skip(self, count: int) -> None:
        """Note bytes that the kernel copied."""
        self._check(count)
        self.position += count

    def _check(self, count: int) -> None:
        if self.position + count > self.end:
            message = f"{self._path}: {self.position + count - self.end} bytes more arrived than were asked for"
            raise IntegrityError(message, path=self._path)


class StagedFile:
    """`with StagedFile(path, size, …) as staged:` and the target is the old file or the whole new one.

    Made beside the target, preallocated; renamed by `publish`, removed when the context is left
    without it. A target that is a symbolic link is replaced, not followed. `async with` makes and
    removes it in worker threads; all else blocks.
    """

    def __init__(self, path: str | os.PathLike[str], size: int, *, name: str, fsync: bool) -> None:
        """Remember where; no I/O.

        Args:
            path: The target.
            size: Bytes to preallocate; 0 where all of them are at hand already.
            name: Of the staged file, as `staged_name` makes it.
            fsync: Flush it to the disk before it takes the target's name.
        """
        self.path = os.fspath(path)
        self.fd = -1
        self._name = name
        self._size = size
        self._fsync = fsync
        self._staged: str | None = None

    def __enter__(self) -> Self:
        """Make the staged file, with room for all its bytes."""
        try:
            self._open()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not published."""
        self._discard()

    async def __aenter__(self) -> Self:
        """Make the staged file; when cancelled meanwhile, remove it again."""
        try:
            return await in_thread(self.__enter__)
        except BaseException:
            await in_thread(self._discard)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not published."""
        await in_thread(self._discard)

    def publish(self) -> None:
        """Give the staged file the target's name."""
        assert self._staged is not None  # noqa: S101 - published inside the context
        try:
            if self._fsync:
                os.fsync(self.fd)
            fd, self.fd = self.fd, -1
            os.close(fd)
            os.replace(self._staged, self.path)
            self._staged = None
            if self._fsync:
                _sync_directory(os.path.dirname(self.path) or ".")
        except OSError as exc:
            raise local_error(exc, self.path, "publishing the download") from exc

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
            if self._size:
                self._reserve()
        except OSError as exc:
            raise local_error(exc, self.path, "staging the download") from exc

    def _reserve(self) -> None:
        # A full disk shows before the first byte is asked for. What has no disk of its own (memory, network, overlay)
        # is only asked for its free space: allocating there writes every page or block, and the download waits for it.
        if os.major(os.fstat(self.fd).st_dev):
            try:
                os.posix_fallocate(self.fd, 0, self._size)
            except (AttributeError, OSError) as exc:
                if isinstance(exc, OSError) and type(local_error(exc, self.path, "")) is not LocalFileError:
                    raise
            else:
                return
        free = os.fstatvfs(self.fd)
        if free.f_bavail * free.f_frsize < self._size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        os.ftruncate(self.fd, self._size)

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
    """Make a directory and those above it; one of them that is a file is told as such. Blocks."""
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as exc:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from exc


def check_target(path: str) -> None:
    """Refuse a target that a file cannot replace. Blocks.

    Raises:
        LocalIsADirectoryError: It is a directory.
        LocalFileError: It is a device, a FIFO or a socket, or no name is given.
    """
    check_path(path)
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = stat.S_IFREG  # missing, or not to be looked at: making the staged file will say
    if stat.S_ISDIR(mode) or path.endswith(os.sep):
        message = f"{path}: is a directory; name the file to write"
        raise LocalIsADirectoryError(message, path=path)
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        message = f"{path}: is not a regular file; a download replaces its target, so name another"
        raise LocalFileError(message, path=path)


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
