"""Row 8: a listing of 100,000 keys."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.harness.nginx import LISTING_BUCKET
from benchmarks.harness.objects import write_pages
from benchmarks.harness.task import Task
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import rate

WORK = "list 100,000 keys"
TARGETS = {"aiobotocore": 30.0, "obstore": 2.5}


def measure(bench: Bench) -> list[Measure]:
    """Measure it; every client reads each key and size."""
    count, size = write_pages(bench.limit.root / "-" / "pages", LISTING_BUCKET, bench.scale.pages)
    task = Task(work="list", endpoint=bench.limit.http, bucket=LISTING_BUCKET, count=count, size=size, concurrency=1)
    return [
        compare(WORK, "keys/s", peer, bench.pairs(WORK, task, peer), rate, target=target)
        for peer, target in TARGETS.items()
    ]


ROW = Row("8", "list 100,000 keys, page by page", measure)
