"""Shared by the rows of big objects: the objects, and checks of the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Pair
from benchmarks.harness.objects import digest, parts, stored_digest, write_big
from benchmarks.harness.task import BIG, MiB, Sample, Task

_CHECKED = 45 * MiB  # five parts and a smaller one; above every client's own threshold


def big_object(bench: Bench, size: int) -> Path:
    """Give the limit server's object `big-<size>`, made on first use."""
    path = bench.limit.root / "bench" / f"big-{size}"
    if not path.exists():
        write_big(path, size)
    return path


def download_pairs(bench: Bench, work: str, peer: str, *, tls: bool = False, extra: bool = False) -> list[Pair]:
    """Run downloads of the big object; compare each client's first file, and the size of every file."""
    source = big_object(bench, bench.scale.download)
    target = bench.directory / "downloaded"
    task = Task(
        work="download",
        endpoint=bench.limit.https if tls else bench.limit.http,
        ca_bundle=bench.limit.ca_bundle if tls else "",
        key=source.name,
        path=str(target),
        size=bench.scale.download,
        count=1,
        concurrency=BIG,
    )
    compared: set[str] = set()

    def check(client: str) -> None:
        assert target.stat().st_size == bench.scale.download
        if client not in compared:
            assert digest(target) == digest(source), f"{client} made another file"
            compared.add(client)
        target.unlink()

    return bench.pairs(work, task, peer, extra=extra, after=check)


def upload_pairs(
    bench: Bench, work: str, peer: str, *, tls: bool = False, server: str = "", extra: bool = False
) -> list[Pair]:
    """Run uploads of the big file; compare the stored bytes of each client once, with a smaller file.

    Args:
        bench: The run.
        work: The name under which the pairs are stored.
        peer: The other client.
        tls: Whether to use TLS.
        server: See `Task`.
        extra: The peer is shown for information.
    """
    source = big_object(bench, bench.scale.upload)
    task = Task(
        work="upload",
        endpoint=bench.limit.https if tls else bench.limit.http,
        ca_bundle=bench.limit.ca_bundle if tls else "",
        server=server,
        key="uploaded",
        path=str(source),
        size=bench.scale.upload,
        count=1,
        concurrency=BIG,
    )
    for client in ("bucketry", peer):
        _check_upload(bench, task, client)
    return bench.pairs(work, task, peer, extra=extra)


def throughput(sample: Sample) -> float:
    """Millions of bytes a second."""
    return sample.throughput


def cpu(sample: Sample) -> float:
    """CPU seconds."""
    return sample.cpu


def _check_upload(bench: Bench, task: Task, client: str) -> None:
    source = big_object(bench, _CHECKED)
    task = replace(task, bucket="check", key=f"big-{client}", path=str(source), size=_CHECKED)
    bench.run(task, client)
    stored = parts(bench.limit.root / "check", task.key)
    assert len(stored) > 1, f"{client} did not upload in parts"
    assert stored_digest(stored) == digest(source), f"{client} stored other bytes"
    for path in stored:
        path.unlink()
