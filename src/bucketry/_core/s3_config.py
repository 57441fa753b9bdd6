"""The configuration classes of the clouds: frozen dataclasses, checked at construction, whose repr has no secrets."""

from __future__ import annotations

import os
from dataclasses import field
from typing import get_args

from bucketry._core.choices import AddressingStyle, Server, Transport
from bucketry._core.config import check_delay
from bucketry._core.entries import check_path, nearest, with_secrets, wrong_entry
from bucketry._core.frozen import dataclass
from bucketry._core.request_entries import S3RequestEntries
from bucketry._core.retry import FIRST_DELAY, MAX_ATTEMPTS
from bucketry._core.timeouts import CONNECT_TIMEOUT, READ_TIMEOUT, Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class S3FamilyConfig(S3RequestEntries):
    """The entries that all S3-compatible providers have; those for payment and encryption are in `S3RequestEntries`.

    Attributes:
        bucket_name: The bucket.
        endpoint_url: Replaces the vendor's endpoint, for tests and self-hosted servers.
        addressing_style: `"auto"` (the usual style of the vendor), `"path"` or `"virtual"`.
        transport: `"auto"` (bucketry's data plane for standard S3 endpoints, else aiobotocore) or `"aiobotocore"`.
        ca_bundle: Path of a PEM file with the certificate authorities to trust.
        allow_http: Allow `http://` for endpoints that are not on the loopback interface.
        connect_timeout: Seconds to open a connection.
        read_timeout: Seconds that a connection may be idle during a request.
        pool_timeout: Seconds that a call waits while no connection becomes free and no connection moves a byte. This
            happens if the users of the connections, such as open streams, do not read. `None`: as `read_timeout`.
        total_timeout: Seconds for one request until its response begins, and as many again for the response's body.
            On the data plane, a body that goes into a file (`fetch_range`, so downloads in parts) has one limit for the
            wait, the response and the body together. Bytes received until then are kept, and a read requests the rest.
            To limit a whole call, use `asyncio.timeout`. `None`: no limit while bytes move.
        max_attempts: The largest number of attempts for one request.
        retry_delay: Average seconds before the first retry; doubles with each further retry, but not above 2.5
            seconds, or not at all if `retry_delay` is more than 2.5. The server's `Retry-After` replaces the delay.
        max_connections: The largest number of sockets to the endpoint; `None`: 80, or `max_concurrency` if larger.
        hedge: Request a small object, range or HEAD a second time if the first request takes longer than 99 % of the
            last reads did, and use the first answer. At most 5 % more requests, which are billed.
        server: What the server behind a custom `endpoint_url` supports: `"aws"` (all that AWS supports), `"generic"`
            (little: no conditional writes), or `"auto"` (what the vendor of the class supports; `S3Provider` chooses
            `"aws"` for AWS's own hosts, else `"generic"`).
        anonymous: Send unsigned requests, for public buckets; credentials are not allowed then.
    """

    bucket_name: str
    endpoint_url: str | None = None
    addressing_style: AddressingStyle = "auto"
    transport: Transport = "auto"
    ca_bundle: str | os.PathLike[str] | None = None
    allow_http: bool = False
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    pool_timeout: float | None = None
    total_timeout: float | None = None
    max_attempts: int = MAX_ATTEMPTS
    retry_delay: float = FIRST_DELAY
    max_connections: int | None = None
    hedge: bool = False
    server: Server = "auto"
    anonymous: bool = False

    def __post_init__(self) -> None:
        """Check types and ranges; the code that builds URLs checks the host name."""
        self._text("bucket_name", "endpoint_url")
        if self.endpoint_url is not None and set(self.endpoint_url) & set("@?#"):
            # The error does not show the URL, because the text before an @ or in a query may be secret.
            problem = "holds user info, a query or a fragment; give credentials as configuration entries"
            raise wrong_entry(self.provider, "endpoint_url", problem)
        # Checked because an empty path would turn off the check of certificates.
        if self.ca_bundle is not None:
            check_path(self.provider, "ca_bundle", self.ca_bundle)
        self._one_of("addressing_style", get_args(AddressingStyle))
        self._one_of("transport", get_args(Transport))
        self._one_of("server", get_args(Server))
        self._bool("allow_http", "anonymous", "hedge")
        for name in ("connect_timeout", "read_timeout", "pool_timeout", "total_timeout"):
            value = getattr(self, name)
            if value is None and name in {"pool_timeout", "total_timeout"}:
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 3_600:  # noqa: PLR2004
                raise wrong_entry(
                    self.provider, name, f"must be a number of seconds above 0, 3600 at most, not {value!r}"
                )
        self._number("max_attempts", 100)
        check_delay(self.provider, self.retry_delay)
        if self.max_connections is not None:
            self._number("max_connections", 10_000)
        self._check_credentials()
        self._check_request_entries()

    @property
    def timeouts(self) -> Timeouts:
        """The four timeouts in one value; by default, the wait for a connection is as long as `read_timeout`."""
        return Timeouts(
            connect=self.connect_timeout,
            read=self.read_timeout,
            pool=self.read_timeout if self.pool_timeout is None else self.pool_timeout,
            total=self.total_timeout,
        )

    @property
    def access_key(self) -> str | None:
        """The id of the access key; `None`: botocore's credential chain finds the credentials, unless `anonymous`."""
        return getattr(self, "access_key_id", None)

    @property
    def secret_key(self) -> str | None:
        """The secret access key."""
        return getattr(self, "secret_access_key", None)

    def _check_credentials(self) -> None:
        given = [name for name in self.credentials if getattr(self, name) is not None]
        if self.anonymous and given:
            raise wrong_entry(self.provider, "anonymous", f"{given[0]} is given too; leave one of them out")
        for name in () if self.anonymous else self._required_credentials():
            if name not in given:
                raise self._missing(name)


@with_secrets
@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config(S3FamilyConfig):
    """AWS S3, and any S3-compatible server behind `endpoint_url`.

    Attributes:
        access_key_id: Give it together with `secret_access_key`; without both, botocore's credential chain is used.
        secret_access_key: The secret for `access_key_id`.
        session_token: The session token of temporary credentials.
        profile: The name of a profile in the shared AWS configuration files.
        region: The region, such as `"eu-central-1"`.
    """

    provider = "s3"
    credentials = ("access_key_id", "secret_access_key", "session_token", "profile")
    needs_credentials = False
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("AWS_BUCKET_NAME",),
        "access_key_id": ("AWS_ACCESS_KEY_ID",),
        "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "profile": ("AWS_PROFILE",),
        "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    }

    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    region: str = "us-east-1"

    def __post_init__(self) -> None:
        """Check types, and that the access key id and the secret key are given together or not at all."""
        S3FamilyConfig.__post_init__(self)
        self._text("access_key_id", "secret_access_key", "session_token", "profile", "region")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            missing = "secret_access_key" if self.secret_access_key is None else "access_key_id"
            raise wrong_entry(self.provider, missing, "is missing: give both halves of the credentials, or neither")
        if self.session_token is not None and self.access_key_id is None:
            raise wrong_entry(self.provider, "session_token", "needs access_key_id and secret_access_key beside it")


@with_secrets
@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalOceanConfig(S3FamilyConfig):
    """DigitalOcean Spaces; `region` is the datacenter's short name, such as `"nyc3"`."""

    provider = "digitalocean"
    credentials = ("access_key_id", "secret_access_key")
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("DO_SPACES_NAME",),
        "access_key_id": ("DO_SPACES_KEY", "SPACES_ACCESS_KEY_ID"),
        "secret_access_key": ("DO_SPACES_SECRET", "SPACES_SECRET_ACCESS_KEY"),
        "region": ("DO_SPACES_REGION",),
    }

    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    region: str = "nyc3"

    def __post_init__(self) -> None:
        """Check types."""
        S3FamilyConfig.__post_init__(self)
        self._text("access_key_id", "secret_access_key", "region")


@with_secrets
@dataclass(frozen=True, slots=True, kw_only=True)
class WasabiConfig(S3FamilyConfig):
    """Wasabi Hot Cloud Storage."""

    provider = "wasabi"
    credentials = ("access_key_id", "secret_access_key")
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("WASABI_BUCKET",),
        "access_key_id": ("WASABI_ACCESS_KEY", "WASABI_ACCESS_KEY_ID"),
        "secret_access_key": ("WASABI_SECRET_KEY", "WASABI_SECRET_ACCESS_KEY"),
        "region": ("WASABI_REGION",),
    }

    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"

    def __post_init__(self) -> None:
        """Check types."""
        S3FamilyConfig.__post_init__(self)
        self._text("access_key_id", "secret_access_key", "region")


@with_secrets
@dataclass(frozen=True, slots=True, kw_only=True)
class BackblazeConfig(S3FamilyConfig):
    """Backblaze B2 through its S3-compatible API; needs `endpoint_url` or `region`.

    Attributes:
        key_id: The id of an application key; the account's master key does not work with the S3 API.
        application_key: The application key.
        region: The region, such as `"us-west-004"`; `None`: it is taken from the endpoint's host name.
    """

    provider = "backblaze"
    credentials = ("key_id", "application_key")
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("BACKBLAZE_BUCKET", "B2_BUCKET_NAME"),
        "key_id": ("BACKBLAZE_KEY_ID", "B2_APPLICATION_KEY_ID"),
        "application_key": ("BACKBLAZE_APPLICATION_KEY", "B2_APPLICATION_KEY"),
        "endpoint_url": ("BACKBLAZE_ENDPOINT", "B2_ENDPOINT"),
        "region": ("B2_REGION",),
    }

    key_id: str | None = field(default=None, repr=False)
    application_key: str | None = field(default=None, repr=False)
    region: str | None = None

    def __post_init__(self) -> None:
        """Check types, and that an endpoint is known."""
        S3FamilyConfig.__post_init__(self)
        self._text("key_id", "application_key", "region")
        if self.endpoint_url is None and self.region is None:
            raise wrong_entry(
                self.provider,
                "endpoint_url",
                "is missing: give endpoint_url or region (see the bucket's page)",
            )

    @property
    def access_key(self) -> str | None:
        """The key id, which S3 calls the access key."""
        return self.key_id

    @property
    def secret_key(self) -> str | None:
        """The application key, which S3 calls the secret key."""
        return self.application_key


@with_secrets
@dataclass(frozen=True, slots=True, kw_only=True)
class CloudflareR2Config(S3FamilyConfig):
    """Cloudflare R2.

    Attributes:
        account_id: 32 hexadecimal digits, from the dashboard.
        jurisdiction: `"eu"` or `"fedramp"` for a bucket in that jurisdiction, else `None`.
    """

    provider = "cloudflare_r2"
    credentials = ("access_key_id", "secret_access_key")
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("CLOUDFLARE_R2_BUCKET",),
        "account_id": ("CLOUDFLARE_R2_ACCOUNT_ID",),
        "access_key_id": ("CLOUDFLARE_R2_ACCESS_KEY",),
        "secret_access_key": ("CLOUDFLARE_R2_SECRET_KEY",),
        "jurisdiction": ("CLOUDFLARE_R2_JURISDICTION",),
    }

    account_id: str
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    jurisdiction: str | None = None

    def __post_init__(self) -> None:
        """Check types and the format of the account id."""
        S3FamilyConfig.__post_init__(self)
        self._text("account_id", "access_key_id", "secret_access_key", "jurisdiction")
        if len(self.account_id) != 32 or set(self.account_id.lower()) - set("0123456789abcdef"):  # noqa: PLR2004
            raise wrong_entry(
                self.provider, "account_id", "is not 32 hexadecimal digits; copy it from the R2 dashboard"
            )
        if self.jurisdiction not in (None, "eu", "fedramp"):
            raise wrong_entry(self.provider, "jurisdiction", nearest(self.jurisdiction, ("eu", "fedramp")))
