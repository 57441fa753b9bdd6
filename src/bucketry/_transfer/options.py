"""What goes with a write beside its bytes, checked before any of them moves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from bucketry._core.checks import check_header, check_metadata
from bucketry._core.content_types import content_type_of
from bucketry._core.options import WriteOptions
from bucketry._core.provider import ObjectRequests
from bucketry._core.values import NOTHING


def write_options(
    provider: ObjectRequests,
    key: str,
    *,
    metadata: Mapping[str, str] | None,
    content_type: str | None,
    storage_class: str | None,
    if_none_match: str | None,
    if_match: str | None,
) -> WriteOptions:
    """Check what goes with a write, before any byte moves."""
    headers = (
        ("content_type", content_type),
        ("storage_class", storage_class),
        ("if_none_match", if_none_match),
        ("if_match", if_match),
    )
    given = [(name, value) for name, value in headers if value is not None]
    if content_type is None and isinstance(key, str):  # what is no key is refused with the request
        content_type = content_type_of(key)
    if not given and not metadata:
        return _only(content_type)
    for name, value in given:
        check_header(name, value, provider.locate(str(key)))
    return WriteOptions(
        metadata=check_metadata(metadata, provider.capabilities, provider.locate(str(key))) if metadata else NOTHING,
        content_type=content_type,
        storage_class=storage_class,
        if_none_match=if_none_match,
        if_match=if_match,
    )


@lru_cache(maxsize=256)
def _only(content_type: str | None) -> WriteOptions:
    """Give the options of most writes."""
    return WriteOptions(content_type=content_type)
