"""Lists the configuration: each entry with its value and what gave it, without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from bucketry._core.entries import Given, ProviderConfig
from bucketry._doctor.subject import Direct
from bucketry._doctor.values import Check, Outcome
from bucketry.errors import StorageError
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


async def examine_credentials(direct: Direct) -> Check:
    """Find the credentials, which may be in files or come from a service, and say what found them."""
    trial, plane = direct
    try:
        found = await trial.credentials(plane)
    except StorageError as error:
        advice = "give a key by variables, by a profile (--profile), or use --anonymous for public objects"
        return _check("failed", str(error), advice=advice, error=error)
    if found is None:
        return _check("ok", "none: requests are not signed (anonymous)")
    who = f"AWS's credential chain ({found.found_by})" if found.found_by else "the configuration"
    temporary = ", temporary" if found.token else ""
    return _check("ok", f"key {_key_id(found.access_key)}{temporary}, from {who}")


def _check(outcome: Outcome, text: str, *, advice: str = "", error: StorageError | None = None) -> Check:
    return Check(group="configuration", name="credentials", outcome=outcome, text=text, advice=advice, error=error)


def _masked(field: Field[Any], value: object) -> str:
    if field.repr:
        return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return _key_id(value) if field.name in _KEY_IDS and isinstance(value, str) else "set"


def _key_id(text: str) -> str:
    return f"…{text[-_SHOWN:]}" if len(text) >= _LONG_ENOUGH else "set"


def _default(field: Field[Any]) -> str:
    return "not given" if field.default in (None, MISSING) else str(field.default)
