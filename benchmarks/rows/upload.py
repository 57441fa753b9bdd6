"""Row 7: PUT of 512 MiB from a file; throughput and CPU."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.rows.big_objects import cpu, throughput, upload_pairs
from benchmarks.rows.row import Row

WORK = "PUT 512 MiB from a file"
TARGETS = {"aiobotocore": 2.0, "obstore": 1.0}
CPU_TARGETS = {"obstore": 0.8}
_SHOWN = ("s3fs", "boto3", "aioboto3")


def measure(bench: Bench) -> list[Measure]:
    """Measure both with the same runs."""
    measures = []
    for peer in filter(bench.has, (*TARGETS, *_SHOWN)):
        pairs = upload_pairs(bench, WORK, peer, extra=peer not in TARGETS)
        measures += [
            compare(WORK, "MB/s", peer, pairs, throughput, target=TARGETS.get(peer)),
            compare(f"{WORK}, CPU", "s", peer, pairs, cpu, target=CPU_TARGETS.get(peer), at_most=True),
        ]
    return measures


ROW = Row("7", "PUT of 512 MiB from a file, 8 × 8 MiB: throughput and client CPU", measure)
