"""Row 17: rows 4 and 6 with 1 to 32 lanes, also while another process uses one core: bucketry against its own best."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure
from benchmarks.harness.task import Sample, Task
from benchmarks.rows.big_objects import big_object
from benchmarks.rows.row import Row
from benchmarks.rows.settings import against_best

LANES = (1, 2, 4, 8, 16, 32)
TARGET = 0.8
# It ends with its parent, also if that is killed.
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


def measure(bench: Bench) -> list[Measure]:
    """Measure all numbers of lanes in turn, in each of the four conditions."""
    source = big_object(bench, bench.scale.lanes)
    target = bench.directory / "downloaded"
    measures = []
    for tls in (False, True):
        task = Task(
            work="download",
            endpoint=bench.limit.https if tls else bench.limit.http,
            ca_bundle=bench.limit.ca_bundle if tls else "",
            key=source.name,
            path=str(target),
            size=bench.scale.lanes,
            count=1,
            concurrency=1,
        )

        def once(lanes: int, task: Task = task) -> Sample:
            sample = bench.run(replace(task, concurrency=lanes), "bucketry")
            assert target.stat().st_size == task.size
            target.unlink()
            return sample

        for busy in (False, True):
            name = f"GET {bench.scale.lanes >> 20} MiB → file{' over TLS' * tls}{', one core in use' * busy}"
            with _busy_core() if busy else nullcontext():
                once(LANES[-1])  # warms up
                rounds = [{lanes: once(lanes) for lanes in LANES} for _ in range(bench.scale.pairs)]
            names = {lanes: f"{lanes} lane{'s' * (lanes > 1)}" for lanes in LANES}
            measures += against_best(bench, name, rounds, names, target=TARGET)
            print(f"    {name} done", flush=True)
    return measures


@contextmanager
def _busy_core() -> Iterator[None]:
    """Keep one core busy with another process."""
    process = subprocess.Popen([sys.executable, "-c", _BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


ROW = Row("17", "rows 4 and 6 with 1 to 32 lanes, also with one core in use: each against the best of them", measure)
