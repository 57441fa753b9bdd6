"""The blocking socket of a lane (see `lanes`), with or without TLS.

The methods that send or receive bytes block, so they are called in a worker thread.
"""

from __future__ import annotations

import socket
import ssl
from typing import Protocol, TypeVar

from bucketry._core.units import KiB
from bucketry._wire.tls import TlsEngine

LEAST_ROOM = 64 * KiB  # with less room for TLS records, a call would receive few of them
T = TypeVar("T")


class Stream(Protocol):
    """The connection of a lane. All methods block, except `clean` and `answered`."""

    def start(self) -> None:
        """Prepare the connection for the first byte."""

    def receive(self, buffer: memoryview, count: int, *, whole: bool) -> int:
        """Receive at most `count` bytes into the buffer, and return their number; 0: the connection has ended.

        Args:
            buffer: The memory for the bytes. What follows them may be overwritten.
            count: The most bytes to receive.
            whole: Whether to wait until as many bytes as possible were received.
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

    def receive(self, buffer: memoryview, count: int, *, whole: bool) -> int:
        """See `Stream.receive`. The kernel receives all in one call."""
        return self._socket.recv_into(buffer, count, socket.MSG_WAITALL if whole else 0)

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
        self._ended = False

    def start(self) -> None:
        """Make the handshake."""
        room = memoryview(bytearray(16 * KiB))
        try:
            while not self._engine.handshake():
                self._receive_records(room)
        finally:
            self._flush()  # after an error, it tells the server why

    def receive(self, buffer: memoryview, count: int, *, whole: bool) -> int:
        """See `Stream.receive`. TLS records are received into the free part of the buffer, and decrypted into it."""
        got = 0
        while got < count:
            try:
                read: int = self._engine.tls.read(count - got, buffer[got:])  # type: ignore[assignment]  # with a buffer
            except ssl.SSLWantReadError:
                if got and (not whole or len(buffer) - got < LEAST_ROOM):
                    break
                self._receive_records(buffer[got:])
                continue
            except ssl.SSLZeroReturnError:  # without this end of TLS, an `SSLEOFError` is raised: the body may be cut
                break
            if not read:
                break
            got += read
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

    def _receive_records(self, room: memoryview) -> None:
        """Send the outgoing TLS records, then receive TLS records into the room, and give TLS a copy of them."""
        self._flush()
        count = self._socket.recv_into(room)
        if count:
            self._incoming.write(room[:count])
        else:
            self._ended = True
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())
