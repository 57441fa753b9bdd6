"""The first example of the README: upload a file to the local disk, list, download it."""

# --8<-- [start:quickstart]
import asyncio
from pathlib import Path

from bucketry import LocalProvider


async def main() -> None:
    async with LocalProvider({"base_path": "data/storage"}) as storage:
        await storage.upload("model.bin", "models/v1/model.bin", metadata={"version": "1.0"})

        async for entry in storage.list("models/"):
            print(entry.key, entry.size)

        result = await storage.download("models/v1/model.bin", "copy.bin")
        print(result.size, "bytes, verified by", result.verified)


Path("model.bin").write_bytes(bytes(1_000_000))
asyncio.run(main())
# --8<-- [end:quickstart]
