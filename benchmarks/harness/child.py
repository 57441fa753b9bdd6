"""The new process: opens one client, does one task, and prints the sample as JSON on the last line."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from importlib import import_module

from benchmarks.clients.client import Client
from benchmarks.harness.meter import LoopWatch, Meter
from benchmarks.harness.task import Sample, Task

CLIENTS = {
    "bucketry": "BucketryClient",
    "bucketry_aws": "BucketryAwsClient",
    "aiobotocore": "AiobotocoreClient",
    "obstore": "ObstoreClient",
    "s3fs": "S3fsClient",
    "aioboto3": "Aioboto3Client",
    "boto3": "Boto3Client",
    "rclone": "RcloneClient",
    "rclone_wide": "RcloneWideClient",
}
WITHOUT_LOOP = {"boto3", "rclone", "rclone_wide"}
WATCHED = {"get", "download", "upload", "list"}
"""The work whose blocks of the loop row 10 reads; watching costs bucketry 6 to 10 % of the CPU time of a tree."""
WARM_UP = 0.3  # seconds of small requests before the measurement: they open connections and fill caches


async def repeat(task: Task, one: Callable[[str], Awaitable[int]], seconds: float) -> int:
    """Request small objects, `task.concurrency` at once; give their number."""
    keys = itertools.cycle([f"{task.key}{number}" for number in range(task.keys)])
    count = 0
    deadline = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal count
        while time.perf_counter() < deadline:
            size = await one(next(keys))
            assert size == task.size
            count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(task.concurrency):
            group.create_task(worker())
    return count


async def small(task: Task, meter: Meter, one: Callable[[str], Awaitable[int]]) -> Sample:
    """Measure small requests."""
    await repeat(task, one, min(WARM_UP, task.seconds))
    meter.start()
    count = await repeat(task, one, task.seconds)
    return meter.stop(count, count * task.size)


async def put_small(task: Task, meter: Meter, client: Client) -> Sample:
    """Measure small writes."""
    data = content(task.size)

    async def one(key: str) -> int:
        await client.put(key, data)
        return len(data)

    return await small(task, meter, one)


async def listing(task: Task, meter: Meter, client: Client) -> Sample:
    """Measure a listing."""
    meter.start()
    count, size = await client.list()
    sample = meter.stop(count, size)
    assert (count, size) == (task.count, task.size)
    return sample


async def whole(task: Task, meter: Meter, job: Awaitable[None]) -> Sample:
    """Measure work that is done once."""
    meter.start()
    await job
    return meter.stop(task.count, task.size)


def content(size: int) -> bytes:
    """Give the bytes of a small object: all its 256-byte blocks differ."""
    return b"".join(number.to_bytes(256, "big") for number in range(-(-size // 256)))[:size]


async def first_get(task: Task) -> Sample:
    """Measure from a new client to the bytes of its first object; the process has read from another server before."""
    async with client_class(task)(replace(task, endpoint=task.warm_endpoint)) as client:
        await client.get(task.key)
    meter = Meter(None)
    meter.start()
    async with client_class(task)(task) as client:
        size = await client.get(task.key)
        sample = meter.stop(1, size)
    assert size == task.size
    return sample


def client_class(task: Task) -> Callable[[Task], AbstractAsyncContextManager[Client]]:
    """Import the client of the task."""
    module = import_module(f"benchmarks.clients.{task.client}_client")
    found: Callable[[Task], AbstractAsyncContextManager[Client]] = getattr(module, CLIENTS[task.client])
    return found


async def measure(task: Task, watch: LoopWatch | None) -> Sample:
    """Open the client, do the task."""
    if task.work == "first_get":
        return await first_get(task)
    client: Client
    async with client_class(task)(task) as client:
        if task.warm:
            await client.head(task.warm)  # rows 12 to 14 measure import, client and first connection
        meter = Meter(watch)
        works: dict[str, Callable[[], Awaitable[Sample]]] = {
            "get": lambda: small(task, meter, client.get),
            "head": lambda: small(task, meter, client.head),
            "put": lambda: put_small(task, meter, client),
            "list": lambda: listing(task, meter, client),
            "download": lambda: whole(task, meter, client.download(task.key, task.path)),
            "upload": lambda: whole(task, meter, client.upload(task.path, task.key)),
            "download_tree": lambda: whole(task, meter, client.download_tree(task.key, task.path)),
            "upload_tree": lambda: whole(task, meter, client.upload_tree(task.path, task.key)),
            "sync_tree": lambda: whole(task, meter, client.sync_tree(task.path, task.key)),
            "plan": lambda: whole(task, meter, client.plan(task.count - task.keys, task.keys)),
        }
        return await works[task.work]()


def main() -> None:
    """Do the task given as JSON."""
    task = Task.loads(sys.argv[1])
    watch = LoopWatch() if task.work in WATCHED and task.client not in WITHOUT_LOOP else None
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(watch)) as runner:
        print(json.dumps(asdict(runner.run(measure(task, watch)))), flush=True)
    if task.client == "obstore":
        os._exit(0)  # obstore 0.12 sometimes aborts at the exit of the interpreter, after all work is done


if __name__ == "__main__":
    main()
