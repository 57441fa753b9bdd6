"""Row 2: HEAD, 32 at once."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import small_requests

TARGETS = {"aiobotocore": 20.0, "obstore": 2.5}


def measure(bench: Bench) -> list[Measure]:
    """Measure it."""
    return small_requests(bench, "HEAD", "head", 4_096, TARGETS)


ROW = Row("2", "HEAD, 32 at once", measure)
