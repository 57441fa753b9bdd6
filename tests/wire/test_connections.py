"""Connections after their request: not read further, closed with their pool, reused only without extra bytes."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool
from bucketry._core.timeouts import Timeouts
from bucketry._core.units import MiB
from bucketry._wire.client import Call, EndpointClient
from bucketry._wire.clock import Clock
from bucketry._wire.connect import Origin, tls_context
from bucketry._wire.lanes import BUFFER_OVER_TLS, Lane
from bucketry._wire.tls import TlsClient
from bucketry.errors import IncompleteBodyError
from tests.wire.certificates import certificate
from tests.wire.raw import DATA, faulty
from tests.wire.scripted import Answer, serving
from tests.wire.test_cancel_wire import LOOPS, Run
from tests.wire.test_faults import HEAD, Kind, answering, closes, fetch, get, part

CREDENTIALS = {"access_key_id": "AKID", "secret_access_key": "SECRET"}


async def test_a_body_is_not_read_after_its_context() -> None:
    """An iterator that is used after its context never gives another answer's bytes."""

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
    """A request that opens its connection while the pool is closed still succeeds, and leaves nothing open."""

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


@LOOPS
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_lane_takes_the_idle_connection_of_the_loop(run: Run, scheme: str, tmp_path: Path) -> None:
    """A body to a file and a body from a file need no new connection after a small request."""
    path = tmp_path / "file"
    path.write_bytes(bytes(16 * MiB))
    context, pem = certificate(tmp_path) if scheme == "https" else (None, None)

    async def main() -> None:
        async with faulty(tls=context, ca_bundle=pem, read_timeout=5) as (provider, server):
            with path.open("r+b") as file:
                await get(provider, file.fileno())
                await fetch(provider, file.fileno())
                await part(provider, file.fileno())
            assert server.connections == 1

    run(main())


@pytest.mark.parametrize("kind", [fetch, part])
async def test_a_closed_connection_of_the_loop_is_replaced(kind: Kind, tmp_path: Path) -> None:
    """If the server closed the idle connection, a lane opens a new one, and the request is sent once."""
    path = tmp_path / "file"
    path.write_bytes(bytes(16 * MiB))

    async with faulty(answering(HEAD + DATA, then=closes), read_timeout=5) as (provider, server):
        with path.open("r+b") as file:
            await get(provider, file.fileno())
            await kind(provider, file.fileno())
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_without_a_free_descriptor_no_connection_is_lost(tmp_path: Path) -> None:
    """If the process can open no descriptor, the loop's connection is closed, and its descriptor serves a new one."""
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * MiB))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with faulty(read_timeout=5) as (provider, server):
        with path.open("r+b") as file:
            await get(provider, file.fileno())
            free = os.dup(file.fileno())
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                await part(provider, file.fileno())
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert server.connections == 2


@pytest.mark.parametrize("surplus", [b"", b"HTTP/1.1 408 Too late\r\n\r\n"])
async def test_what_follows_a_body_over_tls_is_noticed(tmp_path: Path, surplus: bytes) -> None:
    """A lane that received bytes after a body is not used again, even if they are still in TLS's buffers."""
    context, pem = certificate(tmp_path)
    size = 2 * BUFFER_OVER_TLS + 1000
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

    lane = Lane(Origin.of("https://127.0.0.1:1"), ours, TlsClient(tls_context(pem), "127.0.0.1").engine())
    client = EndpointClient(region="r", source=None, limit=1, tls=tls_context(pem), clock=Clock())
    request = client.at(Origin.of("https://127.0.0.1:1"), Timeouts()).download(Call("GET", "/"), lambda _: write)
    try:
        lane.start()
        await asyncio.to_thread(lane.exchange, request, None)
        assert received == size
        assert lane.reusable() == (not surplus)
    finally:
        lane.close()
        gone.set()
        server.join()
