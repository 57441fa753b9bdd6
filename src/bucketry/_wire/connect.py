"""Opens connections for the event loop (`unary`) and for worker threads (`lanes`): addresses, TCP and TLS settings."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import aiohappyeyeballs

from bucketry._core.frozen import dataclass
from bucketry._wire.errors import WireError
from bucketry._wire.tls import Rounds, TlsClient
from bucketry.errors import ConfigError, RequestTimeoutError, UnreachableError

ATTEMPT_DELAY = 0.25  # seconds before the next address is tried as well: RFC 8305, § 5
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_YET, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64  # X509_V_ERR_… in OpenSSL's x509_vfy.h
_TRUST = "ca_bundle names the authorities to trust"
_ADVICE = {
    _NOT_YET: "this machine's clock may be wrong",
    _EXPIRED: "the server needs a new one, if this machine's clock is right",
    _OTHER_NAME: "it belongs to another host; check endpoint_url",
    _OTHER_ADDRESS: "it belongs to another host; check endpoint_url",
}
_Addresses: TypeAlias = list[tuple[Any, ...]]  # what `socket.getaddrinfo` returns
_BYTES_ACKED = 120  # an offset in Linux's struct tcp_info, include/uapi/linux/tcp.h; the bytes received follow


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go: scheme, host and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of a URL."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])

    @property
    def secure(self) -> bool:
        """Whether requests to this origin use TLS."""
        return self.scheme == "https"

    @property
    def header(self) -> str:
        """The `Host` header, without the port if it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the origin as it is written in a URL."""
        return f"{self.scheme}://{self.header}"


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a TLS context that verifies certificates and host names. Blocks, because it reads the authorities' file.

    All pools of the process share the context while the file does not change, because reading the system's authorities
    takes many milliseconds.

    Args:
        ca_bundle: Path of the file with the certificate authorities to trust; `None`: the system's authorities.

    Raises:
        WireError: The file cannot be read.
    """
    system = ssl.get_default_verify_paths()
    paths = (ca_bundle,) if ca_bundle is not None else (system.cafile, system.capath)
    try:
        return _loaded(ca_bundle, tuple(_state(path) for path in paths if path is not None))
    except (OSError, ssl.SSLError) as exc:
        problem = f"the certificate authorities in {ca_bundle!r} cannot be read: {exc}"
        raise WireError(ConfigError, problem) from exc


def _state(path: str) -> tuple[str, int, int, int]:
    """Return what changes when a file or directory changes."""
    found = os.stat(path)
    return path, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=8)
def _loaded(ca_bundle: str | None, _: tuple[tuple[str, int, int, int], ...]) -> ssl.SSLContext:
    """Return a new TLS context, once for each state of the authorities' files."""
    context = ssl.create_default_context(cafile=ca_bundle)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION  # or TLS 1.2 could stop a write until bytes are received
    return context


class Connector:
    """Opens connections to one origin, for the event loop and for lanes.

    Attributes:
        origin: Scheme, host and port.
        tls: The TLS settings with the last session; `None`: for `http`.
    """

    def __init__(self, origin: Origin, context: ssl.SSLContext | None) -> None:
        """Store the arguments; no I/O."""
        self.origin = origin
        self.tls = TlsClient(context, origin.host) if context is not None else None
        self._lookup: asyncio.Future[_Addresses] | None = None
        self._rounds = Rounds()

    async def open_socket(self) -> socket.socket:
        """Return a connected socket, without blocking; a host's addresses are tried in the order of RFC 8305.

        To begin takes about 0.4 ms of the event loop. So connections that open together begin one in each round.

        Raises:
            WireError: No address accepts a connection.
        """
        try:
            found = await self._addresses()
            await self._rounds.turn()
            connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=ATTEMPT_DELAY)
        except OSError as exc:
            raise refused(self.origin, exc) from exc
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connected

    async def _addresses(self) -> _Addresses:
        """Return the addresses of the host; connections that open at the same time share one lookup.

        The result is used only by those who waited for it, so an address is never out of date.
        """
        find = partial(socket.getaddrinfo, self.origin.host, self.origin.port, type=socket.SOCK_STREAM)
        with suppress(socket.gaierror):  # it is a name
            return find(flags=socket.AI_NUMERICHOST)  # does not block, because nothing is looked up
        if self._lookup is None:
            self._lookup = asyncio.get_running_loop().run_in_executor(None, find)
            self._lookup.add_done_callback(self._looked_up)
        lookup = self._lookup
        await asyncio.wait([lookup])  # if one waiting task is cancelled, the others get the result
        return lookup.result()

    def _looked_up(self, lookup: asyncio.Future[_Addresses]) -> None:
        self._lookup = None
        if not lookup.cancelled():
            lookup.exception()  # fetched, so that the loop does not report it if nobody waits any more


def refused(origin: Origin, exc: OSError) -> WireError:
    """Return the error for a connection that could not be opened."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        advice = _ADVICE.get(exc.verify_code, _TRUST)
        problem = f"the certificate of {origin} was refused: {exc.verify_message.rstrip('.')}; {advice}"
        return WireError(ConfigError, problem)
    if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError):
        problem = (
            f"TLS with {origin} failed: {exc.reason or exc}: is it an https server? If it has no TLS, write http:// "
            "in endpoint_url"
        )
        return WireError(ConfigError, problem)
    return WireError(UnreachableError, f"cannot connect to {origin}: {exc}")


def too_slow(origin: Origin, seconds: float) -> WireError:
    """Return the error for a connection that took too long to open."""
    return WireError(RequestTimeoutError, f"connecting to {origin} took longer than {seconds:g} s")


def bytes_moved(connected: socket.socket) -> int:
    """Return a number that grows whenever the server acknowledges or sends a byte; 0 if the system has no such counter.

    One system call can send or receive many bytes, and until the call returns, its thread does not see how many bytes
    have moved. The kernel's counters show whether a slow server still sends or accepts bytes.
    """
    try:
        info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 16)
        return sum(struct.unpack_from("=QQ", info, _BYTES_ACKED))
    except (AttributeError, OSError, TypeError, struct.error):  # TypeError: uvloop's sockets do not support it
        return 0
