"""Reads named places from the configuration file, and gets their secrets when a place is opened.

A place is a URL with a name: `[places.prod]` with `url = "s3://bucket/base"` makes `prod:run-1/` mean
`s3://bucket/base/run-1/`. This module makes no provider.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bucketry._core.entries import Given, ProviderConfig, nearest, without_locals
from bucketry.errors import ConfigError
from bucketry.providers.builtin import BUILTIN, secret_entries
from bucketry.providers.secret_sources import SecretSource, read_source
from bucketry.providers.url import SCHEMES, StorageURL, read_url, split_name

CONFIG_VARIABLE = "BUCKETRY_CONFIG"
_USUAL_FILE = "~/.config/bucketry/config.toml"
_OWN = ("url", "local", "remote")
"""The entries of a place that are not entries of its provider."""
_CREDENTIALS = secret_entries()
_SECRETS = _CREDENTIALS - {"access_key_id", "key_id"}
"""The entries that others must not read. The id of a key is none of them, but it may come from a command, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPlace:
    """A place of the configuration file.

    Attributes:
        where: The file and the place, for errors.
        url: The place's URL.
        entries: The provider's entries; the value of a secret may be a `SecretSource`.
        local: The directory that a sync without paths uses; `None`: not given.
        remote: The prefix that a sync without paths uses, relative to the URL; `None`: not given.
    """

    where: str
    url: StorageURL
    entries: Mapping[str, Given] = field(repr=False)
    local: str | None = None
    remote: str | None = None

    def url_of(self, path: str) -> StorageURL:
        """Return the place's URL with a path added, which is taken literally: `?` and `%` are plain characters."""
        key = f"{self.url.prefix}{path.lstrip('/')}"
        return replace(self.url, key=key, prefix=key if not key or key.endswith("/") else f"{key}/")

    def with_secrets(
        self, entries: Mapping[str, Given], environ: Mapping[str, str]
    ) -> Generator[None, None, dict[str, Given]]:
        """Return the entries with secrets in place of their sources; a secret that was replaced is not fetched.

        This is a generator for `in_steps`, because a command may take long.

        Raises:
            ConfigError: There is no secret; the message does not show what a command printed.

        Cost: one process for each secret that comes from a command.
        """
        found = dict(entries)
        for name, given in entries.items():
            if isinstance(given.value, SecretSource):
                found[name] = Given((yield from given.value.steps(environ)), f"{given.source}, {given.value.kind}")
        return found


@dataclass(frozen=True, slots=True)
class PlaceFile:
    """The named places of a configuration file; without a file there are none.

    Attributes:
        path: The path of the file.
        tables: The table of each place.
    """

    path: str
    tables: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @without_locals
    def place(self, name: str) -> NamedPlace:
        """Return the place of this name; its secrets are not fetched.

        Raises:
            ConfigError: There is no such place (the message names similar ones), or an entry is wrong.
        """
        if name not in self.tables:
            raise ConfigError(f"{self.path} has no place {name!r}; {self.hint(name)}", path=self.path)
        table, where = self.tables[name], f"{self.path}: place {name}"
        if not isinstance(table.get("url"), str):
            problem = "is missing" if "url" not in table else "must be text"
            raise ConfigError(f'{where}: url {problem}; write url = "s3://bucket/prefix"', path=self.path)
        try:
            url = read_url(table["url"])
        except ConfigError as error:
            raise ConfigError(f"{where}: url: {str(error).removeprefix('open_storage: ')}", path=self.path) from None
        entries = {
            entry: Given(
                _value(f"{where}: {entry}", entry, value, BUILTIN[url.kind].config_class, url), f"place {name}"
            )
            for entry, value in table.items()
            if entry not in _OWN
        }
        for entry in ("local", "remote"):
            if not isinstance(table.get(entry, ""), str):
                raise ConfigError(f"{where}: {entry} must be text, such as 'data/'", path=self.path)
        local = table.get("local")
        if local == "":
            raise ConfigError(f"{where}: local is empty; write '.' for the working directory", path=self.path)
        return NamedPlace(
            where=where,
            url=url,
            entries=entries,
            local=None if local is None else os.path.expanduser(local),
            remote=table.get("remote"),
        )

    def hint(self, name: str) -> str:
        """Return the end of an error message about an unknown place."""
        if self.tables:
            return nearest(name, tuple(self.tables))
        return f'write [places.{name}] with url = "s3://bucket/prefix" there'


@without_locals
def read_places(environ: Mapping[str, str]) -> PlaceFile:
    """Read the configuration file: `$BUCKETRY_CONFIG`, else `bucketry/config.toml` of the user's configuration.

    The file is refused if others can write it, because it names commands, or if others can read a secret in it. Blocks
    for one small file.

    Raises:
        ConfigError: The file is unsafe, cannot be read, or is malformed; the message says what to do.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    chosen = environ.get(CONFIG_VARIABLE)
    path = chosen or _usual_file(environ)
    if path is None:
        return PlaceFile(_USUAL_FILE, {})
    try:
        with open(path, "rb") as stream:
            found, data = os.fstat(stream.fileno()), stream.read()
    except (OSError, ValueError) as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not chosen:
            return PlaceFile(path, {})
        problem = error.strerror if isinstance(error, OSError) else "is not a path"
        named = f" ({CONFIG_VARIABLE} names it)" if chosen else ""
        raise ConfigError(f"{path}: {problem}{named}", path=path) from None
    _check_that_only_the_user_writes(path, found)
    tables = _tables(path, data)
    plain = next(
        (f"{name}: {entry}" for name in tables for entry in tables[name] if _is_plain(tables, name, entry)), ""
    )
    if plain and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = f"place {plain} is in the file, and others can read it (mode {stat.S_IMODE(found.st_mode):04o})"
        raise ConfigError(f"{path}: {problem}; run `chmod 600 {path}`, or name a command", path=path)
    return PlaceFile(path, tables)


def _usual_file(environ: Mapping[str, str]) -> str | None:
    configs, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    if os.path.isabs(configs):
        return os.path.join(configs, "bucketry", "config.toml")
    return os.path.join(home, ".config", "bucketry", "config.toml") if os.path.isabs(home) else None


def _check_that_only_the_user_writes(path: str, found: os.stat_result) -> None:
    if found.st_uid not in {os.geteuid(), 0}:
        problem = f"belongs to another user (uid {found.st_uid}), who could name any command in it"
        raise ConfigError(f"{path}: {problem}; make a file of your own", path=path)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"others can write it (mode {stat.S_IMODE(found.st_mode):04o}), and it can name commands"
        raise ConfigError(f"{path}: {problem}; run `chmod 600 {path}`", path=path)


def _tables(path: str, data: bytes) -> dict[str, dict[str, Any]]:
    """Parse the file, and check what does not depend on a provider."""
    try:
        document = tomllib.loads(data.decode())
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        raise ConfigError(f"{path}: is not valid TOML: {text[:1].lower()}{text[1:]}", path=path) from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: is not UTF-8 text (at line {line})", path=path) from None
    for name in document:
        if name != "places":
            raise ConfigError(f"{path}: {name}: unknown entry; {nearest(name, ('places',))}", path=path)
    places: object = document.get("places", {})
    if not isinstance(places, dict):
        raise ConfigError(f"{path}: places must be tables such as [places.prod]", path=path)
    for name, table in places.items():
        if name.lower() in SCHEMES:
            problem = f"place {name} is named like the scheme of a URL; choose another name"
            raise ConfigError(f"{path}: {problem}", path=path)
        if split_name(f"{name}:") is None:
            problem = f"place {name!r}: a name is a letter, then at least one letter, digit, - or _"
            raise ConfigError(f"{path}: {problem}", path=path)
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: place {name} must be a table; write [places.{name}]", path=path)
    return places


def _is_plain(tables: Mapping[str, Mapping[str, Any]], name: str, entry: str) -> bool:
    return entry in _SECRETS and not isinstance(tables[name][entry], dict)


@without_locals
def _value(where: str, name: str, value: object, config_class: type[ProviderConfig], url: StorageURL) -> object:
    """Check the name of a provider's entry, and return its value; the provider checks the value."""
    if name in {*url.place, *url.query}:
        raise ConfigError(f"{where}: the URL gives it; leave it out")
    known = tuple(entry.name for entry in fields(config_class) if entry.name not in url.place)
    if name not in known:
        raise ConfigError(f"{where}: unknown entry; {nearest(name, (*_OWN, *known))}")
    if isinstance(value, dict) and name in _CREDENTIALS:
        return read_source(where, value)
    return value
