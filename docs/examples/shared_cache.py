"""One cache on the local disk for all workers of a data loader."""

from __future__ import annotations

# --8<-- [start:worker]
import asyncio
import multiprocessing
import os
import tempfile
from pathlib import Path

from bucketry import IStorageProvider, LocalProvider, ObjectCache, StorageManager, TransferManager

GiB = 1024**3


async def _read(storage: IStorageProvider, keys: list[str], cache: ObjectCache) -> int:
    samples = TransferManager(storage).get_many(keys, cache=cache)
    return sum([len(data) async for _, data in samples])


def worker(storage: IStorageProvider, keys: list[str], cache: ObjectCache) -> int:
    """Runs in a worker process; provider and cache arrive as configuration."""
    return asyncio.run(_read(storage, keys, cache))


# --8<-- [end:worker]


# --8<-- [start:cached]
async def size_of_cached(storage: IStorageProvider, directory: Path) -> int:
    manager = StorageManager(storage)
    path = await manager.cached("train/0.bin", cache_dir=directory, max_bytes=10 * GiB)
    return await asyncio.to_thread(os.path.getsize, path)


# --8<-- [end:cached]


# --8<-- [start:pool]
async def fill(storage: IStorageProvider) -> list[str]:
    for number in range(8):
        await storage.put(f"train/{number}.bin", bytes(10_000))
    return await storage.list_files("train/")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        storage = LocalProvider({"base_path": Path(directory, "bucket")})
        cache = ObjectCache(Path(directory, "cache"), 10 * GiB, max_age=3600)
        keys = asyncio.run(fill(storage))
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            for epoch in range(2):
                sizes = pool.starmap(worker, [(storage, keys[0::2], cache), (storage, keys[1::2], cache)])
                print(epoch, sizes)
        print(asyncio.run(size_of_cached(storage, Path(directory, "cache"))))


if __name__ == "__main__":
    main()
# --8<-- [end:pool]
