"""A TCP server that sends exactly the bytes of a test, and checks for connections that are left over."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from bucketry import S3Provider, SessionPool
from bucketry._core.units import MiB
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry._wire.client import EndpointClient
from tests.wire.conftest import ACCESS, SECRET
from tests.wire.scripted import REASONS, Answer, Request, content

DATA = os.urandom(MiB) + b"and some more"
READ_TIMEOUT = 0.2
LIST = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer

    async def head(self) -> Request:
        """Read a request's head; nothing of its body."""
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        request = Request(method, target, headers, b"")
        self._server.requests.append(request)
        self._server._first.set()
        return request

    async def request(self) -> Request:
        """Read a complete request."""
        request = await self.head()
        left = int(request.headers.get("content-length", "0"))
        while left:
            left -= len(await self.read(min(left, 1 << 16)))
        return request

    async def read(self, count: int) -> bytes:
        """Read at most so many bytes."""
        found = await self._reader.read(count)
        if not found:
            raise ConnectionError("the client has gone")
        return found

    async def body(self, size: int) -> None:
        """Read a request's body."""
        await self._reader.readexactly(size)

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send bytes, with a pause after each piece."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            if pause:
                await asyncio.sleep(pause)

    def end(self) -> None:
        """Close this direction only."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Reset the connection."""
        connected = self._writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def nothing(self) -> None:
        """Do nothing more, and keep the connection open."""
        await asyncio.get_running_loop().create_future()

    async def well(self) -> None:
        """Serve one object correctly, request after request."""
        while True:
            request = await self.request()
            if request.method == "GET" and "list-type" in request.query:
                answer = Answer(200, LIST)
            elif request.method in {"GET", "HEAD"}:
                answer = content(DATA, request)
            else:
                answer = Answer(200, b"", {"ETag": '"e1"'})
            await self.send(bytes_of(answer, request.method))


Talk: TypeAlias = Callable[[Peer], Awaitable[None]]


def bytes_of(answer: Answer, method: str = "GET") -> bytes:
    """Give the bytes of an answer."""
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Whatever')}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else answer.body)


class RawServer:
    """The server: each of its first connections follows one talk, and all later ones are served correctly.

    Attributes:
        requests: The heads of the requests, in order.
        connections: The number of connections.
    """

    def __init__(self, *talks: Talk) -> None:
        self._talks = list(talks)
        self._running: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.requests: list[Request] = []
        self.connections = 0
        self._first = asyncio.Event()

    @property
    def asked(self) -> list[str]:
        """The methods of all requests."""
        return [request.method for request in self.requests]

    async def asked_once(self) -> None:
        """Wait for the first request."""
        await self._first.wait()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self, tls: ssl.SSLContext | None, receive_buffer: int | None) -> None:
        """Listen."""
        listening = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._server = await asyncio.start_server(self._connected, sock=listening, ssl=tls)

    async def close(self) -> None:
        """Close all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self.connections += 1
        talk = self._talks.pop(0) if self._talks else Peer.well
        try:
            await talk(Peer(self, reader, writer))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            self._running.discard(task)


def sockets_to(port: int) -> int:
    """Count this process's connections to a port of the loopback."""
    inodes = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[9] in inodes and int(row[2].split(":")[1], 16) == port for row in rows)


async def client_of(provider: S3Provider) -> EndpointClient:
    """Give the data plane's client that a provider uses."""
    plane = await provider._planes.data()
    assert isinstance(plane, WirePlane)
    return plane.client.endpoint


def make(port: int, pool: SessionPool, *, scheme: str = "http", **config: Any) -> S3Provider:
    """Make a provider with one attempt for each request, and short timeouts."""
    given = {
        "bucket_name": "bkt",
        "endpoint_url": f"{scheme}://127.0.0.1:{port}",
        "server": "aws",
        "access_key_id": ACCESS,
        "secret_access_key": SECRET,
        "max_attempts": 1,
        "retry_delay": 0,
        "read_timeout": READ_TIMEOUT,
    }
    return S3Provider(given | config, pool=pool)


@asynccontextmanager
async def faulty(
    *talks: Talk, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None, **config: Any
) -> AsyncIterator[tuple[S3Provider, RawServer]]:
    """Run a server; give it and a provider. Afterwards no slot may be taken, and the next request must work."""
    server = RawServer(*talks)
    await server.open(tls, receive_buffer)
    port = server.port
    try:
        async with SessionPool() as pool:
            provider = make(port, pool, scheme="https" if tls else "http", **config)
            yield provider, server
            client = await client_of(provider)
            assert client.pool.busy == 0
            server._talks.clear()
            assert (await provider.get("k")) == DATA
            assert client.pool.busy == 0
            assert 1 <= sockets_to(port) <= client.pool.limit
        for _ in range(3):
            await asyncio.sleep(0)  # transports close in the next round of the loop
        assert sockets_to(port) == 0
    finally:
        await server.close()
