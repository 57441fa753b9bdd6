"""Many objects at once: collects the outcome of each key, and deletes keys in batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import aclosing
from itertools import islice
from typing import TypeVar

from bucketry._core.facts import Facts, filled
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import BatchResult, TransferResult
from bucketry.errors import StorageError

R = TypeVar("R")


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
