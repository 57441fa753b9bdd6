"""The providers of the five S3-compatible clouds: the same code with different data from `_vendors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from bucketry._core.config import TransferConfig
from bucketry._core.entries import without_locals
from bucketry._core.hedging import HedgeCounts
from bucketry._core.s3_config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    S3Config,
    S3FamilyConfig,
    WasabiConfig,
)
from bucketry._providers.s3.endpoint import is_own_endpoint
from bucketry._providers.s3.requests import S3Requests
from bucketry._runtime.gate import Gates
from bucketry._session.pool import SessionPool
from bucketry._vendors import aws, backblaze, generic, r2, spaces, wasabi
from bucketry._vendors.row import Vendor
from bucketry.errors import ConfigError
from bucketry.providers.provider import StorageProvider

if TYPE_CHECKING:
    from bucketry._core.config_dicts import (
        BackblazeConfigDict,
        CloudflareR2ConfigDict,
        DigitalOceanConfigDict,
        S3ConfigDict,
        S3FamilyConfigDict,
        WasabiConfigDict,
    )
    from bucketry._providers.s3.trial import Trial

_IDENTITY_FIELDS = (
    "name",
    "title",
    "scheme",
    "endpoint_template",
    "endpoint_host",
    "regions",
    "signing_region",
    "addressing_style",
)
"""The fields of a `Vendor` that describe its name and its endpoints, not the behaviour of its servers."""


class S3FamilyProvider(S3Requests, StorageProvider):
    """A bucket of an S3-compatible cloud; the base class of the providers, which set `vendor` to their cloud's data.

    With `anonymous=True`, requests are unsigned, for public buckets. `server` says what your own server behind
    `endpoint_url` supports: all that AWS supports (`"aws"`), or little (`"generic"`).

    Args:
        config: A mapping with the entries of the configuration class, or an instance of it.
        pool: Shared sessions and connections; `None`: the provider makes its own pool.
        transfer: How `upload`, `download` and streams are transferred.
        environ: The environment variables for the provider's own pool, see `SessionPool`; not used if `pool` is given.

    Raises:
        ConfigError: An entry is missing, unknown or malformed; the message names the entry and a similar valid one.
    """

    config_class: ClassVar[type[S3FamilyConfig]]
    vendor: ClassVar[Vendor]

    @without_locals
    def __init__(
        self,
        config: S3FamilyConfigDict | S3FamilyConfig | Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        checked = self.config_class.of(config)
        concurrency = (transfer or TransferConfig()).max_concurrency
        S3Requests.__init__(self, checked, self._row(checked), pool, concurrency=concurrency, environ=environ)
        StorageProvider.__init__(self, transfer)
        self._transfer_as_given = transfer  # not the defaults, which adapt to the number of connections

    @property
    def billed_by(self) -> str:
        """The name of the cloud whose list prices apply; empty: a server of your own behind `endpoint_url`."""
        return self.vendor.name if is_own_endpoint(self._config, self.vendor) else ""

    def _row(self, config: S3FamilyConfig) -> Vendor:
        """Return the vendor's data; the entry `server` can change the server's features, not its name and endpoints."""
        if config.server == "auto":
            return self.vendor
        if config.server == "aws" and is_own_endpoint(config, self.vendor):
            message = (
                f"{self.vendor.name}: server: 'aws' is for a server of your own behind endpoint_url; "
                f"what {self.vendor.title} does is known, so leave it out"
            )
            raise ConfigError(message)
        row = aws.VENDOR if config.server == "aws" else generic.VENDOR
        return replace(row, **{name: getattr(self.vendor, name) for name in _IDENTITY_FIELDS})

    @property
    def gates(self) -> Gates:
        """What limits transfers to the endpoint in the running event loop; all providers of the endpoint share it."""
        return self._bucket.gates.get()

    @property
    def hedge_counts(self) -> HedgeCounts:
        """How many reads of the endpoint were requested a second time in the running event loop, because of `hedge`."""
        return self._bucket.hedging.get().counts

    def trial(self) -> Trial:
        """Return requests to the bucket as if its row promised everything, for `bucketry doctor`; no I/O."""
        made: Trial = import_module("bucketry._providers.s3.trial").Trial(self._config, self._bucket.vendor, self._pool)
        return made

    @property
    def row(self) -> Vendor:
        """What is known of the server: the row of the vendor, or the row that the entry `server` names."""
        return self._bucket.vendor

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the configuration only; the copy makes a new pool if this provider made its own."""
        state: dict[str, Any] = {
            "config": self._config,
            "pool": None if self._owns_pool else self._pool,
            "transfer": self._transfer_as_given,
        }
        if self._owns_pool and (environ := self._pool.given_environ) is not None:
            state["environ"] = environ  # only if given, because a subclass need not have this argument
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the configuration; nothing is open."""
        self.__init__(**state)  # type: ignore[misc]  # the state is the constructor's arguments


class S3Provider(S3FamilyProvider):
    """A bucket of AWS S3, or of any S3-compatible server behind `endpoint_url`; see `S3Config`.

    For an `endpoint_url` outside AWS, few features are assumed (no conditional writes), unless the configuration says
    `server="aws"`.
    """

    config_class = S3Config
    vendor = aws.VENDOR

    @without_locals
    def __init__(
        self,
        config: S3ConfigDict | S3Config | Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        super().__init__(config, pool=pool, transfer=transfer, environ=environ)

    def _row(self, config: S3FamilyConfig) -> Vendor:
        server = config.server
        if server == "auto":
            server = "aws" if is_own_endpoint(config, aws.VENDOR) else "generic"
        return aws.VENDOR if server == "aws" else generic.VENDOR


class DigitalOceanProvider(S3FamilyProvider):
    """A DigitalOcean Space; see `DigitalOceanConfig`."""

    config_class = DigitalOceanConfig
    vendor = spaces.VENDOR

    @without_locals
    def __init__(
        self,
        config: DigitalOceanConfigDict | DigitalOceanConfig | Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        super().__init__(config, pool=pool, transfer=transfer, environ=environ)


class WasabiProvider(S3FamilyProvider):
    """A Wasabi bucket; see `WasabiConfig`. Each object is billed for at least 90 days, even if deleted earlier."""

    config_class = WasabiConfig
    vendor = wasabi.VENDOR

    @without_locals
    def __init__(
        self,
        config: WasabiConfigDict | WasabiConfig | Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        super().__init__(config, pool=pool, transfer=transfer, environ=environ)


class BackblazeProvider(S3FamilyProvider):
    """A Backblaze B2 bucket; see `BackblazeConfig`.

    A delete only hides an object: its bytes are billed until a lifecycle rule removes them.
    """

    config_class = BackblazeConfig
    vendor = backblaze.VENDOR

    @without_locals
    def __init__(
        self,
        config: BackblazeConfigDict | BackblazeConfig | Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        super().__init__(config, pool=pool, transfer=transfer, environ=environ)


class CloudflareR2Provider(S3FamilyProvider):
    """A Cloudflare R2 bucket; see `CloudflareR2Config`. Keys are stored in Unicode form NFC."""

    config_class = CloudflareR2Config
    vendor = r2.VENDOR

    @without_locals
    def __init__(
        self,
        config: CloudflareR2ConfigDict | CloudflareR2Config | Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        super().__init__(config, pool=pool, transfer=transfer, environ=environ)
