"""The everyday work with obstore: the same functions as in with_bucketry.py."""

from __future__ import annotations

# --8<-- [start:open]
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store


async def connect(endpoint_url: str, work: Callable[[S3Store], Awaitable[None]]) -> None:
    store = S3Store(
        "my-bucket",
        region="us-east-1",
        endpoint=endpoint_url,  # leave it out for AWS
        client_options={
            "allow_http": True,  # only for http://
            "connect_timeout": "5s",
            "read_timeout": "30s",
        },
        retry_config={"max_retries": 4},
    )
    await work(store)  # nothing to close


# --8<-- [end:open]


# --8<-- [start:put_get]
async def put_get(store: S3Store) -> bytes:
    await obstore.put_async(
        store,
        "notes.txt",
        b"hello",
        attributes={"Content-Type": "text/plain", "author": "me"},
    )
    answer = await obstore.get_async(store, "notes.txt")
    return bytes(await answer.bytes_async())


# --8<-- [end:put_get]


# --8<-- [start:head]
async def head(store: S3Store) -> tuple[int, str, bool]:
    info = await obstore.head_async(store, "notes.txt")
    answer = await obstore.get_async(store, "notes.txt")
    kind = answer.attributes["Content-Type"]  # not in head_async
    try:
        await obstore.head_async(store, "missing.txt")
        missing = True
    except FileNotFoundError:
        missing = False
    return info["size"], kind, missing


# --8<-- [end:head]


# --8<-- [start:list]
async def list_keys(store: S3Store) -> list[str]:
    return [
        entry["path"]
        async for batch in obstore.list(store, "logs")
        for entry in batch
    ]  # fmt: skip


async def list_directories(store: S3Store) -> list[str]:
    answer = await obstore.list_with_delimiter_async(store, "logs")
    return [f"{prefix}/" for prefix in answer["common_prefixes"]]


# --8<-- [end:list]


# --8<-- [start:delete]
async def delete(store: S3Store) -> None:
    await obstore.delete_async(store, "logs/1/a.log")
    await obstore.delete_async(store, ["logs/1/b.log", "logs/2/c.log"])


# --8<-- [end:delete]


# --8<-- [start:file]
async def file(store: S3Store) -> None:
    await obstore.put_async(
        store, "models/model.bin", Path("model.bin"), max_concurrency=32
    )  # fmt: skip
    answer = await obstore.get_async(store, "models/model.bin")
    with Path("copy.bin").open("wb") as target:  # blocks the loop
        async for chunk in answer:
            target.write(chunk)


# --8<-- [end:file]


# --8<-- [start:directory]
async def directory(store: S3Store) -> None:
    for path in [*Path("data").rglob("*")]:  # one at a time
        if path.is_file():
            await obstore.put_async(store, path.as_posix(), path)
    async for batch in obstore.list(store, "data"):
        for entry in batch:
            name = entry["path"].removeprefix("data/")
            target = Path("data-copy", name)  # name must not have ".."
            target.parent.mkdir(parents=True, exist_ok=True)
            answer = await obstore.get_async(store, entry["path"])
            target.write_bytes(await answer.bytes_async())


# --8<-- [end:directory]


# --8<-- [start:stream]
async def stream(store: S3Store) -> int:
    size = 0
    answer = await obstore.get_async(store, "models/model.bin")
    async for chunk in answer.stream(1024 * 1024):
        size += len(chunk)
    return size


# --8<-- [end:stream]


# --8<-- [start:generate]
async def lines() -> AsyncIterator[bytes]:
    for number in range(1_000):
        yield b"line %d\n" % number * 1_000


async def generate(store: S3Store) -> None:
    await obstore.put_async(store, "report.txt", lines())


# --8<-- [end:generate]


# --8<-- [start:ranges]
async def ranges(store: S3Store) -> list[bytes]:
    first = await obstore.get_range_async(store, "report.txt", start=0, end=6)
    more = await obstore.get_ranges_async(
        store, "report.txt", starts=[0, 700], ends=[6, 706]
    )  # fmt: skip
    return [bytes(first), *map(bytes, more)]


# --8<-- [end:ranges]


# --8<-- [start:parts]
async def parts(store: S3Store) -> None:
    async with obstore.open_writer_async(store, "parts.bin") as writer:
        await writer.write(bytes(5 * 1024 * 1024))
        await writer.write(b"the end")


# --8<-- [end:parts]


# --8<-- [start:presign]
async def presign(store: S3Store) -> str:
    return await obstore.sign_async(
        store, "GET", "notes.txt", timedelta(minutes=10)
    )  # fmt: skip


# --8<-- [end:presign]


# --8<-- [start:copy]
async def copy(store: S3Store) -> None:
    await obstore.copy_async(store, "notes.txt", "archive/notes.txt")
    await obstore.rename_async(store, "parts.bin", "archive/parts.bin")


# --8<-- [end:copy]


# --8<-- [start:create]
async def create(store: S3Store) -> bool:
    try:
        await obstore.put_async(store, "notes.txt", b"mine", mode="create")
    except AlreadyExistsError:
        return False
    return True


# --8<-- [end:create]


# --8<-- [start:errors]
async def errors(store: S3Store) -> bytes:
    try:
        answer = await obstore.get_async(store, "missing.txt")
        return bytes(await answer.bytes_async())
    except FileNotFoundError:
        return b"default"


# --8<-- [end:errors]


# --8<-- [start:many]
async def many(store: S3Store) -> int:
    free = asyncio.Semaphore(16)

    async def one(key: str) -> int:
        async with free:
            answer = await obstore.get_async(store, key)
            return len(await answer.bytes_async())

    keys = [f"small/{number}" for number in range(100)]
    return sum(await asyncio.gather(*map(one, keys)))


# --8<-- [end:many]


async def main() -> None:
    import os  # noqa: PLC0415 - the pages do not show this

    from bucketry.testing import embedded_s3  # noqa: PLC0415

    async def work(store: S3Store) -> None:
        print(await put_get(store), await head(store), await errors(store))

    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    with embedded_s3("my-bucket") as server:
        await connect(server.endpoint_url, work)


if __name__ == "__main__":
    asyncio.run(main())
