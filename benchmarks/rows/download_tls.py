"""Row 6: GET of 1 GiB into a file over TLS 1.3."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.rows.big_objects import download_pairs, throughput
from benchmarks.rows.row import Row

_WORK = "GET 1 GiB → file over TLS"
TARGETS = {"obstore": 1.1, "aiobotocore": 2.0}


def measure(bench: Bench) -> list[Measure]:
    """Measure it."""
    measures = []
    for peer, target in TARGETS.items():
        pairs = download_pairs(bench, _WORK, peer, tls=True)
        measures.append(compare(_WORK, "MB/s", peer, pairs, throughput, target=target))
    return measures


ROW = Row("6", "GET of 1 GiB into a file, 8 × 8 MiB, over TLS 1.3", measure)
