"""The everyday work with aioboto3: the same functions as in with_bucketry.py."""

from __future__ import annotations

# --8<-- [start:open]
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError


async def connect(endpoint_url: str, work: Callable[[Any], Awaitable[None]]) -> None:
    config = AioConfig(
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 5, "mode": "standard"},
        max_pool_connections=64,
    )
    session = aioboto3.Session(region_name="us-east-1")
    async with session.client(
        "s3",
        endpoint_url=endpoint_url,  # leave it out for AWS
        config=config,
    ) as s3:
        await work(s3)


# --8<-- [end:open]


# --8<-- [start:put_get]
async def put_get(s3: Any) -> bytes:
    await s3.put_object(
        Bucket="my-bucket",
        Key="notes.txt",
        Body=b"hello",
        ContentType="text/plain",
        Metadata={"author": "me"},
    )
    answer = await s3.get_object(Bucket="my-bucket", Key="notes.txt")
    async with answer["Body"] as body:
        return await body.read()


# --8<-- [end:put_get]


# --8<-- [start:head]
async def head(s3: Any) -> tuple[int, str, bool]:
    answer = await s3.head_object(Bucket="my-bucket", Key="notes.txt")
    try:
        await s3.head_object(Bucket="my-bucket", Key="missing.txt")
        missing = True
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        missing = False
    return answer["ContentLength"], answer["ContentType"], missing


# --8<-- [end:head]


# --8<-- [start:list]
async def list_keys(s3: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="my-bucket", Prefix="logs/"
    )  # fmt: skip
    return [
        entry["Key"]
        async for page in pages
        for entry in page.get("Contents", [])
    ]  # fmt: skip


async def list_directories(s3: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="my-bucket", Prefix="logs/", Delimiter="/"
    )  # fmt: skip
    return [
        entry["Prefix"]
        async for page in pages
        for entry in page.get("CommonPrefixes", [])
    ]  # fmt: skip


# --8<-- [end:list]


# --8<-- [start:delete]
async def delete(s3: Any) -> None:
    await s3.delete_object(Bucket="my-bucket", Key="logs/1/a.log")
    keys = ["logs/1/b.log", "logs/2/c.log"]  # at most 1,000
    answer = await s3.delete_objects(
        Bucket="my-bucket",
        Delete={"Objects": [{"Key": key} for key in keys]},
    )
    if answer.get("Errors"):
        raise RuntimeError(answer["Errors"])


# --8<-- [end:delete]


# --8<-- [start:file]
async def file(s3: Any) -> None:
    config = TransferConfig(max_concurrency=32)
    await s3.upload_file(
        "model.bin", "my-bucket", "models/model.bin", Config=config
    )  # fmt: skip
    await s3.download_file(
        "my-bucket", "models/model.bin", "copy.bin", Config=config
    )  # fmt: skip


# --8<-- [end:file]


# --8<-- [start:directory]
async def directory(s3: Any) -> None:
    for path in [*Path("data").rglob("*")]:  # one at a time
        if path.is_file():
            await s3.upload_file(str(path), "my-bucket", path.as_posix())
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="my-bucket", Prefix="data/"
    )  # fmt: skip
    async for page in pages:
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix("data/")
            target = Path("data-copy", name)  # name must not have ".."
            target.parent.mkdir(parents=True, exist_ok=True)
            await s3.download_file("my-bucket", entry["Key"], str(target))


# --8<-- [end:directory]


# --8<-- [start:stream]
async def stream(s3: Any) -> int:
    size = 0
    answer = await s3.get_object(Bucket="my-bucket", Key="models/model.bin")
    async with answer["Body"] as body:
        async for chunk in body.content.iter_chunked(1024 * 1024):
            size += len(chunk)
    return size


# --8<-- [end:stream]


# --8<-- [start:generate]
async def lines() -> AsyncIterator[bytes]:
    for number in range(1_000):
        yield b"line %d\n" % number * 1_000


async def generate(s3: Any) -> None:
    data = BytesIO()  # or a class of yours with an async read()
    async for line in lines():
        data.write(line)
    data.seek(0)
    await s3.upload_fileobj(data, "my-bucket", "report.txt")


# --8<-- [end:generate]


# --8<-- [start:ranges]
async def ranges(s3: Any) -> list[bytes]:
    async def one(start: int, end: int) -> bytes:
        answer = await s3.get_object(
            Bucket="my-bucket",
            Key="report.txt",
            Range=f"bytes={start}-{end - 1}",  # the end is included
        )
        async with answer["Body"] as body:
            return await body.read()

    return [*await asyncio.gather(one(0, 6), one(0, 6), one(700, 706))]


# --8<-- [end:ranges]


# --8<-- [start:parts]
async def parts(s3: Any) -> None:
    place = {"Bucket": "my-bucket", "Key": "parts.bin"}
    started = await s3.create_multipart_upload(**place)
    place["UploadId"] = started["UploadId"]
    try:
        done = []
        for number, data in (1, bytes(5 * 1024 * 1024)), (2, b"the end"):
            answer = await s3.upload_part(
                **place, PartNumber=number, Body=BytesIO(data)
            )  # fmt: skip
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        await s3.complete_multipart_upload(
            **place, MultipartUpload={"Parts": done}
        )  # fmt: skip
    except BaseException:
        await s3.abort_multipart_upload(**place)
        raise


# --8<-- [end:parts]


# --8<-- [start:presign]
async def presign(s3: Any) -> str:
    return await s3.generate_presigned_url(
        "get_object",
        Params={"Bucket": "my-bucket", "Key": "notes.txt"},
        ExpiresIn=600,
    )


# --8<-- [end:presign]


# --8<-- [start:copy]
async def copy(s3: Any) -> None:
    await s3.copy_object(  # up to 5 GiB; s3.copy for more
        Bucket="my-bucket",
        Key="archive/notes.txt",
        CopySource={"Bucket": "my-bucket", "Key": "notes.txt"},
    )
    await s3.copy_object(
        Bucket="my-bucket",
        Key="archive/parts.bin",
        CopySource={"Bucket": "my-bucket", "Key": "parts.bin"},
    )
    await s3.delete_object(Bucket="my-bucket", Key="parts.bin")


# --8<-- [end:copy]


# --8<-- [start:create]
async def create(s3: Any) -> bool:
    try:
        await s3.put_object(
            Bucket="my-bucket",
            Key="notes.txt",
            Body=b"mine",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        return False
    return True


# --8<-- [end:create]


# --8<-- [start:errors]
async def errors(s3: Any) -> bytes:
    try:
        answer = await s3.get_object(Bucket="my-bucket", Key="missing.txt")
        async with answer["Body"] as body:
            return await body.read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return b"default"
        print(error.response["Error"], error.response["ResponseMetadata"])
        raise


# --8<-- [end:errors]


# --8<-- [start:many]
async def many(s3: Any) -> int:
    free = asyncio.Semaphore(16)

    async def one(key: str) -> bytes:
        async with free:
            answer = await s3.get_object(Bucket="my-bucket", Key=key)
            async with answer["Body"] as body:
                return await body.read()

    keys = [f"small/{number}" for number in range(100)]
    return sum(map(len, await asyncio.gather(*map(one, keys))))


# --8<-- [end:many]


async def main() -> None:
    import os  # noqa: PLC0415 - the pages do not show this

    from bucketry.testing import embedded_s3  # noqa: PLC0415

    async def work(s3: Any) -> None:
        print(await put_get(s3), await head(s3), await errors(s3))

    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    with embedded_s3("my-bucket") as server:
        await connect(server.endpoint_url, work)


if __name__ == "__main__":
    asyncio.run(main())
