"""A dataset in step before a training, and the model backed up after it."""

from __future__ import annotations

# --8<-- [start:publish]
import asyncio
import tempfile
from pathlib import Path

from bucketry import LocalProvider, StorageManager
from bucketry.errors import NotFoundError


async def publish(manager: StorageManager, directory: Path) -> None:
    info = await manager.upload_dataset("cats", directory, metadata={"source": "camera 3"})
    print(f"{info.name}: {len(info.files)} files, {info.size} bytes")


# --8<-- [end:publish]


# --8<-- [start:ensure]
async def ensure(manager: StorageManager, directory: Path) -> None:
    result = await manager.ensure_dataset("cats", directory)
    print(f"downloaded {len(result.downloaded)} files, {result.downloaded_bytes} bytes")


# --8<-- [end:ensure]


# --8<-- [start:run]
def train(data: Path, output: Path) -> float:
    output.mkdir(exist_ok=True)
    loss = 1.0
    for number, sample in enumerate(sorted(data.glob("*.txt")), start=1):
        loss /= 1 + len(sample.read_bytes()) / 100
        (output / "weights.bin").write_bytes(number.to_bytes(4, "big") * 1000)
    return loss


async def training(manager: StorageManager, data: Path, output: Path) -> None:
    metadata: dict[str, float] = {}
    async with manager.training_run(
        dataset="cats", local_dir=data, model="cat-finder", output=output, metadata=metadata
    ) as run:
        metadata["loss"] = await asyncio.to_thread(train, data, output)
        await run.checkpoint(output, step=1)
    assert run.version is not None
    print(f"{run.version.name} {run.version.version}")


# --8<-- [end:run]


# --8<-- [start:continue]
async def start_step(manager: StorageManager, state: Path) -> int:
    try:
        checkpoint = await manager.restore_checkpoint("cat-finder", state)
    except NotFoundError:  # the first start: there is no checkpoint
        return 0
    return checkpoint.step + 1


# --8<-- [end:continue]


# --8<-- [start:clean]
async def remove_checkpoints(manager: StorageManager) -> None:
    for run in {checkpoint.run for checkpoint in await manager.list_checkpoints("cat-finder")}:
        removed = await manager.delete_checkpoints("cat-finder", run=run)
        print(f"run {run}: removed {removed} checkpoints")


# --8<-- [end:clean]


# --8<-- [start:use]
def make_samples(directory: Path) -> Path:
    directory.mkdir()
    for number in range(3):
        (directory / f"{number}.txt").write_text(f"cat {number}\n", encoding="utf-8")
    return directory


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with LocalProvider({"base_path": Path(directory, "bucket")}) as storage:
            manager = StorageManager(storage)
            await publish(manager, make_samples(Path(directory, "samples")))
            await ensure(manager, Path(directory, "data"))
            await ensure(manager, Path(directory, "data"))  # in step: 1 request
            print("first step:", await start_step(manager, Path(directory, "state")))
            await training(manager, Path(directory, "data"), Path(directory, "output"))
            print("first step:", await start_step(manager, Path(directory, "state")))
            await remove_checkpoints(manager)
            print(await manager.list_datasets(), await manager.list_models())


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:use]
