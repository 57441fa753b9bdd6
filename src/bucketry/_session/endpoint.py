"""An endpoint, its credentials, and one provider's settings for its requests."""

from __future__ import annotations

from dataclasses import field

from bucketry._core.frozen import dataclass
from bucketry._core.timeouts import Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, and the settings of one provider that uses it.

    Two endpoints are equal if their servers, certificate authorities and accounts are the same. Providers with equal
    endpoints share connections, the limit on connections, credentials, the retry budget and the clock. The last four
    attributes are settings of the provider, and are not compared.

    Attributes:
        url: Scheme, host and port; `None`: botocore chooses the URL for the region (AWS).
        region: The region in signatures.
        access_key: The access key's id; `None`: aiobotocore's credential chain.
        secret_key: The secret access key.
        session_token: The token of temporary credentials.
        profile: A profile of the shared AWS configuration files.
        ca_bundle: Path of the file with the certificate authorities to trust; `None`: the system's authorities.
        standard_url: The URL for the data plane's requests; `None`: only botocore can build it.
        anonymous: Whether requests are not signed, and no credentials are searched.
        loopback: Whether the endpoint is on this machine.
        addressing_style: `"path"` or `"virtual"`.
        signs_bodies: Whether signatures cover the bodies' hashes, so that the server can check that a body arrived
            whole.
        timeouts: The timeouts of the provider's requests.
        max_connections: The largest number of sockets. If several providers share the sockets, the largest of their
            numbers is used.
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
