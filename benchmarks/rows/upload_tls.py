"""Row 15: PUT of 512 MiB from a file over TLS 1.3; throughput and CPU."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.rows.big_objects import cpu, throughput, upload_pairs
from benchmarks.rows.row import Row

WORK = "PUT 512 MiB from a file over TLS"
TARGETS = {"aiobotocore": 1.4, "obstore": 1.2}
CPU_TARGETS = {"obstore": 0.7}


def measure(bench: Bench) -> list[Measure]:
    """Measure both with the same runs."""
    measures = []
    for peer, target in TARGETS.items():
        pairs = upload_pairs(bench, WORK, peer, tls=True)
        measures += [
            compare(WORK, "MB/s", peer, pairs, throughput, target=target),
            compare(f"{WORK}, CPU", "s", peer, pairs, cpu, target=CPU_TARGETS.get(peer), at_most=True),
        ]
    return measures


ROW = Row("15", "PUT of 512 MiB from a file, 8 × 8 MiB, over TLS 1.3: throughput and client CPU", measure)
