"""obstore, the Rust crate `object_store` for Python, with its asynchronous functions."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict

import obstore
from obstore.store import S3Store

from benchmarks.clients.workers import ranges, share
from benchmarks.harness.task import ACCESS_KEY, PART_SIZE, REGION, SECRET_KEY, SMALL, Task

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # does not exist at run time


PARTS = 12
"""Ranges at once with default settings: as many as `obstore.put` sends parts at once."""


class PutOptions(TypedDict, total=False):
    """Options of `put`."""

    chunk_size: int
    max_concurrency: int
    use_multipart: bool


class ObstoreClient:
    """One store."""

    def __init__(self, task: Task) -> None:
        options: ClientConfig = {"allow_http": True}
        if task.ca_bundle:
            options["root_certificate"] = Path(task.ca_bundle).read_text()
        self._width = task.concurrency or PARTS
        self._tree_width = task.concurrency or SMALL
        # Without `chunk_size` and `max_concurrency`, `put` takes its own defaults.
        self._parts: PutOptions = {"chunk_size": PART_SIZE, "max_concurrency": self._width, "use_multipart": True}
        if not task.concurrency:
            self._parts = {}
        self._one_get = not task.concurrency and task.size <= PART_SIZE
        self._store = S3Store(
            task.bucket,
            endpoint=task.endpoint,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region=REGION,
            virtual_hosted_style_request=False,
            client_options=options,
        )

    async def __aenter__(self) -> Self:
        """Open nothing: the first request does."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing: the library has no call for it."""

    async def head(self, key: str) -> int:
        """HeadObject."""
        return (await obstore.head_async(self._store, key))["size"]

    async def get(self, key: str) -> int:
        """GetObject, its body in memory."""
        answer = await obstore.get_async(self._store, key)
        return len(await answer.bytes_async())

    async def put(self, key: str, data: bytes) -> None:
        """PutObject."""
        await obstore.put_async(self._store, key, data)

    async def list(self) -> tuple[int, int]:
        """List in batches of one page."""
        count = size = 0
        async for batch in obstore.list(self._store, chunk_size=1_000):
            for entry in batch:
                assert entry["path"]
                count += 1
                size += entry["size"]
        return count, size

    async def download(self, key: str, path: str) -> None:
        """Read ranges, and write each in a thread, because obstore has no parallel download of one object.

        With default settings an object of at most one part is read as a whole, as its users do.
        """
        if self._one_get:
            data = await (await obstore.get_async(self._store, key)).bytes_async()
            await asyncio.to_thread(Path(path).write_bytes, data)
            return
        size = await self.head(key)
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

        async def one(part: tuple[int, int]) -> None:
            start, end = part
            data = await obstore.get_range_async(self._store, key, start=start, end=end)
            await asyncio.to_thread(os.pwrite, target, data, start)

        try:
            await share(ranges(size), one, self._width)
        finally:
            os.close(target)

    async def upload(self, path: str, key: str) -> None:
        """Upload in parts with `put`, which reads the file itself."""
        await obstore.put_async(self._store, key, Path(path), **self._parts)

    async def download_tree(self, prefix: str, path: str) -> None:
        """List, and get each object into its file."""
        keys = [entry["path"] async for batch in obstore.list(self._store, prefix, chunk_size=1_000) for entry in batch]
        for directory in {os.path.dirname(key) for key in keys}:
            os.makedirs(os.path.join(path, directory[len(prefix) :]), exist_ok=True)

        async def one(key: str) -> None:
            data = await (await obstore.get_async(self._store, key)).bytes_async()
            await asyncio.to_thread(Path(path, key[len(prefix) :]).write_bytes, data)

        await share(keys, one, self._tree_width)

    async def upload_tree(self, path: str, prefix: str) -> None:
        """Put each file."""
        files = _files(path)

        async def one(entry: Path) -> None:
            await obstore.put_async(self._store, f"{prefix}{entry.relative_to(path)}", entry)

        await share(files, one, self._tree_width)


def _files(path: str) -> list[Path]:
    return [entry for entry in Path(path).rglob("*") if entry.is_file()]
