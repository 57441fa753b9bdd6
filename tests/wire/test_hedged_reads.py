"""With `hedge=True`, a small read that takes unusually long is requested a second time, on another connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool, TransferConfig, TransferManager
from bucketry._core.hedging import LEAST, MIN_DELAY
from bucketry._core.retry import BUDGET, COST, GAIN
from bucketry._core.units import KiB, MiB
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry.errors import NotFoundError, TransientError
from tests.wire.conftest import Provide
from tests.wire.raw import sockets_to
from tests.wire.scripted import Answer, Request, Scripted, content, error, serving
from tests.wire.test_round_trips import BYTES, OPERATIONS

BROKEN = error("InternalError", 500)
FIRST, SECOND = b"a" * 100 * KiB, b"b" * 100 * KiB
STAMP = {"Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}
E1, E2 = {"ETag": '"first"', **STAMP}, {"ETag": '"second"', **STAMP}


class Pair:
    """The answers to the requests for the object "k"; other objects are empty, and are answered at once.

    Attributes:
        came: Set when the second request for the object has come.
        never: An event that is never set.
        first: The answer to the first request; by default, there is none.
        second: The answer to the second request.
        count: The number of requests; later ones get `b"later"`.
    """

    def __init__(self, first: Answer | None = None, second: Answer | None = None) -> None:
        self.came = asyncio.Event()
        self.never = asyncio.Event()
        self.first = first or Answer(200, FIRST, E1, after=self.never)
        self.second = second or Answer(200, SECOND, E2)
        self.count = 0

    def __call__(self, request: Request) -> Answer:
        """Give the answer to a request."""
        if not request.path.endswith("/k"):
            return content(b"", request)
        self.count += 1
        if self.count == 2:
            self.came.set()
        found = {1: self.first, 2: self.second}.get(self.count)
        if found is None:
            return content(b"later", request)
        if "range" not in request.headers or found.status != 200:
            return found
        whole = f"bytes 0-{len(found.body) - 1}/{len(found.body)}"
        return replace(found, status=206, headers={**found.headers, "Content-Range": whole})


async def ready(provider: Any, delay: float = MIN_DELAY) -> Any:
    """Open a provider, and let it know the delay, as after many reads."""
    await provider.head("other")
    policy = provider._bucket.hedging.get()
    for _ in range(LEAST - 1):
        policy.answered(delay)
    policy.delay = delay  # the first request of all took longer
    return provider


async def nothing_left(provider: Any, server: Scripted, *, connections: int = 1) -> None:
    """Check that no task and no slot is in use, and that connections with unread answers are closed."""
    port = int(server.url.rpartition(":")[2])
    for _ in range(100):
        await asyncio.sleep(0)  # a connection is closed in the next rounds of the loop
        if sockets_to(port) <= connections:
            break
    plane = await provider._planes.data()
    if isinstance(plane, WirePlane):
        slots = plane.client.endpoint.pool
    else:
        slots = plane.pool._live.get().slots(plane.pool._limited(provider._bucket.endpoint))
    assert slots.busy == 0
    assert sockets_to(port) <= connections
    assert [task for task in asyncio.all_tasks() if "_end_of" in str(task.get_coro())] == []


async def get_many(provider: Any) -> bytes:
    """Read one object with a transfer."""
    (found,) = [data async for _, data in TransferManager(provider, TransferConfig(retry_delay=0)).get_many(["k"])]
    assert isinstance(found, bytes)
    return found


async def stream(provider: Any) -> bytes:
    """Read an object in chunks."""
    async with provider.stream("k", chunk_size=KiB) as chunks:
        return b"".join([chunk async for chunk in chunks])


READS: dict[str, Callable[[Any], Awaitable[bytes]]] = {
    "get": lambda provider: provider.get("k"),
    "get_range": lambda provider: provider.get_range("k", 0, 200 * KiB),
    "get_many": get_many,
    "stream": stream,
}


@pytest.mark.parametrize("read", READS)
async def test_the_second_request_is_answered_first(
    provide: Provide, read: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the first request is not answered, the answer to the second one is used, and the first one is closed."""
    async with serving(Pair()) as server:
        provider = await ready(provide(server, hedge=True))
        with caplog.at_level(logging.DEBUG, "bucketry"):
            assert await READS[read](provider) == SECOND
        assert server.asked[-2:] == ["GET /bkt/k"] * 2
        assert server.requests[-2].headers.get("range") == server.requests[-1].headers.get("range")
        assert server.connections == 2
        await nothing_left(provider, server)
        counts = provider.hedge_counts
    assert (counts.reads, counts.hedged, counts.won, counts.delay) == (LEAST + 1, 1, 1, MIN_DELAY)
    logged = [record.getMessage() for record in caplog.records if record.getMessage().startswith("hedged: ")]
    assert logged == [
        "hedged: no answer to get of s3://bkt/k after 0.010 s, so it is requested a second time; 1 in 100 reads so far"
    ]


async def test_a_head(provide: Provide) -> None:
    """A HEAD is requested a second time, too."""
    async with serving(Pair()) as server:
        provider = await ready(provide(server, hedge=True))
        assert (await provider.head("k")).etag == '"second"'
        assert server.asked[-2:] == ["HEAD /bkt/k"] * 2
        await nothing_left(provider, server)


async def test_the_first_request_is_answered_first(provide: Provide) -> None:
    """If the first request is answered although a second one is under way, its answer is used."""
    pair = Pair()
    pair.first = Answer(200, FIRST, E1, after=pair.came)
    pair.second = Answer(200, SECOND, E2, after=pair.never)
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True))
        assert await provider.get("k") == FIRST
        assert pair.count == 2
        assert (provider.hedge_counts.hedged, provider.hedge_counts.won) == (1, 0)
        await nothing_left(provider, server)


async def test_a_body_that_stalls(provide: Provide) -> None:
    """If the first body stalls after its head and some bytes, all bytes are those of the second answer."""
    async with serving(Pair(Answer(200, FIRST, E1, cut=1_000, stall=True))) as server:
        provider = await ready(provide(server, hedge=True))
        assert await provider.get("k") == SECOND
        await nothing_left(provider, server)


async def test_a_body_that_breaks_while_both_are_under_way(provide: Provide) -> None:
    """If the first body breaks, the second answer is used, and nothing is requested a third time."""
    pair = Pair()
    pair.first = Answer(200, FIRST, E1, cut=1_000, after=pair.came)
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True))
        assert await provider.get("k") == SECOND
        assert pair.count == 2
        await nothing_left(provider, server)


async def test_a_body_that_breaks_early_is_resumed(provide: Provide) -> None:
    """A body that breaks before the delay is resumed as without `hedge`: the rest is requested, of the same version."""
    rest = {**E1, "Content-Range": f"bytes 1000-{len(FIRST) - 1}/{len(FIRST)}"}
    pair = Pair(Answer(200, FIRST, E1, cut=1_000), Answer(206, FIRST[1_000:], rest))
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True), delay=60.0)
        assert await provider.get("k") == FIRST
        assert server.requests[-1].headers["range"] == f"bytes=1000-{len(FIRST) - 1}"
        assert server.requests[-1].headers["if-match"] == '"first"'
        assert (pair.count, provider.hedge_counts.hedged) == (2, 0)
        await nothing_left(provider, server)


async def test_no_such_key(provide: Provide) -> None:
    """A missing object ends the read at once, although another request is under way."""
    async with serving(Pair(second=error("NoSuchKey", 404))) as server:
        provider = await ready(provide(server, hedge=True))
        with pytest.raises(NotFoundError) as caught:
            await provider.get("k")
        assert (caught.value.key, caught.value.operation) == ("k", "get")
        await nothing_left(provider, server)


async def test_both_fail(provide: Provide) -> None:
    """If both requests fail, the read is repeated as without `hedge`, and the repeat is one request."""
    pair = Pair(second=BROKEN)
    pair.first = replace(BROKEN, after=pair.came)
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True))
        assert await provider.get("k") == b"later"
        assert pair.count == 3
        await nothing_left(provider, server, connections=2)  # both answers were read to the end


async def test_a_repeat_is_one_request(provide: Provide) -> None:
    """A read that is repeated after an early error is not requested a second time, however long the repeat takes."""
    clock, repeated, held = Pair(), asyncio.Event(), asyncio.Event()
    count = 0

    def script(request: Request) -> Answer:
        nonlocal count
        if request.path.endswith(("/k", "/other")):
            return clock(request)
        count += 1
        if count == 1:
            return BROKEN
        repeated.set()
        return Answer(200, FIRST, E1, after=held)

    async with serving(script) as server:
        provider = await ready(provide(server, hedge=True), delay=0.5)  # the early error comes before
        task = asyncio.create_task(provider.get("broken"))
        await repeated.wait()
        assert await provider.get("k") == SECOND  # so the delay has passed for the repeat, too
        held.set()
        assert await task == FIRST
        assert (count, provider.hedge_counts.hedged) == (2, 1)


@pytest.mark.parametrize("hedge", [False, True])
async def test_the_attempts_are_counted_once(provide: Provide, *, hedge: bool) -> None:
    """A read that always fails is attempted `max_attempts` times, and spends the retry budget, as without `hedge`."""
    async with serving(lambda request: content(b"", request) if request.method == "HEAD" else BROKEN) as server:
        provider = provide(server, hedge=hedge)
        await provider.head("k")
        with pytest.raises(TransientError):
            await provider.get("k")
        assert server.asked == ["HEAD /bkt/k", *["GET /bkt/k"] * 3]
        assert provider._bucket.budget._tokens == BUDGET - 2 * COST
        await provider.head("k")
        assert provider._bucket.budget._tokens == BUDGET - 2 * COST + GAIN


@pytest.mark.parametrize("refusal", [error("SlowDown", 503), Answer(429)], ids=["503", "429"])
async def test_a_refused_read_is_not_requested_twice_at_once(provide: Provide, refusal: Answer) -> None:
    """An answer that asks for fewer requests causes no second request, neither of this read nor of the next ones."""
    pair = Pair(refusal)
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True), delay=60.0)
        policy = provider._bucket.hedging.get()
        assert await provider.get("k") == SECOND
        assert (pair.count, provider.hedge_counts.hedged) == (2, 0)
        assert not policy.allow()
        await nothing_left(provider, server)


async def test_a_cancelled_read(provide: Provide) -> None:
    """If a read is cancelled while both requests are under way, no task, no slot and no connection is left."""
    pair = Pair()
    pair.second = Answer(200, SECOND, E2, after=pair.never)
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True))
        task = asyncio.create_task(provider.get("k"))
        await pair.came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_left(provider, server, connections=0)
        assert await provider.get("k") == b"later"


async def test_a_large_object(provide: Provide) -> None:
    """A large object is requested a second time until its head is in; the caller reads the body of that answer."""
    large = b"c" * (MiB + 1)
    pair = Pair(second=Answer(200, large, E2))
    async with serving(pair) as server:
        provider = await ready(provide(server, hedge=True))
        async with provider.stream("k") as chunks:
            assert chunks.info.size == len(large)
            assert b"".join([chunk async for chunk in chunks]) == large
        assert pair.count == 2
        await nothing_left(provider, server)


async def test_what_is_never_requested_a_second_time(provide: Provide) -> None:
    """Writes, listings and large ranges are requested once, also if they take longer than a read that is hedged."""
    pair, all_came, held = Pair(), asyncio.Event(), asyncio.Event()
    others: list[Request] = []

    def script(request: Request) -> Answer:
        if request.path.endswith(("/k", "/other")):
            return pair(request)
        others.append(request)
        if len(others) == 4:
            all_came.set()
        return replace(BROKEN, after=held)

    async with serving(script) as server:
        provider = await ready(provide(server, hedge=True, max_attempts=1))
        slow = asyncio.gather(
            provider.put("a", b"x"),
            provider.delete("b"),
            provider.list_page("c"),
            provider.get_range("d", 0, MiB + 1),
            return_exceptions=True,
        )
        await all_came.wait()
        assert await provider.get("k") == SECOND  # so the delay has passed for the others, too
        held.set()
        assert all(isinstance(found, TransientError) for found in await slow)
        assert len(others) == 4


async def test_while_all_connections_are_in_use(provide: Provide) -> None:
    """A transport knows that no second request would begin at once; then none is made."""
    async with (
        serving(lambda request: content(bytes(MiB + 1), request)) as server,
        SessionPool(max_connections=1) as pool,
    ):
        provider = S3Provider(provide(server, hedge=True)._config, pool=pool)
        plane = await provider._planes.data()
        assert plane.has_free_slot
        async with provider.stream("large"):
            assert not plane.has_free_slot
        assert plane.has_free_slot


@pytest.mark.parametrize("operation", ["`get()`", "`head()`, `exists()`, `get_file_size()`", "`stream()`"])
async def test_as_many_requests_as_without(provide: Provide, operation: str, tmp_path: Any) -> None:
    """A read that is answered soon is one request, also with `hedge=True`."""

    def script(request: Request) -> Answer:
        return content(BYTES.get(request.path.removeprefix("/bkt/"), b""), request)

    async with serving(script) as server:
        provider = await ready(provide(server, hedge=True), delay=60.0)
        await OPERATIONS[operation](provider, tmp_path)
        assert (len(server.requests), server.connections) == (2, 1)


async def test_providers_of_an_endpoint_share_the_counts(provide: Provide) -> None:
    """Providers of one pool and one endpoint share the delay and the counts; without `hedge`, nothing is counted."""
    async with serving(lambda request: content(b"x", request)) as server:
        one, other, off = (provide(server, hedge=hedge) for hedge in (True, True, False))
        await one.get("a")
        await other.head("b")
        await off.get("c")
        assert one.hedge_counts == other.hedge_counts == off.hedge_counts
        assert (one.hedge_counts.reads, one.hedge_counts.delay) == (2, None)
