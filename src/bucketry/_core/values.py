"""The frozen values that cross the package's borders; no behaviour beyond checks and no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from bucketry.errors import InvalidRangeError, StorageError

NOTHING: Mapping[str, Any] = MappingProxyType({})
WRITE_TOKEN = "bucketry-write"  # noqa: S105 - a metadata name: tells whose write made an object, see _transfer.write


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The half-open range `[start, end)` of an object's or a file's bytes."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Refuse a range that is negative or runs backwards."""
        if not 0 <= self.start <= self.end:
            message = f"byte range [{self.start}, {self.end}) is malformed: give 0 <= start <= end, end not included"
            raise InvalidRangeError(message)

    @property
    def size(self) -> int:
        """How many bytes the range holds."""
        return self.end - self.start


class ByteCounter:
    """How many bytes of a body were sent in the present attempt; counted by the thread that sends, read by others."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        """Begin at zero."""
        self.count = 0


@dataclass(frozen=True, slots=True)
class FileRange:
    """The bytes `[start, end)` of an open file, as the body of a request; the reader never moves the file's offset.

    Attributes:
        fd: The open file.
        start: First byte.
        end: One after the last byte.
        as_of: `st_ino`, `st_size`, `st_mtime_ns` and `st_ctime_ns` that the file must still have once the range is
            read, before anything is published; `None`: whatever it has.
        sent: Where the bytes are counted as they are sent, by a provider that can tell.
    """

    fd: int
    start: int
    end: int
    as_of: tuple[int, int, int, int] | None = None
    sent: ByteCounter | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> int:
        """How many bytes the range holds."""
        return self.end - self.start


Body: TypeAlias = bytes | bytearray | memoryview | FileRange
"""What one request can send: bytes in memory, or a range of an open file."""


def body_size(body: Body) -> int:
    """Give the number of bytes that `body` sends."""
    if isinstance(body, FileRange):
        return body.size
    return body.nbytes if isinstance(body, memoryview) else len(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What a provider knows about one object.

    Attributes:
        key: The object's name.
        size: Length in bytes.
        etag: Opaque, exactly as sent, quotes included; empty where the provider sends none.
        last_modified: Aware, UTC.
        content_type: Media type; `None` where it was not sent (listings do not send it).
        storage_class: The vendor's word; `None` for its default.
        version_id: The version read or written, where versions are kept.
        metadata: User metadata with lower-case names; empty in listings.
        cache_control: How long the object may be cached, as HTTP says it; like the next three `None` in listings.
        content_disposition: Whether a browser shows the object or saves it, and under which name.
        content_encoding: How the stored bytes are encoded, such as `"gzip"`; they are given as they are stored.
        content_language: The language of the content.
        checksums: Stored checksums of the *whole* object by algorithm (`"crc32"`, `"crc64nvme"`, …), in hex.
        write_token: Mark of the write that made it, taken out of the metadata; the transfer code's own.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
    content_type: str | None = None
    storage_class: str | None = None
    version_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    checksums: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    write_token: str | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take the mark of the write out of what users see as their metadata."""
        if WRITE_TOKEN in self.metadata:
            own = {name: value for name, value in self.metadata.items() if name != WRITE_TOKEN}
            object.__setattr__(self, "write_token", self.metadata[WRITE_TOKEN])
            object.__setattr__(self, "metadata", own)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the read-only mappings as plain dictionaries."""
        state = {name: getattr(self, name) for name in self.__slots__}
        return state | {"metadata": dict(self.metadata), "checksums": dict(self.checksums)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave."""
        for name, value in state.items():
            object.__setattr__(self, name, value)


class _Unfrozen:
    """Of the same layout as an `ObjectInfo`, and quick to fill."""

    __slots__ = ObjectInfo.__slots__

    def __init__(
        self,
        key: str,
        last_modified: datetime,
        etag: str,
        size: int,
        storage_class: str | None,
        content_type: str | None,
        version_id: str | None,
        checksums: Mapping[str, str],
    ) -> None:
        self.key = key
        self.size = size
        self.etag = etag
        self.last_modified = last_modified
        self.content_type = content_type
        self.storage_class = storage_class
        self.version_id = version_id
        self.metadata = NOTHING
        self.cache_control = None
        self.content_disposition = None
        self.content_encoding = None
        self.content_language = None
        self.checksums = checksums
        self.write_token = None


def listed_info(
    key: str,
    last_modified: datetime,
    etag: str,
    size: int,
    storage_class: str | None,
    content_type: str | None = None,
    version_id: str | None = None,
    checksums: Mapping[str, str] = NOTHING,
) -> ObjectInfo:
    """Make an `ObjectInfo` of what listings say, in a fifth of the constructor's time: a page has 1,000 of them."""
    info = _Unfrozen(key, last_modified, etag, size, storage_class, content_type, version_id, checksums)
    info.__class__ = ObjectInfo  # type: ignore[assignment]  # frozen from here on
    return info  # type: ignore[return-value]  # as above


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """What a listing with a delimiter gives in place of the keys below `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """One answer of a listing: entries in UTF-8 binary order, and where to go on."""

    entries: tuple[ObjectInfo | CommonPrefix, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """One version of an object, or the mark that the object was deleted, as `list_versions` gives it.

    Attributes:
        key: The object's name.
        version_id: Names the version; objects from before versions were kept have `"null"`.
        is_latest: Whether it is what a read without `version_id` sees.
        is_delete_marker: Whether it says that the object was deleted; it then has no bytes, etag and storage class.
        size: Length in bytes; 0 for a delete marker.
        etag: Opaque, as sent; empty for a delete marker.
        last_modified: Aware, UTC.
        storage_class: The vendor's word; `None` for its default.
    """

    key: str
    version_id: str
    is_latest: bool
    is_delete_marker: bool
    size: int
    etag: str
    last_modified: datetime
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One answer of a listing of versions, and where to go on."""

    entries: tuple[ObjectVersion, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartUpload:
    """An open multipart upload, as `create_multipart` and `list_multiparts` give it."""

    key: str
    upload_id: str
    initiated: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stored part of a multipart upload, to be handed to `complete_multipart`.

    Attributes:
        part_number: 1 to the vendor's limit (10 000).
        size: Length in bytes.
        etag: As the vendor gave it.
        checksum: Hex digest in the vendor row's multipart checksum algorithm; `None` where the row has none that the
            vendor keeps.
    """

    part_number: int
    size: int
    etag: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a transfer's progress.

    Attributes:
        transferred: Bytes of this key moved so far.
        total: Bytes in all; `None` for a stream of unknown length.
        key: The object concerned.
        increment: Bytes since the last report of this key; negative where some have to be moved again.
    """

    transferred: int
    total: int | None
    key: str
    increment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """What a transfer did.

    Attributes:
        key: The object.
        size: Bytes transferred.
        etag: Of the object read or written.
        version_id: Where versions are kept.
        parts: Number of body requests (1 for a single request, 0 for an empty object).
        retries: Bodies resumed, reads made once more because their checksum differed, and writes settled by the
            transfer; repeats of single requests do not count.
        resumed_bytes: Bytes not moved because an earlier, interrupted transfer had moved them.
        verified: What the bytes were compared by: a checksum's name such as `"crc32"`, `"crc64nvme"`, `"md5"`
            (for uploads: the provider checked every body against it), `"sha256"` (the hash was part of each
            request's signature, which a server that follows SigV4 checks; some servers for tests do not), or
            `"length"`.
        seconds: Wall-clock duration.
    """

    key: str
    size: int
    etag: str
    version_id: str | None = None
    parts: int = 1
    retries: int = 0
    resumed_bytes: int = 0
    verified: str = "length"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of each key of a batch; nothing is dropped silently.

    Attributes:
        succeeded: Keys done.
        failed: The error of each key that was not.
        results: For batches that transfer: the result by key.
    """

    succeeded: tuple[str, ...] = ()
    failed: Mapping[str, StorageError] = field(default_factory=lambda: NOTHING)
    results: Mapping[str, TransferResult] = field(default_factory=lambda: NOTHING)

    def raise_for_failures(self) -> None:
        """Raise the first failure, with a note that counts the others; do nothing when all succeeded."""
        if self.failed:
            first, *others = self.failed.values()
            if others:
                first.add_note(f"and {len(others)} more of {len(self.failed) + len(self.succeeded)} items failed")
            raise first

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the read-only mappings as plain dictionaries."""
        return {
            "succeeded": self.succeeded,
            "failed": dict(self.failed),
            "results": dict(self.results),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave."""
        for name, value in state.items():
            object.__setattr__(self, name, value)
