"""A thousand cancellations at random moments, under load: no slot stays taken, nothing leaks, nothing hangs."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool
from bucketry._core.hedging import HedgingPolicy
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ByteRange, FileRange, MultipartUpload
from bucketry._runtime.loop_local import LoopLocal
from bucketry._wire.client import EndpointClient
from tests.wire.certificates import certificate
from tests.wire.raw import client_of, make, sockets_to
from tests.wire.swallow import swallow
from tests.wire.test_requests import FileSink

CANCELLATIONS = 1_000
LIMIT = 8
WORKERS = 24  # more than there are connections, so that some wait for one
UPLOAD = MultipartUpload(key="k", upload_id="u1")
SIZE = 4 * MiB

Run = Callable[[Coroutine[Any, Any, None]], None]


def run_default(main: Coroutine[Any, Any, None]) -> None:
    """Run on asyncio's own loop."""
    asyncio.run(main)


def run_uvloop(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop's loop."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


LOOPS = pytest.mark.parametrize("run", [run_default, run_uvloop], ids=["asyncio", "uvloop"])


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """Give an open file."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    os.truncate(path, SIZE)
    found = os.open(path, os.O_RDWR)
    yield found
    os.close(found)


def requests(provider: S3Provider, fd: int, chance: random.Random) -> list[Callable[[], Awaitable[object]]]:
    """Give the kinds of requests, small and large."""
    start = chance.randrange(0, SIZE, 300 * KiB)
    span = ByteRange(start, min(start + MiB, SIZE))
    return [
        lambda: provider.get("zeros-100000"),
        lambda: provider.head("zeros-100000"),
        lambda: provider.put("small", bytes(1_000)),
        lambda: provider.put_object("larger", bytes(200_000), WriteOptions()),
        lambda: provider.list_page("keys-300/"),
        lambda: provider.fetch_range(f"zeros-{SIZE}", FileSink(fd), ReadOptions(byte_range=span)),
        lambda: provider.put_part(UPLOAD, 1, FileRange(fd, span.start, span.end)),
        lambda: provider.put_part(UPLOAD, 1, bytes(300 * KiB)),
    ]


async def storm(provider: S3Provider, fd: int, count: int, port: int, seed: int, workers: int) -> None:
    """Start requests, several at once, and cancel each at a random moment, until so many were cancelled."""
    chance = random.Random(seed)
    cut = finished = 0

    async def worker() -> None:
        nonlocal cut, finished
        while cut < count:
            request = chance.choice(requests(provider, fd, chance))
            task = asyncio.ensure_future(request())
            if chance.random() < 0.9:
                moment = chance.choice([0.0, chance.uniform(0, 0.002), chance.uniform(0, 0.03)])
                await asyncio.wait([task], timeout=moment)
                if chance.random() < 0.3:
                    task.cancel()  # a second cancellation
                    await asyncio.sleep(0)
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cut += 1
            else:
                finished += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
        client = await client_of(provider)
        while cut < count:
            assert client.pool.busy <= LIMIT
            assert sockets_to(port) <= LIMIT + 1  # an aborted one is closed in the next round of the loop
            await asyncio.sleep(0.05)
    assert finished > 10


async def settled(provider: S3Provider, client: EndpointClient, port: int, fd: int) -> None:
    """Check what is left over, and use each kind of connection once more."""
    await asyncio.sleep(0.01)
    assert client.pool.busy == 0
    assert len(client.pool._idle) <= sockets_to(port) <= LIMIT
    async with asyncio.timeout(5):
        assert len(await provider.get("zeros-100000")) == 100_000
        sink = FileSink(fd)
        await provider.fetch_range(f"zeros-{SIZE}", sink)
        assert sink.position == SIZE
        # All slots are free: as many requests as connections run at once.
        await asyncio.gather(*(provider.head("zeros-1") for _ in range(LIMIT)))
        for part in (FileRange(fd, 0, SIZE), b"small"):
            await asyncio.gather(*(provider.put_part(UPLOAD, 1, part) for _ in range(LIMIT)))
    assert client.pool.busy == 0
    assert len(client.pool._idle) == sockets_to(port) <= LIMIT


def open_sockets() -> int:
    """Count this process's sockets; uvloop always keeps its own pipe."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


def lanes() -> set[threading.Thread]:
    """Give the threads of lanes; pools of other tests may have some."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("bucketry-lane")}


def no_lanes(before: set[threading.Thread]) -> bool:
    """Wait shortly, and tell whether all threads of lanes except those in `before` have ended."""
    end = time.monotonic() + 5
    while lanes() - before:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Always(HedgingPolicy):
    """Requests every read a second time, if it is not answered in the next rounds of the loop."""

    def __init__(self) -> None:
        """Begin with a delay."""
        HedgingPolicy.__init__(self)
        self.delay = 0.0

    def answered(self, seconds: float, *, by_second: bool = False) -> None:
        """Change nothing."""

    def allow(self) -> bool:
        """Count the second request."""
        self._hedged += 1
        return True


async def all_of_it(port: int, fd: int, count: int, **config: Any) -> None:
    """Run a storm against a server, and check what is left over."""
    async with SessionPool(max_connections=LIMIT) as pool:
        provider = make(port, pool, read_timeout=10, **config)
        if "hedge" in config:
            provider._bucket.hedging = LoopLocal(Always)
        client = await client_of(provider)
        await provider.head("zeros-1")
        # With more workers, all connections are in use, and then there are no second requests.
        workers = LIMIT // 2 if "hedge" in config else WORKERS
        await storm(provider, fd, count, port, seed=20261021, workers=workers)
        await settled(provider, client, port, fd)
        assert len(asyncio.all_tasks()) == 1
        assert (provider.hedge_counts.hedged > 20) is ("hedge" in config)
    for _ in range(3):
        await asyncio.sleep(0)
    assert sockets_to(port) == 0


@pytest.mark.slow
@LOOPS
def test_a_thousand_cancellations(run: Run, fd: int) -> None:
    """After 1,000 requests are cancelled at random moments, all slots are free, and no socket or thread is left."""
    gc.collect()
    before, threads = open_sockets(), lanes()
    with swallow() as port:
        run(all_of_it(port, fd, CANCELLATIONS))
    assert no_lanes(threads)
    assert open_sockets() == before


@pytest.mark.slow
@LOOPS
def test_cancellations_over_tls(run: Run, fd: int, tmp_path: Path) -> None:
    """The same over TLS, where a cancellation may interrupt a handshake or a record."""
    _, pem = certificate(tmp_path)
    gc.collect()
    before, threads = open_sockets(), lanes()
    with swallow(pem, pem.replace(".pem", ".key")) as port:
        run(all_of_it(port, fd, CANCELLATIONS // 4, scheme="https", ca_bundle=pem))
    assert no_lanes(threads)
    assert open_sockets() == before


@pytest.mark.slow
@LOOPS
def test_cancellations_of_hedged_reads(run: Run, fd: int) -> None:
    """The same if reads have second requests: neither of the two requests leaves anything."""
    gc.collect()
    before, threads = open_sockets(), lanes()
    with swallow() as port:
        run(all_of_it(port, fd, CANCELLATIONS // 4, hedge=True))
    assert no_lanes(threads)
    assert open_sockets() == before


@pytest.mark.slow
@LOOPS
def test_the_loop_ends_amid_it(run: Run, fd: int) -> None:
    """A program that ends during requests, without closing anything, leaves no socket and no thread."""
    pools = []

    async def main(port: int) -> None:
        pools.append(SessionPool(max_connections=LIMIT))
        provider = make(port, pools[0], read_timeout=10)
        tasks = [
            asyncio.ensure_future(request()) for _ in range(4) for request in requests(provider, fd, random.Random(1))
        ]
        await asyncio.wait(tasks, timeout=0.02)

    threads = lanes()
    with swallow() as port:
        run(main(port))
        gc.collect()
        assert no_lanes(threads)
        assert sockets_to(port) == 0
