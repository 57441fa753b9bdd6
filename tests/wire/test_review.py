"""What a review of the data plane found, so that it stays mended."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool
from bucketry._wire.client import Call, EndpointClient
from bucketry._wire.clock import Clock
from bucketry._wire.connect import Origin, tls_context
from bucketry._wire.lanes import BUFFER, Lane
from bucketry._wire.pool import IdleTimer, Pool, Timeouts
from bucketry._wire.unary import Connection, Outbox, Request
from bucketry.errors import IncompleteBodyError
from tests.wire.certificates import certificate
from tests.wire.scripted import Answer, serving

CREDENTIALS = {"access_key_id": "AKID", "secret_access_key": "SECRET"}


class Still:
    """A transport that only notes."""

    def write(self, data: bytes) -> None:
        """Send nothing."""

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    def abort(self) -> None:
        """Do nothing."""


async def test_what_came_is_not_lost_when_the_waiting_is_cancelled() -> None:
    """A body whose reading is cancelled gives its first bytes first when it is read again."""
    pool = Pool(1, Timeouts(connect=1, read=1))
    connection = Connection(pool, Origin.of("http://127.0.0.1:1"), Outbox())
    connection.connection_made(Still())  # type: ignore[arg-type]
    pool.busy = 1
    connection.begin(Request("GET", b""))

    def arrive(data: bytes) -> None:
        connection.get_buffer(-1)[: len(data)] = data
        connection.buffer_updated(len(data))

    arrive(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
    reading = asyncio.ensure_future(connection.body())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    arrive(b"cdef")
    assert await connection.body() == b"abcdef"


async def test_a_body_is_not_read_after_its_context() -> None:
    """An iterator that outlives its context never gives another answer's bytes."""

    def script(_: Any) -> Answer:
        return Answer(200, b"x" * 10, {"ETag": '"e"'})

    async with serving(script) as server:
        provider = S3Provider({"bucket_name": "bkt", "endpoint_url": server.url, **CREDENTIALS})
        async with provider.open_body("k") as body:
            chunks = body.__aiter__()
            assert await anext(chunks) == b"x" * 10
        with pytest.raises(IncompleteBodyError, match="closed"):
            await anext(chunks)
        await provider.disconnect()


async def test_a_pool_that_is_closed_while_it_opens_stays_closed() -> None:
    """A request that was opening its connection when the pool was closed is served, and leaves nothing open."""

    def script(_: Any) -> Answer:
        return Answer(200, b"1", {"ETag": '"e"'})

    async with serving(script) as server:
        pool = SessionPool()
        provider = S3Provider({"bucket_name": "bkt", "endpoint_url": server.url, **CREDENTIALS}, pool=pool)
        request = asyncio.ensure_future(provider.get("k"))
        await asyncio.sleep(0)
        await pool.close()
        assert await request == b"1"
        assert provider._planes.ready is None
        assert await provider.get("k") == b"1"
        await pool.close()


@pytest.mark.parametrize("surplus", [b"", b"HTTP/1.1 408 Too late\r\n\r\n"])
async def test_what_follows_a_body_over_tls_is_noticed(tmp_path: Path, surplus: bytes) -> None:
    """A lane that received bytes behind a body is not used again, also when TLS still holds them."""
    context, pem = certificate(tmp_path)
    size = 2 * BUFFER + 1000
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with context.wrap_socket(theirs, server_side=True) as peer:
            peer.recv(1000)
            peer.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size) + surplus)
            gone.wait()

    gone = threading.Event()
    server = threading.Thread(target=serve)
    server.start()
    received = 0

    def write(view: memoryview) -> None:
        nonlocal received
        received += len(view)

    pool = Pool(1, Timeouts(connect=1, read=1))
    lane = Lane(Origin.of("https://127.0.0.1:1"), pool, ours, tls_context(pem))
    client = EndpointClient(
        region="r", source=None, limit=1, timeouts=Timeouts(connect=1, read=1), tls=tls_context(pem), clock=Clock()
    )
    request = client.at(Origin.of("https://127.0.0.1:1")).download(Call("GET", "/"), lambda _: write)
    try:
        lane.start()
        await asyncio.to_thread(lane.exchange, request, None)
        assert received == size
        assert lane.reusable() == (not surplus)
    finally:
        lane.close()
        gone.set()
        server.join()


def test_a_silence_is_as_long_as_it_lasts() -> None:
    """A server that never answers is given up after one read timeout, and one that moves is not."""
    silent, moving = IdleTimer(), IdleTimer()
    counts = iter(range(100))
    for now in (1.0, 6.0, 9.0):
        assert silent.seconds(0.5, now, 10.0, lambda: 7) <= 10.0
        assert moving.seconds(0.5, now, 10.0, lambda: next(counts)) <= 10.0
    assert silent.seconds(0.5, 11.0, 10.0, lambda: 7) > 10.0
    assert moving.seconds(0.5, 11.0, 10.0, lambda: next(counts)) == 0.0
