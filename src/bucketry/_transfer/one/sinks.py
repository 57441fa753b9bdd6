"""The sinks of a download's bodies: each writes a range of the staged file, and computes its checksum."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from bucketry._core import checksums
from bucketry._core.checks import same_etag
from bucketry._core.checksums import Buffer, Digest
from bucketry._core.os_errors import local_error
from bucketry._core.values import ObjectInfo
from bucketry._transfer.one.staging import StagedFile
from bucketry.errors import IntegrityError


class FileSink:
    """Writes the range `[start, end)` of an open file, beginning at `start`; bytes beyond `end` are an error."""

    def __init__(
        self, fd: int, start: int, end: int, algorithm: str | None, path: str, *, info: ObjectInfo | None = None
    ) -> None:
        """Begin at `start`; compute the bytes' checksum if `algorithm` is given; `info` is the object's properties."""
        self.info = info
        self._fd = fd
        self.start = start
        self.end = end
        self.position = start
        self._algorithm = algorithm
        self._digest: Digest | None = checksums.new(algorithm) if algorithm else None
        self._path = path

    @property
    def fd(self) -> int:
        """The file's descriptor."""
        return self._fd

    @property
    def needs_bytes(self) -> bool:
        """Whether a checksum of the bytes is computed."""
        return self._digest is not None

    @property
    def checksum(self) -> str | None:
        """The checksum of the bytes written so far, in hex; `None`: not computed."""
        return self._digest.hexdigest() if self._digest else None

    def moved_since(self, position: int) -> Callable[[], int]:
        """Return a function that returns the number of bytes written after a position."""
        return lambda: self.position - position

    def rewind(self) -> None:
        """Begin again at `start`, as if no byte was written."""
        self.position = self.start
        self._digest = checksums.new(self._algorithm) if self._algorithm else None

    def begin(self, info: ObjectInfo) -> None:
        """Do nothing, because the object's properties are known."""

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
        """Increase the position by bytes that the kernel has copied."""
        self._check(count)
        self.position += count

    def _check(self, count: int) -> None:
        if self.position + count > self.end:
            message = f"{self._path}: received {self.position + count - self.end} bytes more than requested"
            raise IntegrityError(message, path=self._path)


class FirstSink(FileSink):
    """The sink of a download's first request: its response tells the object's properties, and then the file is made.

    Until then, `info` is `None`.
    """

    def __init__(
        self,
        staged: StagedFile,
        limit: int | None,
        algorithm_for: Callable[[ObjectInfo], str | None],
        told: Callable[[], object],
    ) -> None:
        """Begin at byte 0.

        Args:
            staged: The file, which is made as soon as the object's size is known.
            limit: Bytes that are requested at most; `None`: all.
            algorithm_for: Returns the algorithm of the checksum to compute.
            told: Called in a worker thread when the properties are known, before the first byte.
        """
        super().__init__(-1, 0, sys.maxsize if limit is None else limit, None, staged.path)
        self._staged = staged
        self._limit = limit
        self._algorithm_for = algorithm_for
        self._told = told
        self._made = False

    @property
    def fd(self) -> int:
        """The file's descriptor; the file is made if the provider has not told the size."""
        self._make_file()
        return self._staged.fd

    @property
    def untouched(self) -> bool:
        """Whether no response was accepted yet."""
        return self.info is None and not self._made

    def begin(self, info: ObjectInfo) -> None:
        """Make the file with the object's size. Blocks."""
        if self.position > self.start:
            return  # this is the rest of a body that broke
        if self.info is not None and info.etag and same_etag(info.etag, self.info.etag):
            return  # the body broke before its first byte
        self._begin(info)
        self._algorithm = self._algorithm_for(info)
        self._digest = checksums.new(self._algorithm) if self._algorithm else None
        self._told()

    def end_with(self, info: ObjectInfo) -> None:
        """Set the size after the last byte, because the provider has not told it before. Blocks."""
        self._begin(info)

    def _begin(self, info: ObjectInfo) -> None:
        self._staged.make(info.size)
        self._made = True
        self.info = info
        self.end = info.size if self._limit is None else min(self._limit, info.size)

    def write(self, data: Buffer) -> None:
        """Write the next bytes; the file is made if the provider has not told the size. Blocks."""
        self._make_file()
        super().write(data)

    def _make_file(self) -> None:
        if not self._made:
            self._staged.make(0)
            self._made = True
