"""Shared by the rows of small requests: one task for many clients, in operations a second."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.harness.objects import write_small
from benchmarks.harness.task import SMALL, Sample, Task

KEYS = 256


def small_requests(
    bench: Bench,
    name: str,
    work: str,
    size: int,
    targets: Mapping[str, float],
    *,
    tls: bool = False,
    server: str = "",
) -> list[Measure]:
    """Measure `work` on objects of `size` bytes against each peer named in `targets`; `server`: see `Task`."""
    key = f"small/{size}-"
    bucket = bench.limit.root / "bench"
    if not (bucket / f"{key}0").exists():
        write_small(bucket, key, size, KEYS)
    task = Task(
        work=work,
        endpoint=bench.limit.https if tls else bench.limit.http,
        ca_bundle=bench.limit.ca_bundle if tls else "",
        server=server,
        key=key,
        keys=KEYS,
        size=size,
        concurrency=SMALL,
        seconds=bench.scale.seconds,
    )
    measures = []
    for peer, target in targets.items():
        pairs = bench.pairs(name, task, peer)
        measures.append(compare(name, "op/s", peer, pairs, rate, target=target))
    return measures


def rate(sample: Sample) -> float:
    """Operations a second."""
    return sample.rate
