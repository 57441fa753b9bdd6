"""The five S3-compatible clouds: one code, five rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bucketry._core.config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    S3Config,
    S3FamilyConfig,
    TransferConfig,
    WasabiConfig,
)
from bucketry._core.config_dicts import (
    BackblazeConfigDict,
    CloudflareR2ConfigDict,
    DigitalOceanConfigDict,
    S3ConfigDict,
    S3FamilyConfigDict,
    WasabiConfigDict,
)
from bucketry._providers.s3.endpoint import is_own_endpoint
from bucketry._providers.s3.requests import S3Requests
from bucketry._session.pool import SessionPool
from bucketry._vendors import aws, backblaze, generic, r2, spaces, wasabi
from bucketry._vendors.row import Vendor
from bucketry.errors import ConfigError
from bucketry.providers.provider import StorageProvider

_PLACE = (
    "name",
    "title",
    "scheme",
    "endpoint_template",
    "endpoint_host",
    "regions",
    "signing_region",
    "addressing_style",
)
"""What a row says of the vendor's name and places, and not of what its servers do."""


class S3FamilyProvider(S3Requests, StorageProvider):
    """A bucket of an S3-compatible cloud; the base of its class for one more cloud, which names a row.

    `anonymous=True` asks without credentials, for what is public. `server` says what a server of one's own behind
    `endpoint_url` does: all that AWS does (`"aws"`), or little (`"generic"`).

    Args:
        config: A mapping with the entries of the configuration class, or an instance of it.
        pool: Shared sessions and connections; without one the provider makes its own.
        transfer: How `upload`, `download` and streams are transferred.
        environ: Of the provider's own pool, see `SessionPool`; where `pool` is given it is not looked at.

    Raises:
        ConfigError: An entry is missing, unknown or malformed; names it and the nearest valid one.
    """

    config_class: ClassVar[type[S3FamilyConfig]]
    vendor: ClassVar[Vendor]

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
        self._transfer_as_given = transfer  # what was not given is not checked against the connections

    def _row(self, config: S3FamilyConfig) -> Vendor:
        """Give the row of facts: what the server does may be configured, its name and place stay the class's."""
        if config.server == "auto":
            return self.vendor
        if config.server == "aws" and is_own_endpoint(config, self.vendor):
            message = (
                f"{self.vendor.name}: server: 'aws' is for a server of your own behind endpoint_url; "
                f"what {self.vendor.title} does is known, so leave it out"
            )
            raise ConfigError(message)
        row = aws.VENDOR if config.server == "aws" else generic.VENDOR
        return replace(row, **{name: getattr(self.vendor, name) for name in _PLACE})

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the configuration only; a pool of the provider's own is made anew."""
        pool, environ = (None, self._pool.given_environ) if self._owns_pool else (self._pool, None)
        return {"config": self._config, "pool": pool, "transfer": self._transfer_as_given, "environ": environ}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin closed."""
        self.__init__(**state)  # type: ignore[misc]  # the state is the constructor's arguments


class S3Provider(S3FamilyProvider):
    """A bucket of AWS S3, or of any S3-compatible server behind `endpoint_url`; see `S3Config`.

    Behind an `endpoint_url` that is not AWS's little is promised (no conditional writes) unless the
    configuration says `server="aws"`.
    """

    config_class = S3Config
    vendor = aws.VENDOR

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
    """A Wasabi bucket; see `WasabiConfig`. An object is billed for 90 days even when it is deleted before."""

    config_class = WasabiConfig
    vendor = wasabi.VENDOR

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

    Deleting hides: the bytes stay billed until a lifecycle rule removes them.
    """

    config_class = BackblazeConfig
    vendor = backblaze.VENDOR

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
