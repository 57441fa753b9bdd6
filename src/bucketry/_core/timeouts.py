"""How long a request may wait, and for what."""

from __future__ import annotations

from dataclasses import dataclass

CONNECT_TIMEOUT = 10.0  # a TCP and TLS handshake across the world takes under 1 s
READ_TIMEOUT = 60.0  # longest silence of a server that is still working


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; `None`: no limit. A provider's configuration gives it, and it goes whole to where a socket waits.

    Attributes:
        connect: From the first packet to the end of the TLS handshake.
        read: The longest silence of a server that has a request.
        pool: Waiting for a connection while none becomes free and no byte moves on any.
        total: One request until its answer begins, and as much again for the answer's body.
    """

    connect: float = CONNECT_TIMEOUT
    read: float = READ_TIMEOUT
    pool: float | None = None
    total: float | None = None
