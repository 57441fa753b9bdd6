"""Row 14: a new process that reads one object of 4 KiB: the wall time of the whole process."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.clients.cold import MAY_ABORT, command
from benchmarks.harness.bench import Bench, clean_environment
from benchmarks.harness.figures import Measure, Pair, compare
from benchmarks.harness.objects import write_small
from benchmarks.harness.task import Sample, Task
from benchmarks.rows.far import milliseconds
from benchmarks.rows.row import Row

_SIZE = 4_096
PEERS: dict[str, float | None] = {"obstore": 2.0, "obstore_sync": None, "boto3": None, "s3fs": None, "rclone": None}
"""Client → upper limit of the ratio of times; `None`: for information."""


def measure(bench: Bench) -> list[Measure]:
    """Measure it over HTTP and over HTTPS."""
    write_small(bench.limit.root / "bench", "cold-", _SIZE, 1)
    measures = []
    for tls, name in ((False, "HTTP"), (True, "HTTPS")):
        task = Task(
            work="cold",
            endpoint=bench.limit.https if tls else bench.limit.http,
            ca_bundle=bench.limit.ca_bundle if tls else "",
            key="cold-0",
            path=str(bench.directory / "cold"),
            size=_SIZE,
            concurrency=0,
        )
        title = f"new process, GET 4 KiB over {name}"
        for peer, target in PEERS.items():
            pairs = _pairs(bench, title, task, peer, extra=target is None)
            measures.append(compare(title, "ms", peer, pairs, milliseconds, target=target, at_most=True))
    return measures


def _pairs(bench: Bench, name: str, task: Task, peer: str, *, extra: bool) -> list[Pair]:
    ours, theirs = _runner("bucketry", task), _runner(peer, task)
    ours(), theirs()  # fills the caches of compiled modules and of file pages
    found = [(ours(), theirs()) for _ in range(bench.scale.extra if extra else bench.scale.starts)]
    bench.series.setdefault(name, {})[peer] = found
    print(f"    {name}: {peer} done", flush=True)
    return found


def _runner(client: str, task: Task) -> Callable[[], Sample]:
    """Give a function that runs the client's program once."""
    arguments, variables = command(client, task)
    environment = clean_environment() | variables
    made = Path(task.path)

    def run() -> Sample:
        started, used = time.perf_counter(), _cpu()
        done = subprocess.run(arguments, env=environment, check=False, capture_output=True)
        seconds, cpu = time.perf_counter() - started, _cpu() - used
        if made.exists():
            done.stdout = str(made.stat().st_size).encode()
            made.unlink()
        assert done.stdout.strip() == str(task.size).encode(), f"{client} did not read the object\n{done.stderr!r}"
        assert not done.returncode or client in MAY_ABORT, f"{client} ended with {done.returncode}"
        return Sample(seconds=seconds, count=1, size=task.size, cpu=cpu, memory=0, block=None, late=None)

    return run


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


ROW = Row("14", "a new process that reads one object of 4 KiB, default settings: wall time of the process", measure)
