"""Costs: the vendors compared, a bucket as it is, and a plan before it is applied."""

from __future__ import annotations

# --8<-- [start:numbers]
import asyncio
import tempfile
from pathlib import Path

from bucketry import MemoryProvider, StorageManager, compare_costs
from bucketry.providers import StorageProvider


def compare() -> None:
    for estimate in compare_costs(storage=10**12, egress=10**13, requests={"get": 5_000_000}):
        total = estimate.total
        print(estimate.title, "no price" if total is None else f"${total:.2f}", estimate.outside_policy)


# --8<-- [end:numbers]


# --8<-- [start:bucket]
async def price_bucket(provider: StorageProvider) -> None:
    size = objects = 0
    async for entry in provider.list():
        size, objects = size + entry.size, objects + 1
    (estimate,) = compare_costs(storage=size, objects=objects, vendors=["wasabi"])
    for item in estimate.items:
        print(item.what, item.name, item.billed, item.unit, item.amount, item.note)
    print("not included:", "; ".join(estimate.leaves_out))


# --8<-- [end:bucket]


# --8<-- [start:plan]
async def price_plan(manager: StorageManager, directory: Path) -> None:
    plan = await manager.plan_sync(directory, "data", direction="download")
    price = plan.price()
    if price is None:  # the local disk, memory, or a server of your own
        print("no list prices")
    elif price.total is not None:
        print(f"about ${price.total:.2f}, by prices of {price.as_of}")


# --8<-- [end:plan]


async def main() -> None:
    compare()
    provider = MemoryProvider()
    await provider.put("data/a", bytes(1000))
    await price_bucket(provider)
    with tempfile.TemporaryDirectory() as directory:
        await price_plan(StorageManager(provider), Path(directory, "data"))


if __name__ == "__main__":
    asyncio.run(main())
