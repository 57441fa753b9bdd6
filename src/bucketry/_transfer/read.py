"""Reads made of several requests: whole objects, coalesced ranges, and streams that resume."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from bucketry._core.provider import BodyReader, ObjectRequests
from bucketry._core.retry import RetryPolicy, body_attempt
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._transfer.workers import fan_out
from bucketry.errors import IncompleteBodyError, InvalidRangeError, UnsupportedError

COALESCE = MiB  # at 100 MB/s a gap of 1 MiB costs the 10 ms that another request would
CHUNK = MiB


class ResumingStream:
    """The bytes of one version of an object, in chunks; a body that breaks is resumed where it broke."""

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
        policy: RetryPolicy | None = None,
    ) -> None:
        """Remember what to read; `open` makes the first request."""
        self._provider = provider
        self._key = key
        self._range = byte_range
        self._chunk_size = chunk_size
        self._version_id = version_id
        self._if_match = if_match
        self._if_none_match = if_none_match
        self._policy = policy or RetryPolicy()
        self._stack = AsyncExitStack()
        self._body: BodyReader | None = None
        self._info: ObjectInfo | None = None
        self._position = byte_range.start if byte_range else 0

    @property
    def info(self) -> ObjectInfo:
        """The object that the bytes are of; `size` is the whole object's."""
        assert self._info is not None  # noqa: S101 - set by open()
        return self._info

    async def open(self) -> None:
        """Make a request from the position on."""
        await self._stack.aclose()
        self._body = await self._stack.enter_async_context(
            self._provider.open_body(
                self._key,
                byte_range=self._range,
                version_id=self._version_id,
                if_match=self._if_match,
                if_none_match=self._if_none_match,
            )
        )
        if self._info is None:
            self._info = self._body.info
            # What follows a break must be of this version.
            self._if_match, self._if_none_match = self._info.etag, None

    async def aclose(self) -> None:
        """Release the connection."""
        await self._stack.aclose()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes in chunks of at most the chunk size."""
        attempt = 0
        while True:
            before = self._position
            try:
                assert self._body is not None  # noqa: S101 - set by open()
                async with aclosing(self._body.__aiter__()) as chunks:
                    async for chunk in chunks:
                        self._position += len(chunk)
                        for piece in _pieces(chunk, self._chunk_size):
                            yield piece
            except IncompleteBodyError as error:
                attempt = body_attempt(attempt, self._position - before)
                delay = self._policy.delay(error, attempt)
                if delay is None:
                    raise
                end = min(self._range.end, self.info.size) if self._range else self.info.size
                if self._position >= end:
                    return  # it broke after its last byte
                if not self.info.etag and self._position > before:
                    raise  # nothing can hold the rest to the version that the beginning is of
                await asyncio.sleep(delay)
                self._range = ByteRange(self._position, end)
                await self.open()
            else:
                return


@asynccontextmanager
async def stream(
    provider: ObjectRequests,
    key: str,
    byte_range: ByteRange | None,
    *,
    chunk_size: int = CHUNK,
    policy: RetryPolicy | None = None,
) -> AsyncIterator[ResumingStream]:
    """Open an object for reading; leaving the context releases the connection."""
    reader = ResumingStream(provider, key, byte_range, chunk_size=chunk_size, policy=policy)
    try:
        await reader.open()
        yield reader
    finally:
        await reader.aclose()


async def read(
    provider: ObjectRequests,
    key: str,
    byte_range: ByteRange | None = None,
    *,
    version_id: str | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    policy: RetryPolicy | None = None,
) -> tuple[ObjectInfo, bytes]:
    """Give an object's bytes, or a range of them, whole."""
    reader = ResumingStream(
        provider, key, byte_range, version_id=version_id, if_match=if_match, if_none_match=if_none_match, policy=policy
    )
    try:
        await reader.open()
        async with aclosing(reader.__aiter__()) as chunks:
            return reader.info, b"".join([chunk async for chunk in chunks])
    finally:
        await reader.aclose()


async def read_ranges(
    provider: ObjectRequests,
    key: str,
    ranges: Iterable[tuple[int, int]],
    *,
    coalesce: int,
    width: int,
    if_match: str | None,
    policy: RetryPolicy | None = None,
) -> list[bytes]:
    """Give several ranges of one version of an object; near ones share a request."""
    wanted = [ByteRange(start, end) for start, end in ranges]
    if coalesce < 0:
        message = f"coalesce={coalesce}: give the largest gap to read across, 0 or more bytes"
        raise InvalidRangeError(message, key=key)
    groups = coalesced(wanted, coalesce)
    found: dict[ByteRange, bytes] = {}
    if if_match is None and len(groups) > 1:  # the first answer names the version of all the others
        first = groups.pop(0)
        info, found[first] = await read(provider, key, first, policy=policy)
        if_match = info.etag
        if not if_match:
            message = f"{provider.locate(key)}: the object has no etag, so its ranges cannot be held to one version"
            raise UnsupportedError(message, provider=provider.name, key=key, operation="get_ranges")

    async def one(group: ByteRange) -> None:
        _, found[group] = await read(provider, key, group, if_match=if_match, policy=policy)

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
