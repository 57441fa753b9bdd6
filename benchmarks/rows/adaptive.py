"""Row 18: the concurrency that bucketry finds by itself, against the best fixed one, over the delay proxy."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.harness.proxy import Link
from benchmarks.harness.task import Sample, Task
from benchmarks.rows.big_objects import big_object, throughput
from benchmarks.rows.far import not_the_limit
from benchmarks.rows.row import Row
from benchmarks.rows.settings import best

FIXED = (64, 32, 16, 8, 4, 2, 1)
# Without limits the processors decide, and few connections are enough. With them the network does: as with the vendors,
# one connection gets little of it. The limit of all together is well below what the proxy can pass.
BANDWIDTHS = {"10 MB/s a connection": (10e6, 200e6), "no limit": (0.0, 0.0)}
LINKS = {
    f"{1e3 * round_trip:g} ms, {name}": Link(round_trip=round_trip, bandwidth=bandwidth, total=total)
    for round_trip in (0.001, 0.02, 0.1)
    for name, (bandwidth, total) in BANDWIDTHS.items()
}
_DEFAULT = 0  # the client's own settings
TARGET = 0.9
_HOPELESS = 0.7  # of the best so far: smaller numbers are not tried
_CLOSE = 0.85  # of the best of the search: these may be the best, and are measured in turn with the default


def measure(bench: Bench) -> list[Measure]:
    """Search for the best fixed numbers, then measure them and the default settings in turn."""
    source = big_object(bench, bench.scale.adaptive)
    target = bench.directory / "downloaded"
    measures = []
    for place, link in LINKS.items():
        task = Task(
            work="download",
            endpoint=bench.far(bench.limit.https, link),
            ca_bundle=bench.limit.ca_bundle,
            key=source.name,
            path=str(target),
            size=bench.scale.adaptive,
            count=1,
            concurrency=_DEFAULT,
        )

        def once(concurrency: int, task: Task = task) -> Sample:
            sample = bench.run(replace(task, concurrency=concurrency), "bucketry")
            assert target.stat().st_size == task.size
            target.unlink()
            not_the_limit([sample])
            return sample

        found: dict[int, float] = {}
        for number in FIXED:
            found[number] = throughput(once(number))
            if found[number] < _HOPELESS * max(found.values()):
                break
        close = [number for number, reached in found.items() if reached >= _CLOSE * max(found.values())]
        rounds = [{number: once(number) for number in (_DEFAULT, *close)} for _ in range(bench.scale.pairs)]
        top = best([{number: each[number] for number in close} for each in rounds])
        name = f"GET {bench.scale.adaptive >> 20} MiB → file over TLS, {place}"
        peer = f"max_concurrency={top}"
        pairs = [(each[_DEFAULT], each[top]) for each in rounds]
        bench.series[name] = {peer: pairs}
        measures.append(compare(name, "MB/s", peer, pairs, throughput, target=TARGET))
        print(f"    {place}: {', '.join(f'{number}: {reached:.0f}' for number, reached in found.items())}", flush=True)
    return measures


ROW = Row("18", "concurrency found by bucketry against the best fixed one, 1, 20 and 100 ms away", measure)
