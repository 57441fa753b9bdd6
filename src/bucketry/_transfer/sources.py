"""The sources of an upload's bytes: an open file, read in ranges, or a stream, cut into pieces."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bucketry._core.os_errors import check_path, local_error
from bucketry._core.values import ByteCounter, FileRange
from bucketry._runtime.batcher import ThreadBatcher
from bucketry._runtime.file_bodies import file_state, read_body
from bucketry.errors import LocalFileError, LocalIsADirectoryError


class Slicer:
    """Cuts a stream of chunks into pieces of exactly the requested lengths; the last piece may be shorter."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        """Begin before the first chunk."""
        self._chunks = aiter(chunks)
        self._buffer = bytearray()
        self._chunk = memoryview(b"")  # the rest of the last chunk, not in the buffer yet
        self._exhausted = False
        self.taken = 0

    @property
    def ended(self) -> bool:
        """Whether no byte is left."""
        return self._exhausted and not self._buffer and not self._chunk

    async def take(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end; afterwards `ended` tells whether they were the last bytes."""
        while len(self._buffer) <= size:  # one more byte shows that this piece is not the last
            if not self._chunk and (self._exhausted or not await self._next_chunk()):
                break
            room = size + 1 - len(self._buffer)
            self._buffer += self._chunk[:room]
            self._chunk = self._chunk[room:]
        with memoryview(self._buffer) as view:
            piece = bytes(view[:size])
        del self._buffer[:size]
        self.taken += len(piece)
        return piece

    async def _next_chunk(self) -> bool:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._exhausted = True
            return False
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            message = f"a stream to put must give bytes, not {type(chunk).__name__}"
            raise TypeError(message)
        self._chunk = memoryview(bytes(chunk))  # a copy: the caller may reuse its buffer
        return True


@dataclass(slots=True)
class Source:
    """A file that is uploaded, and its state when it was opened.

    Attributes:
        fd: The open file; closed already if there is `data`.
        size: The file's length in bytes.
        as_of: The file's state, from `file_state`.
        data: All bytes of a small file, else `None`.
    """

    fd: int
    size: int
    as_of: tuple[int, int, int, int]
    data: bytes | None = None

    def range(self, start: int, end: int, sent: ByteCounter | None = None) -> FileRange:
        """Return a range of the file as the body of a request; the request fails if the file has changed by then."""
        return FileRange(self.fd, start, end, as_of=self.as_of, sent=sent)


@asynccontextmanager
async def opened(path: str, at_once: int, where: str, batcher: ThreadBatcher) -> AsyncIterator[Source]:
    """Open a regular file for reading; a file of at most `at_once` bytes is read and closed in the same thread call.

    Raises:
        LocalFileNotFoundError: The file does not exist.
        LocalIsADirectoryError: The path is a directory.
        LocalPermissionError: The process is not allowed to read the file.
        LocalFileError: The path is a device, a FIFO or a socket, or is empty; or the file has bytes, but size 0.
        IntegrityError: The file changed while it was read.
    """
    descriptors: list[int] = []  # filled in the thread, so that a file is closed even if its opening was cancelled
    try:
        yield await batcher.run(_open, path, at_once, where, descriptors)
    finally:
        for fd in descriptors:
            os.close(fd)


def _open(path: str, at_once: int, where: str, descriptors: list[int]) -> Source:
    check_path(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not block here
        descriptors.append(fd)
        found = os.fstat(fd)
    except OSError as exc:
        raise local_error(exc, path, "opening the file to upload") from exc
    if stat.S_ISDIR(found.st_mode):
        message = f"{path}: is a directory; TransferManager.upload_tree uploads its files"
        raise LocalIsADirectoryError(message, path=path)
    if not stat.S_ISREG(found.st_mode):
        message = f"{path}: is not a regular file; put its bytes as a stream"
        raise LocalFileError(message, path=path)
    if not found.st_size and _has_bytes(fd, path):
        message = f"{path}: its size is reported as 0, but it has bytes, like files in /proc; put its bytes as a stream"
        raise LocalFileError(message, path=path)
    source = Source(fd, found.st_size, file_state(found))
    if source.size <= at_once:
        source.data = read_body(source.range(0, source.size), where)
        os.close(descriptors.pop())
    return source


def _has_bytes(fd: int, path: str) -> bool:
    try:
        return bool(os.pread(fd, 1, 0))
    except OSError as exc:
        raise local_error(exc, path, "reading the file to upload") from exc
