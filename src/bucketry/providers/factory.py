"""Makes providers by name, from environment variables and from URLs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from bucketry._core.config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    LocalConfig,
    MemoryConfig,
    S3Config,
    S3FamilyConfig,
    TransferConfig,
    WasabiConfig,
)
from bucketry._core.entries import Given, ProviderConfig, given_by, nearest, without_locals, wrong_entry
from bucketry.errors import ConfigError
from bucketry.providers.url import StorageURL, read_url

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

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
"""For each name of the factory: the module and the class, imported on first use, and the configuration class."""


class StorageProviderFactory:
    """Makes providers by name.

    Other packages add providers with `register`, or with entry points of the group `bucketry.providers`.
    """

    _registered: ClassVar[dict[str, type[Any]]] = {}

    @classmethod
    @without_locals
    def create(
        cls,
        config: Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> IStorageProvider:
        """Make the provider with the name `config["provider_type"]`.

        Args:
            config: `provider_type` and the provider's own entries.
            pool: Shared sessions and connections.
            transfer: The configuration of the provider's transfers.

        Raises:
            ConfigError: The type is missing or unknown (the message names similar ones), or an entry is wrong.
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
        """Return all names: the built-in names in a fixed order, then registered names, then names of entry points."""
        found = (point.name for point in _entry_points())
        return list(dict.fromkeys([*_BUILTIN, *cls._registered, *found]))

    @classmethod
    def register(cls, name: str, provider_class: type[Any]) -> None:
        """Register `provider_class(config, *, pool, transfer)` under a new name.

        Raises:
            ConfigError: The name is empty or that of a built-in provider, or `provider_class` cannot be called.
        """
        if not isinstance(name, str) or not name or name.lower() in _BUILTIN:
            message = f"register: {name!r} is {'built in' if name else 'not a name'}; choose another"
            raise ConfigError(message)
        if not callable(provider_class):
            message = f"register: {name!r}: a provider is a class, not {type(provider_class).__name__}"
            raise ConfigError(message)
        cls._registered[name] = provider_class

    @classmethod
    def from_environment(
        cls, kind: str, environ: Mapping[str, str], *, pool: SessionPool | None = None
    ) -> IStorageProvider:
        """Make a registered provider from environment variables.

        This calls the class method `from_environment(environ, *, pool)`. A class without this method is called without
        configuration entries.
        """
        named = f"STORAGE_PROVIDER={kind!r}" if environ.get("STORAGE_PROVIDER") == kind else None
        provider_class = cls._class(kind, named)
        made: IStorageProvider
        if hasattr(provider_class, "from_environment"):
            made = provider_class.from_environment(environ, pool=pool)
        else:
            made = provider_class({}, pool=pool)
        return made

    @classmethod
    def _class(cls, kind: str, named: str | None = None) -> type[Any]:
        named = named or f"provider_type {kind!r}"  # for errors
        name = kind.lower()
        if name in _BUILTIN:
            module, class_name, _ = _BUILTIN[name]
            found: type[Any] = getattr(import_module(module), class_name)
            return found
        if kind in cls._registered:
            return cls._registered[kind]
        for point in _entry_points(name=kind):
            try:
                loaded: type[Any] = point.load()
            except (ImportError, AttributeError) as exc:
                message = f"{named}: its entry point {point.value!r} cannot be loaded: {exc}"
                raise ConfigError(message) from exc
            return loaded
        message = f"{named} is unknown; {nearest(kind, tuple(cls.get_registered_providers()))}"
        raise ConfigError(message)


def _entry_points(**only: str) -> EntryPoints:
    """Return the providers of other packages; the module that finds them takes long to load, and is seldom needed."""
    found: EntryPoints = import_module("importlib.metadata").entry_points(group=ENTRY_POINTS, **only)
    return found


def storage_provider_from_env(
    environ: Mapping[str, str] | None = None, *, pool: SessionPool | None = None
) -> IStorageProvider:
    """Make the provider named by the variable `STORAGE_PROVIDER` (default `local`), from the provider's variables.

    Args:
        environ: The variables; `None`: this process's environment. Without `pool`, the provider's own pool reads these
            variables, too; see `SessionPool`.
        pool: Shared sessions and connections.

    Raises:
        ConfigError: The provider's name is unknown, or a variable is missing or malformed; the message says which.
    """
    return configured_from(os.environ if environ is None else environ, {}).make(pool=pool)


def open_storage(
    url: str,
    *,
    pool: SessionPool | None = None,
    transfer: TransferConfig | None = None,
    **config: Any,  # noqa: ANN401 - entries
) -> IStorageProvider:
    """Make a provider from a URL: `s3://bucket/prefix`, `r2://…`, `b2://…`, `wasabi://…`, `spaces://…`, `file:///…`, `memory://…`.

    With a prefix, all keys are relative to the prefix. The query may contain configuration entries, but no secrets:
    `s3://bucket?endpoint_url=https://minio.example&region=eu-1`. Entries that are neither in the URL nor in `config`
    come from the provider's environment variables.

    Args:
        url: Scheme, bucket, prefix and entries; for `file`, an absolute directory.
        pool: Shared sessions and connections.
        transfer: The configuration of the provider's transfers.
        config: The provider's configuration entries.

    Raises:
        ConfigError: The URL is malformed, its scheme is unknown, an entry is missing or wrong, the query contains a
            secret, or URL and `config` give different values.
    """
    configured = configured_by_url(read_url(url), os.environ, given_by("an argument", config))
    return configured.make(pool=pool, transfer=transfer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A provider that is not made yet.

    Attributes:
        kind: The factory's name for the provider.
        entries: The configuration entries that were given, and what gave each of them. A provider that is not built in
            has none, because it reads its own variables.
        environ: The environment variables.
        prefix: All keys are relative to this prefix; empty: none.
    """

    kind: str
    entries: Mapping[str, Given]
    environ: Mapping[str, str] = field(repr=False)
    prefix: str = ""

    @property
    def config_class(self) -> type[ProviderConfig] | None:
        """The class of the provider's configuration; `None`: the provider is not built in."""
        return _BUILTIN[self.kind.lower()][2] if self.kind.lower() in _BUILTIN else None

    def make(self, *, pool: SessionPool | None = None, transfer: TransferConfig | None = None) -> IStorageProvider:
        """Make the provider.

        Raises:
            ConfigError: An entry is missing, unknown or malformed.
        """
        inner = self._inner(pool, transfer)
        if not self.prefix:
            return inner
        prefixed: IStorageProvider = import_module("bucketry.providers.prefixed").PrefixedProvider(inner, self.prefix)
        return prefixed

    def _inner(self, pool: SessionPool | None, transfer: TransferConfig | None) -> IStorageProvider:
        if self.kind.lower() not in _BUILTIN:
            return StorageProviderFactory.from_environment(self.kind, self.environ, pool=pool)
        module, class_name, config_class = _BUILTIN[self.kind.lower()]
        options = {"environ": self.environ} if issubclass(config_class, S3FamilyConfig) else {}
        entries = {name: given.value for name, given in self.entries.items()}
        made: IStorageProvider = getattr(import_module(module), class_name)(
            entries, pool=pool, transfer=transfer, **options
        )
        return made


def configured_from(environ: Mapping[str, str], entries: Mapping[str, Given], *, kind: str | None = None) -> Configured:
    """Configure the provider named by `kind`, else by `STORAGE_PROVIDER`; `entries` replace the provider's variables.

    Raises:
        ConfigError: As for `storage_provider_from_env`, or an entry is wrong or unknown for this provider.
    """
    kind = kind or environ.get("STORAGE_PROVIDER") or "local"
    if kind.lower() in _BUILTIN:
        config_class = _BUILTIN[kind.lower()][2]
        found = config_class.laid_over(config_class.entries(environ), entries)
        return Configured(kind=kind, entries=found, environ=environ)
    if entries:
        message = f"{kind}: {next(iter(entries))}: this provider takes its entries from its own variables only"
        raise ConfigError(message)
    return Configured(kind=kind, entries={}, environ=environ)


def configured_by_url(url: StorageURL, environ: Mapping[str, str], entries: Mapping[str, Given]) -> Configured:
    """Configure the provider of a URL; the URL's entries and `entries` replace the provider's variables.

    Raises:
        ConfigError: As for `open_storage`.
    """
    config_class = _BUILTIN[url.kind][2]
    said = url.place | _query_entries(url, config_class)
    for name, value in said.items():
        if name in entries and entries[name].value not in (None, value):
            problem = "the URL gives one value, and another is given beside it; leave one out"
            raise wrong_entry(config_class.provider, name, problem)
    # A file URL is complete, so no variable is read.
    found = {} if url.kind == "local" else config_class.entries(environ)
    found = config_class.laid_over(config_class.laid_over(found, given_by("the URL", said)), entries)
    return Configured(kind=url.kind, entries=found, environ=environ, prefix=url.prefix)


def is_same_class(one: str, other: str) -> bool:
    """Return whether two names mean the same built-in provider."""
    return _BUILTIN.get(one.lower(), one)[:2] == _BUILTIN.get(other.lower(), other)[:2]


def _query_entries(url: StorageURL, config_class: type[ProviderConfig]) -> dict[str, Any]:
    secret = {entry.name for _, _, kind in _BUILTIN.values() for entry in fields(kind) if not entry.repr}
    known = tuple(entry.name for entry in fields(config_class) if entry.name not in {*secret, *url.place})
    found = {}
    for name, text in url.query.items():
        if name in secret:
            message = (
                f"{config_class.provider}: {name}: is a secret, and URLs are shown and logged; "
                "give it as a variable or an argument"
            )
            raise ConfigError(message)
        if name not in known:
            message = f"{config_class.provider}: {name}: unknown entry in the URL's query; {nearest(name, known)}"
            raise ConfigError(message)
        found[name] = config_class.from_text(name, text, f"{name} in the URL's query")
    return found
