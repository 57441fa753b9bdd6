"""Many objects at once: collects the outcome of each key, and prefetches objects for a consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any, TypeVar

from bucketry._core.facts import Facts, filled
from bucketry._core.options import ReadOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import BatchResult, ObjectInfo, TransferResult
from bucketry._transfer.limits import Limits, Quota
from bucketry._transfer.one.read import once_more, read
from bucketry._transfer.one.stream import SMALL, ResumingStream
from bucketry._transfer.workers import stop
from bucketry.errors import StorageError

R = TypeVar("R")

_END: Any = object()


async def settled(key: str, step: Awaitable[R]) -> tuple[str, R | StorageError]:
    """Await the coroutine for one item, and return the item's key with the result or the error."""
    try:
        return key, await step
    except StorageError as error:
        return key, error


class BatchCollector:
    """Collects the outcome of each key of a batch. If a key has several outcomes, one error makes it fail."""

    def __init__(self) -> None:
        """Begin without outcomes."""
        self._succeeded: list[str] = []
        self._failed: dict[str, StorageError] = {}
        self._results: dict[str, TransferResult] = {}

    def note(self, key: str, outcome: TransferResult | StorageError | None) -> None:
        """Add the outcome of one key."""
        if isinstance(outcome, StorageError):
            self._failed[key] = outcome
            return
        self._succeeded.append(key)
        if outcome is not None:
            self._results[key] = outcome

    def result(self) -> BatchResult:
        """Return the outcomes of all keys."""
        done = tuple(key for key in self._succeeded if key not in self._failed)
        return BatchResult(succeeded=done, failed=self._failed, results=self._results)


async def collected(outcomes: AsyncGenerator[tuple[str, TransferResult | StorageError | None], None]) -> BatchResult:
    """Take all outcomes, and return them as one result."""
    collector = BatchCollector()
    async with aclosing(outcomes):
        async for key, outcome in outcomes:
            collector.note(key, outcome)
    return collector.result()


async def delete_each(
    provider: ObjectRequests, keys: Iterable[str], policy: RetryPolicy
) -> AsyncGenerator[tuple[str, StorageError | None], None]:
    """Delete the keys in batches, retry keys with a transient error, and yield the outcome of each key.

    Cost: 1 request for each batch, and 1 for each retry.
    """
    remaining = iter(keys)
    while batch := tuple(dict.fromkeys(islice(remaining, provider.capabilities.max_delete_keys))):
        attempt = 0
        while batch:
            attempt += 1
            with Facts(provider.name, "delete_many"):
                result = await provider.delete_batch(batch)
            batch = tuple(key for key, error in result.failed.items() if error.retryable)
            delay = policy.delay(result.failed[batch[0]], attempt) if batch else None
            for key in result.succeeded:
                yield key, None
            for key, error in result.failed.items():
                if delay is None or not error.retryable:
                    yield key, filled(error, provider.name, "delete_many", key)
            if delay is None:
                break
            await asyncio.sleep(delay)


async def get_many(
    provider: ObjectRequests,
    limits: Limits,
    policy: RetryPolicy,
    keys: Iterable[str],
    *,
    ordered: bool,
    width: int,
    raises: bool,
    verify: bool,
) -> AsyncGenerator[tuple[str, bytes | StorageError], None]:
    """Yield `(key, bytes)` for each key; prefetch the next objects within a memory budget.

    Each iteration has its own budget, so the consumer can use the same manager meanwhile. If a key fails, its error is
    raised if `raises`, else `(key, error)` is yielded.
    """
    source = iter(keys)
    ahead = _Prefetcher(provider, limits, policy, width, verify=verify)
    try:
        while True:
            while len(ahead.objects) < ahead.width and (key := next(source, _END)) is not _END:
                ahead.begin(key)
            if not ahead.objects:
                return
            done = await ahead.ended(ordered=ordered)
            error = done.task.exception()
            if isinstance(error, StorageError) and not raises:
                yield done.key, error
            else:
                yield done.key, done.task.result()
            del error
            ahead.memory.give(done.held)
            del done  # from now on, only the consumer keeps the bytes in memory
    finally:
        await stop([one.task for one in ahead.objects])


@dataclass(slots=True, eq=False)
class _Object:
    """An object that is prefetched.

    Attributes:
        key: The object's name.
        task: Reads the object.
        held: Bytes taken from the memory budget for large objects.
        decided: Whether the object has its memory from this budget, or needs no memory from it.
    """

    key: str
    task: asyncio.Task[bytes] = field(init=False)
    held: int = 0
    decided: bool = False


class _Prefetcher:
    """The objects that one iteration prefetches, in the order of their keys.

    `width` limits the number of objects, because each object may use `SMALL` bytes while its size is unknown, and all
    objects together must not use more than half of the budget for this. Larger objects share the rest of the budget, in
    the order of their keys. So an object waits only for objects that the consumer gets earlier.
    """

    def __init__(
        self, provider: ObjectRequests, limits: Limits, policy: RetryPolicy, width: int, *, verify: bool
    ) -> None:
        """Begin without objects."""
        self.width = max(1, min(width, limits.memory.limit // 2 // SMALL))
        self.memory = Quota(max(1, limits.memory.limit - self.width * SMALL))
        self.objects: deque[_Object] = deque()
        self._provider = provider
        self._options = ReadOptions(verify=verify)
        self._limits = limits
        self._policy = policy
        self._decided = asyncio.Event()
        self._ended = asyncio.Event()

    def begin(self, key: str) -> None:
        """Start to read one more object."""
        one = _Object(key)
        # A plain task, because an async generator must not yield inside a task group. `get_many` ends all tasks.
        one.task = asyncio.get_running_loop().create_task(self._read(one))
        one.task.add_done_callback(lambda _: _wake(self._ended))
        self.objects.append(one)

    async def ended(self, *, ordered: bool) -> _Object:
        """Wait until the task of the first object (or of any object, if not `ordered`) has ended; remove the object.

        An object is removed only after its task has ended, because `get_many` ends the tasks of all objects in the
        queue when the consumer is cancelled.
        """
        while True:
            candidates = islice(self.objects, 1) if ordered else self.objects
            found = next((one for one in candidates if one.task.done()), None)
            if found is not None:
                self.objects.remove(found)
                return found
            await self._ended.wait()

    async def _read(self, one: _Object) -> bytes:
        with Facts(self._provider.name, "get_many", one.key):
            try:
                return await self._read_any(one)
            finally:
                self._decide(one)

    async def _read_any(self, one: _Object) -> bytes:
        (info, data), _ = await once_more(lambda: self._read_small(one))
        if data is not None:
            return data
        # The first request is closed, so that no task holds a slot while it waits for memory. The object is requested
        # again when there is memory for it.
        while not all(other.decided for other in takewhile(lambda other: other is not one, self.objects)):
            await self._decided.wait()
        one.held = await self.memory.take(info.size)
        self._decide(one)
        async with self._limits.slots.hold(1):
            _, data = await read(
                self._provider, one.key, replace(self._options, if_match=info.etag or None), policy=self._policy
            )
        return data

    async def _read_small(self, one: _Object) -> tuple[ObjectInfo, bytes | None]:
        """Open an object, and read it if it is small."""
        async with (
            self._limits.slots.hold(1),
            ResumingStream(self._provider, one.key, self._options, policy=self._policy) as reader,
        ):
            info = reader.info
            await self._limits.rate.wait(info.size)
            if info.size > SMALL:
                return info, None
            self._decide(one)
            return info, await reader.read()

    def _decide(self, one: _Object) -> None:
        one.decided = True
        _wake(self._decided)


def _wake(event: asyncio.Event) -> None:
    event.set()
    event.clear()
