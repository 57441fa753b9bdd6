"""Many files at once: all results together, or each result as it comes."""

from __future__ import annotations

# --8<-- [start:many]
import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

from bucketry import IStorageProvider, MemoryProvider, TransferManager
from bucketry.errors import StorageError


async def upload_all(storage: IStorageProvider, paths: list[Path]) -> None:
    manager = TransferManager(storage)
    result = await manager.upload_many((path, f"logs/{path.name}") for path in paths)
    for key, error in result.failed.items():
        print(f"{key} failed: {error}")
    print(f"{len(result.succeeded)} uploaded")


# --8<-- [end:many]


# --8<-- [start:each]
async def upload_and_remove(storage: IStorageProvider, pairs: Iterator[tuple[Path, str]]) -> int:
    manager = TransferManager(storage)
    paths: dict[str, Path] = {}  # of the uploads under way

    def noted() -> Iterator[tuple[Path, str]]:
        for path, key in pairs:
            paths[key] = path
            yield path, key

    failed = 0
    async with aclosing(manager.upload_each(noted())) as outcomes:
        async for key, outcome in outcomes:
            path = paths.pop(key)
            if isinstance(outcome, StorageError):
                print(f"{path.name} stays: {type(outcome).__name__}")
                failed += 1
                if failed == 100:
                    break  # stops the uploads under way
            else:
                path.unlink()
    return failed


# --8<-- [end:each]


# --8<-- [start:headers]
async def upload_for_browsers(storage: IStorageProvider, paths: list[Path]) -> None:
    manager = TransferManager(storage)
    free = asyncio.Semaphore(16)  # files under way

    async def upload_one(path: Path) -> None:
        async with free:
            await manager.upload(path, f"site/{path.name}", cache_control="max-age=3600", tags={"kind": "log"})

    async with asyncio.TaskGroup() as group:
        for path in paths:
            group.create_task(upload_one(path))


# --8<-- [end:headers]


# --8<-- [start:delete]
async def delete_below(storage: IStorageProvider, prefix: str) -> None:
    keys = await storage.list_files(prefix)
    async with aclosing(storage.delete_each(keys)) as outcomes:
        async for key, error in outcomes:
            if error is not None:
                print(f"{key} stays: {error}")


# --8<-- [end:delete]


async def main() -> None:
    storage = MemoryProvider()
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory, f"{number}.log") for number in range(5)]
        for path in paths:
            path.write_text("line\n")
        await upload_all(storage, [*paths, Path(directory, "missing.log")])
        await upload_for_browsers(storage, paths)
        assert (await storage.head("site/0.log")).cache_control == "max-age=3600"
        failed = await upload_and_remove(storage, ((path, f"archive/{path.name}") for path in paths))
        assert failed == 0
        assert not any(path.exists() for path in paths)
    assert len(await storage.list_files()) == 15
    await delete_below(storage, "logs/")
    assert len(await storage.list_files()) == 10


if __name__ == "__main__":
    asyncio.run(main())
