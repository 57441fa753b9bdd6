"""A pool of worker processes that read through a pickled provider, spawned and forked."""

from __future__ import annotations

# --8<-- [start:worker]
import asyncio
import multiprocessing
import sys

from bucketry import IStorageProvider, S3Provider, TransferManager
from bucketry.testing import embedded_s3


async def _read(storage: IStorageProvider, keys: list[str]) -> int:
    return sum([len(data) async for _, data in TransferManager(storage).get_many(keys, ordered=False)])


def read_shard(storage: IStorageProvider, keys: list[str]) -> int:
    """Runs in a worker process; the provider arrives as configuration and opens its own connections."""
    return asyncio.run(_read(storage, keys))


# --8<-- [end:worker]


# --8<-- [start:pool]
async def fill(storage: IStorageProvider) -> list[str]:
    for number in range(8):
        await storage.put(f"shards/{number}.bin", bytes(10_000))
    return await storage.list_files("shards/")


def main(start_method: str) -> None:
    context = multiprocessing.get_context(start_method)
    with context.Pool(2) as pool, embedded_s3() as server:  # fork before there are threads
        storage = S3Provider(server.config)
        keys = asyncio.run(fill(storage))
        sizes = pool.starmap(read_shard, [(storage, keys[0::2]), (storage, keys[1::2])])
        print(start_method, sizes)
        assert sizes == [40_000, 40_000]


if __name__ == "__main__":
    for method in ("spawn", "fork"):
        if method in multiprocessing.get_all_start_methods():
            main(method)
    sys.exit(0)
# --8<-- [end:pool]
