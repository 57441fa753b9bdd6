"""Row 9: a directory of 2,000 files of 16 KiB, download from the real server and upload to it."""

from __future__ import annotations

import shutil
from dataclasses import replace

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, Pair, compare
from benchmarks.harness.objects import tree_digest, write_tree
from benchmarks.harness.task import SMALL, Task
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import rate

SIZE = 16_384
TARGETS = {"s3fs": 4.0, "rclone": 1.2, "obstore": 1.0}
_DOWN = "directory of 16 KiB files, down"
_UP = "directory of 16 KiB files, up"


def measure(bench: Bench) -> list[Measure]:
    """Measure both directions; compare the files of each client after every run."""
    source = bench.real_directory / "bench" / "tree"
    write_tree(source, bench.scale.files, SIZE)
    (source.parent / "warm").write_bytes(b"warm")
    wanted = tree_digest(source)
    measures = []
    for peer, target in TARGETS.items():
        for name, work in ((_DOWN, "download_tree"), (_UP, "upload_tree")):
            task = Task(
                work=work,
                endpoint=bench.real,
                size=bench.scale.files * SIZE,
                count=bench.scale.files,
                concurrency=SMALL,
            )
            pairs = tree_pairs(bench, name, task, peer, wanted)
            measures.append(compare(name, "files/s", peer, pairs, rate, target=target))
    return measures


def tree_pairs(bench: Bench, name: str, task: Task, peer: str, wanted: str, *, extra: bool = False) -> list[Pair]:
    """Transfer the directory `tree` of the task's bucket with both clients, and look at what each of them made.

    Args:
        bench: The run.
        name: The name under which the pairs are stored.
        task: What to do on a real server; its key, path and row of facts are set here.
        peer: The other client.
        wanted: The digest of the tree.
        extra: The peer is shown for information.
    """
    bucket = bench.real_directory / task.bucket
    down = task.work == "download_tree"
    local = bench.directory / "tree" if down else bucket / "tree"
    # The server caches directories for minutes, so a removed directory's name is not used again.
    made = local if down else bucket / f"up-{peer}"
    task = replace(
        task,
        real=True,
        server="generic",  # rclone supports little of AWS's row: see the contract tests
        key="tree/" if down else f"{made.name}/",
        path=str(local),
    )

    def check(client: str) -> None:
        assert tree_digest(made) == wanted, f"{client} made another directory"
        shutil.rmtree(made)

    return bench.pairs(name, task, peer, extra=extra, after=check)


ROW = Row("9", "directory of 2,000 × 16 KiB, down and up, on a real server", measure)
