"""The table of the built-in providers: names, classes and configuration classes, each imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bucketry._core.entries import ProviderConfig

_S3 = ("bucketry.providers.s3", "bucketry._core.s3_config")


class Builtin(NamedTuple):
    """A built-in provider.

    Attributes:
        module: The module of the class.
        config_module: The module of the configuration class.
        name: The name of both classes, without the words `Provider` and `Config`.
    """

    module: str
    config_module: str
    name: str

    @property
    def provider_class(self) -> type[Any]:
        """The class of the provider."""
        found: type[Any] = getattr(import_module(self.module), f"{self.name}Provider")
        return found

    @property
    def config_class(self) -> type[ProviderConfig]:
        """The class of its configuration."""
        found: type[ProviderConfig] = getattr(import_module(self.config_module), f"{self.name}Config")
        return found

    @property
    def is_cloud(self) -> bool:
        """Whether the provider is one of the S3 family."""
        return self.module == _S3[0]


BUILTIN = {
    "local": Builtin("bucketry.providers.local", "bucketry._core.config", "Local"),
    **dict.fromkeys(("s3", "aws"), Builtin(*_S3, "S3")),
    **dict.fromkeys(("digitalocean", "do", "spaces"), Builtin(*_S3, "DigitalOcean")),
    "wasabi": Builtin(*_S3, "Wasabi"),
    **dict.fromkeys(("backblaze", "b2"), Builtin(*_S3, "Backblaze")),
    **dict.fromkeys(("cloudflare", "r2", "cloudflare_r2"), Builtin(*_S3, "CloudflareR2")),
    "memory": Builtin("bucketry.providers.memory", "bucketry._core.config", "Memory"),
}
"""The built-in provider for each name of the factory."""


def secret_entries() -> frozenset[str]:
    """Return the names of the entries that are never shown."""
    return frozenset(
        name
        for builtin in BUILTIN.values()
        for name, entry in builtin.config_class.__dataclass_fields__.items()
        if not entry.repr
    )
