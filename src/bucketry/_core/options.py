"""What may go with a read or a write, as one frozen value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bucketry._core.values import NOTHING, ByteRange


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Which bytes of which version of an object are read.

    Attributes:
        byte_range: The bytes `[start, end)`; `None`: all of them.
        version_id: The version; `None`: the current one.
        if_match: An etag: only read exactly this version.
        if_none_match: An etag: only read another version than this.
        verify: A stored checksum of the whole object is asked for, and compared with the bytes.
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
        """Give the options to read the bytes `[start, end)` that are missing, of the version that the others are of."""
        return ReadOptions(byte_range=ByteRange(start, end), version_id=self.version_id, if_match=etag or None)


WHOLE = ReadOptions()
"""All bytes of the current version, unconditionally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """What may go with a write beside its bytes.

    Attributes:
        metadata: User metadata; names are lower-cased, values printable ASCII.
        content_type: Media type; the provider's default when `None`.
        cache_control: How long the object may be cached, as HTTP says it.
        content_disposition: Whether a browser shows the object or saves it, and under which name.
        content_encoding: How the bytes are encoded already, such as `"gzip"`; they are stored as they are given.
        content_language: The language of the content.
        storage_class: The vendor's word; its default when `None`.
        tags: The object's tags.
        if_none_match: `"*"`: only create, never replace.
        if_match: An etag: only replace exactly this version.
        part_checksums: The parts of a multipart upload come with checksums; `False`: the server copies them.
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
