"""Row 13: work that users do 20 ms away from the server, over TLS, with the default settings of each client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, Pair, compare
from benchmarks.harness.objects import digest, tree_digest, write_big, write_small, write_tree
from benchmarks.harness.proxy import Link
from benchmarks.harness.task import MiB, Sample, Task
from benchmarks.rows.big_objects import big_object
from benchmarks.rows.row import Row
from benchmarks.rows.tree import SIZE, tree_pairs

LINK = Link(round_trip=0.02)
BUSIEST = 0.8  # of a core; a proxy that is busier is measured instead of the client
_SMALL = 4_096
_Peers = dict[str, float | None]
PEERS: dict[str, _Peers] = {
    "first GET": {"obstore": 1.3, "boto3": None, "s3fs": None},
    "1 MiB": {"obstore": 1.15, "s3fs": None, "boto3": None},
    "tree": {"obstore": 1.0, "s3fs": None, "rclone": None},
    "256 MiB down": {"obstore": 0.9, "s3fs": None, "rclone": None},
    "256 MiB up": {"obstore": 0.95, "rclone": None},
}
"""Work → client → upper limit of the ratio of times; `None`: for information."""


def measure(bench: Bench) -> list[Measure]:
    """Measure each kind of work against its peers."""
    return [*_first_get(bench), *_one_object(bench), *_trees(bench), *_big_object(bench)]


def _first_get(bench: Bench) -> list[Measure]:
    write_small(bench.limit.root / "bench", "first-", _SMALL, 1)
    task = Task(
        work="first_get",
        endpoint=bench.far(bench.limit.https, LINK),
        warm_endpoint=bench.limit.https,
        ca_bundle=bench.limit.ca_bundle,
        key="first-0",
        size=_SMALL,
        count=1,
        concurrency=0,
    )
    return _each(bench, "20 ms: first GET of a new provider", task, PEERS["first GET"])


def _one_object(bench: Bench) -> list[Measure]:
    source = bench.limit.root / "bench" / "far-1-MiB"
    write_big(source, MiB)
    return _download(bench, "20 ms: 1 MiB → file", source, PEERS["1 MiB"])


def _big_object(bench: Bench) -> list[Measure]:
    source = big_object(bench, bench.scale.far_object)
    measures = _download(bench, "20 ms: 256 MiB → file", source, PEERS["256 MiB down"])
    task = _task(bench, "upload", "far-uploaded", source)
    (source.parent / task.key).symlink_to(source)  # rclone looks for what it has uploaded, and the server keeps nothing
    return [*measures, *_each(bench, "20 ms: 256 MiB from a file", task, PEERS["256 MiB up"])]


def _trees(bench: Bench) -> list[Measure]:
    source = bench.real_directory / "far" / "tree"
    write_tree(source, bench.scale.far_files, SIZE)
    (source.parent / "warm").write_bytes(b"warm")
    wanted = tree_digest(source)
    server, authority = bench.real_tls
    endpoint = bench.far(server, LINK)
    measures = []
    for peer, target in PEERS["tree"].items():
        for work, name in (("download_tree", "down"), ("upload_tree", "up")):
            task = Task(
                work=work,
                endpoint=endpoint,
                ca_bundle=authority,
                bucket="far",
                size=bench.scale.far_files * SIZE,
                count=bench.scale.far_files,
                concurrency=0,
            )
            title = f"20 ms: 1,000 files of 16 KiB, {name}"
            pairs = tree_pairs(bench, title, task, peer, wanted, extra=target is None)
            measures.append(seconds(title, peer, pairs, target))
    return measures


def _download(bench: Bench, name: str, source: Path, peers: _Peers) -> list[Measure]:
    target = bench.directory / "downloaded"
    wanted, compared = digest(source), set()

    def check(client: str) -> None:
        assert target.stat().st_size == source.stat().st_size
        if client not in compared:
            assert digest(target) == wanted, f"{client} made another file"
            compared.add(client)
        target.unlink()

    return _each(bench, name, _task(bench, "download", source.name, source, target), peers, after=check)


def _task(bench: Bench, work: str, key: str, source: Path, path: Path | None = None) -> Task:
    return Task(
        work=work,
        endpoint=bench.far(bench.limit.https, LINK),
        ca_bundle=bench.limit.ca_bundle,
        key=key,
        path=str(path or source),
        size=source.stat().st_size,
        count=1,
        concurrency=0,
    )


def _each(
    bench: Bench, name: str, task: Task, peers: _Peers, *, after: Callable[[str], None] = lambda _: None
) -> list[Measure]:
    measures = []
    for peer, target in peers.items():
        pairs = bench.pairs(name, task, peer, extra=target is None, after=after)
        measures.append(seconds(name, peer, pairs, target))
    return measures


def seconds(name: str, peer: str, pairs: Sequence[Pair], target: float | None) -> Measure:
    """Compare times; refuse pairs in which the proxy was the limit."""
    not_the_limit(sample for pair in pairs for sample in pair)
    return compare(name, "ms", peer, pairs, milliseconds, target=target, at_most=True)


def not_the_limit(samples: Iterable[Sample]) -> None:
    """Raise an error if the proxy needed most of a core in one of the runs."""
    busiest = max(sample.proxy / sample.seconds for sample in samples)
    assert busiest <= BUSIEST, f"the delay proxy was busy for {busiest:.0%} of a run: it is measured, not the client"


def milliseconds(sample: Sample) -> float:
    """Wall time."""
    return 1e3 * sample.seconds


ROW = Row("13", "20 ms away, over TLS, default settings: first GET, one object, 1,000 files, 256 MiB", measure)
