"""TLS without sockets, for the event loop (`unary`) and for worker threads (`streams`), on the memory buffers of `ssl`.

`TlsClient` stands for one origin, `TlsEngine` for one connection. `TlsTransport` puts an engine between asyncio's
transport and a protocol. asyncio's own TLS copies the bytes more often and calls more functions, which took 7–9 µs of
each small request.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from bucketry._core.units import KiB

_RECORD = 16 * KiB  # the most bytes in a TLS record: RFC 8446, § 5.1
SESSION_AGE = 3600.0  # seconds after which a handshake verifies the certificate again, although the session is valid
_REMEMBERED_FOR = 60.0  # seconds in which no newer session is taken, because taking one costs 0.4 ms


class TlsClient:
    """The TLS settings for one origin, and the last session with it.

    A handshake that resumes a session transfers no certificate and verifies none. So a session is used for one origin
    and one context only, and for `session_age` at most. Only a handshake that verified the certificate makes a session
    that is kept. If the server does not know the session any more, OpenSSL makes a full handshake.

    Threads may share a client, because the session is replaced as a whole.
    """

    def __init__(self, context: ssl.SSLContext, host: str, session_age: float = SESSION_AGE) -> None:
        """Begin without a session.

        Args:
            context: The settings, with the authorities to trust.
            host: The host that certificates must name.
            session_age: For how many seconds a session is resumed.
        """
        self._context = context
        self._host = host
        self._session_age = session_age
        self._kept: tuple[float, ssl.SSLSession] | None = None

    def engine(self) -> TlsEngine:
        """Return the engine of a new connection."""
        return TlsEngine(self)

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return TLS for a new connection, which resumes the last session if there is one. This takes up to 0.4 ms."""
        kept = self._kept
        session = kept[1] if kept is not None and time.monotonic() - kept[0] < self._session_age else None
        return self._context.wrap_bio(incoming, outgoing, server_hostname=self._host, session=session)

    def keep(self, tls: ssl.SSLObject) -> None:
        """Keep the session of a connection for the next connections, unless one was kept a moment ago."""
        kept, now = self._kept, time.monotonic()
        if tls.session_reused or (kept is not None and now - kept[0] < min(_REMEMBERED_FOR, self._session_age)):
            return
        session = tls.session
        if session is not None and session.has_ticket:
            self._kept = now, session


class TlsEngine:
    """TLS of one connection, without I/O.

    Attributes:
        incoming: The records that were received; the caller writes them.
        outgoing: The records to send; the caller reads them after each call of a method of `tls`.
        tls: Encrypts and decrypts; exists from the first step of the handshake.
    """

    tls: ssl.SSLObject

    def __init__(self, client: TlsClient) -> None:
        """Begin before the handshake."""
        self._client = client
        self._begun = self._kept = False
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def handshake(self) -> bool:
        """Take the next step of the handshake; return whether it is complete. A step takes up to 1.5 ms.

        Raises:
            ssl.SSLError: The handshake failed, or the certificate was refused.
            ValueError: No certificate can name this host.
        """
        if not self._begun:
            self._begun = True
            self.tls = self._client.wrap(self.incoming, self.outgoing)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def keep_session(self) -> None:
        """Keep the session for the next connections. Call it when a response came: the ticket comes before it."""
        if not self._kept:
            self._kept = True
            self._client.keep(self.tls)


class Rounds:
    """Runs functions one after the other, each in a round of the event loop of its own.

    A step of a handshake takes up to 1.5 ms, so those of 32 connections in one round would block the loop.
    """

    def __init__(self) -> None:
        """Begin without functions."""
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, function: Callable[[], None]) -> None:
        """Call the function in a later round."""
        self._waiting.append(function)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    async def turn(self) -> None:
        """Wait for a round of the caller's own."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self.add(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _next(self) -> None:
        function = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
        function()


class TlsTransport(asyncio.BufferedProtocol):
    """TLS between a transport and a protocol: the protocol of the one, and the transport of the other.

    The protocol is connected when the handshake is complete. It must return the same buffer from each `get_buffer`.
    Records are received into this buffer, too: they are copied to OpenSSL before the buffer is filled with what they
    contain.

    A connection that ends without TLS's own end (close_notify) may have been cut by anybody. So it ends with an error,
    also if no byte seems to be missing; asyncio's own TLS does not tell the two ends apart.

    Attributes:
        engine: The TLS of the connection.
    """

    _tls: ssl.SSLObject  # exists when the handshake is complete

    def __init__(self, engine: TlsEngine, protocol: asyncio.BufferedProtocol, rounds: Rounds) -> None:
        """Begin unconnected."""
        self.engine = engine
        self._protocol = protocol
        self._rounds = rounds
        self._incoming, self._outgoing = engine.incoming, engine.outgoing
        self._buffer = cast("memoryview", protocol.get_buffer(-1))
        self._transport = cast("asyncio.Transport", None)  # set by `connection_made`
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._complete = False
        self._asked = False
        self._ended = False
        self._failure: Exception | None = None

    async def opened(self) -> None:
        """Wait for the end of the handshake. After an error or a cancellation, the connection is closed.

        Raises:
            OSError: The handshake failed, or the certificate was refused.
        """
        try:
            await self._opened
        except BaseException:
            self._transport.abort()
            raise
        if self._failure is not None:
            raise self._failure

    # --- called by the lower transport ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask_for_step()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the protocol's buffer."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt the received records, and give the protocol what they contain."""
        self._incoming.write(self._buffer[:nbytes])
        if self._complete:
            self._decrypt()
        else:
            self._ask_for_step()

    def eof_received(self) -> None:
        """Store how the connection ended; return `None`, so that asyncio closes it."""
        if not self._ended:
            self._fail(ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "EOF occurred in violation of protocol"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, or the caller that waits for the handshake."""
        if self._complete:
            self._protocol.connection_lost(self._failure or exc)
            return
        self._failure = self._failure or exc or ConnectionAbortedError("the connection was closed in the TLS handshake")
        self._wake()

    # --- called by the protocol ------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Encrypt and send bytes."""
        self._tls.write(data)
        self._transport.write(self._outgoing.read())

    def writelines(self, pieces: tuple[bytes | bytearray | memoryview, ...]) -> None:
        """Encrypt and send several pieces at once."""
        for piece in pieces:
            self._tls.write(piece)
        self._transport.write(self._outgoing.read())

    def is_closing(self) -> bool:
        """Return whether the connection is closed or about to close."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Return how many encrypted bytes wait to be sent."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Receive nothing more; what was received already is still decrypted."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def get_extra_info(self, name: str) -> Any:  # noqa: ANN401 - as in asyncio
        """Return what the lower transport knows."""
        return self._transport.get_extra_info(name)

    # --- inside --------------------------------------------------------------------------------------

    def _ask_for_step(self) -> None:
        if not self._asked:
            self._asked = True
            self._rounds.add(self._step)

    def _step(self) -> None:
        """Take the next step of the handshake."""
        self._asked = False
        if self._transport.is_closing():
            return
        try:
            self._complete = self.engine.handshake()
        except (ssl.SSLError, ValueError) as exc:
            self._send_records()  # why the handshake failed, for the server
            self._fail(exc)
            return
        self._send_records()
        if self._complete:
            self._tls = self.engine.tls
            self._protocol.connection_made(cast("asyncio.Transport", self))
            self._wake()
            self._decrypt()

    def _decrypt(self) -> None:
        tls, incoming, buffer = self._tls, self._incoming, self._buffer
        size = len(buffer)
        failure: Exception | None = None
        while incoming.pending and not self._transport.is_closing():
            got = 0
            try:
                while got + _RECORD <= size and incoming.pending:  # OpenSSL is asked for nothing that it has not got
                    count: int = tls.read(size - got, buffer[got:])  # type: ignore[assignment]  # with a buffer
                    if not count:
                        self._ended = True
                        break
                    got += count
            except ssl.SSLWantReadError:
                pass  # the last record is not complete, or contained no data
            except ssl.SSLError as exc:
                failure = exc
            if got:
                self.engine.keep_session()
                self._protocol.buffer_updated(got)
            if failure is not None:
                self._fail(failure)
            elif self._ended:
                self._transport.abort()
        self._send_records()  # such as the answer to a change of keys

    def _wake(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _send_records(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _fail(self, exc: Exception) -> None:
        self._failure = self._failure or exc
        self._transport.abort()
