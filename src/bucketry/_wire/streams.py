"""A lane's bytes, plain or through TLS, over one blocking socket; for worker threads."""

from __future__ import annotations

import socket
import ssl
from typing import Protocol, TypeVar

from bucketry._core.units import KiB

RECEIVED = 256 * KiB  # of TLS records at once; more gives nothing
T = TypeVar("T")


class Stream(Protocol):
    """What a lane does with its connection. All of it blocks."""

    def start(self) -> None:
        """Do what comes before the first byte."""

    def receive(self, view: memoryview, *, whole: bool) -> int:
        """Receive some bytes, or as many as the view holds unless the connection ends before; 0: it has ended."""

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it."""

    def clean(self) -> bool:
        """Tell whether nothing was received that was not asked for; does not block."""


class Plain:
    """The socket itself."""

    def __init__(self, connected: socket.socket) -> None:
        """Remember it."""
        self._socket = connected

    def start(self) -> None:
        """Nothing comes before."""

    def receive(self, view: memoryview, *, whole: bool) -> int:
        """See `Stream.receive`: the kernel fills the view in one call."""
        return self._socket.recv_into(view, len(view), socket.MSG_WAITALL if whole else 0)

    def send(self, data: bytes | memoryview) -> None:
        """See `Stream.send`."""
        self._socket.sendall(data)

    def clean(self) -> bool:
        """See `Stream.clean`: what is left is the kernel's."""
        return True


class Tls:
    """TLS by memory: many records come in one system call, where `SSLSocket` makes two for each, of 16 KiB at most.

    For a download of 1 GiB that is a fifth of the CPU seconds.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Prepare; no I/O."""
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._received = memoryview(bytearray(RECEIVED))
        self._ended = False

    def start(self) -> None:
        """Make the handshake."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._more()
        self._flush()

    def receive(self, view: memoryview, *, whole: bool) -> int:
        """See `Stream.receive`."""
        got = 0
        while got < len(view):
            try:
                count: int = self._tls.read(len(view) - got, view[got:])  # type: ignore[assignment]  # with a buffer
            except ssl.SSLWantReadError:
                if got and not whole:
                    break
                self._more()
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                break
            if not count:
                break
            got += count
        return got

    def send(self, data: bytes | memoryview) -> None:
        """See `Stream.send`."""
        self._tls.write(data)
        self._flush()

    def clean(self) -> bool:
        """See `Stream.clean`: what follows a body may have been received with it."""
        return not (self._ended or self._incoming.pending or self._tls.pending())

    def _more(self) -> None:
        """Take what has come, having sent what waits to be."""
        self._flush()
        count = self._socket.recv_into(self._received)
        if count:
            self._incoming.write(self._received[:count])
        else:
            self._ended = True
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())
