"""Sends small requests on the event loop, with one asyncio protocol for each connection. `http1` parses the bytes.

`Unary.send` returns a connection when the response's head was read. The caller reads the body from the connection, and
then returns the connection with `done`. While the caller does not read, at most about 1 MiB is read from the socket.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import NamedTuple, TypeAlias, cast

from bucketry._core.timeouts import Timeouts
from bucketry._core.units import KiB, MiB
from bucketry._wire.connect import Connector, Origin, bytes_moved, refused, too_slow
from bucketry._wire.errors import WireError
from bucketry._wire.http1 import AnswerHead, AnswerReader
from bucketry._wire.pool import IdleTimer, Pool, is_stale
from bucketry._wire.tls import Rounds, TlsEngine, TlsTransport
from bucketry.errors import ConnectionFailedError, IncompleteBodyError, RequestTimeoutError

MAX_BODY = 256 * KiB  # larger bodies are sent in lanes, because hashing and sending them here would block the loop
MAX_BUFFERED = 1 * MiB  # unread bytes of a body in memory; at this size the socket is no longer read
_SMALL = 16 * KiB  # a request body up to this size is joined with its head, and both are written at once

Transport: TypeAlias = asyncio.Transport | TlsTransport


class Request(NamedTuple):
    """A request ready to be sent; a tuple, because many are made.

    Attributes:
        method: The method, in capitals.
        head: The head, ready to be sent.
        body: The body, at most `MAX_BODY` bytes; larger bodies are sent in lanes.
        repeatable: Whether sending the request twice has the same effect as sending it once.
    """

    method: str
    head: bytes
    body: bytes | bytearray | memoryview = b""
    repeatable: bool = True


class Outbox:
    """Collects small requests during one round of the event loop, and writes all of them at its end.

    This saves 5–10 µs for each request, because the server is woken once for all of them.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Connection, bytes]] = []

    def add(self, connection: Connection, data: bytes) -> None:
        """Write the bytes of a request at the end of the round."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((connection, data))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection, data in waiting:
            connection.write(data)


class Connection(asyncio.BufferedProtocol):
    """One connection, for one request at a time.

    All connections of a pool receive into one buffer. `asyncio.Protocol` makes a new buffer each time, which costs
    three page faults and 17 µs of system time for each response.

    Attributes:
        sent: Whether any byte of the present request was given to the transport.
        answer_started: Whether any byte of the present response was received.
    """

    def __init__(self, pool: Pool, origin: Origin, outbox: Outbox) -> None:
        """Begin unconnected."""
        self._pool = pool
        self._outbox = outbox
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._transport: Transport | None = None
        self._reader: AnswerReader | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self._failure: WireError | None = None
        self._reading = True
        self._since = 0.0
        self._idle = IdleTimer()
        self.sent = self.answer_started = False

    # --- one request -------------------------------------------------------------------------------

    def begin(self, request: Request) -> None:
        """Send a request."""
        self.sent = self.answer_started = False
        transport = self._transport
        if transport is None or transport.is_closing():
            raise self._failure or self._broken(None)
        self._reader = AnswerReader(request.method)
        self._pieces.clear()
        self._buffered = 0
        self._since = time.monotonic()
        if len(request.body) > _SMALL:
            self.sent = True
            transport.writelines((request.head, request.body))
            return
        data = request.head + request.body if request.body else request.head
        if self._pool.busy > 1:
            self._outbox.add(self, data)
        else:  # no other request is under way, so waiting saves nothing
            self.sent = True
            transport.write(data)

    def write(self, data: bytes) -> None:
        """Write the bytes of a request, if the connection is still open."""
        if self._transport is not None and not self._transport.is_closing():
            self.sent = True
            self._transport.write(data)

    async def answered(self) -> None:
        """Wait for the response's head."""
        reader = cast("AnswerReader", self._reader)
        while reader.head is None:
            await self._wait_for_bytes()

    @property
    def answer(self) -> AnswerHead:
        """The response's head. Use it only after `answered` has returned."""
        reader = self._reader
        assert reader is not None  # noqa: S101 - used only after `answered`
        assert reader.head is not None  # noqa: S101 - as above
        return reader.head

    async def piece(self) -> bytes:
        """Wait for bytes of the body, and return all that were received; empty: the body is complete."""
        reader = cast("AnswerReader", self._reader)
        while not self._pieces:
            if reader.done:
                return b""
            await self._wait_for_bytes()
        found = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return found

    async def body(self, limit: int | None = None) -> bytes:
        """Return the rest of the body in one piece.

        If the connection breaks, this method raises an error. After that, `piece` first returns the bytes that were
        received, then raises the error again.

        Args:
            limit: The largest number of bytes to return; a longer body is cut.
        """
        if len(self._pieces) == 1 and self._reader is not None and self._reader.done:
            return self._pieces.pop()[:limit]  # the usual case: the body was received together with the head
        pieces: list[bytes] = []
        size = 0
        try:
            while (limit is None or size < limit) and (piece := await self.piece()):
                pieces.append(piece)
                size += len(piece)
        except BaseException:
            self._pieces[:0] = pieces  # the received bytes are kept for `piece`, whatever the error is
            raise
        return b"".join(pieces)[:limit]  # a body that came in one piece is not copied

    def reusable(self) -> bool:
        """Return whether the response is complete and the connection can be used for another request."""
        reader, transport = self._reader, self._transport
        return (
            reader is not None
            and reader.reusable
            and self._reading
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()  # the response came before the whole request was sent
        )

    async def _wait_for_bytes(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._since = time.monotonic()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _broken(self, exc: Exception | None) -> WireError:
        reader = self._reader
        if reader is not None and reader.head is not None:
            how = f"broke ({type(exc).__name__})" if exc is not None else "ended"
            return WireError(IncompleteBodyError, f"the body {how} after {reader.progress}")
        how = f"broke: {exc}" if exc is not None else "was closed"
        return WireError(ConnectionFailedError, f"the connection to {self._origin} {how} before an answer came")

    def detach(self) -> tuple[socket.socket, TlsEngine | None]:
        """Take the open socket and its TLS out of the event loop; this object is of no use afterwards."""
        transport = cast("Transport", self._transport)
        detached: socket.socket = transport.get_extra_info("socket").dup()
        transport.abort()  # closes only its own descriptor of the socket
        return detached, transport.engine if isinstance(transport, TlsTransport) else None

    # --- called by the pool ------------------------------------------------------------------------

    def usable(self) -> bool:
        """Return whether the connection is still open."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close the connection without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    def idle(self, now: float, limit: float) -> float:
        """Return the seconds since the last byte if a caller waits for bytes, else 0."""
        transport = self._transport
        if self._waiter is None or transport is None:
            return 0.0
        return self._idle.seconds(self._since, now, limit, lambda: bytes_moved(transport.get_extra_info("socket")))

    def moved(self) -> int:
        """Return a number that changes when bytes move: the bytes of the body read here plus the kernel's counters."""
        received = self._reader.received if self._reader is not None else 0
        return received + (bytes_moved(self._transport.get_extra_info("socket")) if self._transport is not None else 0)

    def expire(self, seconds: float) -> None:
        """Fail the present request, because the connection was idle for too long."""
        reader = self._reader
        if reader is not None and reader.head is not None:
            self._failure = WireError(IncompleteBodyError, f"the body stalled after {reader.progress}")
        else:
            problem = f"{self._origin} has not answered for {seconds:.0f} s"
            self._failure = WireError(RequestTimeoutError, problem)
        self.close()
        self._wake()

    # --- called by the transport -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the shared buffer; `buffer_updated` copies its bytes before another connection receives into it."""
        return self._pool.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read the received bytes, and wake the caller that waits for them."""
        reader = self._reader
        if reader is None or reader.done or not self.sent:  # these bytes belong to no request
            self._pool.forget(self)
            self.close()
            return
        self.answer_started = True
        self._since = time.monotonic()
        try:
            piece = reader.feed(self._pool.buffer[:nbytes])
        except WireError as exc:
            self._failure = exc
            self.close()
        else:
            if piece:
                self._pieces.append(bytes(piece))
                self._buffered += len(piece)
                if self._buffered >= MAX_BUFFERED and self._reading and not reader.done and self._transport is not None:
                    self._reading = False
                    self._transport.pause_reading()
        if self._waiter is not None and (self._pieces or reader.head is not None or self._failure is not None):
            self._wake()

    def eof_received(self) -> None:
        """Return `None`, so that asyncio closes the connection, because sending alone is of no use."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the present request, or remove an idle connection from the pool."""
        self._transport = None
        reader = self._reader
        if reader is None or reader.done:
            self._pool.forget(self)
        elif (exc is not None or not reader.feed_eof()) and self._failure is None:
            self._failure = self._broken(exc)
        self._wake()


class Unary:
    """The event loop's connections to one origin.

    Args:
        connector: Opens connections to the origin.
        pool: The pool with the slots and the idle connections.
        timeouts: The timeouts for connecting, and for an idle connection.
    """

    def __init__(self, connector: Connector, pool: Pool, timeouts: Timeouts) -> None:
        """Store the arguments; no I/O."""
        self._connector = connector
        self._pool = pool
        self._outbox = Outbox()
        self._handshakes = Rounds()
        self._timeouts = timeouts
        self._kind = (Connection, connector.origin)

    async def send(self, request: Request) -> Connection:
        """Send a request and wait for the head of its response; the caller has taken a slot.

        The caller returns the connection and its slot with `done`. After an error, this method has returned them.

        If the server has closed an idle connection, a new one replaces it; see `is_stale`.

        Raises:
            WireError: No response came.
        """
        connection = cast("Connection | None", self._pool.take(self._kind))
        try:
            while True:
                is_new = connection is None
                connection = connection or await self._connect()
                self._pool.watch(connection, self._timeouts.read)
                try:
                    connection.begin(request)
                    await connection.answered()
                except WireError as exc:
                    if is_new or not is_stale(connection, exc, repeatable=request.repeatable):
                        raise
                    self._pool.drop(connection)
                    connection = None
                else:
                    return connection
        except BaseException:
            self._pool.discard(connection)
            raise

    def done(self, connection: Connection) -> None:
        """Take back a connection, and keep it for the next request if its response was read to the end."""
        if connection.reusable():
            self._pool.release(self._kind, connection)
        else:
            self._pool.discard(connection)

    async def _connect(self) -> Connection:
        origin, seconds = self._connector.origin, self._timeouts.connect
        try:
            async with asyncio.timeout(seconds):
                return await self._open(Connection(self._pool, origin, self._outbox))
        except TimeoutError:
            raise too_slow(origin, seconds) from None
        except OSError as exc:
            raise refused(origin, exc) from exc

    async def _open(self, connection: Connection) -> Connection:
        tls = self._connector.tls
        secured = TlsTransport(tls.engine(), connection, self._handshakes) if tls is not None else None
        connected = await self._connector.open_socket()
        # From now on only the event loop may close the socket.
        await asyncio.get_running_loop().create_connection(lambda: secured or connection, sock=connected)
        if secured is not None:
            await secured.opened()
        return connection
