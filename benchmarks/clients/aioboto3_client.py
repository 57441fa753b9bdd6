"""aioboto3, with its `upload_file` and `download_file`."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import aioboto3
from aiobotocore.config import AioConfig
from boto3.s3.transfer import TransferConfig

from benchmarks.harness.task import ACCESS_KEY, PART_SIZE, REGION, SECRET_KEY, Task


class Aioboto3Client:
    """One client of one session."""

    def __init__(self, task: Task) -> None:
        self._bucket = task.bucket
        self._transfer = TransferConfig(
            multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE, max_concurrency=task.concurrency
        )
        self._context = aioboto3.Session().client(
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

    async def download(self, key: str, path: str) -> None:
        """Download in concurrent ranges."""
        await self._client.download_file(self._bucket, key, path, Config=self._transfer)

    async def upload(self, path: str, key: str) -> None:
        """Upload in concurrent parts."""
        await self._client.upload_file(path, self._bucket, key, Config=self._transfer)
