"""Reads made of several requests: whole objects, coalesced ranges, and streams that resume."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from types import TracebackType
from typing import Self, TypeVar

from bucketry._core.conditions import check_start, judge_read
from bucketry._core.facts import filled
from bucketry._core.provider import BodyReader, ObjectRequests
from bucketry._core.retry import RetryPolicy, body_attempt
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._transfer.workers import fan_out
from bucketry.errors import (
    ChecksumMismatchError,
    IncompleteBodyError,
    IntegrityError,
    InvalidRangeError,
    InvalidRequestError,
    StorageError,
    UnsupportedError,
)

T = TypeVar("T")
CHUNK = MiB
SMALL = MiB  # up to here a body is read in one piece, and held for an object before its size is known


class ResumingStream:
    """`async with ResumingStream(…) as reader:` the bytes of one version of an object; a body that breaks is resumed.

    A range is cut at the object's end. One that brings no bytes, because it or the object is empty, is judged by a
    HEAD: S3 refuses every range of an empty object, and has no way to write an empty range.

    Attributes:
        retries: Bodies that broke and were asked for again.
    """

    def __init__(
        self,
        provider: ObjectRequests,
        key: str,
        byte_range: ByteRange | None,
        *,
        chunk_size: int = CHUNK,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        policy: RetryPolicy,
    ) -> None:
        """Remember what to read; entering the context makes the first request."""
        self.retries = 0
        self._provider = provider
        self._key = key
        self._range = byte_range
        self._chunk_size = chunk_size
        self._version_id = version_id
        self._if_match = if_match
        self._if_none_match = if_none_match
        self._policy = policy
        self._opened: AbstractAsyncContextManager[BodyReader] | None = None
        self._body: BodyReader | None = None
        self._info: ObjectInfo | None = None
        self._position = byte_range.start if byte_range else 0
        self._attempt = 0

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
    def _end(self) -> int:
        return min(self._range.end, self.info.size) if self._range else self.info.size

    async def __aenter__(self) -> Self:
        """Make the first request.

        Raises:
            InvalidRangeError: The range begins at or beyond the end of an object that is not empty.
        """
        try:
            if self._range is not None and not self._range.size:
                await self._look(self._range)
                return self
            try:
                await self._open()
            except InvalidRangeError as refused:
                if self._range is None:
                    raise
                await self._look(self._range, refused)
        except StorageError as error:
            filled(error, self._provider.name, "get", self._key)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the connection."""
        self._body = None
        await self._close()

    async def read(self) -> bytes:
        """Give all the bytes.

        Raises:
            ChecksumMismatchError: They are not those that were stored.
            InvalidRequestError: The stream is not open.
        """
        body = self._opened_body()
        if self._end - self._position <= SMALL:
            with suppress(IncompleteBodyError):  # iterating gives what did come, and breaks again
                return await body.read()
        wanted = self._end - self._position
        async with aclosing(self.__aiter__()) as chunks:
            data = b"".join([chunk async for chunk in chunks])
        if len(data) != wanted:
            message = f"{self._provider.locate(self._key)}: {wanted} bytes were asked for and {len(data)} came"
            raise IntegrityError(message, key=self._key)
        return data

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes in chunks of at most the chunk size; a body that breaks is resumed where it broke.

        Raises:
            ChecksumMismatchError: They are not those that were stored; what was given cannot be taken back.
            InvalidRequestError: The stream is not open.
        """
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
                return

    async def _open(self) -> None:
        """Make a request from the position on."""
        await self._close()
        opening = self._provider.open_body(
            self._key,
            byte_range=self._range,
            version_id=self._version_id,
            if_match=self._if_match,
            if_none_match=self._if_none_match,
        )
        self._body = await opening.__aenter__()
        self._opened = opening
        if self._info is None:
            self._info = self._body.info
            # What follows a break must be of this version.
            self._if_match, self._if_none_match = self._info.etag or None, None

    async def _look(self, byte_range: ByteRange, refused: InvalidRangeError | None = None) -> None:
        """Take a HEAD for the answer to a range without bytes, or to one that was refused.

        Raises:
            PreconditionFailedError: A condition does not hold.
            InvalidRangeError: The range begins at or beyond the end of an object that is not empty.
        """
        info = await self._provider.head(self._key, version_id=self._version_id)
        where = self._provider.locate(self._key)
        judge_read(info, if_match=self._if_match, if_none_match=self._if_none_match, where=where)
        if info.size and refused is not None:
            raise refused
        check_start(info, byte_range.start, where)
        self._info = info
        self._body = _NoBytes(info)
        self._position, self._range = 0, ByteRange(0, 0)

    def _opened_body(self) -> BodyReader:
        if self._body is None:
            raise self._not_open()
        return self._body

    def _not_open(self) -> InvalidRequestError:
        where = self._provider.locate(self._key)
        message = f"{where}: the stream is not open; read it in `async with provider.stream(key) as chunks:`"
        return filled(InvalidRequestError(message), self._provider.name, "get", self._key)

    async def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.__aexit__(None, None, None)

    async def _resume(self, error: IncompleteBodyError, before: int) -> bool:
        """Ask for what is missing of a body that broke; `False` where it broke after its last byte."""
        self._attempt = body_attempt(self._attempt, self._position - before)
        delay = self._policy.delay(error, self._attempt)
        if delay is None or self._body is None:  # given up, or the stream was left meanwhile
            raise error
        self.retries += 1
        if self._position >= self._end:
            return False
        if not self.info.etag and self._position > before:
            raise error  # nothing can hold the rest to the version that the beginning is of
        await asyncio.sleep(delay)
        self._range = ByteRange(self._position, self._end)
        await self._open()
        return True


class _NoBytes:
    """The body of a range that holds no bytes, for which no body was asked."""

    def __init__(self, info: ObjectInfo) -> None:
        self.info = info

    async def read(self) -> bytes:
        return b""

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        none: tuple[bytes, ...] = ()
        for chunk in none:
            yield chunk


async def once_more(attempt: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """Read, and read once more where the checksum differs: a bit that flipped on the way does not flip again.

    Gives what was read, and how many reads were in vain.

    Raises:
        ChecksumMismatchError: It differs again.
    """
    try:
        return await attempt(), 0
    except ChecksumMismatchError:
        return await attempt(), 1


async def read(
    provider: ObjectRequests,
    key: str,
    byte_range: ByteRange | None = None,
    *,
    version_id: str | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    policy: RetryPolicy,
) -> tuple[ObjectInfo, bytes]:
    """Give an object's bytes, or a range of them, whole; bytes whose checksum differs are asked for once more."""

    def stream() -> ResumingStream:
        return ResumingStream(
            provider,
            key,
            byte_range,
            version_id=version_id,
            if_match=if_match,
            if_none_match=if_none_match,
            policy=policy,
        )

    # As `once_more` does, without its two coroutines: this is the way of every small read.
    try:
        async with stream() as reader:
            return reader.info, await reader.read()
    except ChecksumMismatchError:
        async with stream() as reader:
            return reader.info, await reader.read()


async def read_ranges(
    provider: ObjectRequests,
    key: str,
    ranges: Iterable[tuple[int, int]],
    *,
    coalesce: int,
    width: int,
    if_match: str | None,
    policy: RetryPolicy,
) -> list[bytes]:
    """Give several ranges of one version of an object; near ones share a request.

    Raises:
        InvalidRangeError: One of them begins at or beyond the end of an object that is not empty.
    """
    wanted = [ByteRange(start, end) for start, end in ranges]
    where = provider.locate(key)
    if coalesce < 0:
        message = f"coalesce={coalesce}: give the largest gap to read across, 0 or more bytes"
        raise InvalidRangeError(message, key=key)
    if not wanted:
        return []
    last = max(wanted, key=lambda one: one.start)
    groups = coalesced(wanted, coalesce) or [last]
    found: dict[ByteRange, bytes] = {}

    async def one(group: ByteRange) -> ObjectInfo:
        info, found[group] = await read(provider, key, group, if_match=if_match, policy=policy)
        check_start(info, last.start, where)  # a range that shares a request, or is empty, may begin beyond the end
        return info

    if if_match is None and len(groups) > 1:  # the first answer names the version of all the others
        info = await one(groups.pop(0))
        if not info.size:
            return [b""] * len(wanted)
        if_match = info.etag
        if not if_match:
            message = f"{where}: the object has no etag, so its ranges cannot be held to one version"
            raise UnsupportedError(message, key=key)
    await fan_out(groups, one, width=min(width, len(groups)))
    ordered = sorted(found, key=lambda group: group.start)
    return [_cut(found, ordered, each) for each in wanted]


def coalesced(ranges: Sequence[ByteRange], gap: int) -> list[ByteRange]:
    """Join ranges that overlap or lie at most `gap` bytes apart; empty ones need no request."""
    joined: list[ByteRange] = []
    for one in sorted((one for one in ranges if one.size), key=lambda one: one.start):
        if joined and one.start - joined[-1].end <= gap:
            joined[-1] = ByteRange(joined[-1].start, max(joined[-1].end, one.end))
        else:
            joined.append(one)
    return joined


def _cut(found: dict[ByteRange, bytes], ordered: list[ByteRange], one: ByteRange) -> bytes:
    if not one.size:
        return b""
    whole = ordered[bisect_right(ordered, one.start, key=lambda group: group.start) - 1]
    return found[whole][one.start - whole.start : one.end - whole.start]


def _pieces(chunk: bytes, size: int) -> Iterable[bytes]:
    return (chunk,) if len(chunk) <= size else (chunk[at : at + size] for at in range(0, len(chunk), size))
