"""The options of a read and of a write, one frozen value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypedDict

from bucketry._core.frozen import dataclass
from bucketry._core.values import NOTHING, ByteRange, ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """The bytes and the version of an object to read.

    Attributes:
        byte_range: The bytes `[start, end)`; `None`: all bytes.
        version_id: The version; `None`: the current version.
        if_match: An etag: read only if the object has this etag.
        if_none_match: An etag: read only if the object has another etag.
        verify: Request the stored checksum of the whole object, and compare it with the bytes.
    """

    byte_range: ByteRange | None = None
    version_id: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    verify: bool = True

    @property
    def conditional(self) -> bool:
        """Whether the read has a precondition."""
        return self.if_none_match is not None or self.if_match is not None

    def rest(self, start: int, end: int, etag: str) -> ReadOptions:
        """Return the options to read the missing bytes `[start, end)` of the version that has `etag`."""
        return ReadOptions(byte_range=ByteRange(start, end), version_id=self.version_id, if_match=etag or None)


WHOLE = ReadOptions()
"""All bytes of the current version, unconditionally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """The options of a write.

    Attributes:
        metadata: User metadata; names are lower-cased, values printable ASCII.
        content_type: Media type; `None`: the provider's default.
        cache_control: How long the object may be cached, as the HTTP header.
        content_disposition: Whether a browser shows the object or saves it, and under which name.
        content_encoding: The encoding of the given bytes, such as `"gzip"`; they are stored unchanged.
        content_language: The language of the content.
        storage_class: The vendor's name of the storage class; `None`: the vendor's default class.
        tags: The object's tags; at most 10.
        if_none_match: `"*"`: only create, never replace.
        if_match: An etag: only replace exactly this version.
        part_checksums: Whether a multipart upload's parts are sent with checksums; `False`: the server copies them.
    """

    metadata: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    if_none_match: str | None = None
    if_match: str | None = None
    part_checksums: bool = True

    @property
    def conditional(self) -> bool:
        """Whether the write has a precondition."""
        return self.if_none_match is not None or self.if_match is not None

    def properties(self) -> dict[str, Any]:
        """Return the options that an object keeps, as keyword arguments of `ObjectInfo` that JSON can represent.

        Tags are left out, because `ObjectInfo` has no tags.
        """
        return {
            "metadata": dict(self.metadata),
            "content_type": self.content_type,
            "cache_control": self.cache_control,
            "content_disposition": self.content_disposition,
            "content_encoding": self.content_encoding,
            "content_language": self.content_language,
            "storage_class": self.storage_class,
        }

    @classmethod
    def like(cls, info: ObjectInfo, *, tags: Mapping[str, str] = NOTHING) -> WriteOptions:
        """Return the options for writing a copy of the object; tags are separate, because `info` has no tags."""
        return cls(
            metadata=info.metadata,
            content_type=info.content_type,
            cache_control=info.cache_control,
            content_disposition=info.content_disposition,
            content_encoding=info.content_encoding,
            content_language=info.content_language,
            storage_class=info.storage_class,
            tags=tags,
        )


class WriteKeywords(TypedDict, total=False):
    """The keyword arguments of every method that writes an object; each may be left out, or be `None`.

    Attributes:
        metadata: User metadata; names are lower-cased, values printable ASCII.
        content_type: Media type; `None`: the type of the key's suffix, else the provider's default.
        cache_control: How long the object may be cached, as the HTTP header, such as `"max-age=3600"`.
        content_disposition: Whether a browser shows the object or saves it, such as `'attachment; filename="a.csv"'`.
        content_encoding: The encoding of the given bytes, such as `"gzip"`; they are stored unchanged.
        content_language: The language of the content, such as `"de"`.
        storage_class: The vendor's name of the storage class, such as `"STANDARD_IA"`; `None`: the vendor's default.
        tags: At most 10; names of 1 to 128 characters, values of up to 256. Refused if `capabilities.tags` is false.
        if_none_match: `"*"`: only create, never replace.
        if_match: An etag: only replace exactly this version.
    """

    metadata: Mapping[str, str] | None
    content_type: str | None
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    storage_class: str | None
    tags: Mapping[str, str] | None
    if_none_match: str | None
    if_match: str | None
