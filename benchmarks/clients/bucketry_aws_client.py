"""bucketry with AWS's row of facts, compared with bucketry with a custom endpoint's default row."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.clients.bucketry_client import BucketryClient
from benchmarks.harness.task import Task


class BucketryAwsClient(BucketryClient):
    """The same client, always with AWS's row."""

    def __init__(self, task: Task) -> None:
        super().__init__(replace(task, server="aws"))
