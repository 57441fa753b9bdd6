"""A cancelled upload leaves nothing behind: no open upload, no part, no object."""

from __future__ import annotations

# --8<-- [start:cancel]
import asyncio
import tempfile
from pathlib import Path

from bucketry import MemoryProvider, TransferConfig, TransferManager
from bucketry.testing import Fault, FaultyProvider


async def upload_with_a_deadline(source: Path) -> None:
    stuck = Fault(operation="put_part", nth=3, hang=True)  # the third part never ends
    storage = FaultyProvider(MemoryProvider(), (stuck,))
    manager = TransferManager(storage, TransferConfig(part_size=1024, multipart_threshold=1024))
    try:
        async with asyncio.timeout(0.1):
            await manager.upload(source, "model.bin")
    except TimeoutError:
        print("open uploads:", await storage.list_multiparts())
        print("the object exists:", await storage.exists("model.bin"))


# --8<-- [end:cancel]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model.bin"
        model.write_bytes(bytes(10_000))
        asyncio.run(upload_with_a_deadline(model))
