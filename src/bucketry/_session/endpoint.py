"""Where requests go and who signs them, and how one provider wants it done."""

from __future__ import annotations

from dataclasses import dataclass, field

from bucketry._core.timeouts import Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, and the settings of one provider that uses it.

    Two of them are equal where they are of the same servers, reached by the same authorities' certificates, and the
    same account: such providers share connections, their limit, credentials, retry budget and clock. The settings,
    which are the last four attributes, are not compared.

    Attributes:
        url: Scheme, host and port; `None`: botocore chooses it for the region (AWS).
        region: What requests are signed for.
        access_key: `None`: aiobotocore's credential chain.
        secret_key: The secret half.
        session_token: Of temporary credentials.
        profile: Of the shared AWS configuration files.
        ca_bundle: Path of the certificate authorities to trust; `None`: the system's.
        standard_url: Where standard requests go; `None`: only botocore can tell.
        anonymous: Requests are not signed, and no credentials are looked for.
        loopback: The endpoint is on this machine.
        addressing_style: `"path"` or `"virtual"`.
        signs_bodies: Signatures are over the hashes of bodies, which is how the server sees that they came whole.
        timeouts: How long the provider's requests wait.
        max_connections: Sockets at most; of providers that share them the largest number counts.
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
