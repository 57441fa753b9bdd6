"""Models as versions that never change: back up, tag, restore, verify, prune."""

from __future__ import annotations

# --8<-- [start:backup]
import asyncio
import tempfile
from pathlib import Path

from bucketry import LocalProvider, StorageManager


async def back_up(manager: StorageManager, directory: Path) -> str:
    version = await manager.backup_model(directory, "cat-finder", metadata={"loss": 0.1})
    print(f"{version.version}: {len(version.files)} files, {version.size} bytes")
    return version.version


# --8<-- [end:backup]


# --8<-- [start:restore]
async def restore(manager: StorageManager, target: Path) -> None:
    version = await manager.restore_model("cat-finder", target, version="prod")
    print(f"restored {version.version} with loss {version.metadata['loss']}")


# --8<-- [end:restore]


# --8<-- [start:prune]
async def clean_up(manager: StorageManager) -> None:
    report = await manager.prune_models("cat-finder", keep=1)
    print(f"kept {report.kept}, removed {report.removed}, {report.bytes_removed} bytes freed")


# --8<-- [end:prune]


# --8<-- [start:use]
def train(model: Path, number: int) -> Path:
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}", encoding="utf-8")
    (model / "weights.bin").write_bytes(bytes([number]) * 1000)
    return model


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with LocalProvider({"base_path": Path(directory, "bucket")}) as storage:
            manager = StorageManager(storage)
            for number in range(3):
                name = await back_up(manager, train(Path(directory, "model"), number))
                if number == 0:
                    await manager.tag_model("cat-finder", name, "prod")

            await restore(manager, Path(directory, "restored"))
            print(await manager.model_tags("cat-finder"))
            (await manager.verify_model("cat-finder")).raise_for_failures()
            await clean_up(manager)


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:use]
