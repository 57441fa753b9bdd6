"""A stream of one object's bytes that goes on where a body broke."""

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
SMALL = MiB  # up to here a body is read in one piece, and held for an object before its size is known


class ResumingStream:
    """`async with ResumingStream(…) as reader:` the bytes of one version of an object; a body that breaks is resumed.

    A range is cut at the object's end. One that brings no bytes, because it or the object is empty, is judged by a
    HEAD: S3 refuses every range of an empty object, and has no way to write an empty range.
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
        """Remember what to read; entering the context makes the first request.

        Args:
            provider: Where.
            key: The object.
            options: Which bytes of which version.
            policy: How often a body that breaks is asked for again.
            chunk_size: Bytes of a chunk at most.
            opened: The first body, where the caller has opened it; then `close` ends what entering would have begun.
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
        """The object that the bytes are of; `size` is the whole object's.

        Raises:
            InvalidRequestError: The stream is not open.
        """
        if self._info is None:
            raise self._not_open()
        return self._info

    @property
    def retries(self) -> int:
        """Bodies that broke and were asked for again."""
        return self._retries.count

    @property
    def verified(self) -> str | None:
        """The stored checksum that the bytes are compared with; `None`: there is none, or a body broke."""
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
                await self._judge_by_head()
                return self
            try:
                await self._open()
            except InvalidRangeError as refused:
                await self._judge_by_head(refused)
        except StorageError as error:
            filled(error, self._provider.name, "get", self._key)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the connection."""
        await self.close()

    async def close(self) -> None:
        """Release the connection; what is read afterwards is refused."""
        self._body = None
        await self._leave()

    async def read(self) -> bytes:
        """Give all the bytes.

        Raises:
            ChecksumMismatchError: They are not those that were stored.
            IntegrityError: More or fewer bytes came than the object or the range has.
            InvalidRequestError: The stream is not open, or was read already.
        """
        body = self._unread_body()
        wanted = self._end - self._position
        data: bytes | None = None
        if wanted <= SMALL:
            with suppress(IncompleteBodyError):  # iterating gives what did come, and breaks again
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
        """Give the bytes in chunks of at most the chunk size; a body that breaks is resumed where it broke.

        Raises:
            ChecksumMismatchError: They are not those that were stored; what was given cannot be taken back.
            IntegrityError: More or fewer bytes came than the object or the range has.
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
        """Make a request for what is missing."""
        await self._leave()
        opening = self._provider.open_body(self._key, self._options)
        body = await opening.__aenter__()
        self._opened = opening
        self._begin(body)

    def _begin(self, body: BodyReader) -> None:
        """Take a body that was opened; conditions are checked here, too, as a provider may ignore them.

        Raises:
            PreconditionFailedError: The body is of another version.
        """
        if self._options.conditional:
            judge_read(body.info, self._options, self._provider.locate(self._key))
        self._body = body
        if self._info is None:
            self._info = body.info

    async def _judge_by_head(self, refused: InvalidRangeError | None = None) -> None:
        """Take a HEAD for the answer to a range without bytes, or to one that was refused."""
        self._info = await no_bytes(self._provider, self._key, self._options, refused)
        self._body = _NoBytes(self._info)
        self._position, self._options = 0, replace(self._options, byte_range=ByteRange(0, 0))

    def _opened_body(self) -> BodyReader:
        if self._body is None:
            raise self._not_open()
        return self._body

    def _unread_body(self) -> BodyReader:
        """Give the body, which can be read once.

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

    def _other_length(self, wanted: int, came: int) -> IntegrityError:
        message = f"{self._provider.locate(self._key)}: {wanted} bytes were asked for and {came} came"
        return IntegrityError(message, key=self._key)

    async def _compare(self, data: bytes) -> None:
        """Compare bytes that came in several bodies with the stored checksum, which none of the bodies could do.

        Raises:
            ChecksumMismatchError: They are not those that were stored.
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

    async def _leave(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.__aexit__(None, None, None)

    async def _resume(self, error: IncompleteBodyError, before: int) -> bool:
        """Ask for what is missing of a body that broke; `False` where it broke after its last byte."""
        if self._body is None:  # the stream was left meanwhile
            raise error
        delay = self._retries.delay(error, self._position - before)
        if self._position >= self._end:
            return False
        if not self.info.etag and self._position > before:
            raise error  # nothing can hold the rest to the version that the beginning is of
        await asyncio.sleep(delay)
        self._options = self._options.rest(self._position, self._end, self.info.etag)
        await self._open()
        return True


async def no_bytes(
    provider: ObjectRequests, key: str, options: ReadOptions, refused: InvalidRangeError | None = None
) -> ObjectInfo:
    """Give the object of a read that brings no bytes: its range is empty, or was refused and the object is empty.

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
    """The body of a range that holds no bytes, for which no body was asked."""

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
