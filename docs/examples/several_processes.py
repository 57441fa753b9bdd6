"""One object, whose parts several processes upload, and what to do with the uploads of killed processes."""

from __future__ import annotations

# --8<-- [start:parts]
import asyncio
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

from bucketry import IStorageProvider, LocalProvider

PART = 5 * 1024 * 1024  # the smallest that every store accepts


async def _put(storage: IStorageProvider, key: str, upload_id: str, number: int) -> None:
    async with storage:
        upload = await storage.adopt_upload(key, upload_id)
        await upload.put_part(number, bytes([number]) * PART)  # the program's own data


def put_part(storage: IStorageProvider, key: str, upload_id: str, number: int) -> None:
    """Runs in a worker process; the provider arrives as its configuration."""
    asyncio.run(_put(storage, key, upload_id, number))


# --8<-- [end:parts]


# --8<-- [start:commit]
async def upload_together(storage: IStorageProvider, key: str) -> None:
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    async with await storage.start_upload(key, metadata={"run": "7"}) as started:
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            arguments = [(storage, key, started.upload_id, number) for number in (1, 2, 3)]
            await asyncio.gather(*(loop.run_in_executor(pool, put_part, *each) for each in arguments))
        upload = await storage.adopt_upload(key, started.upload_id)  # commits the parts of all processes
        await upload.commit()
    info = await storage.head(key)
    print(info.size, dict(info.metadata))


# --8<-- [end:commit]


# --8<-- [start:killed]
async def _start_and_die(storage: IStorageProvider) -> None:
    upload = await storage.start_upload("results/killed.bin")
    await upload.put_part(1, bytes(PART))
    os._exit(1)  # as if the process was killed: no code runs after this line


def start_and_die(storage: IStorageProvider) -> None:
    asyncio.run(_start_and_die(storage))


# --8<-- [end:killed]


# --8<-- [start:clean]
async def abort_old_uploads(storage: IStorageProvider, prefix: str, age: timedelta) -> int:
    before = datetime.now(UTC) - age
    old = [found async for found in storage.list_uploads(prefix) if found.initiated and found.initiated <= before]
    for found in old:
        upload = await storage.adopt_upload(found.key, found.upload_id)
        await upload.abort()
    return len(old)


# --8<-- [end:clean]


# --8<-- [start:main]
async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with LocalProvider({"base_path": directory}) as storage:
            await upload_together(storage, "results/whole.bin")

            process = multiprocessing.get_context("spawn").Process(target=start_and_die, args=(storage,))
            process.start()
            await asyncio.to_thread(process.join)
            assert await storage.list_files() == ["results/whole.bin"]  # nothing is published
            assert await abort_old_uploads(storage, "results/", timedelta(days=1)) == 0  # it is younger
            assert await abort_old_uploads(storage, "results/", timedelta(0)) == 1


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:main]
