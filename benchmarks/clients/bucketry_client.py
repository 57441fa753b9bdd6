"""bucketry, through its public interface."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from benchmarks.harness.task import ACCESS_KEY, PART_SIZE, REGION, SECRET_KEY, Task
from bucketry import ObjectInfo, S3Provider, StorageManager, TransferConfig, TransferManager
from tests.manage.generated import GeneratedProvider


class BucketryClient:
    """One provider, one transfer manager."""

    def __init__(self, task: Task) -> None:
        config = {
            "bucket_name": task.bucket,
            "endpoint_url": task.endpoint,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": REGION,
            "server": task.server,
            "ca_bundle": task.ca_bundle or None,
        }
        transfer = TransferConfig()
        if task.concurrency:
            config["max_connections"] = task.concurrency
            transfer = TransferConfig(part_size=PART_SIZE, max_concurrency=task.concurrency)
        self._provider = S3Provider(config, transfer=transfer)
        self._manager = TransferManager(self._provider, transfer)

    async def __aenter__(self) -> Self:
        """Open nothing: the first request does."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the provider."""
        await self._provider.disconnect()

    async def head(self, key: str) -> int:
        """HeadObject."""
        return (await self._provider.head(key)).size

    async def get(self, key: str) -> int:
        """GetObject."""
        return len(await self._provider.get(key))

    async def put(self, key: str, data: bytes) -> None:
        """PutObject."""
        await self._provider.put(key, data)

    async def list(self) -> tuple[int, int]:
        """List page by page."""
        count = size = 0
        async for entry in self._provider.list():
            assert isinstance(entry, ObjectInfo)
            assert entry.key
            count += 1
            size += entry.size
        return count, size

    async def download(self, key: str, path: str) -> None:
        """Download with the transfer manager."""
        await self._manager.download(key, path)

    async def upload(self, path: str, key: str) -> None:
        """Upload with the transfer manager."""
        await self._manager.upload(path, key)

    async def download_tree(self, prefix: str, path: str) -> None:
        """Download a directory with the transfer manager."""
        (await self._manager.download_tree(prefix, path)).raise_for_failures()

    async def upload_tree(self, path: str, prefix: str) -> None:
        """Upload a directory with the transfer manager."""
        (await self._manager.upload_tree(path, prefix)).raise_for_failures()

    async def sync_tree(self, path: str, prefix: str) -> None:
        """Sync with a storage manager, whose transfers are the provider's own."""
        report = await StorageManager(self._provider).sync(path, prefix)
        report.raise_for_failures()
        assert not report.skipped, report.skipped

    async def plan(self, common: int, transfers: int) -> None:
        """Plan a sync between two generated listings; the time of every object is in its metadata."""
        metadata = {"mtime": "1700000000.123456789"}
        source = GeneratedProvider(range(common + transfers), metadata=metadata)
        target = GeneratedProvider(range(transfers, common + 2 * transfers), metadata=metadata)
        plan = await StorageManager(source).plan_sync_to(target, "", "", delete=True)
        found = plan.summary
        assert (found.unchanged, found.transfers, found.deletions) == (common, transfers, transfers), found
