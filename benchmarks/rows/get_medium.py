"""Row 1b: GET of 128 KiB, 32 at once."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import small_requests

TARGETS = {"aiobotocore": 12.0, "obstore": 2.5}


def measure(bench: Bench) -> list[Measure]:
    """Measure it."""
    return small_requests(bench, "GET 128 KiB", "get", 131_072, TARGETS)


ROW = Row("1b", "GET of 128 KiB, 32 at once", measure)
