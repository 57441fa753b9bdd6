"""Row 3: PUT of 4 KiB, 32 at once, without and with TLS."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.harness.bench import Bench
from benchmarks.harness.child import content
from benchmarks.harness.figures import Measure
from benchmarks.harness.task import Task
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import small_requests

WORK = "PUT 4 KiB"
SIZE = 4_096
TARGETS = {"aiobotocore": 13.0, "obstore": 2.2}
TLS_TARGETS = {"aiobotocore": 12.0, "obstore": 2.0}


def measure(bench: Bench) -> list[Measure]:
    """Check once what each client stores, then measure both."""
    task = Task(work="put", endpoint=bench.limit.http, bucket="check", size=SIZE, concurrency=1, seconds=0.05)
    for client in ("bucketry", *TARGETS):
        bench.run(replace(task, key=f"small-{client}-"), client)
        stored = (bench.limit.root / "check" / f"small-{client}-0").read_bytes()
        assert stored == content(SIZE), f"{client} stored other bytes"
    clear = small_requests(bench, WORK, "put", SIZE, TARGETS)
    return clear + small_requests(bench, f"{WORK} over TLS", "put", SIZE, TLS_TARGETS, tls=True)


ROW = Row("3", "PUT of 4 KiB, 32 at once; over TLS too", measure)
