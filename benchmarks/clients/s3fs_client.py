"""s3fs, asynchronous as in its documentation: methods with an underscore, on the caller's loop."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from s3fs import S3FileSystem

from benchmarks.harness.task import ACCESS_KEY, PART_SIZE, REGION, SECRET_KEY, Task


class S3fsClient:
    """One file system, without the cache for listings."""

    def __init__(self, task: Task) -> None:
        self._bucket = task.bucket
        self._width = task.concurrency or None  # None: the default of s3fs
        limits = {"max_concurrency": task.concurrency} if task.concurrency else {}
        self._parts = limits | {"chunksize": PART_SIZE} if task.concurrency else {}
        connections = {"max_pool_connections": task.concurrency} if task.concurrency else {}
        # rclone's server refuses the checksums that are sent behind the body, which is the default over TLS.
        checksums = {"request_checksum_calculation": "when_required"} if task.real and task.ca_bundle else {}
        self._fs = S3FileSystem(
            key=ACCESS_KEY,
            secret=SECRET_KEY,
            endpoint_url=task.endpoint,
            client_kwargs={"region_name": REGION, "verify": task.ca_bundle or None},
            config_kwargs=connections | checksums | {"s3": {"addressing_style": "path"}},
            **limits,
            asynchronous=True,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = await self._fs.set_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        await self._session.close()

    async def head(self, key: str) -> int:
        """Ask for an object's details."""
        return int((await self._fs._info(f"{self._bucket}/{key}"))["size"])  # noqa: SLF001 - documented

    async def get(self, key: str) -> int:
        """Read the whole object."""
        return len(await self._fs._cat_file(f"{self._bucket}/{key}"))  # noqa: SLF001 - documented

    async def download(self, key: str, path: str) -> None:
        """Get in concurrent ranges."""
        await self._fs._get_file(f"{self._bucket}/{key}", path, **self._parts)  # noqa: SLF001 - documented

    async def upload(self, path: str, key: str) -> None:
        """Put in concurrent parts."""
        await self._fs._put_file(path, f"{self._bucket}/{key}", **self._parts)  # noqa: SLF001 - documented

    async def download_tree(self, prefix: str, path: str) -> None:
        """Get recursively."""
        await self._fs._get(f"{self._bucket}/{prefix}", f"{path}{os.sep}", recursive=True, batch_size=self._width)  # noqa: SLF001 - documented

    async def upload_tree(self, path: str, prefix: str) -> None:
        """Put recursively."""
        await self._fs._put(f"{path}{os.sep}", f"{self._bucket}/{prefix}", recursive=True, batch_size=self._width)  # noqa: SLF001 - documented

    async def sync_tree(self, path: str, prefix: str) -> None:
        """Put recursively: there is no sync, so all files are sent each time."""
        await self.upload_tree(path, prefix)
