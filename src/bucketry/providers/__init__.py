"""The provider classes, their base for providers of your own, and the factory; loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucketry.providers.factory import StorageProviderFactory as StorageProviderFactory
    from bucketry.providers.local import LocalProvider as LocalProvider
    from bucketry.providers.memory import MemoryProvider as MemoryProvider
    from bucketry.providers.prefixed import PrefixedProvider as PrefixedProvider
    from bucketry.providers.provider import StorageProvider as StorageProvider
    from bucketry.providers.s3 import BackblazeProvider as BackblazeProvider
    from bucketry.providers.s3 import CloudflareR2Provider as CloudflareR2Provider
    from bucketry.providers.s3 import DigitalOceanProvider as DigitalOceanProvider
    from bucketry.providers.s3 import S3Provider as S3Provider
    from bucketry.providers.s3 import WasabiProvider as WasabiProvider

_HOMES = {
    "BackblazeProvider": "s3",
    "CloudflareR2Provider": "s3",
    "DigitalOceanProvider": "s3",
    "LocalProvider": "local",
    "MemoryProvider": "memory",
    "PrefixedProvider": "prefixed",
    "S3Provider": "s3",
    "StorageProvider": "provider",
    "StorageProviderFactory": "factory",
    "WasabiProvider": "s3",
}

__all__ = [
    "BackblazeProvider",
    "CloudflareR2Provider",
    "DigitalOceanProvider",
    "LocalProvider",
    "MemoryProvider",
    "PrefixedProvider",
    "S3Provider",
    "StorageProvider",
    "StorageProviderFactory",
    "WasabiProvider",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    """Load the module of a public name when it is first used."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
