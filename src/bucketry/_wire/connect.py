"""Opens connections for the event loop (`unary`) and for worker threads (`lanes`): addresses, TCP and TLS settings."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohappyeyeballs

from bucketry._wire.errors import WireError
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

    Args:
        ca_bundle: Path of the file with the certificate authorities to trust; `None`: the system's authorities.

    Raises:
        WireError: The file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as exc:
        problem = f"the certificate authorities in {ca_bundle!r} cannot be read: {exc}"
        raise WireError(ConfigError, problem) from exc
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_socket(origin: Origin) -> socket.socket:
    """Return a connected socket, without blocking; several addresses of a host are tried in the order of RFC 8305.

    Raises:
        WireError: No address accepts a connection.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=ATTEMPT_DELAY)
    except OSError as exc:
        raise refused(origin, exc) from exc
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connected


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
