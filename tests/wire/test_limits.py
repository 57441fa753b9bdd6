"""The limit of connections is for an endpoint and all its providers, and can be changed while requests wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from bucketry import SessionPool
from bucketry._core.options import WriteOptions
from bucketry._core.units import MiB
from bucketry.errors import ConfigError, PoolTimeoutError, RequestTimeoutError
from tests.wire.conftest import Provide
from tests.wire.raw import sockets_to

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n'
Call = Callable[[Any], Awaitable[Any]]


class Holding:
    """A server that answers a request only when the test asks for it, and counts the waiting requests."""

    def __init__(self) -> None:
        """Begin with no request."""
        self.waiting: list[asyncio.Future[None]] = []
        self.connections = 0
        self.most = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take requests on one connection."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length or 0))
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.waiting.append(turn)
                self.most = max(self.most, len(self.waiting))
                await turn
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, count: int) -> None:
        """Answer the requests that have waited longest."""
        for turn in self.waiting[:count]:
            turn.set_result(None)
        del self.waiting[:count]

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.port}"


@pytest_asyncio.fixture(loop_scope="module")
async def holding() -> AsyncIterator[Holding]:
    """Run the server."""
    held = Holding()
    server = await asyncio.start_server(held.serve, "127.0.0.1", 0)
    held.port = server.sockets[0].getsockname()[1]
    async with server:
        yield held
        held.answer(len(held.waiting))


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - some conditions depend on threads and the kernel
            await asyncio.sleep(0.002)


async def a_while() -> None:
    """Wait for a time in which a wrong request would be sent."""
    await asyncio.sleep(0.05)


async def by_the_loop(provider: Any) -> None:
    """Make a small request, on the event loop."""
    await provider.head("k")


async def by_a_lane(provider: Any) -> None:
    """Make a large request, in a lane."""
    await provider.put_object("k", bytes(MiB), WriteOptions())


def lane_threads() -> int:
    """Count the threads that lanes run in."""
    return sum(thread.name.startswith("bucketry-lane") for thread in threading.enumerate())


CALLS = pytest.mark.parametrize("call", [by_the_loop, by_a_lane])


@CALLS
async def test_raising_lets_waiting_calls_go_on(
    provide: Provide, pool: SessionPool, holding: Holding, call: Call
) -> None:
    """One of five calls is under way; raising the limit from one to four starts three more at once."""
    provider = provide(holding.url, max_connections=2)
    pool.limit_connections(provider._bucket.endpoint, 1)
    calls = [asyncio.create_task(call(provider)) for _ in range(5)]
    await until(lambda: len(holding.waiting) == 1)
    await a_while()
    assert len(holding.waiting) == 1
    pool.limit_connections(provider._bucket.endpoint, 4)
    await until(lambda: len(holding.waiting) == 4)
    await a_while()
    assert len(holding.waiting) == 4
    holding.answer(4)
    await until(lambda: len(holding.waiting) == 1)
    holding.answer(1)
    await asyncio.gather(*calls)


@CALLS
async def test_lowering_lets_those_under_way_end(
    provide: Provide, pool: SessionPool, holding: Holding, call: Call
) -> None:
    """If four requests are under way when the limit becomes one, all are answered; afterwards one runs at a time."""
    provider = provide(holding.url, max_connections=4)
    calls = [asyncio.create_task(call(provider)) for _ in range(8)]
    await until(lambda: len(holding.waiting) == 4)
    pool.limit_connections(provider._bucket.endpoint, 1)
    holding.answer(3)
    await until(lambda: sum(each.done() for each in calls) == 3)
    await a_while()
    assert len(holding.waiting) == 1
    holding.most = 0
    for done in range(4, 9):
        holding.answer(1)
        await until(lambda done=done: sum(each.done() for each in calls) == done)  # type: ignore[misc]  # bound now
        await a_while()
    assert holding.most == 1
    await asyncio.gather(*calls)


@pytest.mark.parametrize("transport", ["auto"])
@CALLS
async def test_lowering_closes_idle_connections(
    provide: Provide, pool: SessionPool, holding: Holding, call: Call
) -> None:
    """If four connections are idle when the limit becomes one, three of them are closed, and threads end."""
    provider = provide(holding.url, max_connections=4)
    before = lane_threads()
    calls = [asyncio.create_task(call(provider)) for _ in range(4)]
    await until(lambda: len(holding.waiting) == 4)
    holding.answer(4)
    await asyncio.gather(*calls)
    assert sockets_to(holding.port) == 4
    assert lane_threads() - before == (4 if call is by_a_lane else 0)
    pool.limit_connections(provider._bucket.endpoint, 1)
    await until(lambda: sockets_to(holding.port) == 1)
    await until(lambda: lane_threads() == before)
    again = asyncio.create_task(call(provider))
    await until(lambda: len(holding.waiting) == 1)
    assert lane_threads() - before == (1 if call is by_a_lane else 0)
    holding.answer(1)
    await again
    assert holding.connections == 4


async def test_providers_of_one_endpoint_share_one_limit(provide: Provide, pool: SessionPool, holding: Holding) -> None:
    """Providers with different settings together have as many requests under way as the larger limit."""
    one = provide(holding.url, max_connections=2)
    other = provide(holding.url, max_connections=3, read_timeout=7, connect_timeout=5)
    assert pool.state(one._bucket.endpoint) is pool.state(other._bucket.endpoint)
    first = asyncio.create_task(one.head("k"))
    await until(lambda: len(holding.waiting) == 1)
    calls = [first, *(asyncio.create_task(each.head("k")) for each in (other, one, other, one, other))]
    await until(lambda: len(holding.waiting) == 3)
    await a_while()
    assert holding.most == 3
    holding.answer(3)
    await until(lambda: len(holding.waiting) == 3)
    holding.answer(3)
    await asyncio.gather(*calls)
    assert holding.most == 3


async def test_each_provider_waits_by_its_own_timeouts(provide: Provide, holding: Holding) -> None:
    """On shared connections, a caller with a short timeout gets an error, and one with a longer timeout still waits."""
    settings = {"max_connections": 2, "max_attempts": 1}
    patient = provide(holding.url, read_timeout=30, **settings)
    quick = provide(holding.url, read_timeout=0.2, **settings)
    waiting = asyncio.create_task(patient.head("k"))
    await until(lambda: len(holding.waiting) == 1)
    with pytest.raises(RequestTimeoutError):
        await quick.head("k")
    more = asyncio.create_task(patient.head("k"))
    await until(lambda: len(holding.waiting) == 3)  # the failed request is still at the server
    with pytest.raises(PoolTimeoutError):
        await quick.head("k")
    assert not waiting.done()
    assert not more.done()
    holding.answer(3)
    await asyncio.gather(waiting, more)


@pytest.mark.parametrize("transport", ["auto"])
async def test_providers_of_one_endpoint_share_connections(provide: Provide, holding: Holding) -> None:
    """A connection that one provider opened is used for the next request of another one with other settings."""
    for provider in (provide(holding.url), provide(holding.url, read_timeout=7, max_connections=3)):
        call = asyncio.create_task(provider.head("k"))
        await until(lambda: len(holding.waiting) == 1)
        holding.answer(1)
        await call
    assert holding.connections == 1


async def test_another_provider_does_not_undo_a_change(provide: Provide, pool: SessionPool, holding: Holding) -> None:
    """A lowered limit stays if another provider asks for the same number as before, or for a larger one."""
    provider = provide(holding.url, max_connections=3)
    calls = [asyncio.create_task(provider.head("k")) for _ in range(4)]
    await until(lambda: len(holding.waiting) == 3)
    pool.limit_connections(provider._bucket.endpoint, 1)
    holding.answer(3)
    await until(lambda: len(holding.waiting) == 1)
    calls.append(asyncio.create_task(provide(holding.url, max_connections=3).head("k")))
    await a_while()
    assert len(holding.waiting) == 1
    calls.append(asyncio.create_task(provide(holding.url, max_connections=4).head("k")))
    await a_while()
    assert len(holding.waiting) == 1
    pool.limit_connections(provider._bucket.endpoint, 3)
    await until(lambda: len(holding.waiting) == 3)
    holding.answer(3)
    await asyncio.gather(*calls)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "8"])
async def test_a_malformed_limit_is_refused(provide: Provide, pool: SessionPool, limit: Any) -> None:
    """It is a positive int."""
    with pytest.raises(ConfigError, match="limit_connections"):
        pool.limit_connections(provide("http://127.0.0.1:1")._bucket.endpoint, limit)
