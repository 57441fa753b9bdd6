"""An endpoint, its credentials, and one provider's settings for its requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from bucketry._core.timeouts import Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, and the settings of one provider that uses it.

    Two endpoints are equal if their servers, their certificate authorities and their accounts are the same. Providers
    with equal endpoints share connections with their limit, credentials, retry budget and clock. The settings, which
    are the last four attributes, are not compared.

    Attributes:
        url: Scheme, host and port; `None`: botocore chooses it for the region (AWS).
        region: The region in signatures.
        access_key: The access key's id; `None`: aiobotocore's credential chain.
        secret_key: The secret access key.
        session_token: Of temporary credentials.
        profile: Of the shared AWS configuration files.
        ca_bundle: Path of the file with the certificate authorities to trust; `None`: the system's.
        standard_url: The URL for the data plane's requests; `None`: only botocore can build it.
        anonymous: Requests are not signed, and no credentials are searched.
        loopback: The endpoint is on this machine.
        addressing_style: `"path"` or `"virtual"`.
        signs_bodies: Signatures cover the bodies' hashes, so that the server can check that a body arrived whole.
        timeouts: Of the provider's requests.
        max_connections: The largest number of sockets; providers that share them use the largest of their numbers.
    """

    url: str | None
    region: str
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    ca_bundle: str | None = None
    standard_url: str | None = None
    anonymous: bool = False
    loopback: bool = False
    addressing_style: str = field(compare=False)
    signs_bodies: bool = field(default=False, compare=False)
    timeouts: Timeouts = field(compare=False)
    max_connections: int = field(compare=False)
