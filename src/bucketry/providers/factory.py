"""Makes providers by name, from environment variables and from URLs."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, fields, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from bucketry._core.config import TransferConfig
from bucketry._core.entries import Given, ProviderConfig, given_by, nearest, without_locals, wrong_entry
from bucketry._core.frozen import dataclass
from bucketry._runtime.threads import run_steps
from bucketry.errors import ConfigError
from bucketry.providers.builtin import BUILTIN, secret_entries
from bucketry.providers.url import StorageURL, read_url, split_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from bucketry._core.provider import IStorageProvider
    from bucketry._session.pool import SessionPool
    from bucketry.providers.places import NamedPlace

ENTRY_POINTS = "bucketry.providers"


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
        return list(dict.fromkeys([*BUILTIN, *cls._registered, *found]))

    @classmethod
    def register(cls, name: str, provider_class: type[Any]) -> None:
        """Register `provider_class(config, *, pool, transfer)` under a new name.

        Raises:
            ConfigError: The name is empty or that of a built-in provider, or `provider_class` cannot be called.
        """
        if not isinstance(name, str) or not name or name.lower() in BUILTIN:
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
        if name in BUILTIN:
            return BUILTIN[name].provider_class
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

    `"prod:run-1/"` means the named place `prod` of the configuration file, with `run-1/` added to its URL; entries in
    `config` replace those of the place. If a command gives one of its secrets, this function runs the command and waits
    for its end: in a program that serves others at the same time, call it in a thread.

    Args:
        url: Scheme, bucket, prefix and entries (for `file`, an absolute directory), or a place and a prefix.
        pool: Shared sessions and connections.
        transfer: The configuration of the provider's transfers.
        config: The provider's configuration entries.

    Raises:
        ConfigError: The URL is malformed, its scheme is unknown, an entry is missing or wrong, the query contains a
            secret, or URL and `config` give different values. Or the place is not in the configuration file, the file
            is malformed or others can write it, or there is no secret.
    """
    given, named = given_by("an argument", config), split_name(url) if isinstance(url, str) else None
    if named is None:
        configured = configured_by_url(read_url(url), os.environ, given)
    else:
        from bucketry.providers.places import read_places  # loads tomllib and subprocess

        name, path = named
        place = read_places(os.environ).place(name)
        configured = run_steps(configured_by_place(place, place.url_of(path), os.environ, given).with_secrets())
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
        place: The place of the configuration file that gave some of the entries; `None`: none.
    """

    kind: str
    entries: Mapping[str, Given]
    environ: Mapping[str, str] = field(repr=False)
    prefix: str = ""
    place: NamedPlace | None = None

    @property
    def config_class(self) -> type[ProviderConfig] | None:
        """The class of the provider's configuration; `None`: the provider is not built in."""
        return BUILTIN[self.kind.lower()].config_class if self.kind.lower() in BUILTIN else None

    def with_secrets(self) -> Generator[None, None, Configured]:
        """Get the secrets of the place; before that, their values are sources, see `NamedPlace`.

        This is a generator for `in_steps`, because a command may take long.

        Raises:
            ConfigError: There is no secret; the message does not show what a command printed.

        Cost: one process for each secret that comes from a command.
        """
        if self.place is None:
            return self
        try:
            entries = yield from self.place.with_secrets(self.entries, self.environ)
        except ConfigError as error:
            # Error reports may show the variables of a frame, and those below hold what a command printed.
            raise error.with_traceback(None) from None
        return replace(self, entries=entries)

    @without_locals
    def make(self, *, pool: SessionPool | None = None, transfer: TransferConfig | None = None) -> IStorageProvider:
        """Make the provider.

        Raises:
            ConfigError: An entry is missing, unknown or malformed.
        """
        with _naming(self.place):
            inner = self._inner(pool, transfer)
        if not self.prefix:
            return inner
        prefixed: IStorageProvider = import_module("bucketry.providers.prefixed").PrefixedProvider(inner, self.prefix)
        return prefixed

    def _inner(self, pool: SessionPool | None, transfer: TransferConfig | None) -> IStorageProvider:
        if self.kind.lower() not in BUILTIN:
            return StorageProviderFactory.from_environment(self.kind, self.environ, pool=pool)
        builtin = BUILTIN[self.kind.lower()]
        options = {"environ": self.environ} if builtin.is_cloud else {}
        entries = {name: given.value for name, given in self.entries.items()}
        made: IStorageProvider = builtin.provider_class(entries, pool=pool, transfer=transfer, **options)
        return made


@without_locals
def configured_from(environ: Mapping[str, str], entries: Mapping[str, Given], *, kind: str | None = None) -> Configured:
    """Configure the provider named by `kind`, else by `STORAGE_PROVIDER`; `entries` replace the provider's variables.

    Raises:
        ConfigError: As for `storage_provider_from_env`, or an entry is wrong or unknown for this provider.
    """
    kind = kind or environ.get("STORAGE_PROVIDER") or "local"
    if kind.lower() in BUILTIN:
        config_class = BUILTIN[kind.lower()].config_class
        found = config_class.laid_over(config_class.entries(environ), entries)
        return Configured(kind=kind, entries=found, environ=environ)
    if entries:
        message = f"{kind}: {next(iter(entries))}: this provider takes its entries from its own variables only"
        raise ConfigError(message)
    return Configured(kind=kind, entries={}, environ=environ)


@without_locals
def configured_by_url(url: StorageURL, environ: Mapping[str, str], entries: Mapping[str, Given]) -> Configured:
    """Configure the provider of a URL; the URL's entries and `entries` replace the provider's variables.

    Raises:
        ConfigError: As for `open_storage`.
    """
    config_class = BUILTIN[url.kind].config_class
    said = url.place | _query_entries(url, config_class)
    for name, value in said.items():
        if name in entries and entries[name].value not in (None, value):
            problem = "the URL gives one value, and another is given beside it; leave one out"
            raise wrong_entry(config_class.provider, name, problem)
    # A file URL is complete, so no variable is read.
    found = {} if url.kind == "local" else config_class.entries(environ)
    found = config_class.laid_over(config_class.laid_over(found, given_by("the URL", said)), entries)
    return Configured(kind=url.kind, entries=found, environ=environ, prefix=url.prefix)


@without_locals
def configured_by_place(
    place: NamedPlace, url: StorageURL, environ: Mapping[str, str], entries: Mapping[str, Given]
) -> Configured:
    """Configure the provider of a URL of the place; `entries` replace those of the place. Gets no secrets.

    Raises:
        ConfigError: As for `open_storage`; the message names the file and the place.
    """
    found = BUILTIN[url.kind].config_class.laid_over(place.entries, entries)
    with _naming(place):
        return replace(configured_by_url(url, environ, found), place=place)


@contextmanager
def _naming(place: NamedPlace | None) -> Iterator[None]:
    """Name the file and the place in a `ConfigError`."""
    try:
        yield
    except ConfigError as error:
        if place is None:
            raise
        message = f"{place.where}: {error}"
        raise ConfigError(message) from None


def is_same_class(one: str, other: str) -> bool:
    """Return whether two names mean the same built-in provider."""
    return BUILTIN.get(one.lower(), one) == BUILTIN.get(other.lower(), other)


def _query_entries(url: StorageURL, config_class: type[ProviderConfig]) -> dict[str, Any]:
    if not url.query:  # the usual case; the names below are those of all providers, which would be loaded
        return {}
    secret = secret_entries()
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
