"""Examines the way to a server step by step, for `bucketry doctor`: addresses, a connection, the TLS handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from bucketry._wire.connect import Origin, open_socket, refused, too_slow
from bucketry._wire.errors import WireError
from bucketry.errors import ConfigError, UnreachableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A connection that was opened and closed again.

    Attributes:
        address: The server's address.
        tcp: Seconds until the connection was open.
        tls: Seconds of the TLS handshake; `None`: the connection has no TLS.
        version: The version of TLS, such as `"TLSv1.3"`; empty without TLS.
        subject: The name in the certificate; empty without TLS.
        issuer: Who signed the certificate; empty without TLS.
        expires: When the certificate ends, in seconds since 1970; `None` without TLS.
    """

    address: str
    tcp: float
    tls: float | None = None
    version: str = ""
    subject: str = ""
    issuer: str = ""
    expires: float | None = None


async def find_addresses(origin: Origin) -> tuple[str, ...]:
    """Return the addresses of an origin's host, in the order of the resolver.

    Raises:
        WireError: The host has none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        problem = f"{origin.host} has no address: {exc.strerror or exc}; check the endpoint and this machine's DNS"
        raise WireError(UnreachableError, problem) from exc
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def try_way(origin: Origin, tls: ssl.SSLContext | None, limit: float) -> tuple[Way, WireError | None]:
    """Open a connection, make the TLS handshake if there is TLS, and close the connection.

    Args:
        origin: The server.
        tls: The settings of TLS; `None`: plain HTTP.
        limit: The longest time in seconds, for each of the two steps.

    Returns:
        What was seen, and why the handshake failed; its message says what to do.

    Raises:
        WireError: The connection cannot be opened; the message says what to do.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(limit):
            connected = await open_socket(origin)
    except TimeoutError as exc:
        raise too_slow(origin, limit) from exc
    address, tcp = str(connected.getpeername()[0]), time.monotonic() - began
    if tls is None:
        connected.close()
        return Way(address=address, tcp=tcp), None
    began = time.monotonic()
    transport: asyncio.BaseTransport | None = None
    try:
        async with asyncio.timeout(limit):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=connected, ssl=tls, server_hostname=origin.host
            )
            seconds, secured = time.monotonic() - began, transport.get_extra_info("ssl_object")
    except TimeoutError:
        return Way(address=address, tcp=tcp), too_slow(origin, limit)
    except ssl.SSLCertVerificationError as exc:
        problem = f"the certificate of {origin} is not accepted: {exc.verify_message}; {_advice(exc)}"
        return Way(address=address, tcp=tcp), WireError(ConfigError, problem)
    except OSError as exc:
        return Way(address=address, tcp=tcp), refused(origin, exc)
    finally:
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        connected.close()
    certificate = secured.getpeercert() or {}
    way = Way(
        address=address,
        tcp=tcp,
        tls=seconds,
        version=secured.version() or "",
        subject=_name(certificate.get("subject", ())),
        issuer=_name(certificate.get("issuer", ())),
        expires=float(ssl.cert_time_to_seconds(certificate["notAfter"])) if "notAfter" in certificate else None,
    )
    return way, None


def _advice(exc: ssl.SSLCertVerificationError) -> str:
    if "mismatch" in exc.verify_message or "not valid for" in exc.verify_message:
        return "the certificate is for another host: use the host that it names as the endpoint"
    if "expired" in exc.verify_message:
        return "renew the certificate on the server, and check this machine's clock"
    return "if you trust the server's own authority, give its file: --ca-bundle FILE, or the entry ca_bundle"


def _name(parts: Any) -> str:  # noqa: ANN401 - the standard library's nested tuples
    """Return the most telling part of a certificate's name: the common name, else the organisation."""
    found = {name: value for part in parts for name, value in part}
    names = [found.get("commonName"), found.get("organizationName")]
    return ", ".join(name for name in names if name)
