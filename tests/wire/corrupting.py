"""A proxy on the loopback that changes one bit of a body between a client and a complete S3 server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bucketry._core.units import MiB

_END = b"\r\n\r\n"
_NO_BODY = (204, 304)
_READ_AHEAD = 16 * MiB  # more than a body, because a paused reader makes the sender wait for its timers


def _any(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """The bodies to change: one bit in the middle of each. Empty bodies are not counted.

    Attributes:
        method: Of the requests that are meant.
        where: Tells by the target, which is path and query, whether a request is meant.
        nth: The first of them that is changed; they count from 1.
        always: Every later one is changed too.
        answers: Bodies of answers are changed instead of those of requests.
    """

    method: str
    where: Callable[[str], bool] = _any
    nth: int = 1
    always: bool = False
    answers: bool = False


class CorruptingProxy:
    """The proxy. It accepts HTTP/1.1 with `Content-Length`, over TLS too, and uses plain HTTP to the server."""

    def __init__(self, server: str, tls: ssl.SSLContext | None = None) -> None:
        """Store the server's URL; no I/O."""
        parts = urlsplit(server)
        self._host, self._port = parts.hostname, parts.port
        self._tls = tls
        self._flip: Flip | None = None
        self._seen = 0
        self._changed: list[str] = []
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        """The proxy's URL."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    @contextmanager
    def changing(self, flip: Flip) -> Iterator[list[str]]:
        """Change bodies inside the block; gives a list that receives the targets of the changed requests."""
        self._flip, self._seen, self._changed = flip, 0, []
        try:
            yield self._changed
        finally:
            self._flip = None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls, limit=_READ_AHEAD)
        return self

    async def __aexit__(self, *ended: object) -> None:
        """Close all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self._writers.append(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client or the server has gone, or the test has ended
        finally:
            writer.close()
            self._running.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Forward one request and its answer; `False`: close the connection now."""
        head = await reader.readuntil(_END)
        method, target = head.decode("latin-1").split(" ", 2)[:2]
        body = await reader.readexactly(_length(head) or 0)
        # A new connection for each request, because the server may close an idle one without the client noticing.
        there, back = await self._open()
        try:
            back.write(head + self._passed(method, target, body, answer=False))
            await back.drain()
            answer_head = await there.readuntil(_END)
            status = int(answer_head.split(b" ", 2)[1])
            length = 0 if method == "HEAD" or status in _NO_BODY else _length(answer_head)
            answer = await there.read() if length is None else await there.readexactly(length)
        finally:
            back.transport.abort()
        writer.write(answer_head + self._passed(method, target, answer, answer=True))
        await writer.drain()
        return length is not None and b"\r\nconnection: close\r\n" not in answer_head.lower()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port, limit=_READ_AHEAD)

    def _passed(self, method: str, target: str, body: bytes, *, answer: bool) -> bytes:
        """Give the body to forward, changed if it is one of those to change."""
        flip = self._flip
        if flip is None or not body or flip.answers is not answer or flip.method != method or not flip.where(target):
            return body
        self._seen += 1
        if self._seen < flip.nth or (self._seen > flip.nth and not flip.always):
            return body
        self._changed.append(target)
        changed = bytearray(body)
        changed[len(body) // 2] ^= 1
        return bytes(changed)


def _length(head: bytes) -> int | None:
    """Give a body's length; `None`: the head has none."""
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    named = {name: value.strip() for name, _, value in lines}
    assert b"transfer-encoding" not in named, "the proxy takes bodies with Content-Length only"
    return int(named[b"content-length"]) if b"content-length" in named else None
