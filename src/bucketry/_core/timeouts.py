"""The timeouts of a request."""

from __future__ import annotations

from bucketry._core.frozen import dataclass

CONNECT_TIMEOUT = 10.0  # a TCP and TLS handshake across the world takes under 1 s
READ_TIMEOUT = 60.0  # a working server may send nothing for this long


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts in seconds; `None`: no limit. The provider's configuration makes this value, and the transports use it.

    Attributes:
        connect: From the first packet to the end of the TLS handshake.
        read: The longest time without a byte from or to the server during a request.
        pool: The longest wait while no connection becomes free and no connection moves a byte.
        total: For one request until its response begins, and as long again for the response's body.
    """

    connect: float = CONNECT_TIMEOUT
    read: float = READ_TIMEOUT
    pool: float | None = None
    total: float | None = None
