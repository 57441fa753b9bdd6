"""Row 19: sync of 20,000 files up to the real server: the first one, and one that has nothing to do."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.harness.rclone import real_server
from benchmarks.harness.task import Sample, Task
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import rate
from tests.manage.trees import NAMES, digest_of, files_below, write_tree

FIRST = "sync of 20,000 files, first"
NOTHING = "sync of 20,000 files, nothing to do"
TARGETS: dict[str, dict[str, float | None]] = {
    "rclone": {FIRST: 1.0, NOTHING: 1.5},
    "rclone_wide": {FIRST: None, NOTHING: None},
    "s3fs": {FIRST: None},  # it cannot leave out what is there already
}
# rclone normalizes file names, and reports two forms of one name as duplicates.
_NAMES = [name for name in NAMES if unicodedata.is_normalized("NFC", name)]


def measure(bench: Bench) -> list[Measure]:
    """Measure all clients in turn, each with a server and a bucket of its own, with the client's default settings."""
    source = bench.directory / "synced"
    write_tree(source, bench.scale.tree, bench.scale.tree_size, names=_NAMES)
    wanted = digest_of(source)
    rounds = []
    for number in range(max(bench.scale.pairs, bench.scale.extra)):
        found = {}
        for client in ("bucketry", *(peer for peer in TARGETS if number < _rounds(bench, peer))):
            found[client] = _both(bench, client, source, wanted if not number else "")
            print(f"    sync: {client} done", flush=True)
        rounds.append(found)
    shutil.rmtree(source)
    measures = []
    for peer, targets in TARGETS.items():
        for name, target in targets.items():
            pairs = [(found["bucketry"][name], found[peer][name]) for found in rounds if peer in found]
            bench.series.setdefault(name, {})[peer] = pairs
            measures.append(compare(name, "files/s", peer, pairs, rate, target=target))
    return measures


def _rounds(bench: Bench, peer: str) -> int:
    """Give the number of rounds in which a peer is measured."""
    return bench.scale.pairs if any(TARGETS[peer].values()) else bench.scale.extra


def _both(bench: Bench, client: str, source: Path, wanted: str) -> dict[str, Sample]:
    """Sync twice to an empty server, and check what it has then; `wanted`: compare the contents, too."""
    place = bench.new_directory("synced-to")
    target = place / "bench" / "tree"
    target.parent.mkdir()
    (target.parent / "warm").write_bytes(b"warm")
    with real_server(place) as endpoint:
        task = Task(
            work="sync_tree",
            endpoint=endpoint,
            real=True,
            server="generic",  # rclone supports little of AWS's row: see the contract tests
            key="tree/",
            path=str(source),
            size=bench.scale.tree_size,
            count=bench.scale.tree,
            concurrency=0,
        )
        samples = {FIRST: bench.run(task, client)}
        stored = _stored(target)
        assert _sizes(stored) == _sizes(_stored(source)), f"{client} stored other files"
        assert not wanted or digest_of(target) == wanted, f"{client} stored other contents"
        if NOTHING in TARGETS.get(client, TARGETS["rclone"]):
            samples[NOTHING] = bench.run(task, client)
            assert _stored(target) == stored, f"{client} did something, and nothing was to do"
    shutil.rmtree(place)
    return samples


def _stored(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Give size, inode and time of the last write or change of attributes of each file."""
    found = {}
    for path in files_below(directory):
        status = (directory / path).stat()
        found[path] = (status.st_size, status.st_ino, status.st_ctime_ns)
    return found


def _sizes(stored: dict[str, tuple[int, int, int]]) -> dict[str, int]:
    return {path: size for path, (size, _, _) in stored.items()}


ROW = Row("19", "sync of 20,000 files and 3 GiB: first; nothing to do, on a real server", measure)
