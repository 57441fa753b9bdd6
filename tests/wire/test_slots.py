"""Connections that are not returned: waiting callers get an error; while the queue moves, they do not."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from bucketry._core.options import WriteOptions
from bucketry._core.units import MiB
from bucketry._wire.errors import WireError
from bucketry._wire.slots import Slots
from bucketry.errors import PoolTimeoutError
from tests.wire.conftest import Provide
from tests.wire.scripted import content, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_open_streams_are_no_silent_hang(provide: Provide) -> None:
    """If unread streams use all connections, the next call fails, and the error says which limit to raise."""
    async with serving(lambda request: content(bytes(8 * MiB), request)) as server:
        provider = provide(server, max_connections=2, pool_timeout=0.1)
        async with AsyncExitStack() as streams:
            for _ in range(2):
                await streams.enter_async_context(provider.stream("k"))
            with pytest.raises(PoolTimeoutError, match="max_connections") as caught:
                await provider.get("k")
        assert "none of the 2 connections" in str(caught.value)
        assert (caught.value.key, caught.value.operation) == ("k", "get")
        assert not caught.value.retryable
        assert len(await provider.get("k")) == 8 * MiB


async def test_the_default_is_bounded(provide: Provide) -> None:
    """By default, the wait for a connection is as long as `read_timeout`."""
    endpoint = provide("http://127.0.0.1:1", read_timeout=7)._bucket.endpoint
    assert endpoint.timeouts.pool == 7
    assert provide("http://127.0.0.1:1", pool_timeout=3)._bucket.endpoint.timeouts.pool == 3


async def test_a_stream_that_is_read_is_waited_for(provide: Provide) -> None:
    """While bytes move on a connection, waiting callers get no error, for any length of the wait."""
    async with serving(lambda request: content(bytes(16 * MiB), request)) as server:
        provider = provide(server, max_connections=2, pool_timeout=0.2)
        async with provider.stream("k"), provider.stream("k") as chunks:
            waiting = asyncio.create_task(provider.head("k"))
            async for _ in chunks:
                await asyncio.sleep(0.03)  # all of them together take longer than `pool_timeout`
            assert not waiting.done()
        assert (await waiting).size == 16 * MiB


async def test_a_slot_that_passes_on_is_movement() -> None:
    """Each returned slot restarts the timeout of the other waiting callers."""
    slots = Slots(1)
    assert slots.take_slot()
    waiting = [asyncio.create_task(slots.wait_for_slot(0.1)) for _ in range(4)]
    for task in waiting:
        await asyncio.sleep(0.06)
        slots.give_slot()
        await task
    slots.give_slot()
    assert slots.busy == 0


async def test_who_was_refused_holds_nothing() -> None:
    """After an error the slot is given to the next caller, and a cancelled wait leaves the queue."""
    slots = Slots(1)
    assert slots.take_slot()
    cancelled = asyncio.create_task(slots.wait_for_slot(0.05))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(WireError):
        await slots.wait_for_slot(0.05)
    slots.give_slot()
    assert slots.busy == 0
    assert slots.take_slot()


async def test_an_upload_that_is_sent_is_waited_for(provide: Provide) -> None:
    """While a server reads a body, even slowly, callers that wait for the connection get no error."""
    body = bytes(20 * MiB)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                left = len(body) if head.startswith(b"PUT") else 0
                while left:
                    left -= len(await reader.read(64 * 1024))
                    await asyncio.sleep(0.005)
                length = b"3" if head.startswith(b"HEAD") else b"0"
                writer.write(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: ' + length + b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        provider = provide(url, max_connections=2, pool_timeout=1)
        putting = [asyncio.create_task(provider.put_object("k", body, WriteOptions())) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert (await provider.head("k")).size == 3
        await asyncio.gather(*putting)
        await provider.disconnect()
