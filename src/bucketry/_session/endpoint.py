"""The endpoint and the credentials of a client, which are its identity."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The identity of a client: providers with equal values share one client and its connections.

    Attributes:
        url: Scheme, host and port; `None`: botocore chooses it for the region (AWS).
        region: What requests are signed for.
        addressing_style: `"path"` or `"virtual"`.
        access_key: The access key's id; `None`: aiobotocore's credential chain.
        secret_key: The secret access key.
        session_token: Of temporary credentials.
        profile: Of the shared AWS configuration files.
        ca_bundle: Path of the file with the certificate authorities to trust; `None`: the system's.
        connect_timeout: Seconds.
        read_timeout: Seconds.
        max_connections: The largest number of sockets.
        plain_url: The URL for the data plane's requests; `None`: only botocore can build it.
        signs_bodies: Signatures cover the bodies' hashes, so that the server can check that a body arrived whole.
        pool_timeout: Seconds to wait for a connection while no byte moves on the others.
        total_timeout: As in `S3FamilyConfig`.
        anonymous: Requests are not signed, and no credentials are searched.
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
    plain_url: str | None = None
    total_timeout: float | None = None
    anonymous: bool = False
    loopback: bool = False
