"""rclone as it recommends for many small files: more transfers at once, and one listing instead of one a directory."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.clients.rclone_client import RcloneClient
from benchmarks.harness.task import Task
from bucketry import TransferConfig


class RcloneWideClient(RcloneClient):
    """The same client with `--fast-list`, and as many transfers and checkers as bucketry has by default."""

    def __init__(self, task: Task) -> None:
        super().__init__(replace(task, concurrency=TransferConfig().max_concurrency))
        self._environment["RCLONE_FAST_LIST"] = "true"
