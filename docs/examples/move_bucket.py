"""A bucket moved to another cloud: plan, look at the plan, apply it, check."""

from __future__ import annotations

# --8<-- [start:plan]
import asyncio
import tempfile
from pathlib import Path

from bucketry import MemoryProvider, StorageManager, SyncPlan, SyncProgress
from bucketry.providers import StorageProvider


async def plan(old: StorageProvider, new: StorageProvider, file: Path) -> None:
    plan = await StorageManager(old).plan_sync_to(new, "", "", path=file)
    print(plan.summary.transfers, "objects,", plan.summary.transfer_bytes, "bytes")
    print(f"about {plan.estimate(bandwidth=50_000_000):.1f} seconds at 50 MB/s")
    print(plan.summary.skipped, "objects cannot be copied")


# --8<-- [end:plan]


# --8<-- [start:apply]
def show(progress: SyncProgress) -> None:
    if progress.seconds_left is not None:
        print(f"{progress.files} of {progress.total_files}, {progress.seconds_left:.0f} s left")


async def apply(old: StorageProvider, new: StorageProvider, file: Path) -> None:
    plan = await SyncPlan.load(file)
    report = await StorageManager(old).apply(plan, other=new, progress=show)
    print(report.transferred, "copied,", report.already_done, "were there already")
    for key, reason in report.skipped.items():
        print("not copied:", key, reason)
    for error in report.changed.values():
        print("changed:", error)
    report.raise_for_failures()


# --8<-- [end:apply]


# --8<-- [start:check]
async def check(old: StorageProvider, new: StorageProvider) -> bool:
    report = await StorageManager(old).sync_to(new, "", "", compare="checksum", dry_run=True)
    for key, reason in report.skipped.items():
        print("not copied:", key, reason)
    return report.plan.transfers == 0 and not report.skipped


# --8<-- [end:check]


# --8<-- [start:use]
async def main() -> None:
    old, new = MemoryProvider(), MemoryProvider()  # in your program: S3Provider(…), CloudflareR2Provider(…)
    for number in range(5):
        await old.put(f"run-1/{number}.bin", bytes(1000), metadata={"epoch": str(number)})

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "plan.jsonl")
        await plan(old, new, file)
        await apply(old, new, file)
        await apply(old, new, file)  # after an interruption: what is done is not done again
    print(await check(old, new))


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:use]
