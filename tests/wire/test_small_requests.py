"""Further costs of small requests: system calls in each round of the loop, and garbage."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from bucketry import ObjectInfo, S3Provider
from bucketry._core.timeouts import Timeouts
from bucketry._wire.connect import Connector, Origin
from bucketry._wire.errors import WireError
from bucketry._wire.pool import Pool
from bucketry._wire.unary import Connection, Outbox, Request, Unary
from bucketry.errors import ConnectionFailedError, IncompleteBodyError, NotFoundError
from tests.wire import scripted
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, content, error, serving

OK = Answer(headers={"ETag": '"e1"'})


class Noting:
    """A transport that stores the written bytes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        """Store the bytes."""
        self.written.append(data)

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closing

    def abort(self) -> None:
        """Close it."""
        self.closing = True


def connected(pool: Pool, outbox: Outbox) -> tuple[Connection, Noting]:
    """Give a connection and its transport."""
    connection, transport = Connection(pool, Origin.of("http://127.0.0.1:1"), outbox), Noting()
    connection.connection_made(transport)  # type: ignore[arg-type]
    return connection, transport


async def test_requests_of_one_round_go_out_together() -> None:
    """Requests are written at the end of the round, in order; those on a connection closed meanwhile are dropped."""
    pool = Pool(3)
    outbox = Outbox()
    pool.busy = 3
    made = [connected(pool, outbox) for _ in range(3)]
    for connection, _ in made:
        connection.begin(Request("GET", b"GET"))
    assert [transport.written for _, transport in made] == [[], [], []]
    made[1][0].close()
    await asyncio.sleep(0)
    assert [transport.written for _, transport in made] == [[b"GET"], [], [b"GET"]]


async def test_a_request_alone_goes_out_at_once() -> None:
    """A single request does not wait for others."""
    pool = Pool(3)
    connection, transport = connected(pool, Outbox())
    pool.busy = 1
    connection.begin(Request("GET", b"GET"))
    assert transport.written == [b"GET"]


async def test_what_comes_before_the_request_went_out_is_no_answer_to_it() -> None:
    """After such bytes, for example a 408 for an idle connection, it is closed, and the request is not sent on it."""
    pool = Pool(3)
    connection, transport = connected(pool, Outbox())
    pool.busy = 2
    connection.begin(Request("GET", b"GET"))
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    connection.get_buffer(-1)[: len(late)] = late
    connection.buffer_updated(len(late))
    connection.connection_lost(None)
    with pytest.raises(WireError) as caught:
        await connection.answered()
    assert caught.value.kind is ConnectionFailedError
    assert not connection.answer_started  # so that it may be repeated
    assert transport.closing
    await asyncio.sleep(0)
    assert transport.written == []


async def test_a_request_that_did_not_go_out_goes_by_another_connection() -> None:
    """Even a request that must not be repeated: the server that closed the connection has not received it."""
    pool = Pool(3)
    outbox = Outbox()
    (idle, first), (new, second) = connected(pool, outbox), connected(pool, outbox)

    class Connected(Unary):
        async def _connect(self) -> Connection:
            return new

    unary = Connected(Connector(Origin.of("http://127.0.0.1:1"), None), pool, Timeouts(connect=1, read=1))
    pool.busy = 2  # one is under way, and another is about to become idle
    pool.release(unary._kind, idle)
    assert pool.take_slot()
    sending = asyncio.create_task(unary.send(Request("POST", b"POST", repeatable=False)))
    await asyncio.sleep(0)
    idle.connection_lost(None)  # after the request began, before the end of the round
    for _ in range(3):
        await asyncio.sleep(0)
    assert (first.written, second.written) == ([], [b"POST"])
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    new.get_buffer(-1)[: len(said)] = said
    new.buffer_updated(len(said))
    assert await sending is new


def answer(request: scripted.Request) -> Answer:
    """Answer like a small bucket; one object is sent in chunks, one is missing."""
    if request.path.endswith("/missing"):
        return error("NoSuchKey", 404)
    if request.path.endswith("/chunked"):
        return Answer(
            200, b"some bytes", {"ETag": '"e1"', "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}, chunked=True
        )
    return content(b"some bytes", request) if request.method in {"GET", "HEAD"} else OK


async def head(provider: S3Provider) -> ObjectInfo:
    """HEAD."""
    return await provider.head("key")


async def get(provider: S3Provider) -> bytes:
    """GET."""
    return await provider.get("key")


async def put(provider: S3Provider) -> ObjectInfo:
    """PUT."""
    return await provider.put("key", b"some bytes")


async def missing(provider: S3Provider) -> None:
    """GET that is refused."""
    with suppress(NotFoundError):
        await provider.get("missing")


async def chunked(provider: S3Provider) -> None:
    """DELETE with an answer in chunks."""
    await provider.delete("chunked")


@pytest.mark.parametrize("request_once", [head, get, put, missing, chunked])
async def test_leaves_nothing_for_the_garbage_collector(
    request_once: Callable[[S3Provider], Awaitable[object]],
) -> None:
    """Requests leave no reference cycles: they would make the collector run often, which blocks the loop."""
    async with serving(answer) as server:
        provider = S3Provider(
            {
                "bucket_name": "bkt",
                "access_key_id": "AKID",
                "secret_access_key": "SECRET",
                "endpoint_url": server.url,
            }
        )
        async with provider:
            await request_once(provider)
            gc.collect()
            gc.disable()
            try:
                for _ in range(20):
                    await request_once(provider)
                gc.set_debug(gc.DEBUG_SAVEALL)
                gc.collect()
                modules = {type(each).__module__ for each in gc.garbage}
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
    assert not {name for name in modules if name.startswith(("bucketry", "httptools"))}


async def test_what_came_is_not_lost_when_the_waiting_is_cancelled() -> None:
    """After a cancelled read, the next read of the body begins with the bytes received before."""
    pool = Pool(1)
    connection, _ = connected(pool, Outbox())
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


@pytest.mark.parametrize("transport", ["auto"])
async def test_a_body_is_closed_after_its_context(provide: Provide) -> None:
    """Reading it then raises the same error in one piece and in pieces."""
    async with serving(lambda request: content(b"some bytes", request)) as server:
        async with provide(server).open_body("k") as body:
            pass
        with pytest.raises(IncompleteBodyError, match="the body was closed"):
            await body.read()
        with pytest.raises(IncompleteBodyError, match="the body was closed"):
            await anext(aiter(body))
