"""An asynchronous data loader: batches of samples in order, read ahead within a memory budget."""

from __future__ import annotations

# --8<-- [start:loader]
import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

from bucketry import IStorageProvider, MemoryProvider, TransferConfig, TransferManager

MiB = 1024 * 1024


async def batches(
    storage: IStorageProvider, prefix: str, *, size: int, seed: int
) -> AsyncIterator[list[tuple[str, bytes]]]:
    manager = TransferManager(storage, TransferConfig(max_concurrency=32, memory_budget=64 * MiB))
    keys = await storage.list_files(prefix)
    random.Random(seed).shuffle(keys)  # noqa: S311 - an order, no secret
    batch: list[tuple[str, bytes]] = []
    async with aclosing(manager.get_many(keys)) as samples:  # if the loop ends early, the requests stop
        async for key, data in samples:
            batch.append((key, data))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


# --8<-- [end:loader]


# --8<-- [start:use]
async def main() -> None:
    storage = MemoryProvider()
    for number in range(10):
        await storage.put(f"train/{number:03}.bin", bytes([number]) * 1000)

    for epoch in range(2):
        async for batch in batches(storage, "train/", size=4, seed=epoch):
            print(epoch, [key for key, _ in batch])


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:use]
