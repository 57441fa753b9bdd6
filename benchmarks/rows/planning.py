"""Row 20: peak of resident memory while a sync of 1,000,000 keys is planned, from two generated listings."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, limit
from benchmarks.harness.task import MiB, Task
from benchmarks.rows.row import Row

LIMIT = 64.0  # MiB


def measure(bench: Bench) -> list[Measure]:
    """Measure plans without and with as many actions as there are keys."""
    count = bench.scale.planned
    measures = []
    for name, transfers in (("all in step", 0), ("half of them transferred, as many deleted", count // 2)):
        task = Task(work="plan", endpoint="http://127.0.0.1:1", warm="", count=count, keys=transfers, concurrency=0)
        samples = [bench.run(task, "bucketry") for _ in range(bench.scale.extra)]
        title = f"plan of 1,000,000 keys, {name}"
        measures += [
            limit(f"{title}: peak memory above idle", "MiB", [each.memory / MiB for each in samples], target=LIMIT),
            limit(f"{title}: time", "s", [each.seconds for each in samples], target=None),
        ]
        print(f"    plan: {name} done", flush=True)
    return measures


ROW = Row("20", "planning a sync of 1,000,000 keys on both sides: peak resident memory above idle", measure)
