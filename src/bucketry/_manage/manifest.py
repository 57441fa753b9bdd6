"""The form of every manifest: canonical JSON with a format number and a digest of itself.

Datasets and models write different entries, and their own modules decide what the entries mean. The digest shows damage
and edits by hand. It is not a signature, because everybody who can write objects can also compute it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn, TypeAlias

from bucketry.errors import IntegrityError, UnsupportedError

FORMAT = 1
"""The number of the format that this version writes. No other format is read, because there is no older format."""

Json: TypeAlias = str | int | bool | Mapping[str, "Json"] | Sequence["Json"] | None

_DIGEST = "sha256"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def to_json(entries: Mapping[str, Json]) -> bytes:
    """Return the manifest of these entries; equal entries make equal bytes, in whatever order they are given.

    Args:
        entries: The entries without `"format"` and `"sha256"`, which are added.
    """
    content: dict[str, Json] = {**entries, "format": FORMAT}
    return _canonical({**content, _DIGEST: _digest(content)})


def from_json(data: bytes, where: str) -> ManifestReader:
    """Check the format and the digest of a manifest, and return a reader for its entries.

    Args:
        data: The manifest.
        where: The URL or path of the manifest, for messages.

    Raises:
        UnsupportedError: The manifest has a newer format.
        IntegrityError: The data is not a manifest, or does not match its digest.
    """
    try:
        content = json.loads(data, object_pairs_hook=_without_repetition, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        message = f"{where}: is not a manifest: it is not the JSON that bucketry writes ({exc})"
        raise IntegrityError(message) from exc
    if not isinstance(content, dict):
        message = f"{where}: is not a manifest: it is JSON, but not an object"
        raise IntegrityError(message)
    number = content.get("format")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        message = f"{where}: is not a manifest: it has no format number"
        raise IntegrityError(message)
    if number > FORMAT:
        message = f"{where}: the manifest has format {number}; this version reads format {FORMAT}; upgrade bucketry"
        raise UnsupportedError(message)
    digest = content.pop(_DIGEST, None)
    if digest != _digest(content):
        message = f"{where}: the manifest does not match its digest: it was changed after it was written, or is damaged"
        raise IntegrityError(message)
    return ManifestReader(content, where)


def format_time(time: datetime) -> str:
    """Return an aware time in the form of manifests: ISO 8601, UTC."""
    return time.astimezone(UTC).isoformat()


class ManifestReader:
    """Reads the entries of a manifest; an entry of a wrong type raises `IntegrityError`.

    A wrong type means that another program wrote the manifest, because the digest has been checked before.
    """

    def __init__(self, entries: Mapping[str, object], where: str) -> None:
        """Store the entries, and the URL or path for messages."""
        self._entries = entries
        self._where = where

    def text(self, name: str) -> str:
        """Return the text in an entry."""
        value = self._entries.get(name)
        return value if isinstance(value, str) else self.refuse(name, "must be a text")

    def optional_text(self, name: str) -> str:
        """Return the text in an entry; empty: there is no such entry."""
        return self.text(name) if name in self._entries else ""

    def number(self, name: str) -> int:
        """Return the whole number, 0 or more, in an entry."""
        value = self.integer(name)
        return value if value >= 0 else self.refuse(name, "must be a whole number of 0 or more")

    def integer(self, name: str) -> int:
        """Return the whole number in an entry."""
        value = self._entries.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "must be a whole number")
        return value

    def sha256(self, name: str) -> str:
        """Return a SHA-256 in hex."""
        value = self.text(name)
        return value if _SHA256.fullmatch(value) else self.refuse(name, "must be 64 hexadecimal digits")

    def time(self, name: str) -> datetime:
        """Return the time in an entry; it is aware."""
        try:
            time = datetime.fromisoformat(self.text(name))
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            self.refuse(name, "must be a time with its offset, such as 2026-01-31T12:00:00+00:00")
        return time.astimezone(UTC)

    def texts(self, name: str) -> dict[str, str]:
        """Return the mapping from texts to texts in an entry."""
        value = self._entries.get(name)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            self.refuse(name, "must map texts to texts")
        return value

    def each(self, name: str) -> list[ManifestReader]:
        """Return a reader for each JSON object in the list of an entry."""
        value = self._entries.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.refuse(name, "must be a list of objects")
        return [ManifestReader(item, f"{self._where}: {name}[{index}]") for index, item in enumerate(value)]

    def refuse(self, name: str, reason: str) -> NoReturn:
        """Raise the error for an entry that cannot be used.

        Raises:
            IntegrityError: Always.
        """
        message = f"{self._where}: the manifest's entry {name!r} {reason}"
        raise IntegrityError(message)


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()


def _canonical(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        message = "a name is given twice"  # programs that read JSON differ in which of the two values they use
        raise ValueError(message)
    return entries


def _refuse(text: str) -> NoReturn:
    message = f"the number {text[:20]} is not a whole one"  # because programs write fractions differently
    raise ValueError(message)
