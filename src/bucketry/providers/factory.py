"""Providers by name, from the environment and by URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from bucketry._core.config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    LocalConfig,
    MemoryConfig,
    ProviderConfig,
    S3Config,
    TransferConfig,
    WasabiConfig,
    nearest,
)
from bucketry.errors import ConfigError

if TYPE_CHECKING:
    from bucketry._core.provider import IStorageProvider
    from bucketry._session.pool import SessionPool

ENTRY_POINTS = "bucketry.providers"

_S3 = "bucketry.providers.s3"
_BUILTIN: dict[str, tuple[str, str, type[ProviderConfig]]] = {
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
"""By factory name: module and class, imported when first made, and where its configuration comes from."""


class StorageProviderFactory:
    """Makes providers by name.

    Providers of other packages come by `register`, or by the entry points `bucketry.providers`.
    """

    _registered: ClassVar[dict[str, type[Any]]] = {}

    @classmethod
    def create(
        cls,
        config: Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> IStorageProvider:
        """Make the provider that `config["provider_type"]` names.

        Args:
            config: `provider_type`, and the provider's own entries.
            pool: Shared sessions and connections.
            transfer: How the provider transfers.

        Raises:
            ConfigError: The type is missing or unknown (the nearest names are given), or an entry is wrong.
        """
        if not isinstance(config, Mapping):
            message = f"StorageProviderFactory: config must be a mapping, not {type(config).__name__}"
            raise ConfigError(message)
        kind = config.get("provider_type")
        if not isinstance(kind, str) or not kind:
            message = f"provider_type is missing; known are {', '.join(cls.get_registered_providers())}"
            raise ConfigError(message)
        own = {name: value for name, value in config.items() if name != "provider_type"}
        provider: IStorageProvider = cls._class(kind)(own, pool=pool, transfer=transfer)
        return provider

    @classmethod
    def get_registered_providers(cls) -> list[str]:
        """Give every name: the built-in ones in a fixed order, then registered ones, then those of entry points."""
        found = (point.name for point in entry_points(group=ENTRY_POINTS))
        return list(dict.fromkeys([*_BUILTIN, *cls._registered, *found]))

    @classmethod
    def register(cls, name: str, provider_class: type[Any]) -> None:
        """Make `provider_class(config, *, pool, transfer)` known under a name of its own.

        Raises:
            ConfigError: The name is empty or built in.
        """
        if not isinstance(name, str) or not name or name in _BUILTIN:
            message = f"register: {name!r} is {'built in' if name in _BUILTIN else 'not a name'}; choose another"
            raise ConfigError(message)
        if not callable(provider_class):
            message = f"register: {name!r}: a provider is a class, not {type(provider_class).__name__}"
            raise ConfigError(message)
        cls._registered[name] = provider_class

    @classmethod
    def from_environment(
        cls, kind: str, environ: Mapping[str, str], *, pool: SessionPool | None = None
    ) -> IStorageProvider:
        """Make a registered provider by its class method `from_environment(environ, *, pool)`, else without entries."""
        provider_class = cls._class(kind)
        made: IStorageProvider
        if hasattr(provider_class, "from_environment"):
            made = provider_class.from_environment(environ, pool=pool)
        else:
            made = provider_class({}, pool=pool)
        return made

    @classmethod
    def _class(cls, kind: str) -> type[Any]:
        name = kind.lower()
        if name in _BUILTIN:
            module, class_name, _ = _BUILTIN[name]
            found: type[Any] = getattr(import_module(module), class_name)
            return found
        if kind in cls._registered:
            return cls._registered[kind]
        for point in entry_points(group=ENTRY_POINTS, name=kind):
            try:
                loaded: type[Any] = point.load()
            except (ImportError, AttributeError) as exc:
                message = f"provider_type {kind!r}: its entry point {point.value!r} cannot be loaded: {exc}"
                raise ConfigError(message) from exc
            return loaded
        message = f"provider_type {kind!r} is unknown; {nearest(kind, tuple(cls.get_registered_providers()))}"
        raise ConfigError(message)


def storage_provider_from_env(
    environ: Mapping[str, str] | None = None, *, pool: SessionPool | None = None
) -> IStorageProvider:
    """Make the provider that `STORAGE_PROVIDER` names (default `local`), from its own variables.

    Args:
        environ: Where to read; `None`: this process's environment.
        pool: Shared sessions and connections.

    Raises:
        ConfigError: The name is unknown, or a variable is missing or malformed; names it.
    """
    environ = os.environ if environ is None else environ
    kind = environ.get("STORAGE_PROVIDER") or "local"
    name = kind.lower()
    if name not in _BUILTIN:
        return StorageProviderFactory.from_environment(kind, environ, pool=pool)
    module, class_name, config_class = _BUILTIN[name]
    provider: IStorageProvider = getattr(import_module(module), class_name)(
        config_class.from_environment(environ), pool=pool
    )
    return provider


_SCHEMES = {
    "s3": "s3",
    "r2": "r2",
    "b2": "b2",
    "wasabi": "wasabi",
    "spaces": "spaces",
    "file": "local",
    "memory": "memory",
}


def open_storage(url: str, *, pool: SessionPool | None = None, **config: Any) -> IStorageProvider:  # noqa: ANN401 - entries
    """Make a provider from a URL: `s3://bucket/prefix`, `r2://…`, `b2://…`, `wasabi://…`, `spaces://…`, `file:///…`, `memory://`.

    With a prefix, keys are named below it. What the URL does not say comes from `config`, else from the provider's
    environment variables.

    Args:
        url: Scheme, bucket and prefix; for `file` an absolute directory.
        pool: Shared sessions and connections.
        config: The provider's configuration entries.

    Raises:
        ConfigError: The URL is malformed or its scheme unknown, or an entry is missing or wrong.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:  # brackets that are no address
        parts = None
    if parts is None or not parts.scheme or "://" not in url:
        message = f"open_storage: {url!r} is not a URL such as s3://bucket/prefix or file:///directory"
        raise ConfigError(message)
    if parts.scheme not in _SCHEMES:
        message = f"open_storage: scheme {parts.scheme!r} is unknown; {nearest(parts.scheme, tuple(_SCHEMES))}"
        raise ConfigError(message)
    if parts.username is not None or parts.query or parts.fragment:
        message = "open_storage: the URL holds user info, a query or a fragment; give entries as arguments"
        raise ConfigError(message)
    kind = _SCHEMES[parts.scheme]
    path = unquote(parts.path)
    if kind == "local":
        if parts.netloc not in {"", "localhost"} or not path:
            message = f"open_storage: {url!r}: give file:///absolute/directory, with three slashes"
            raise ConfigError(message)
        return StorageProviderFactory.create({"provider_type": kind, "base_path": path, **config}, pool=pool)
    prefix = path.lstrip("/")
    if kind == "memory":
        prefix = f"{parts.netloc}/{prefix}" if parts.netloc else prefix
        inner = StorageProviderFactory.create({"provider_type": kind, **config}, pool=pool)
    else:
        found = _BUILTIN[kind][2].entries(os.environ)
        inner = StorageProviderFactory.create(
            {**found, "provider_type": kind, "bucket_name": parts.netloc, **config}, pool=pool
        )
    if not prefix:
        return inner
    prefixed: IStorageProvider = import_module("bucketry.providers.prefixed").PrefixedProvider(
        inner, prefix if prefix.endswith("/") else f"{prefix}/"
    )
    return prefixed
