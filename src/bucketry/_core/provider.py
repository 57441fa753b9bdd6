"""The contract, as small protocols: what one request does, and what is made of several.

`ObjectRequests` is what a new provider implements: one method, one request. `IStorageProvider` is
what users call: the same, and the methods that `bucketry.providers.StorageProvider` makes of them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, overload, runtime_checkable

from bucketry._core.capabilities import Capabilities
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    CommonPrefix,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    Part,
    TransferResult,
)
from bucketry.errors import StorageError

StrPath: TypeAlias = str | os.PathLike[str]
Content: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes]


class RangeSink(Protocol):
    """Where `fetch_range` puts an object's bytes: an open file, from one position on."""

    @property
    def fd(self) -> int:
        """The file's descriptor, open for writing."""

    @property
    def position(self) -> int:
        """Offset in the file of the next byte."""

    @property
    def needs_bytes(self) -> bool:
        """Whether the bytes must pass through `write` (they are summed), or the kernel may copy them."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes. Blocks: call it in a worker thread."""

    def skip(self, count: int) -> None:
        """Note that `count` bytes were put at `position` by other means, such as `copy_file_range`."""


class BodyReader(Protocol):
    """The open body of one answer: read it whole, or iterate it, once."""

    @property
    def info(self) -> ObjectInfo:
        """The object that the bytes are of; `size` is the whole object's."""

    @property
    def verified(self) -> str | None:
        """The stored checksum that all the bytes are compared with before the last of them is given, if any is.

        Such as `"crc32"`. Whoever reads the body need not compute it again.
        """

    async def read(self) -> bytes:
        """Give all the bytes in one piece: the shorter way for a small body.

        When it breaks, iterating gives what did come (or nothing, if that is not known), and breaks again.

        Raises:
            IncompleteBodyError: The body ended or stalled before its length.
        """

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes in chunks.

        Raises:
            IncompleteBodyError: The body ended or stalled before its length.
        """


class Connects(Protocol):
    """A provider's life."""

    async def connect(self) -> None:
        """Prove that place and credentials work."""

    async def disconnect(self) -> None:
        """Close what the provider itself opened; a shared pool stays open."""

    async def __aenter__(self) -> Self:
        """Connect."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""


class Names(Protocol):
    """How a provider names itself and its objects in messages, and what it can do."""

    @property
    def name(self) -> str:
        """Such as `"s3"` or `"local"`."""

    @property
    def capabilities(self) -> Capabilities:
        """The vendor row: limits and promises."""

    def locate(self, key: str = "") -> str:
        """Give a URL for messages, such as `"s3://bucket/key"`; never holds a credential."""


class ReadsObjects(Protocol):
    """One request each: facts and bytes of an object."""

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """Give what is known about the object.

        Raises:
            NotFoundError: There is no such object.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """

    def open_body(self, key: str, options: ReadOptions = WHOLE) -> AbstractAsyncContextManager[BodyReader]:
        """Open the object's body, or a range of it; leaving the context releases the connection.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: A condition does not hold; checked against the answer's etag as well.
            InvalidRangeError: The range begins at or beyond the object's end.

        Cost: 1 request, the range's bytes down; about 1 MiB of memory.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Put a range of the object (`None`: all of it) into an open file, off the event loop.

        On `IncompleteBodyError` the sink's position tells how much arrived: ask for the rest.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: The object is not the version named by `if_match`.
            IncompleteBodyError: The body ended or stalled before its length.
            IntegrityError: The answer is of another range than the one asked for.
            LocalFileError: The file cannot be written.

        Cost: 1 request, the range's bytes down; about 1 MiB of memory.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """


class WritesObjects(Protocol):
    """One request each: a whole object, atomically."""

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """Store the object in one request: visible whole or not at all.

        Raises:
            AlreadyExistsError: `if_none_match="*"` and there is one.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The vendor's row does not say that the condition is enforced; nothing was sent.

        Cost: 1 request, the body's bytes up; the body in memory while it is sent.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """


class ListsObjects(Protocol):
    """One request each: a page of keys."""

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """Give up to `capabilities.max_list_keys` entries whose keys begin with the literal prefix.

        Args:
            prefix: Literal; `"bus"` matches `"bush/a"`.
            delimiter: Groups the keys that share what comes before it after the prefix.
            start_after: Only keys that sort after it.
            token: `next_token` of the page before.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """


class DeletesObjects(Protocol):
    """One request each: removing objects."""

    async def delete(self, remote_path: str) -> None:
        """Remove the object; succeeds when there is none.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """Remove up to `capabilities.max_delete_keys` objects and report on each.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """


class CopiesObjects(Protocol):
    """One request each: copies that the server makes."""

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        """Copy within the bucket, up to `capabilities.max_copy_size` bytes, metadata included.

        Args:
            source: Key to copy.
            destination: Key to write.
            if_match: The source's etag, to copy exactly that version.
            options: Replaces metadata and content type; `None` keeps the source's.

        Cost: 1 request; no bytes pass through this machine.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """Make a part of an open upload from a range of another object.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """


class UploadsParts(Protocol):
    """One request each: an object made of parts."""

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        """Open an upload; its parts are stored, and billed, until it is completed or aborted.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
        """

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """Store one part; parts may arrive in any order and replace an earlier one of the same number.

        Raises:
            UploadNotFoundError: The upload was completed or aborted.

        Cost: 1 request, the body's bytes up; the body in memory while it is sent.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        """Publish the object made of the parts, in order of their numbers.

        Args:
            upload: The open upload.
            parts: Every part, any order.
            options: Only the preconditions are used here.
            checksum: Hex digest of the whole object where the row has `full_object_checksum`.

        Raises:
            UploadNotFoundError: The upload was completed (perhaps by a lost earlier attempt) or aborted.
            AlreadyExistsError: `if_none_match="*"` and there is an object now.
            PreconditionFailedError: `if_match` does not hold.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """Throw the upload and its parts away; succeeds when it is gone already.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        """Give the stored parts of an open upload, in order of their numbers; 1,000 at the most, without checksums.

        Args:
            upload: The open upload.
            after: Only parts whose number is higher.

        Raises:
            UploadNotFoundError: The upload was completed or aborted.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
        """

    async def list_multiparts(self, prefix: str = "") -> tuple[MultipartUpload, ...]:
        """Give the open uploads of keys that begin with `prefix`, 1,000 at the most.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """


class Presigns(Protocol):
    """URLs that work without credentials; made without a request."""

    async def presign(self, key: str, *, method: str = "GET", expires_in: int = 3600) -> str:
        """Sign a URL for `method` on the object.

        Args:
            key: The object.
            method: One of `capabilities.presign_methods`.
            expires_in: Seconds, 1 to `capabilities.max_presign_expiry`.

        Raises:
            UnsupportedError: The provider cannot sign this method.

        Cost: none.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
        """

    async def presign_post(self, key: str, *, expires_in: int = 3600, max_size: int | None = None) -> dict[str, Any]:
        """Sign a form with which a browser may upload to `key`: `{"url": …, "fields": {…}}`.

        Raises:
            UnsupportedError: The vendor has no browser uploads by form.

        Cost: none.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
        """


class ObjectRequests(
    Connects,
    Names,
    ReadsObjects,
    WritesObjects,
    ListsObjects,
    DeletesObjects,
    CopiesObjects,
    UploadsParts,
    Presigns,
    Protocol,
):
    """Everything a provider does in one request: all that transfer code knows of a provider."""


class ObjectStream(Protocol):
    """The reader that `stream` gives: resumes a cut body, pinned to one version."""

    @property
    def info(self) -> ObjectInfo:
        """The object that the bytes are of."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the bytes in chunks of at most the chunk size."""


@runtime_checkable
class IStorageProvider(ObjectRequests, Protocol):
    """One storage place: a bucket, a directory or a memory; the nine classic methods and byte-level ones."""

    async def upload(
        self, local_path: StrPath, remote_path: str, metadata: Mapping[str, str] | None = None
    ) -> TransferResult:
        """Store a local file under the key `remote_path`: any size, parallel parts, atomic, verified."""

    async def download(self, remote_path: str, local_path: StrPath) -> TransferResult:
        """Put an object into a local file: any size, parallel ranges, atomic, verified."""

    async def list_files(self, prefix: str | None = None) -> list[str]:
        """Give every key that begins with the literal prefix, in UTF-8 binary order."""

    async def exists(self, remote_path: str) -> bool:
        """Tell whether there is such an object."""

    async def get_file_size(self, remote_path: str) -> int:
        """Give the object's length in bytes."""

    async def get_metadata(self, remote_path: str) -> dict[str, Any]:
        """Give size, etag, last_modified, content_type, storage_class, version_id and user metadata."""

    async def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> bytes:
        """Give the whole object."""

    async def get_range(
        self, key: str, start: int, end: int, *, version_id: str | None = None, if_match: str | None = None
    ) -> bytes:
        """Give the bytes `[start, end)`; fewer where the object ends before."""

    async def get_ranges(
        self, key: str, ranges: Iterable[tuple[int, int]], *, coalesce: int = ..., if_match: str | None = None
    ) -> list[bytes]:
        """Give several ranges of one version; ranges nearer than `coalesce` share a request."""

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None, chunk_size: int = ...
    ) -> AbstractAsyncContextManager[ObjectStream]:
        """Open the object for reading in chunks; a cut body is resumed."""

    async def put(
        self,
        key: str,
        data: Content,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        if_none_match: str | None = None,
        if_match: str | None = None,
        storage_class: str | None = None,
    ) -> ObjectInfo:
        """Store bytes, or an asynchronous iterable of unknown length, under the key."""

    @overload
    def list(
        self, prefix: str = "", *, delimiter: None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo]: ...

    @overload
    def list(
        self, prefix: str = "", *, delimiter: str | None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]: ...

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Iterate over the objects whose keys begin with the literal prefix; with a delimiter also common prefixes."""

    async def delete_many(self, keys: Iterable[str]) -> BatchResult:
        """Remove any number of objects and report on each."""

    def delete_each(self, keys: Iterable[str]) -> AsyncGenerator[tuple[str, StorageError | None], None]:
        """Remove any number of objects, and iterate over `(key, None or its error)` as the answers come."""

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy within the bucket, server-side, any size."""

    async def move(self, source: str, destination: str) -> ObjectInfo:
        """Copy, then delete the source."""
