"""Row 9: a directory of 2,000 files of 16 KiB, download from the real server and upload to it."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, Pair, compare
from benchmarks.harness.objects import tree_digest, write_tree
from benchmarks.harness.task import SMALL, Task
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import rate

_SIZE = 16_384
_TARGETS = {"s3fs": 4.0, "rclone": 1.2, "obstore": 1.0}
_DOWN = "directory of 16 KiB files, down"
_UP = "directory of 16 KiB files, up"


def measure(bench: Bench) -> list[Measure]:
    """Measure both directions; compare the files of each client after every run."""
    source = bench.real_directory / "bench" / "tree"
    write_tree(source, bench.scale.files, _SIZE)
    (source.parent / "warm").write_bytes(b"warm")
    wanted = tree_digest(source)
    measures = []
    for peer, target in _TARGETS.items():
        for name, work in ((_DOWN, "download_tree"), (_UP, "upload_tree")):
            pairs = _pairs(bench, name, work, peer, wanted)
            measures.append(compare(name, "files/s", peer, pairs, rate, target=target))
    return measures


def _pairs(bench: Bench, name: str, work: str, peer: str, wanted: str) -> list[Pair]:
    bucket = bench.real_directory / "bench"
    down = work == "download_tree"
    local = bench.directory / "tree" if down else bucket / "tree"
    # The server caches directories for minutes, so a removed directory's name is not used again.
    made = local if down else bucket / f"up-{peer}"
    task = Task(
        work=work,
        endpoint=bench.real,
        real=True,
        server="generic",  # rclone supports little of AWS's row: see the contract tests
        key="tree/" if down else f"{made.name}/",
        path=str(local),
        size=bench.scale.files * _SIZE,
        count=bench.scale.files,
        concurrency=SMALL,
    )

    def check(client: str) -> None:
        assert tree_digest(made) == wanted, f"{client} made another directory"
        _clear(made)

    return bench.pairs(name, task, peer, after=check)


def _clear(directory: Path) -> None:
    shutil.rmtree(directory)


ROW = Row("9", "directory of 2,000 × 16 KiB, down and up, on a real server", measure)
