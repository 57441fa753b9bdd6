"""bucketry by AWS's row of facts, as a peer of itself by the row that a custom endpoint gets by default."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.clients.bucketry_client import BucketryClient
from benchmarks.harness.task import Task


class BucketryAwsClient(BucketryClient):
    """The same client, whatever row the task names."""

    def __init__(self, task: Task) -> None:
        super().__init__(replace(task, server="aws"))
