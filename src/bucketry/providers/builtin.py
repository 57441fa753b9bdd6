"""The table of the built-in providers: names, modules and configuration classes."""

from __future__ import annotations

from bucketry._core.config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    LocalConfig,
    MemoryConfig,
    S3Config,
    WasabiConfig,
)
from bucketry._core.entries import ProviderConfig

_S3 = "bucketry.providers.s3"

BUILTIN: dict[str, tuple[str, str, type[ProviderConfig]]] = {
    "local": ("bucketry.providers.local", "LocalProvider", LocalConfig),
    "s3": (_S3, "S3Provider", S3Config),
    "aws": (_S3, "S3Provider", S3Config),
    "digitalocean": (_S3, "DigitalOceanProvider", DigitalOceanConfig),
    "do": (_S3, "DigitalOceanProvider", DigitalOceanConfig),
    "spaces": (_S3, "DigitalOceanProvider", DigitalOceanConfig),
    "wasabi": (_S3, "WasabiProvider", WasabiConfig),
    "backblaze": (_S3, "BackblazeProvider", BackblazeConfig),
    "b2": (_S3, "BackblazeProvider", BackblazeConfig),
    "cloudflare": (_S3, "CloudflareR2Provider", CloudflareR2Config),
    "r2": (_S3, "CloudflareR2Provider", CloudflareR2Config),
    "cloudflare_r2": (_S3, "CloudflareR2Provider", CloudflareR2Config),
    "memory": ("bucketry.providers.memory", "MemoryProvider", MemoryConfig),
}
"""For each name of the factory: the module and the class, imported on first use, and the configuration class."""
