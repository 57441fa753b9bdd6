"""Where requests go, and who signs them: the identity of a client."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The identity of a client: providers that agree in all of it share one client and its connections.

    Attributes:
        url: Scheme, host and port; `None`: botocore chooses it for the region (AWS).
        region: What requests are signed for.
        addressing_style: `"path"` or `"virtual"`.
        access_key: `None`: aiobotocore's credential chain.
        secret_key: The secret half.
        session_token: Of temporary credentials.
        profile: Of the shared AWS configuration files.
        ca_bundle: Path of the certificate authorities to trust; `None`: the system's.
        connect_timeout: Seconds.
        read_timeout: Seconds.
        max_connections: Sockets at most.
        standard_url: Where standard requests go; `None`: only botocore can tell.
        signs_bodies: Signatures are over the hashes of bodies, which is how the server sees that they came whole.
        pool_timeout: Seconds to wait for a connection while nothing moves.
        total_timeout: As in `S3FamilyConfig`.
        anonymous: Requests are not signed, and no credentials are looked for.
        loopback: The endpoint is on this machine.
    """

    url: str | None
    region: str
    addressing_style: str
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    ca_bundle: str | None = None
    connect_timeout: float
    read_timeout: float
    max_connections: int
    pool_timeout: float
    signs_bodies: bool = False
    standard_url: str | None = None
    total_timeout: float | None = None
    anonymous: bool = False
    loopback: bool = False
