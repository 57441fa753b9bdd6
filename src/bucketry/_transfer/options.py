"""Checks the options of a write (metadata, headers, tags, conditions) before any byte is sent."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, Unpack

from bucketry._core.checks import check_header, check_metadata, check_tags
from bucketry._core.content_types import content_type_of
from bucketry._core.options import WriteKeywords, WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import NOTHING
from bucketry.errors import UnsupportedError

_KNOWN = frozenset(WriteKeywords.__annotations__)
_HEADERS: tuple[
    Literal[
        "content_type",
        "cache_control",
        "content_disposition",
        "content_encoding",
        "content_language",
        "storage_class",
        "if_none_match",
        "if_match",
    ],
    ...,
] = (
    "content_type",
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "storage_class",
    "if_none_match",
    "if_match",
)


def write_options(provider: ObjectRequests, key: str, **write: Unpack[WriteKeywords]) -> WriteOptions:
    """Check the keywords of a write before any byte is sent, and return them as options.

    Raises:
        TypeError: There is no such keyword.
        InvalidRequestError: A header's text, or a tag, cannot be sent.
        InvalidMetadataError: The metadata cannot be stored.
        UnsupportedError: There are tags, and the provider keeps none.
    """
    if not write:  # as in most writes, so nothing below is needed; the request refuses a key that is not a string
        return _only_content_type(content_type_of(key) if isinstance(key, str) else None)
    if unknown := write.keys() - _KNOWN:
        message = f"a write has no keyword {', '.join(map(repr, sorted(unknown)))}; known: {', '.join(sorted(_KNOWN))}"
        raise TypeError(message)
    content_type = write.get("content_type")
    row, where = provider.capabilities, provider.locate(str(key))
    for name in _HEADERS:
        check_header(name, write.get(name), where)
    metadata, tags = write.get("metadata"), write.get("tags")
    if tags and not row.tags:
        message = f"{where}: this provider has no tags (capabilities.tags is False); leave tags out"
        raise UnsupportedError(message, key=key)
    return WriteOptions(
        metadata=check_metadata(metadata, row, where) if metadata else NOTHING,
        content_type=content_type_of(key) if content_type is None and isinstance(key, str) else content_type,
        cache_control=write.get("cache_control"),
        content_disposition=write.get("content_disposition"),
        content_encoding=write.get("content_encoding"),
        content_language=write.get("content_language"),
        storage_class=write.get("storage_class"),
        tags=check_tags(tags, where) if tags else NOTHING,
        if_none_match=write.get("if_none_match"),
        if_match=write.get("if_match"),
    )


@lru_cache(maxsize=256)
def _only_content_type(content_type: str | None) -> WriteOptions:
    """Return the options of a write that has only a content type, as most writes do."""
    return WriteOptions(content_type=content_type)
