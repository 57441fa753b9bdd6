"""Plain aiobotocore: ranged reads and part uploads, with the same concurrency as the other clients."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from benchmarks.clients.workers import ranges, share
from benchmarks.harness.task import ACCESS_KEY, REGION, SECRET_KEY, Task


class AiobotocoreClient:
    """One client of one session."""

    def __init__(self, task: Task) -> None:
        self._bucket = task.bucket
        self._width = task.concurrency
        self._context = get_session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=task.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            verify=task.ca_bundle or None,
            config=AioConfig(max_pool_connections=task.concurrency, s3={"addressing_style": "path"}),
        )
        self._client: Any = None

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._client = await self._context.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self._context.__aexit__(kind, error, trace)

    async def head(self, key: str) -> int:
        """HeadObject."""
        return int((await self._client.head_object(Bucket=self._bucket, Key=key))["ContentLength"])

    async def get(self, key: str) -> int:
        """GetObject, its body in memory."""
        answer = await self._client.get_object(Bucket=self._bucket, Key=key)
        async with answer["Body"] as body:
            return len(await body.read())

    async def put(self, key: str, data: bytes) -> None:
        """PutObject."""
        await self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    async def list(self) -> tuple[int, int]:
        """List with a paginator."""
        count = size = 0
        async for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for entry in page["Contents"]:
                assert entry["Key"]
                count += 1
                size += entry["Size"]
        return count, size

    async def download(self, key: str, path: str) -> None:
        """Read ranges, and write each in a thread."""
        size = await self.head(key)
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

        async def one(part: tuple[int, int]) -> None:
            start, end = part
            answer = await self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}")
            async with answer["Body"] as body:
                data = await body.read()
            await asyncio.to_thread(os.pwrite, target, data, start)

        try:
            await share(ranges(size), one, self._width)
        finally:
            os.close(target)

    async def upload(self, path: str, key: str) -> None:
        """Read parts in threads, and send them."""
        upload = await self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
        here = {"Bucket": self._bucket, "Key": key, "UploadId": upload["UploadId"]}
        parts: list[dict[str, Any]] = []
        source = os.open(path, os.O_RDONLY)

        async def one(numbered: tuple[int, tuple[int, int]]) -> None:
            number, (start, end) = numbered
            data = await asyncio.to_thread(os.pread, source, end - start, start)
            answer = await self._client.upload_part(**here, PartNumber=number, Body=data)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})

        try:
            await share(enumerate(ranges(os.fstat(source).st_size), start=1), one, self._width)
        finally:
            os.close(source)
        parts.sort(key=lambda part: int(part["PartNumber"]))
        await self._client.complete_multipart_upload(**here, MultipartUpload={"Parts": parts})
