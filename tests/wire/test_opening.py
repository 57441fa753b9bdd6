"""How connections are opened: at the same time, with one lookup, with the TLS session of an earlier connection."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bucketry import SessionPool
from bucketry._core.timeouts import Timeouts
from bucketry._core.units import MiB
from bucketry._wire.client import Call, EndpointClient, OriginClient
from bucketry._wire.clock import Clock
from bucketry._wire.connect import Connector, Origin, tls_context
from bucketry._wire.errors import WireError
from bucketry._wire.pool import BUFFER
from bucketry._wire.unary import MAX_BUFFERED
from bucketry.errors import ConfigError, ConnectionFailedError, IncompleteBodyError
from tests.wire.certificates import certificate
from tests.wire.raw import DATA, Peer, RawServer, Talk, faulty, make
from tests.wire.scripted import Answer, Scripted, serving
from tests.wire.test_cancel_wire import LOOPS
from tests.wire.test_faults import ALL, HEAD, WRITTEN, Kind, fetch, get

MANY = 4
Trusted = tuple[ssl.SSLContext, str]


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    """Make a certificate for the loopback."""
    return certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """Give an open file of 1 MiB."""
    path = tmp_path / "file"
    path.write_bytes(bytes(MiB))
    found = os.open(path, os.O_RDWR)
    yield found
    os.close(found)


def once(kind: Kind, seen: list[bool]) -> Talk:
    """Give a talk that notes whether the session was resumed, answers one request, and closes."""

    async def talk(peer: Peer) -> None:
        seen.append(peer._writer.get_extra_info("ssl_object").session_reused)
        await peer.request()
        await peer.send(HEAD + DATA if kind in (get, fetch) else WRITTEN)

    return talk


@asynccontextmanager
async def client_to(port: int, pem: str | None) -> AsyncIterator[OriginClient]:
    """Give a client of the data plane that signs nothing."""
    tls = None if pem is None else tls_context(pem)
    endpoint = EndpointClient(region="r", source=None, limit=MANY, tls=tls, clock=Clock())
    yield endpoint.at(Origin.of(f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"), Timeouts(read=5))
    endpoint.close(at_once=True)
    await asyncio.sleep(0)


class TestSessions:
    """TLS sessions over real connections."""

    @ALL
    async def test_the_second_connection_resumes(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """A second connection resumes the session of the first one, on the loop and in lanes."""
        context, pem = trusted
        seen: list[bool] = []
        talks = [once(kind, seen) for _ in range(3)]
        async with faulty(*talks, tls=context, ca_bundle=pem, read_timeout=5) as (provider, _):
            for _ in talks:
                await kind(provider, fd)
        assert seen == [False, True, True]

    @pytest.mark.parametrize("kinds", [(get, fetch), (fetch, get)], ids=["loop first", "lane first"])
    async def test_loop_and_lanes_share_it(self, trusted: Trusted, kinds: tuple[Kind, Kind], fd: int) -> None:
        """The loop's connections resume the sessions of lanes, and the other way round."""
        context, pem = trusted
        seen: list[bool] = []
        async with faulty(*(once(kind, seen) for kind in kinds), tls=context, ca_bundle=pem, read_timeout=5) as (
            provider,
            _,
        ):
            for kind in kinds:
                await kind(provider, fd)
        assert seen == [False, True]

    async def test_other_authorities(self, trusted: Trusted, fd: int) -> None:
        """A provider that trusts other authorities resumes no session, and refuses the certificate."""
        context, pem = trusted
        server = RawServer()
        await server.open(context, None)
        try:
            async with SessionPool() as pool:
                assert await make(server.port, pool, scheme="https", read_timeout=5, ca_bundle=pem).get("k") == DATA
                other = make(server.port, pool, scheme="https", read_timeout=5)
                for kind in (get, fetch):
                    with pytest.raises(ConfigError, match="was refused"):
                        await kind(other, fd)
        finally:
            await server.close()


class TestEnds:
    """Bodies that end with the connection."""

    HEAD = b'HTTP/1.1 200 OK\r\nETag: "e"\r\n\r\n'

    @staticmethod
    async def read(client: OriginClient, *, lane: bool) -> bytes:
        """Read a body, on the loop or in a lane."""
        if not lane:
            return (await client.ask(Call("GET", "/")))[1]
        received = bytearray()
        await client.lanes.exchange(client.download(Call("GET", "/"), lambda _: received.extend))
        return bytes(received)

    @pytest.mark.parametrize("lane", [False, True], ids=["loop", "lane"])
    async def test_with_the_end_of_tls(self, trusted: Trusted, *, lane: bool) -> None:
        """A body without a length is complete when the server has ended TLS."""
        context, pem = trusted

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(self.HEAD, b"all")

        server = RawServer(talk)
        await server.open(context, None)
        async with client_to(server.port, pem) as client:
            assert await self.read(client, lane=lane) == b"all"
        await server.close()

    @pytest.mark.parametrize("lane", [False, True], ids=["loop", "lane"])
    async def test_cut_within_tls(self, trusted: Trusted, *, lane: bool) -> None:
        """A body without a length is incomplete if the connection ends without the end of TLS."""
        context, pem = trusted

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(self.HEAD, b"not all")
            peer._writer.transport.abort()

        server = RawServer(talk)
        await server.open(context, None)
        async with client_to(server.port, pem) as client:
            with pytest.raises(WireError) as caught:
                await self.read(client, lane=lane)
        await server.close()
        assert caught.value.kind is IncompleteBodyError

    @pytest.mark.parametrize("kind", [get, fetch], ids=["loop", "lane"])
    async def test_bytes_that_are_no_tls(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """Bytes that are not TLS end the request, also after a correct handshake."""
        context, pem = trusted

        async def talk(peer: Peer) -> None:
            await peer.request()
            os.write(peer._writer.get_extra_info("socket").fileno(), b"HTTP/1.1 200 OK\r\n\r\n")
            await peer.nothing()

        async with faulty(talk, tls=context, ca_bundle=pem, read_timeout=5) as (provider, server):
            with pytest.raises(ConnectionFailedError):
                await kind(provider, fd)
            assert len(server.requests) == 1

    async def test_reset_without_tls(self) -> None:
        """A body without a length is incomplete if the connection is reset."""

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(self.HEAD, b"not all")
            await peer.head()  # the client has received the first bytes when it sends these
            peer.reset()

        server = RawServer(talk)
        await server.open(None, None)
        async with client_to(server.port, None) as client:
            connection = await client.open(Call("GET", "/"))
            assert await connection.piece() == b"not all"
            connection.write(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(WireError) as caught:
                await connection.piece()
            client.done(connection)
        await server.close()
        assert caught.value.kind is IncompleteBodyError


class TestBodies:
    """Bodies over TLS on the loop."""

    @LOOPS
    def test_a_body_that_is_read_late(self, trusted: Trusted, run: Callable[[Any], None]) -> None:
        """While the caller does not read a body over TLS, a limited number of bytes is received; nothing is lost."""
        context, pem = trusted
        content = os.urandom(8 * MiB)

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode(), content)
            await peer.nothing()

        async def main() -> None:
            server = RawServer(talk)
            await server.open(context, None)
            async with client_to(server.port, pem) as client:
                connection = await client.open(Call("GET", "/"))
                while connection._reading:  # noqa: ASYNC110 - nothing tells when reading is paused
                    await asyncio.sleep(0)
                for _ in range(100):
                    await asyncio.sleep(0)
                assert MAX_BUFFERED <= connection._buffered <= MAX_BUFFERED + BUFFER
                assert await connection.body() == content
                client.done(connection)
            await server.close()

        run(main())

    @LOOPS
    def test_requests_on_a_loop(self, trusted: Trusted, run: Callable[[Any], None]) -> None:
        """Small requests of all sizes work over TLS, on each loop, over one connection."""
        context, pem = trusted

        async def main() -> None:
            async with faulty(tls=context, ca_bundle=pem, read_timeout=5) as (provider, server):
                for size in (0, 1, 16_384, 16_385, 262_144):
                    await provider.put("k", bytes(size))
                    assert await provider.get("k") == DATA
                assert server.connections == 1

        run(main())


class Gate:
    """A server that makes no handshake before `MANY` connections are open."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0)
        self._server = RawServer()
        self.port = int(self._listening.getsockname()[1])

    async def serve(self) -> None:
        """Accept `MANY` connections, then serve all of them."""
        loop = asyncio.get_running_loop()
        accepted = [(await loop.sock_accept(self._listening))[0] for _ in range(MANY)]

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader()
            return asyncio.StreamReaderProtocol(reader, self._server._connected)

        for connected in accepted:
            await loop.connect_accepted_socket(protocol, connected, ssl=self._context)

    async def close(self) -> None:
        """Close everything."""
        self._listening.close()
        for task in self._server._running:
            task.cancel()
        await asyncio.gather(*self._server._running, return_exceptions=True)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", [get, fetch], ids=["loop", "lanes"])
async def test_connections_open_together(trusted: Trusted, kind: Kind, fd: int, *, tls: bool) -> None:
    """Requests that start together open their connections together: none waits for another one's handshake."""
    context, pem = trusted
    gate = Gate(context if tls else None)
    config = {"scheme": "https", "ca_bundle": pem} if tls else {}
    try:
        async with SessionPool() as pool:
            provider = make(gate.port, pool, read_timeout=5, connect_timeout=5, max_connections=MANY, **config)
            async with asyncio.TaskGroup() as group:
                group.create_task(gate.serve())
                for _ in range(MANY):
                    group.create_task(kind(provider, fd))  # type: ignore[arg-type]  # it is a coroutine
    finally:
        await gate.close()


class Counting(ThreadPoolExecutor):
    """An executor that counts lookups of host names.

    Attributes:
        lookups: The lookups so far.
    """

    lookups = 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        """Count, and start the function."""
        if isinstance(function, partial) and function.func is socket.getaddrinfo:
            self.lookups += 1
        return super().submit(function, *args, **more)


class Failing(Counting):
    """An executor in which no host name has an address."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        """Count, and fail."""
        super().submit(function, *args, **more)
        failed: Future[Any] = Future()
        failed.set_exception(socket.gaierror(socket.EAI_NONAME, "no address"))
        return failed


@asynccontextmanager
async def by_name() -> AsyncIterator[tuple[OriginClient, Scripted, Counting]]:
    """Give a client of a server that is named, the server, and what counts the lookups."""
    executor = Counting()
    asyncio.get_running_loop().set_default_executor(executor)
    async with serving(lambda _: Answer(200, b"1")) as server:
        endpoint = EndpointClient(region="r", source=None, limit=MANY, tls=None, clock=Clock())
        yield endpoint.at(Origin("http", "localhost", Origin.of(server.url).port), Timeouts(read=5)), server, executor
        endpoint.close(at_once=True)
        await asyncio.sleep(0)


async def test_one_lookup_for_connections_that_open_together() -> None:
    """Connections that open together share one lookup; a later connection looks the name up again."""
    async with by_name() as (client, server, executor):
        await asyncio.gather(*(client.ask(Call("GET", "/")) for _ in range(MANY)))
        assert (server.connections, executor.lookups) == (MANY, 1)
        (await client.endpoint.connector(client.origin).open_socket()).close()
        assert executor.lookups == 2


async def test_a_lookup_survives_the_request_that_began_it() -> None:
    """If the request that began the lookup is cancelled, the others still get its result."""
    async with by_name() as (client, _, executor):
        requests = [asyncio.ensure_future(client.ask(Call("GET", "/"))) for _ in range(2)]
        await asyncio.sleep(0)
        requests[0].cancel()
        assert (await requests[1])[1] == b"1"
        assert executor.lookups == 1
        with pytest.raises(asyncio.CancelledError):
            await requests[0]


async def test_a_failed_lookup_is_not_kept() -> None:
    """All connections that wait for a failed lookup fail, and the next connection looks the name up again."""
    executor = Failing()
    asyncio.get_running_loop().set_default_executor(executor)
    connector = Connector(Origin("http", "localhost", 80), None)
    for count in (1, 2):
        failures = await asyncio.gather(*(connector.open_socket() for _ in range(MANY)), return_exceptions=True)
        assert [type(failure) for failure in failures] == [WireError] * MANY
        assert executor.lookups == count


async def test_an_address_is_not_looked_up() -> None:
    """A host that is an address needs no lookup, and so no thread."""
    executor = Counting()
    asyncio.get_running_loop().set_default_executor(executor)
    async with (
        serving(lambda _: Answer(200, b"1", {"ETag": '"e"'})) as server,
        client_to(Origin.of(server.url).port, None) as client,
    ):
        assert (await client.ask(Call("GET", "/")))[1] == b"1"
    assert executor.lookups == 0
