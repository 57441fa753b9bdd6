"""Row 1: GET of 4 KiB, 32 at once, without and with TLS."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import small_requests

TARGETS = {"aiobotocore": 15.0, "obstore": 3.0}


def measure(bench: Bench) -> list[Measure]:
    """Measure both."""
    clear = small_requests(bench, "GET 4 KiB", "get", 4_096, TARGETS)
    return clear + small_requests(bench, "GET 4 KiB over TLS", "get", 4_096, TARGETS, tls=True)


ROW = Row("1", "GET of 4 KiB, 32 at once; over TLS too", measure)
