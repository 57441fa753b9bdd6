"""Lists the configuration: each entry with its value and what gave it, without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from bucketry._core.entries import Given, ProviderConfig
from bucketry.providers.factory import Configured

_KEY_IDS = frozenset({"access_key_id", "key_id"})
_SHOWN = 4  # characters of a key's id, to tell one key from another
_LONG_ENOUGH = 12  # a shorter id would be shown almost whole
_USUAL = frozenset({"bucket_name", "endpoint_url", "region", "server", "addressing_style", "base_path"})
"""Entries that are listed also if nobody gave them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredEntry:
    """One entry of the configuration.

    Attributes:
        name: The entry.
        value: The value as text; of a secret only that it is set, and of a key's id the last characters.
        source: What gave it: a variable, an option, the URL, or `"default"`.
    """

    name: str
    value: str
    source: str


def list_entries(configured: Configured) -> list[ConfiguredEntry]:
    """Return the entries that were given, and the usual ones with their defaults."""
    config_class = configured.config_class
    if config_class is None:
        text = "this provider reads its own variables"
        return [ConfiguredEntry(name="provider", value=configured.kind, source=text)]
    listed = [
        ConfiguredEntry(name=field.name, value=_masked(field, given.value), source=given.source)
        if (given := configured.entries.get(field.name)) is not None
        else ConfiguredEntry(name=field.name, value=_default(field), source="default")
        for field in fields(config_class)
        if field.name in configured.entries or field.name in _USUAL
    ]
    return listed + _chain(config_class, configured.entries)


def _chain(config_class: type[ProviderConfig], entries: Mapping[str, Given]) -> list[ConfiguredEntry]:
    """Say where credentials come from that no entry gives."""
    given = any(entries[name].value for name in config_class.credentials if name in entries)
    anonymous = "anonymous" in entries and entries["anonymous"].value
    if given or anonymous or not config_class.credentials or config_class.needs_credentials:
        return []
    source = "AWS's credential chain: variables, configuration files, the machine's role"
    return [ConfiguredEntry(name="credentials", value="not given", source=source)]


def _masked(field: Field[Any], value: object) -> str:
    if field.repr:
        return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if field.name in _KEY_IDS and isinstance(value, str) and len(value) >= _LONG_ENOUGH:
        return f"…{value[-_SHOWN:]}"
    return "set"


def _default(field: Field[Any]) -> str:
    return "not given" if field.default in (None, MISSING) else str(field.default)
