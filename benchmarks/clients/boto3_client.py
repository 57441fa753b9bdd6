"""boto3 with s3transfer: threads, no event loop."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from benchmarks.harness.task import ACCESS_KEY, PART_SIZE, REGION, SECRET_KEY, Task


class Boto3Client:
    """One client; its methods block."""

    def __init__(self, task: Task) -> None:
        self._bucket = task.bucket
        self._transfer = TransferConfig()
        limits = {}
        if task.concurrency:
            self._transfer = TransferConfig(
                multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE, max_concurrency=task.concurrency
            )
            limits = {"max_pool_connections": task.concurrency}
        self._client: Any = boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=task.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            verify=task.ca_bundle or None,
            config=Config(**limits, s3={"addressing_style": "path"}),
        )

    async def __aenter__(self) -> Self:
        """Open nothing: the constructor did."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self._client.close()

    async def head(self, key: str) -> int:
        """HeadObject."""
        return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])

    async def get(self, key: str) -> int:
        """GetObject, its body in memory."""
        return len(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    async def download(self, key: str, path: str) -> None:
        """Download in concurrent ranges."""
        self._client.download_file(self._bucket, key, path, Config=self._transfer)

    async def upload(self, path: str, key: str) -> None:
        """Upload in concurrent parts."""
        self._client.upload_file(path, self._bucket, key, Config=self._transfer)
