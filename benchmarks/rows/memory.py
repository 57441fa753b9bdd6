"""Row 11: peak of resident memory during big transfers; it must not grow with the object."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, limit
from benchmarks.harness.objects import write_sparse
from benchmarks.harness.task import BIG, MiB, Task
from benchmarks.rows.row import Row

LIMIT = 16.0  # MiB
_GROWTH = 8.0  # MiB; "the same for both sizes", with one part of noise allowed


def measure(bench: Bench) -> list[Measure]:
    """Measure only bucketry, with two sizes, and with the default settings over TLS; the files are sparse."""
    scale = bench.scale
    sizes = {"1 GiB": scale.download, "8 GiB": scale.huge}
    measures = []
    for verb, work in (("GET", "download"), ("PUT", "upload")):
        peaks = {name: [_peak(bench, work, size) for _ in range(scale.extra)] for name, size in sizes.items()}
        measures += [
            limit(f"peak memory above idle: {verb} {name}", "MiB", values, target=LIMIT)
            for name, values in peaks.items()
        ]
        growth = [large - small for small, large in zip(*peaks.values(), strict=True)]
        measures.append(limit(f"peak memory: {verb} 8 GiB more than 1 GiB", "MiB", growth, target=_GROWTH))
        values = [_peak(bench, work, scale.download, default=True) for _ in range(scale.extra)]
        name = f"peak memory above idle: {verb} 1 GiB over TLS, default settings"
        measures.append(limit(name, "MiB", values, target=LIMIT))
        print(f"    memory: {verb} done", flush=True)
    return measures


def _peak(bench: Bench, work: str, size: int, *, default: bool = False) -> float:
    source = bench.limit.root / "bench" / f"sparse-{size}"
    target = bench.roomy / "downloaded"
    if not source.exists():
        write_sparse(bench.roomy / source.name, size)
        source.symlink_to(bench.roomy / source.name)
    task = Task(
        work=work,
        endpoint=bench.limit.https if default else bench.limit.http,
        ca_bundle=bench.limit.ca_bundle if default else "",
        key=source.name if work == "download" else "uploaded",
        path=str(target if work == "download" else source),
        size=size,
        count=1,
        concurrency=0 if default else BIG,
    )
    sample = bench.run(task, "bucketry")
    if work == "download":
        assert target.stat().st_size == size
        target.unlink()
    return sample.memory / MiB


ROW = Row("11", "peak resident memory above idle during rows 4 and 7, at 1 GiB and at 8 GiB", measure)
