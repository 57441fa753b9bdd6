"""The frozen values that the package's modules exchange; no behaviour except checks, and no I/O."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import field
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from bucketry._core.frozen import dataclass
from bucketry.errors import InvalidRangeError, StorageError

NOTHING: Mapping[str, Any] = MappingProxyType({})
WRITE_TOKEN = "bucketry-write"  # noqa: S105 - the metadata name of the token that shows which write made an object


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The half-open range `[start, end)` of an object's or a file's bytes."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Raise an error for a negative start, or an end before the start."""
        if not 0 <= self.start <= self.end:
            message = f"byte range [{self.start}, {self.end}) is malformed: give 0 <= start <= end, end not included"
            raise InvalidRangeError(message)

    @property
    def size(self) -> int:
        """The number of bytes in the range."""
        return self.end - self.start


class ByteCounter:
    """Counts the bytes of a body that the current attempt has sent; the sending thread counts, other threads read."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        """Begin at zero."""
        self.count = 0


@dataclass(frozen=True, slots=True)
class FileRange:
    """The bytes `[start, end)` of an open file, as the body of a request; reading does not change the file's offset.

    Attributes:
        fd: The open file.
        start: First byte.
        end: The position after the last byte.
        as_of: `st_ino`, `st_size`, `st_mtime_ns` and `st_ctime_ns` of the file when it was opened. If they differ after
            the range was read, nothing is published; `None`: they are not checked.
        sent: Counts the bytes as they are sent, if the provider supports it.
    """

    fd: int
    start: int
    end: int
    as_of: tuple[int, int, int, int] | None = None
    sent: ByteCounter | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> int:
        """The number of bytes in the range."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An object in another bucket, as the source of a copy on the server.

    Attributes:
        server: A value that is equal for two providers if their buckets are on the same server: same endpoint,
            credentials and options.
        bucket: The object's bucket.
        key: The object.
        endpoint: Scheme, host and port of the server, whatever the credentials; `None`: the vendor's own endpoint.
    """

    server: Hashable
    bucket: str
    key: str
    endpoint: str | None = None


Body: TypeAlias = bytes | bytearray | memoryview | FileRange
"""The body of one request: bytes in memory, or a range of an open file."""


def body_size(body: Body) -> int:
    """Return the number of bytes in `body`."""
    if isinstance(body, FileRange):
        return body.size
    return body.nbytes if isinstance(body, memoryview) else len(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """The properties of one object.

    Attributes:
        key: The object's name.
        size: Length in bytes.
        etag: The etag exactly as the provider sent it, with its quotes; empty if the provider sent none.
        last_modified: The time of the last write, with the time zone UTC.
        content_type: Media type; `None` if it was not sent (listings do not send it).
        storage_class: The vendor's name of the storage class; `None`: the vendor's default class.
        version_id: The version that was read or written, if the bucket keeps versions.
        metadata: User metadata with lower-case names; empty in listings.
        cache_control: How long the object may be cached, as the HTTP header; `None` in listings, as the next three are.
        content_disposition: Whether a browser shows the object or saves it, and under which name.
        content_encoding: The encoding of the stored bytes, such as `"gzip"`; reads return the bytes as stored.
        content_language: The language of the content.
        checksums: Stored checksums of the *whole* object by algorithm (`"crc32"`, `"crc64nvme"`, …), in hex.
        write_token: Identifies the write that made the object; moved here from the metadata, for transfer code only.
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
        """Move the write token out of the metadata that users see."""
        if WRITE_TOKEN in self.metadata:
            own = {name: value for name, value in self.metadata.items() if name != WRITE_TOKEN}
            object.__setattr__(self, "write_token", self.metadata[WRITE_TOKEN])
            object.__setattr__(self, "metadata", own)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the read-only mappings as plain dictionaries."""
        state = {name: getattr(self, name) for name in self.__slots__}
        return state | {"metadata": dict(self.metadata), "checksums": dict(self.checksums)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state from `__getstate__`."""
        for name, value in state.items():
            object.__setattr__(self, name, value)


class _Unfrozen:
    """A class with the memory layout of `ObjectInfo`; its attributes are set faster, because it is not frozen."""

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
    """Return an `ObjectInfo` for a listing; this takes a fifth of the constructor's time (a page has 1,000 objects)."""
    info = _Unfrozen(key, last_modified, etag, size, storage_class, content_type, version_id, checksums)
    info.__class__ = ObjectInfo  # type: ignore[assignment]  # frozen from here on
    return info  # type: ignore[return-value]  # as above


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """The entry that replaces all keys below `prefix` in a listing with a delimiter."""

    prefix: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing: entries in UTF-8 binary order, and the token of the next page; `None`: the last page."""

    entries: tuple[ObjectInfo | CommonPrefix, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """One version of an object, or a delete marker, from `list_versions`.

    Attributes:
        key: The object's name.
        version_id: The version's id; `"null"` if the object was stored before the bucket kept versions.
        is_latest: Whether a read without `version_id` reads this version.
        is_delete_marker: Whether the entry is a delete marker, which has no bytes, etag or storage class.
        size: Length in bytes; 0 for a delete marker.
        etag: The etag exactly as the provider sent it; empty for a delete marker.
        last_modified: The time of the write or the deletion, with the time zone UTC.
        storage_class: The vendor's name of the storage class; `None`: the vendor's default class.
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
    """One page of a listing of versions, and the token of the next page; `None`: the last page."""

    entries: tuple[ObjectVersion, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartUpload:
    """An open multipart upload, from `create_multipart` or `list_multiparts`."""

    key: str
    upload_id: str
    initiated: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stored part of a multipart upload, for `complete_multipart`.

    Attributes:
        part_number: 1 to the vendor's limit (10 000).
        size: Length in bytes.
        etag: Exactly as the vendor sent it.
        checksum: The checksum in hex, by the algorithm `capabilities.multipart_checksum`; `None` if there is none.
    """

    part_number: int
    size: int
    etag: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a transfer's progress.

    Attributes:
        transferred: Bytes of this key transferred so far.
        total: All bytes of this key; `None` for a stream of unknown length.
        key: The object.
        increment: Bytes since the last report of this key; negative if bytes must be transferred again.
    """

    transferred: int
    total: int | None
    key: str
    increment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """The result of a transfer.

    Attributes:
        key: The object.
        size: Bytes transferred.
        etag: The etag of the object that was read or written.
        version_id: The version of that object, if the bucket keeps versions.
        parts: Number of body requests (1 for a single request, 0 for an empty object).
        retries: The number of resumed bodies, of reads repeated because of a wrong checksum, and of writes whose
            outcome the transfer checked; retries of single requests do not count.
        resumed_bytes: Reserved for transfers that continue an interrupted transfer; always 0 in this version.
        verified: How the bytes were compared: by a checksum such as `"crc32"`, `"crc64nvme"` or `"md5"` (for uploads,
            every body was sent with it, to a server whose row says that it compares it), by `"sha256"` (the hash was
            part of each request's signature; a server that follows SigV4 checks it, some test servers do not), or by
            `"length"` only.
        concurrency: How many requests with bodies of this size could be in flight when the transfer ended; see
            `TransferConfig.max_concurrency`.
        seconds: The duration of the transfer.
    """

    key: str
    size: int
    etag: str
    version_id: str | None = None
    parts: int = 1
    retries: int = 0
    resumed_bytes: int = 0
    verified: str = "length"
    concurrency: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The outcome of each key of a batch; no key is left out.

    Attributes:
        succeeded: The keys that succeeded.
        failed: The error of each key that failed.
        results: For a batch of transfers, the result of each key that was transferred.
    """

    succeeded: tuple[str, ...] = ()
    failed: Mapping[str, StorageError] = field(default_factory=lambda: NOTHING)
    results: Mapping[str, TransferResult] = field(default_factory=lambda: NOTHING)

    def raise_for_failures(self) -> None:
        """Raise the first error, with a note that counts the other errors; do nothing if all keys succeeded."""
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
        """Restore the state from `__getstate__`."""
        for name, value in state.items():
            object.__setattr__(self, name, value)
