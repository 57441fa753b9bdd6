"""Parses storage URLs into provider, location, prefix and configuration entries; makes no provider."""

from __future__ import annotations

import re

from bucketry._core.entries import nearest
from bucketry._core.frozen import dataclass
from bucketry.errors import ConfigError

SCHEMES = {
    "s3": "s3",
    "r2": "r2",
    "b2": "b2",
    "wasabi": "wasabi",
    "spaces": "spaces",
    "file": "local",
    "memory": "memory",
}
"""The factory's name for each URL scheme."""

_NAMED = r"(?s)([A-Za-z][A-Za-z0-9_-]+):(?!//)(.*)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageURL:
    """The parts of a storage URL.

    Attributes:
        kind: The factory's name for the provider.
        place: The configuration entries from host and path, such as `bucket_name`.
        prefix: The prefix of all keys, with `/` at its end; empty: none.
        key: The prefix as it was written, which may be a key.
        query: The configuration entries of the query, as text.
    """

    kind: str
    place: dict[str, str]
    prefix: str
    key: str
    query: dict[str, str]


def read_url(url: str) -> StorageURL:
    """Parse a storage URL.

    Raises:
        ConfigError: The URL is malformed, or its scheme is unknown; the message shows nothing that may be secret.
    """
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - a provider without a URL does not need it

    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:  # brackets without a valid address
        parts = None
    if parts is None or not parts.scheme or "://" not in url:
        message = f"open_storage: {_shown(url)} is not a URL such as s3://bucket/prefix or file:///directory"
        raise ConfigError(message)
    if parts.scheme not in SCHEMES:
        message = f"open_storage: scheme {parts.scheme!r} is unknown; {nearest(parts.scheme, tuple(SCHEMES))}"
        raise ConfigError(message)
    if parts.username is not None or parts.fragment:
        message = "open_storage: the URL holds user info or a fragment; write # as %23, and give no credentials in it"
        raise ConfigError(message)
    kind, path, query = SCHEMES[parts.scheme], unquote(parts.path), _query(parts.query)
    if kind == "local":
        if parts.netloc not in {"", "localhost"} or not path:
            message = f"open_storage: {_shown(url)}: give file:///absolute/directory, with three slashes"
            raise ConfigError(message)
        return StorageURL(kind=kind, place={"base_path": path}, prefix="", key="", query=query)
    prefix = path.lstrip("/")
    place = {} if kind == "memory" else {"bucket_name": parts.netloc}
    if kind == "memory" and parts.netloc:
        prefix = f"{parts.netloc}/{prefix}"
    directory = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    return StorageURL(kind=kind, place=place, prefix=directory, key=prefix, query=query)


def split_name(word: str) -> tuple[str, str] | None:
    """Split `NAME:path` into the name of a place and the path; `None`: the word has another form.

    A scheme of URLs is not a name. One letter is not a name either, because `C:` is a drive on some systems.
    """
    match = re.fullmatch(_NAMED, word) if ":" in word else None  # without one, no pattern is compiled
    return None if match is None or match[1].lower() in SCHEMES else (match[1], match[2])


def _query(text: str) -> dict[str, str]:
    from urllib.parse import parse_qsl  # noqa: PLC0415 - as above

    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        message = "open_storage: the URL's query is not name=value&name=value; write ? in a prefix as %3F"
        raise ConfigError(message) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            message = f"open_storage: the URL's query gives {name!r} twice"
            raise ConfigError(message)
        found[name] = value
    return found


def _shown(url: object) -> str:
    """Show a URL without the parts that may be secret."""
    if not isinstance(url, str):
        return f"a {type(url).__name__}"
    plain = url.partition("?")[0].partition("#")[0]
    return repr(plain) if "@" not in plain else "a text with an @"
