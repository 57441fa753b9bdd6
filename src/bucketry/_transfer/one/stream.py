"""A stream of one object's bytes that resumes after an incomplete body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from bucketry._core import checksums
from bucketry._core.checks import check_read
from bucketry._core.conditions import check_start, judge_read
from bucketry._core.facts import filled
from bucketry._core.options import ReadOptions
from bucketry._core.requests import BodyReader, ObjectRequests
from bucketry._core.retry import BodyRetries, RetryPolicy
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry.errors import (
    ChecksumMismatchError,
    IncompleteBodyError,
    IntegrityError,
    InvalidRangeError,
    InvalidRequestError,
    StorageError,
)

CHUNK = MiB
SMALL = MiB  # bodies up to this size are read in one piece; also the memory held while an object's size is unknown


class ResumingStream:
    """`async with ResumingStream(…) as reader:` reads one version of an object; incomplete bodies are resumed.

    A range is cut at the object's end. For an empty range, a HEAD replaces the GET, because HTTP cannot express an
    empty range. If the server refuses a range, a HEAD follows, because S3 refuses every range of an empty object.
    """

    def __init__(
        self,
        provider: ObjectRequests,
        key: str,
        options: ReadOptions,
        *,
        policy: RetryPolicy,
        chunk_size: int = CHUNK,
        opened: tuple[AbstractAsyncContextManager[BodyReader], BodyReader] | None = None,
    ) -> None:
        """Store what to read; entering the context makes the first request.

        Args:
            provider: The provider of the object.
            key: The object.
            options: The bytes and the version to read.
            policy: How often to resume after an incomplete body.
            chunk_size: Maximum bytes of a chunk.
            opened: The first body, if the caller has opened it; such a caller does not enter the context, but calls
                `close` at the end.
        """
        self._provider = provider
        self._key = key
        self._options = options
        self._chunk_size = chunk_size
        self._retries = BodyRetries(policy)
        self._opened: AbstractAsyncContextManager[BodyReader] | None = None
        self._body: BodyReader | None = None
        self._info: ObjectInfo | None = None
        self._whole = options.byte_range is None and options.verify
        self._position = options.byte_range.start if options.byte_range else 0
        self._was_read = False
        self._verified: str | None = None
        if opened is not None:
            self._opened = opened[0]
            self._begin(opened[1])

    @property
    def info(self) -> ObjectInfo:
        """The properties of the object; `size` is the size of the whole object, also for a range.

        Raises:
            InvalidRequestError: The stream is not open.
        """
        if self._info is None:
            raise self._not_open()
        return self._info

    @property
    def retries(self) -> int:
        """The number of incomplete bodies that were resumed."""
        return self._retries.count

    @property
    def verified(self) -> str | None:
        """The algorithm of the stored checksum with which the bytes are compared; `None`: they are not compared."""
        return self._body.verified if self._body is not None and not self.retries else self._verified

    @property
    def _end(self) -> int:
        byte_range = self._options.byte_range
        return min(byte_range.end, self.info.size) if byte_range else self.info.size

    async def __aenter__(self) -> Self:
        """Make the first request.

        Raises:
            InvalidRangeError: The range begins at or beyond the end of an object that is not empty.
        """
        try:
            byte_range = self._options.byte_range
            if byte_range is not None and not byte_range.size:
                await self._decide_by_head()
                return self
            try:
                await self._open()
            except InvalidRangeError as refused:
                await self._decide_by_head(refused)
        except StorageError as error:
            await self.close()  # the body is open if the provider ignored a condition
            filled(error, self._provider.name, "get", self._key)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the connection."""
        await self.close()

    async def close(self) -> None:
        """Release the connection; later reads raise an error."""
        self._body = None
        await self._release()

    async def read(self) -> bytes:
        """Return all the bytes.

        Raises:
            ChecksumMismatchError: The bytes do not match the stored checksum.
            IntegrityError: More or fewer bytes arrived than the object or the range has.
            InvalidRequestError: The stream is not open, or was read already.
        """
        body = self._unread_body()
        wanted = self._end - self._position
        data: bytes | None = None
        if wanted <= SMALL:
            with suppress(IncompleteBodyError):  # iteration yields the bytes that arrived, and raises the error again
                data = await body.read()
        if data is None:
            async with aclosing(self._chunks()) as chunks:
                data = b"".join([chunk async for chunk in chunks])
        if len(data) != wanted:
            raise self._other_length(wanted, len(data))
        if self.retries and self._whole:
            await self._compare(data)
        return data

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes in chunks of at most the chunk size; an incomplete body is resumed at its first missing byte.

        Raises:
            ChecksumMismatchError: The bytes do not match the stored checksum; do not use the earlier chunks.
            IntegrityError: More or fewer bytes arrived than the object or the range has.
            InvalidRequestError: The stream is not open, or was read already.
        """
        self._unread_body()
        return self._chunks()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        first = self._position
        while True:
            before = self._position
            try:
                async with aclosing(self._opened_body().__aiter__()) as chunks:
                    async for chunk in chunks:
                        self._position += len(chunk)
                        for piece in _pieces(chunk, self._chunk_size):
                            yield piece
            except IncompleteBodyError as error:
                if not await self._resume(error, before):
                    return
            else:
                if self._position != self._end:
                    raise self._other_length(self._end - first, self._position - first)
                return

    async def _open(self) -> None:
        """Make a request for the missing bytes."""
        await self._release()
        opening = self._provider.open_body(self._key, self._options)
        body = await opening.__aenter__()
        self._opened = opening
        self._begin(body)

    def _begin(self, body: BodyReader) -> None:
        """Use an open body; check the conditions too, because a provider may ignore them.

        Raises:
            PreconditionFailedError: The body is of another version.
        """
        if self._options.conditional:
            judge_read(body.info, self._options, self._provider.locate(self._key))
        self._body = body
        if self._info is None:
            self._info = body.info

    async def _decide_by_head(self, refused: InvalidRangeError | None = None) -> None:
        """Make a HEAD to decide about a range that is empty or was refused."""
        self._info = await no_bytes(self._provider, self._key, self._options, refused)
        self._body = _NoBytes(self._info)
        self._position, self._options = 0, replace(self._options, byte_range=ByteRange(0, 0))

    def _opened_body(self) -> BodyReader:
        if self._body is None:
            raise self._not_open()
        return self._body

    def _unread_body(self) -> BodyReader:
        """Return the open body, and make sure that it is read one time only.

        Raises:
            InvalidRequestError: The stream is not open, or was read already.
        """
        body = self._opened_body()
        if self._was_read:
            raise self._misused("the stream was read already; open the object again")
        self._was_read = True
        return body

    def _not_open(self) -> InvalidRequestError:
        return self._misused("the stream is not open; read it in `async with provider.stream(key) as chunks:`")

    def _misused(self, problem: str) -> InvalidRequestError:
        error = InvalidRequestError(f"{self._provider.locate(self._key)}: {problem}")
        return filled(error, self._provider.name, "get", self._key)

    def _other_length(self, wanted: int, received: int) -> IntegrityError:
        message = f"{self._provider.locate(self._key)}: expected {wanted} bytes and received {received}"
        return IntegrityError(message, key=self._key)

    async def _compare(self, data: bytes) -> None:
        """Compare the bytes of several bodies with the stored checksum of the whole object.

        Raises:
            ChecksumMismatchError: The bytes do not match the stored checksum.
        """
        stored = self.info.checksums
        algorithm = checksums.first_usable(self._provider.capabilities.stored_checksums, stored)
        if algorithm is None:
            return
        computed = await in_thread(checksums.of, algorithm, data)
        if computed != stored[algorithm]:
            message = (
                f"{self._provider.locate(self._key)}: the bytes are not those that were stored: their {algorithm} is "
                f"{computed}, not {stored[algorithm]}"
            )
            raise ChecksumMismatchError(message, key=self._key)
        self._verified = algorithm

    async def _release(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.__aexit__(None, None, None)

    async def _resume(self, error: IncompleteBodyError, before: int) -> bool:
        """Request the missing bytes of an incomplete body; return `False` if no byte is missing."""
        if self._body is None:  # the stream was closed meanwhile
            raise error
        delay = self._retries.delay(error, self._position - before)
        if self._position >= self._end:
            return False
        if not self.info.etag and self._position > before:
            raise error  # without an etag, the rest may be of another version than the beginning
        await asyncio.sleep(delay)
        self._options = self._options.rest(self._position, self._end, self.info.etag)
        await self._open()
        return True


async def no_bytes(
    provider: ObjectRequests, key: str, options: ReadOptions, refused: InvalidRangeError | None = None
) -> ObjectInfo:
    """Return the object's properties for a read without bytes: the range is empty, or the object is empty.

    Raises:
        NotFoundError: There is no such object.
        PreconditionFailedError: A condition does not hold.
        InvalidRangeError: The range begins at or beyond the end of an object that is not empty.

    Cost: 1 HEAD.
    """
    if options.byte_range is None and refused is not None:
        raise refused
    where = provider.locate(key)
    check_read(options, where)
    info = await provider.head(key, version_id=options.version_id)
    judge_read(info, options, where)
    if info.size and refused is not None:
        raise refused
    if options.byte_range is not None:
        check_start(info, options.byte_range.start, where)
    return info


class _NoBytes:
    """The body of a range without bytes, made without a GET request."""

    verified = None

    def __init__(self, info: ObjectInfo) -> None:
        self.info = info

    async def read(self) -> bytes:
        return b""

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        none: tuple[bytes, ...] = ()
        for chunk in none:
            yield chunk


def _pieces(chunk: bytes, size: int) -> Iterable[bytes]:
    return (chunk,) if len(chunk) <= size else (chunk[at : at + size] for at in range(0, len(chunk), size))
