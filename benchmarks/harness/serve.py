"""Runs only the limit server, and prints tasks for one client, so that a client can be profiled."""

from __future__ import annotations

import signal
from dataclasses import replace

from benchmarks.harness.bench import Bench
from benchmarks.harness.nginx import LISTING_BUCKET
from benchmarks.harness.objects import write_big, write_pages, write_small
from benchmarks.harness.proxy import Link
from benchmarks.harness.task import BIG, SMALL, Task

_KEYS = 256
_SIZE = 4_096


def serve(bench: Bench, round_trip: float) -> None:
    """Print a task for each kind of work, and run the server until interrupted.

    Args:
        bench: The run.
        round_trip: Seconds of the delay proxy in front of the server; 0: there is no proxy.
    """
    bucket = bench.limit.root / "bench"
    write_small(bucket, "small/", _SIZE, _KEYS)
    big = bucket / "big"
    write_big(big, bench.scale.download)
    count, size = write_pages(bench.limit.root / "-" / "pages", LISTING_BUCKET, bench.scale.pages)
    target = str(bench.directory / "downloaded")
    endpoints = [bench.limit.http, bench.limit.https]
    if round_trip:
        endpoints = [bench.far(endpoint, Link(round_trip=round_trip)) for endpoint in endpoints]
    places = tuple(zip(endpoints, ("", bench.limit.ca_bundle), strict=True))
    client, seconds = "bucketry", 5.0
    tasks = [
        Task(
            work=work,
            client=client,
            endpoint=endpoint,
            ca_bundle=authority,
            key="small/",
            keys=_KEYS,
            size=_SIZE,
            concurrency=SMALL,
            seconds=seconds,
        )
        for endpoint, authority in places
        for work in ("get", "head", "put")
    ]
    tasks += [
        Task(
            work=work,
            client=client,
            endpoint=endpoint,
            ca_bundle=authority,
            key=key,
            path=path,
            size=bench.scale.download,
            count=1,
            concurrency=BIG,
        )
        for endpoint, authority in places
        for work, key, path in (("download", big.name, target), ("upload", "uploaded", str(big)))
    ]
    tasks.append(
        Task(
            work="list",
            client=client,
            endpoint=endpoints[0],
            bucket=LISTING_BUCKET,
            count=count,
            size=size,
            concurrency=1,
        )
    )
    for task in tasks:
        print(replace(task, server=bench.server).dumps(), flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
