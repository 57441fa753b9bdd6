"""Row 12: how long `import bucketry` takes, `bucketry list` on an empty local store, and `bucketry --help`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.bench import Bench, clean_environment
from benchmarks.harness.figures import Measure, limit
from benchmarks.rows.row import Row

LIMITS = {"import": 20.0, "list": 200.0, "help": 120.0}  # milliseconds
_CLIENT = "from bucketry import S3Provider, TransferManager"


def measure(bench: Bench) -> list[Measure]:
    """Measure the wall time of a process; for imports, the time of an empty interpreter is subtracted."""
    store = bench.new_directory("empty-store")
    environment = clean_environment() | {"LOCAL_STORAGE_PATH": str(store)}

    def wall(*command: str, says: bytes = b"") -> float:
        started = time.perf_counter()
        done = subprocess.run(command, env=environment, cwd=store, check=True, capture_output=True)
        assert done.stdout.strip().startswith(says) if says else not done.stdout.strip()
        return 1e3 * (time.perf_counter() - started)

    def imported(statement: str) -> float:
        return wall(sys.executable, "-c", statement) - wall(sys.executable, "-c", "pass")

    script = Path(sys.executable).with_name("bucketry")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "bucketry"]
    return [
        limit("import bucketry", "ms", _repeat(bench, lambda: imported("import bucketry")), target=LIMITS["import"]),
        limit(_CLIENT, "ms", _repeat(bench, lambda: imported(_CLIENT)), target=None),
        limit(
            "bucketry list, empty local store",
            "ms",
            _repeat(bench, lambda: wall(*command, "list")),
            target=LIMITS["list"],
        ),
        limit(
            "bucketry --help",
            "ms",
            _repeat(bench, lambda: wall(*command, "--help", says=b"usage:")),
            target=LIMITS["help"],
        ),
    ]


def _repeat(bench: Bench, once: Callable[[], float]) -> list[float]:
    once()  # fills the caches of compiled modules and of file pages
    return [once() for _ in range(bench.scale.starts)]


ROW = Row("12", "import bucketry; bucketry list on an empty local store; bucketry --help", measure)
