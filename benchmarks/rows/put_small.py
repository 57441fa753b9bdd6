"""Row 3: PUT of 4 KiB, 32 at once."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.harness.bench import Bench
from benchmarks.harness.child import content
from benchmarks.harness.figures import Measure
from benchmarks.harness.task import Task
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import small_requests

_SIZE = 4_096
_TARGETS = {"aiobotocore": 8.0, "obstore": 2.0}


def measure(bench: Bench) -> list[Measure]:
    """Look once at what each client stores, then measure it."""
    task = Task(work="put", endpoint=bench.limit.http, bucket="check", size=_SIZE, concurrency=1, seconds=0.05)
    for client in ("bucketry", *_TARGETS):
        bench.run(replace(task, key=f"small-{client}-"), client)
        stored = (bench.limit.root / "check" / f"small-{client}-0").read_bytes()
        assert stored == content(_SIZE), f"{client} stored other bytes"
    return small_requests(bench, "PUT 4 KiB", "put", _SIZE, _TARGETS)


ROW = Row("3", "PUT of 4 KiB, 32 at once", measure)
