"""Rows 4 and 5: GET of 1 GiB into a file; throughput and CPU."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.rows.big_objects import cpu, download_pairs, throughput
from benchmarks.rows.row import Row

WORK = "GET 1 GiB → file"
TARGETS = {"aiobotocore": 2.5, "s3fs": 5.0, "obstore": 1.2, "rclone": 1.2}
CPU_TARGETS = {"obstore": 0.75}
_SHOWN = ("boto3", "aioboto3")


def measure(bench: Bench) -> list[Measure]:
    """Measure both with the same runs."""
    measures = []
    for peer in filter(bench.has, (*TARGETS, *_SHOWN)):
        pairs = download_pairs(bench, WORK, peer, extra=peer not in TARGETS)
        measures += [
            compare(WORK, "MB/s", peer, pairs, throughput, target=TARGETS.get(peer)),
            compare(f"{WORK}, CPU", "s", peer, pairs, cpu, target=CPU_TARGETS.get(peer), at_most=True),
        ]
    return measures


ROW = Row("4+5", "GET of 1 GiB into a file, 8 × 8 MiB: throughput (4) and client CPU (5)", measure)
