"""rclone: one command for each job; the time includes its start."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType
from typing import Self

from benchmarks.harness.rclone import rclone_path
from benchmarks.harness.task import ACCESS_KEY, PART_SIZE, REGION, SECRET_KEY, Task


class RcloneClient:
    """A remote that is configured by environment variables; every job is a process."""

    def __init__(self, task: Task) -> None:
        self._bucket = task.bucket
        self._real = task.real
        self._environment = {
            **os.environ,
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_S3_PROVIDER": "Rclone" if task.real else "Other",
            "RCLONE_S3_ENDPOINT": task.endpoint,
            "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_KEY,
            "RCLONE_S3_REGION": REGION,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
            "RCLONE_CA_CERT": task.ca_bundle,
        }
        if task.concurrency:
            part, width = f"{PART_SIZE}B", str(task.concurrency)
            self._environment |= {
                "RCLONE_S3_CHUNK_SIZE": part,
                "RCLONE_S3_UPLOAD_CONCURRENCY": width,
                "RCLONE_MULTI_THREAD_STREAMS": width,
                "RCLONE_MULTI_THREAD_CHUNK_SIZE": part,
                "RCLONE_MULTI_THREAD_CUTOFF": part,
                "RCLONE_TRANSFERS": width,
                "RCLONE_CHECKERS": width,
            }

    async def __aenter__(self) -> Self:
        """Open nothing."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def head(self, key: str) -> int:
        """Do nothing: there is no process before the job."""
        return 0

    async def download(self, key: str, path: str) -> None:
        """Copy an object to a file."""
        self._run("copyto", self._remote(key), path)

    async def upload(self, path: str, key: str) -> None:
        """Copy a file to an object.

        The limit server keeps nothing. Its object of this key is the file already, so that rclone finds it afterwards.
        """
        self._run("copyto", path, self._remote(key), *([] if self._real else ["--ignore-times", "--ignore-checksum"]))

    async def download_tree(self, prefix: str, path: str) -> None:
        """Copy a directory."""
        self._run("copy", self._remote(prefix), path)

    async def upload_tree(self, path: str, prefix: str) -> None:
        """Copy a directory."""
        self._run("copy", path, self._remote(prefix))

    async def sync_tree(self, path: str, prefix: str) -> None:
        """Sync a directory."""
        self._run("sync", path, self._remote(prefix))

    def _remote(self, key: str) -> str:
        return f":s3:{self._bucket}/{key}"

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [rclone_path(), *arguments], env=self._environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
