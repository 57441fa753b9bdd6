"""The blocking socket of a lane (see `lanes`), with or without TLS.

The methods that send or receive bytes block, so they are called in a worker thread.
"""

from __future__ import annotations

import socket
import ssl
from typing import Protocol, TypeVar

from bucketry._core.units import KiB
from bucketry._wire.tls import TlsEngine

RECEIVED = 128 * KiB  # the most bytes of TLS records that one call receives; TLS keeps a copy of them
T = TypeVar("T")


class Stream(Protocol):
    """The connection of a lane. All methods block, except `clean` and `answered`."""

    def start(self) -> None:
        """Prepare the connection for the first byte."""

    def receive(self, view: memoryview, *, whole: bool) -> int:
        """Receive bytes into the view, and return their number; 0: the connection has ended.

        With `whole`, the view is filled unless the connection ends earlier.
        """

    def send(self, data: bytes | memoryview) -> None:
        """Send all bytes."""

    def answered(self) -> None:
        """Store what later connections can use, now that a response has come; this does not block."""

    def clean(self) -> bool:
        """Return whether all received bytes were read; this does not block."""


class Plain:
    """A connection without TLS."""

    def __init__(self, connected: socket.socket) -> None:
        """Store the socket."""
        self._socket = connected

    def start(self) -> None:
        """Do nothing, because a plain connection needs no preparation."""

    def receive(self, view: memoryview, *, whole: bool) -> int:
        """See `Stream.receive`. The kernel fills the view in one call."""
        return self._socket.recv_into(view, len(view), socket.MSG_WAITALL if whole else 0)

    def send(self, data: bytes | memoryview) -> None:
        """See `Stream.send`."""
        self._socket.sendall(data)

    def answered(self) -> None:
        """Do nothing, because later connections can use nothing of a plain connection."""

    def clean(self) -> bool:
        """See `Stream.clean`. It is always true, because unread bytes stay in the kernel."""
        return True


class Tls:
    """A connection with TLS. It uses memory buffers, so that one system call receives many TLS records.

    `SSLSocket` makes two system calls for each record, which has at most 16 KiB. Memory buffers save a fifth of the CPU
    time of a 1 GiB download.
    """

    def __init__(self, connected: socket.socket, engine: TlsEngine) -> None:
        """Store the socket and the memory buffers; no I/O."""
        self._socket = connected
        self._engine = engine
        self._incoming, self._outgoing = engine.incoming, engine.outgoing
        self._received = memoryview(b"")
        self._ended = False

    def start(self) -> None:
        """Make the handshake."""
        try:
            while not self._engine.handshake():
                self._receive_records()
        finally:
            self._flush()  # after an error, it tells the server why

    def receive(self, view: memoryview, *, whole: bool) -> int:
        """See `Stream.receive`."""
        got = 0
        while got < len(view):
            try:
                count: int = self._engine.tls.read(len(view) - got, view[got:])  # type: ignore[assignment]  # with a buffer
            except ssl.SSLWantReadError:
                if got and not whole:
                    break
                self._receive_records()
                continue
            except ssl.SSLZeroReturnError:  # without this end of TLS, an `SSLEOFError` is raised: the body may be cut
                break
            if not count:
                break
            got += count
        return got

    def send(self, data: bytes | memoryview) -> None:
        """See `Stream.send`."""
        self._engine.tls.write(data)
        self._flush()

    def answered(self) -> None:
        """Keep the TLS session for later connections."""
        self._engine.keep_session()

    def clean(self) -> bool:
        """See `Stream.clean`. One call may receive a body together with bytes after it."""
        return not (self._ended or self._incoming.pending or self._engine.tls.pending())

    def _receive_records(self) -> None:
        """Send the outgoing TLS records, then receive TLS records."""
        self._flush()
        if not self._received:  # made in the lane's thread, as the lane's buffer
            self._received = memoryview(bytearray(RECEIVED))
        count = self._socket.recv_into(self._received)
        if count:
            self._incoming.write(self._received[:count])
        else:
            self._ended = True
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())
