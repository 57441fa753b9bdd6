"""Reads of whole objects and of ranges into memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from bucketry._core.checks import same_etag
from bucketry._core.conditions import check_start
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._transfer.one.stream import ResumingStream, no_bytes
from bucketry._transfer.workers import fan_out
from bucketry.errors import (
    ChecksumMismatchError,
    InvalidRangeError,
    NotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)

T = TypeVar("T")


async def once_more(attempt: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """Read, and read a second time if the checksum does not match, because a transmission error rarely happens twice.

    Returns:
        The result of the read, and the number of failed reads: 0 or 1.

    Raises:
        ChecksumMismatchError: The checksum does not match the second time either.
    """
    try:
        return await attempt(), 0
    except ChecksumMismatchError:
        return await attempt(), 1


async def read(
    provider: ObjectRequests, key: str, options: ReadOptions = WHOLE, *, policy: RetryPolicy
) -> tuple[ObjectInfo, bytes]:
    """Return an object's properties and its bytes, or a range of them; if the checksum does not match, read again.

    Programs make millions of small reads, so this function makes few calls: it opens the body itself, and
    `ResumingStream` continues with the open body.
    """
    if options.byte_range is not None and not options.byte_range.size:
        return await no_bytes(provider, key, options), b""
    mismatches = 0
    while True:
        opening = provider.open_body(key, options)
        try:
            body = await opening.__aenter__()
            try:
                stream = ResumingStream(provider, key, options, policy=policy, opened=(opening, body))
            except BaseException:
                await opening.__aexit__(None, None, None)
                raise
            try:
                return body.info, await stream.read()
            finally:
                await stream.close()
        except InvalidRangeError as refused:
            return await no_bytes(provider, key, options, refused), b""
        except ChecksumMismatchError:
            mismatches += 1
            if mismatches > 1:
                raise


async def exists(provider: ObjectRequests, key: str) -> bool:
    """Return whether there is an object.

    Cost: 1 request.
    """
    try:
        await provider.head(key)
    except NotFoundError:
        return False
    return True


async def pinned_head(provider: ObjectRequests, listed: ObjectInfo) -> ObjectInfo:
    """Return the properties of an object that still has the etag of its entry in a listing.

    Raises:
        NotFoundError: The object is gone.
        PreconditionFailedError: The object was replaced since it was listed.

    Cost: 1 request.
    """
    info = await provider.head(listed.key)
    if listed.etag and not same_etag(info.etag, listed.etag):
        message = f"{provider.locate(listed.key)}: the object was replaced since it was listed; nothing was written"
        raise PreconditionFailedError(message, key=listed.key)
    return info


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
    """Return several ranges of one version of an object; ranges near each other share a request.

    Raises:
        InvalidRangeError: A range begins at or beyond the end of an object that is not empty.
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
        info, found[group] = await read(provider, key, ReadOptions(byte_range=group, if_match=if_match), policy=policy)
        check_start(info, last.start, where)  # the server checks neither empty ranges nor ranges that share a request
        return info

    if if_match is None and len(groups) > 1:  # all other requests read the version of the first response
        info = await one(groups.pop(0))
        if not info.size:
            return [b""] * len(wanted)
        if_match = info.etag
        if not if_match:
            message = f"{where}: the object has no etag, so its ranges may differ in version; get the whole object"
            raise UnsupportedError(message, key=key)
    await fan_out(groups, one, width=min(width, len(groups)))
    ordered = sorted(found, key=lambda group: group.start)
    return [_cut(found, ordered, each) for each in wanted]


def coalesced(ranges: Sequence[ByteRange], gap: int) -> list[ByteRange]:
    """Join ranges that overlap or are at most `gap` bytes apart; leave out empty ranges, which need no request."""
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
