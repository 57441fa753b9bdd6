"""The five S3-compatible clouds: one code, five rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from bucketry._providers.s3 import S3Requests
from bucketry._session.pool import SessionPool
from bucketry._vendors import aws, backblaze, generic, r2, spaces, wasabi
from bucketry._vendors.row import Vendor
from bucketry.providers.provider import StorageProvider


class S3FamilyProvider(S3Requests, StorageProvider):
    """A bucket of an S3-compatible cloud; the base of its class for one more cloud, which names a row.

    Args:
        config: A mapping with the entries of the configuration class, or an instance of it.
        pool: Shared sessions and connections; without one the provider makes its own.
        transfer: How `upload`, `download` and streams are transferred.

    Raises:
        ConfigError: An entry is missing, unknown or malformed; names it and the nearest valid one.
    """

    config_class: ClassVar[type[S3FamilyConfig]]
    vendor: ClassVar[Vendor]

    def __init__(
        self,
        config: Mapping[str, Any] | S3FamilyConfig,
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        checked = self.config_class.of(config)
        concurrency = (transfer or TransferConfig()).max_concurrency
        S3Requests.__init__(self, checked, self._row(checked), pool, concurrency=concurrency)
        StorageProvider.__init__(self, transfer)
        self._transfer_as_given = transfer  # what was not given is not checked against the connections

    def _row(self, config: S3FamilyConfig) -> Vendor:
        return self.vendor

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the configuration only; a pool of the provider's own is made anew."""
        pool = None if self._owns_pool else self._pool
        return {"config": self._config, "pool": pool, "transfer": self._transfer_as_given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin closed."""
        self.__init__(state["config"], pool=state["pool"], transfer=state["transfer"])  # type: ignore[misc]  # the state is the constructor's arguments


class S3Provider(S3FamilyProvider):
    """A bucket of AWS S3, or of any S3-compatible server behind `endpoint_url`; see `S3Config`.

    Behind an `endpoint_url` that is not AWS's little is promised (no conditional writes) unless the
    configuration says `server="aws"`.
    """

    config_class = S3Config
    vendor = aws.VENDOR

    def _row(self, config: S3FamilyConfig) -> Vendor:
        server = getattr(config, "server", "auto")
        if server == "auto":
            url = config.endpoint_url or ""
            host = re.sub(r"^[a-z]+://", "", url).partition("/")[0].partition(":")[0]
            host = host.removeprefix(f"{config.bucket_name}.")  # refused as such, by AWS's row
            server = "aws" if not url or re.fullmatch(aws.VENDOR.endpoint_host, host) else "generic"
        return aws.VENDOR if server == "aws" else generic.VENDOR


class DigitalOceanProvider(S3FamilyProvider):
    """A DigitalOcean Space; see `DigitalOceanConfig`."""

    config_class = DigitalOceanConfig
    vendor = spaces.VENDOR


class WasabiProvider(S3FamilyProvider):
    """A Wasabi bucket; see `WasabiConfig`. An object is billed for 90 days even when it is deleted before."""

    config_class = WasabiConfig
    vendor = wasabi.VENDOR


class BackblazeProvider(S3FamilyProvider):
    """A Backblaze B2 bucket; see `BackblazeConfig`.

    Deleting hides: the bytes stay billed until a lifecycle rule removes them.
    """

    config_class = BackblazeConfig
    vendor = backblaze.VENDOR


class CloudflareR2Provider(S3FamilyProvider):
    """A Cloudflare R2 bucket; see `CloudflareR2Config`. Keys are stored in Unicode form NFC."""

    config_class = CloudflareR2Config
    vendor = r2.VENDOR
