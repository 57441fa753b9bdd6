"""Named places: a configuration file gives buckets names, and a program opens them."""

from __future__ import annotations

# --8<-- [start:open]
import asyncio
import os
import tempfile
from pathlib import Path

from bucketry import open_storage
from bucketry.errors import ConfigError


async def use() -> None:
    async with open_storage("prod:run-1/") as storage:
        await storage.put("model.bin", b"weights")
        print(storage.locate("model.bin"))

    async with open_storage("prod:") as storage:
        print(await storage.list_files())  # ['run-1/model.bin']

    try:
        open_storage("prdo:run-1/")
    except ConfigError as error:
        print(error)  # … has no place 'prdo'; did you mean 'prod'?


# --8<-- [end:open]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.toml"
        file.write_text(f'[places.prod]\nurl = "file://{directory}/store"\n', encoding="utf-8")
        file.chmod(0o600)
        os.environ["BUCKETRY_CONFIG"] = str(file)
        asyncio.run(use())
