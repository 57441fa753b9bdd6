"""`IStorageProvider`: all methods of a provider, both the methods that make one request and those that make several."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, Unpack, overload, runtime_checkable

from bucketry._core.options import WriteKeywords
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import (
    BatchResult,
    CommonPrefix,
    MultipartUpload,
    ObjectInfo,
    ObjectVersion,
    Part,
    TransferResult,
)
from bucketry.errors import StorageError

StrPath: TypeAlias = str | os.PathLike[str]
Content: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes]


class ObjectStream(Protocol):
    """The reader that `stream` returns: it reads one version, and resumes incomplete bodies."""

    @property
    def info(self) -> ObjectInfo:
        """The object's properties; `size` is the size of the whole object, also for a range."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes in chunks of at most the chunk size."""


class Upload(Protocol):
    """An open multipart upload, as `start_upload` and `adopt_upload` return it.

    Several processes can put parts of one upload at the same time: each of them calls `adopt_upload` with the upload's
    `key` and `upload_id`. The parts are stored, and billed, until the upload is committed or aborted.

    `async with` aborts the upload if the block ends with an error or is cancelled. Otherwise the upload stays open, so
    that another process can continue it. Nothing is published without `commit`.
    """

    @property
    def key(self) -> str:
        """The key of the object that the upload makes."""

    @property
    def upload_id(self) -> str:
        """The provider's id of the upload; with the key, another process can continue the upload."""

    async def __aenter__(self) -> Self:
        """Return the upload."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort the upload if the block ends with an error or a cancellation; else leave it open."""

    async def put_part(self, number: int, data: bytes | bytearray | memoryview) -> Part:
        """Store one part; parts may be put in any order, and a part replaces an earlier part of the same number.

        Args:
            number: 1 to `capabilities.max_parts`. The object has its parts in order of their numbers; numbers may be
                left out.
            data: From `capabilities.min_part_size` to `max_part_size` bytes; the last part may have fewer. If
                `capabilities.equal_part_sizes`, all parts but the last must have equal length.

        Raises:
            UploadNotFoundError: The upload was committed or aborted.
            InvalidRequestError: The number is too small or too large; nothing was sent.

        Cost: 1 request, the bytes up.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """

    def list_parts(self) -> AsyncIterator[Part]:
        """Iterate over the stored parts, also those of other processes, in order of their numbers.

        Raises:
            UploadNotFoundError: The upload was committed or aborted.

        Cost: 1 request for each 1,000 parts, and 1 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
        """

    async def commit(self) -> ObjectInfo:
        """Publish the object made of the parts.

        After `start_upload`, the object is made of the parts put with this `Upload`; after `adopt_upload`, it is made
        of all stored parts. So if several processes have put parts, the process that commits must call `adopt_upload`,
        even if the same process called `start_upload`. The provider checks the conditions given to `start_upload` at
        the commit; an adopted upload has no conditions.

        After `adopt_upload`, the returned `metadata` is empty, because an adopted upload does not know the metadata
        given to `start_upload`. The stored object has this metadata: use `head` to read it.

        Raises:
            UploadNotFoundError: The upload was committed or aborted.
            InvalidRequestError: There is no part, or a part before the last is too small.
            AlreadyExistsError: `if_none_match="*"` and there is an object now.
            PreconditionFailedError: `if_match` does not hold.
            TransientError: The provider did not answer; if the object may have been written, a note says so.

        Cost: 1 request and 1 HEAD; after `adopt_upload`: 1 request, 1 for each 1,000 parts, and 1 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """

    async def abort(self) -> None:
        """Delete the upload and its parts; it is not an error if the upload no longer exists.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """


@runtime_checkable
class IStorageProvider(ObjectRequests, Protocol):
    """The interface of every provider: methods for local files, objects, bytes, ranges, uploads and listings."""

    async def upload(
        self, local_path: StrPath, remote_path: str, metadata: Mapping[str, str] | None = None
    ) -> TransferResult:
        """Store a local file of any size under the key `remote_path`: in parallel parts, atomic, verified."""

    async def download(self, remote_path: str, local_path: StrPath) -> TransferResult:
        """Download an object of any size to a local file: in parallel ranges, atomic, verified."""

    async def list_files(self, prefix: str | None = None) -> list[str]:
        """Return every key that begins with the literal prefix, in UTF-8 binary order."""

    async def exists(self, remote_path: str) -> bool:
        """Return whether there is such an object."""

    async def get_file_size(self, remote_path: str) -> int:
        """Return the object's length in bytes."""

    async def get_metadata(self, remote_path: str) -> dict[str, Any]:
        """Return size, etag, last_modified, content_type, storage_class, version_id and user metadata.

        For the other headers use `head`.
        """

    async def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> bytes:
        """Return the bytes of the whole object."""

    async def get_range(
        self, key: str, start: int, end: int, *, version_id: str | None = None, if_match: str | None = None
    ) -> bytes:
        """Return the bytes `[start, end)`; fewer if the object ends before `end`."""

    async def get_ranges(
        self, key: str, ranges: Iterable[tuple[int, int]], *, coalesce: int = ..., if_match: str | None = None
    ) -> list[bytes]:
        """Return several ranges of one version; ranges at most `coalesce` bytes apart share a request."""

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_size: int = ...,
        version_id: str | None = None,
    ) -> AbstractAsyncContextManager[ObjectStream]:
        """Open the object for reading in chunks; an incomplete body is resumed."""

    async def put(
        self,
        key: str,
        data: Content,
        **write: Unpack[WriteKeywords],
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

    async def start_upload(self, key: str, **write: Unpack[WriteKeywords]) -> Upload:
        """Open a multipart upload; the caller puts its parts."""

    async def adopt_upload(self, key: str, upload_id: str) -> Upload:
        """Continue an open multipart upload."""

    def list_uploads(self, prefix: str = "") -> AsyncIterator[MultipartUpload]:
        """Iterate over the open multipart uploads of keys that begin with the literal prefix."""

    def list_versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Iterate over the versions and delete markers of the objects whose keys begin with the literal prefix."""

    async def delete_many(self, keys: Iterable[str]) -> BatchResult:
        """Remove any number of objects, and return the outcome of each."""

    def delete_each(self, keys: Iterable[str]) -> AsyncGenerator[tuple[str, StorageError | None], None]:
        """Remove any number of objects, and iterate over `(key, None)` or `(key, error)` as the responses arrive."""

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy an object of any size within the bucket, on the server."""

    async def move(self, source: str, destination: str) -> ObjectInfo:
        """Copy, then delete the source."""
