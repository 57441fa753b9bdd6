"""Limited concurrency for clients without their own: workers that share one iterator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from benchmarks.harness.task import PART_SIZE

Item = TypeVar("Item")


async def share(items: Iterable[Item], one: Callable[[Item], Awaitable[None]], width: int) -> None:
    """Call `one` for each item, with `width` calls at once."""
    shared = iter(items)

    async def worker() -> None:
        for item in shared:
            await one(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(worker())


def ranges(size: int) -> Iterator[tuple[int, int]]:
    """Split a size into half-open ranges of one part each."""
    for start in range(0, size, PART_SIZE):
        yield start, min(start + PART_SIZE, size)
