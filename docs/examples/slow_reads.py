"""Small reads that are requested a second time if they take unusually long; run against a server on this machine."""

from __future__ import annotations

# --8<-- [start:hedge]
import asyncio

from bucketry import S3Provider
from bucketry.testing import embedded_s3


async def main() -> None:
    with embedded_s3() as server:
        async with S3Provider({**server.config, "hedge": True}) as storage:
            await storage.put("a.txt", b"It works.\n")
            for _ in range(100):
                await storage.get("a.txt")
            counts = storage.hedge_counts
            print(f"{counts.hedged} of {counts.reads} reads were requested a second time; {counts.won} were faster so")


asyncio.run(main())
# --8<-- [end:hedge]
