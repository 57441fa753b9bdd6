"""The everyday work with bucketry: the right side of the pages for users of aioboto3, s3fs and obstore.

The other sides are with_aioboto3.py, with_s3fs.py and with_obstore.py. They have the same functions; the tests run all
of them against an S3 server on this machine, and compare the results.
"""

from __future__ import annotations

# --8<-- [start:open]
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from bucketry import CommonPrefix, S3Provider, TransferConfig, TransferManager
from bucketry.errors import AlreadyExistsError, NotFoundError, StorageError


async def connect(endpoint_url: str, work: Callable[[S3Provider], Awaitable[None]]) -> None:
    config = {
        "bucket_name": "my-bucket",
        "region": "us-east-1",
        "endpoint_url": endpoint_url,  # leave out these two for AWS
        "server": "aws",  # this server does everything that AWS does
        "connect_timeout": 5,
        "read_timeout": 30,
        "max_attempts": 5,
        "max_connections": 64,
    }
    transfer = TransferConfig(max_concurrency=32)
    async with S3Provider(config, transfer=transfer) as storage:
        await work(storage)


# --8<-- [end:open]


# --8<-- [start:put_get]
async def put_get(storage: S3Provider) -> bytes:
    await storage.put(
        "notes.txt",
        b"hello",
        content_type="text/plain",
        metadata={"author": "me"},
    )
    return await storage.get("notes.txt")


# --8<-- [end:put_get]


# --8<-- [start:head]
async def head(storage: S3Provider) -> tuple[int, str | None, bool]:
    info = await storage.head("notes.txt")
    missing = await storage.exists("missing.txt")
    return info.size, info.content_type, missing


# --8<-- [end:head]


# --8<-- [start:list]
async def list_keys(storage: S3Provider) -> list[str]:
    return [entry.key async for entry in storage.list("logs/")]


async def list_directories(storage: S3Provider) -> list[str]:
    return [
        entry.prefix
        async for entry in storage.list("logs/", delimiter="/")
        if isinstance(entry, CommonPrefix)
    ]  # fmt: skip


# --8<-- [end:list]


# --8<-- [start:delete]
async def delete(storage: S3Provider) -> None:
    await storage.delete("logs/1/a.log")
    result = await storage.delete_many(["logs/1/b.log", "logs/2/c.log"])
    result.raise_for_failures()


# --8<-- [end:delete]


# --8<-- [start:file]
async def file(storage: S3Provider) -> None:
    await storage.upload("model.bin", "models/model.bin")
    await storage.download("models/model.bin", "copy.bin")


# --8<-- [end:file]


# --8<-- [start:directory]
async def directory(storage: S3Provider) -> None:
    manager = TransferManager(storage)
    sent = await manager.upload_tree("data", "data")
    sent.raise_for_failures()
    received = await manager.download_tree("data", "data-copy")
    received.raise_for_failures()


# --8<-- [end:directory]


# --8<-- [start:stream]
async def stream(storage: S3Provider) -> int:
    size = 0
    async with storage.stream("models/model.bin") as reader:
        async for chunk in reader:
            size += len(chunk)
    return size


# --8<-- [end:stream]


# --8<-- [start:generate]
async def lines() -> AsyncIterator[bytes]:
    for number in range(1_000):
        yield b"line %d\n" % number * 1_000


async def generate(storage: S3Provider) -> None:
    await storage.put("report.txt", lines())


# --8<-- [end:generate]


# --8<-- [start:ranges]
async def ranges(storage: S3Provider) -> list[bytes]:
    first = await storage.get_range("report.txt", 0, 6)
    more = await storage.get_ranges("report.txt", [(0, 6), (700, 706)])
    return [first, *more]


# --8<-- [end:ranges]


# --8<-- [start:parts]
async def parts(storage: S3Provider) -> None:
    async with await storage.start_upload("parts.bin") as upload:
        await upload.put_part(1, bytes(5 * 1024 * 1024))
        await upload.put_part(2, b"the end")
        await upload.commit()


# --8<-- [end:parts]


# --8<-- [start:presign]
async def presign(storage: S3Provider) -> str:
    return await storage.presign("notes.txt", expires_in=600)


# --8<-- [end:presign]


# --8<-- [start:copy]
async def copy(storage: S3Provider) -> None:
    await storage.copy("notes.txt", "archive/notes.txt")
    await storage.move("parts.bin", "archive/parts.bin")


# --8<-- [end:copy]


# --8<-- [start:create]
async def create(storage: S3Provider) -> bool:
    try:
        await storage.put("notes.txt", b"mine", if_none_match="*")
    except AlreadyExistsError:
        return False
    return True


# --8<-- [end:create]


# --8<-- [start:errors]
async def errors(storage: S3Provider) -> bytes:
    try:
        return await storage.get("missing.txt")
    except NotFoundError:  # also a FileNotFoundError
        return b"default"
    except StorageError as error:
        print(error.code, error.status, error.request_id)
        raise


# --8<-- [end:errors]


# --8<-- [start:many]
async def many(storage: S3Provider) -> int:
    keys = [f"small/{number}" for number in range(100)]
    size = 0
    manager = TransferManager(storage)
    async for _key, data in manager.get_many(keys):
        size += len(data)
    return size


# --8<-- [end:many]


async def main() -> None:
    import os  # noqa: PLC0415 - the pages do not show this

    from bucketry.testing import embedded_s3  # noqa: PLC0415

    async def work(storage: S3Provider) -> None:
        print(await put_get(storage), await head(storage), await errors(storage))

    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    with embedded_s3("my-bucket") as server:
        await connect(server.endpoint_url, work)


if __name__ == "__main__":
    asyncio.run(main())
