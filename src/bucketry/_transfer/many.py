"""Many objects at once: what became of each, and reading ahead of a consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass

from bucketry._core.provider import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.units import MiB
from bucketry._core.values import BatchResult, TransferResult
from bucketry._transfer.limits import Limits, Quota
from bucketry._transfer.read import read, stream
from bucketry.errors import StorageError

SMALL = MiB  # held for an object before its size is known


class Tally:
    """Collects what became of each item of a batch."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._succeeded: list[str] = []
        self._failed: dict[str, StorageError] = {}
        self._results: dict[str, TransferResult] = {}

    async def note(self, name: str, step: Awaitable[TransferResult | None]) -> None:
        """Await one item's step and note how it ended."""
        try:
            result = await step
        except StorageError as error:
            self.fail(name, error)
        else:
            self.succeed(name, result)

    def succeed(self, name: str, result: TransferResult | None = None) -> None:
        """Note a success."""
        self._succeeded.append(name)
        if result is not None:
            self._results[name] = result

    def fail(self, name: str, error: StorageError) -> None:
        """Note a failure."""
        self._failed[name] = error

    def result(self) -> BatchResult:
        """Give the whole."""
        done = tuple(name for name in self._succeeded if name not in self._failed)
        return BatchResult(succeeded=done, failed=self._failed, results=self._results)


async def delete_settled(provider: ObjectRequests, keys: Sequence[str], tally: Tally, policy: RetryPolicy) -> None:
    """Delete a batch, ask again for what failed in passing, and note what became of each key.

    Cost: 1 request, and 1 for each repeat.
    """
    attempt = 0
    while keys:
        attempt += 1
        result = await provider.delete_batch(keys)
        for key in result.succeeded:
            tally.succeed(key)
        passing = tuple(key for key, error in result.failed.items() if error.retryable)
        delay = policy.delay(result.failed[passing[0]], attempt) if passing else None
        for key, error in result.failed.items():
            if delay is None or key not in passing:
                tally.fail(key, error)
        if delay is None:
            return
        await asyncio.sleep(delay)
        keys = passing


async def get_many(
    provider: ObjectRequests, limits: Limits, keys: Iterable[str], *, ordered: bool, width: int
) -> AsyncIterator[tuple[str, bytes]]:
    """Give `(key, bytes)` of each key, prefetching ahead of the consumer within a memory budget.

    The budget is this iteration's own, so that a consumer may use the same manager meanwhile. It has one
    share for objects up to `SMALL` and one for larger ones, and both are taken in the order of the keys:
    what waits for memory waits only for what is given before it.
    """
    source = iter(keys)
    small = Quota(max(1, min(width * SMALL, limits.memory.limit // 2)))
    large = Quota(max(1, limits.memory.limit - small.limit))
    window: deque[_Ahead] = deque()
    try:
        while True:
            while len(window) < width and (key := next(source, None)) is not None:
                decided, earlier = asyncio.Event(), tuple(one.decided for one in window)
                # A plain task, not a group: an async generator must not yield inside one. `finally` ends them all.
                task = asyncio.create_task(_get(provider, limits, small, large, key, earlier, decided))
                window.append(_Ahead(task, decided))
            if not window:
                return
            if ordered:
                await asyncio.wait([window[0].task])
            else:
                await asyncio.wait([one.task for one in window], return_when=asyncio.FIRST_COMPLETED)
            # Only now taken out: whoever is cancelled while waiting ends all that is in the window.
            done = next(one for one in window if one.task.done())
            window.remove(done)
            key, data, quota, held = done.task.result()
            yield key, data
            quota.give(held)
    finally:
        for one in window:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in window), return_exceptions=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """An object that is read ahead, and whether it has its memory."""

    task: asyncio.Task[tuple[str, bytes, Quota, int]]
    decided: asyncio.Event


async def _get(
    provider: ObjectRequests,
    limits: Limits,
    small: Quota,
    large: Quota,
    key: str,
    earlier: Sequence[asyncio.Event],
    decided: asyncio.Event,
) -> tuple[str, bytes, Quota, int]:
    try:
        held = await small.take(SMALL)
        async with limits.slots.hold(1), stream(provider, key, None) as reader:
            info = reader.info
            await limits.pace.wait(info.size)
            if info.size <= held:
                decided.set()
                return key, b"".join([chunk async for chunk in reader]), small, held
        # A large object is asked for again when there is room for it: nobody waits for memory with a slot in hand.
        small.give(held)
        for one in earlier:
            await one.wait()
        held = await large.take(info.size)
        decided.set()
        async with limits.slots.hold(1):
            _, data = await read(provider, key, if_match=info.etag)
        return key, data, large, held
    finally:
        decided.set()
