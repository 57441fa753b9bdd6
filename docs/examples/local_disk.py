"""The local disk: keys are files, and files from other programs are objects."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import tempfile
from pathlib import Path

from bucketry import LocalProvider
from bucketry.errors import UnsafeKeyError


async def use(base: Path) -> None:
    async with LocalProvider({"base_path": base}) as storage:
        await storage.put("reports/2026.txt", b"It works.\n", metadata={"author": "ada"})
        print((base / "reports" / "2026.txt").read_text())  # a key is a file

        (base / "reports" / "2027.txt").write_text("Put here by another program.\n")
        print(await storage.list_files("reports/"))  # and a file is a key

        try:
            await storage.put("../escape.txt", b"")
        except UnsafeKeyError as error:
            print(error)


# --8<-- [end:provider]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(use(Path(directory) / "storage"))
