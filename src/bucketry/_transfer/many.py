"""Many objects at once: what became of each, and reading ahead of a consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable

from bucketry._core.provider import ObjectRequests
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
        return BatchResult(succeeded=tuple(self._succeeded), failed=self._failed, results=self._results)


async def get_many(
    provider: ObjectRequests, limits: Limits, keys: Iterable[str], *, ordered: bool, width: int
) -> AsyncIterator[tuple[str, bytes]]:
    """Give `(key, bytes)` of each key, prefetching ahead of the consumer within a memory budget.

    The budget is this iteration's own, so that a consumer may use the same manager meanwhile. Memory
    is taken in the order of the keys: what is held is always what is given next.
    """
    source = iter(keys)
    budget = Quota(limits.memory.limit)
    window: deque[asyncio.Task[tuple[str, bytes, int]]] = deque()
    after = asyncio.Event()
    after.set()
    try:
        while True:
            while len(window) < width and (key := next(source, None)) is not None:
                before, after = after, asyncio.Event()
                # A plain task, not a group: an async generator must not yield inside one. `finally` ends them all.
                window.append(asyncio.create_task(_get(provider, limits, budget, key, before, after)))
            if not window:
                return
            if ordered:
                await asyncio.wait([window[0]])
                done = window.popleft()  # only now: whoever is cancelled while waiting ends all that is in the window
            else:
                finished, _ = await asyncio.wait(window, return_when=asyncio.FIRST_COMPLETED)
                done = next(task for task in window if task in finished)
                window.remove(done)
            key, data, held = done.result()
            yield key, data
            budget.give(held)
    finally:
        for task in window:
            task.cancel()
        await asyncio.gather(*window, return_exceptions=True)


async def _get(
    provider: ObjectRequests,
    limits: Limits,
    budget: Quota,
    key: str,
    before: asyncio.Event,
    after: asyncio.Event,
) -> tuple[str, bytes, int]:
    try:
        await before.wait()
        held = await budget.take(SMALL)
        async with limits.slots.hold(1), stream(provider, key, None) as reader:
            info = reader.info
            if info.size <= held:
                after.set()
                return key, b"".join([chunk async for chunk in reader]), held
        # A large object is asked for again when there is room for it: nobody waits for memory with a slot in hand.
        budget.give(held)
        held = await budget.take(info.size)
        after.set()
        async with limits.slots.hold(1):
            _, data = await read(provider, key, if_match=info.etag)
        return key, data, held
    finally:
        after.set()
