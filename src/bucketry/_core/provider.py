"""What users call: `IStorageProvider`, the requests and what is made of several of them."""

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
    """The reader that `stream` gives: resumes a cut body, pinned to one version."""

    @property
    def info(self) -> ObjectInfo:
        """The object that the bytes are of."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the bytes in chunks of at most the chunk size."""


class Upload(Protocol):
    """An open multipart upload, as `start_upload` and `adopt_upload` give it.

    Any number of processes may put parts of one upload at once: `key` and `upload_id` name it everywhere, and
    `adopt_upload` takes it over. Its parts are stored, and billed, until it is committed or aborted.

    `async with` aborts it where the block ends with an error or is cancelled. A block that ends well leaves it as it
    is: nothing is published without `commit`, and another process may go on.
    """

    @property
    def key(self) -> str:
        """The object that it is to make."""

    @property
    def upload_id(self) -> str:
        """The provider's name for it: what another process needs to go on, together with the key."""

    async def __aenter__(self) -> Self:
        """Give the upload."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort it where the block ends with an error or a cancellation; else leave it as it is."""

    async def put_part(self, number: int, data: bytes | bytearray | memoryview) -> Part:
        """Store one part; parts may arrive in any order, and replace an earlier one of the same number.

        Args:
            number: 1 to `capabilities.max_parts`; the object has its parts in order of their numbers, gaps are fine.
            data: From `capabilities.min_part_size` to `max_part_size` bytes, the last part may have fewer; all but
                the last of equal length where `capabilities.equal_part_sizes`.

        Raises:
            UploadNotFoundError: The upload was committed or aborted.
            InvalidRequestError: The number is outside its bounds; nothing was sent.

        Cost: 1 request, the bytes up.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """

    def list_parts(self) -> AsyncIterator[Part]:
        """Iterate over the parts that are stored, in order of their numbers, whoever put them.

        Raises:
            UploadNotFoundError: The upload was committed or aborted.

        Cost: 1 request for each 1,000 parts, and 1 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
        """

    async def commit(self) -> ObjectInfo:
        """Publish the object made of the parts.

        Of `start_upload` they are those put through this object, of `adopt_upload` all that are stored. So where
        several processes have put parts, the one that commits adopts the upload, even if it has started it.
        Conditions that `start_upload` was given hold here; an adopted upload has none.

        Raises:
            UploadNotFoundError: The upload was committed or aborted.
            InvalidRequestError: There is no part, or one before the last is too small.
            AlreadyExistsError: `if_none_match="*"` and there is an object now.
            PreconditionFailedError: `if_match` does not hold.
            TransientError: The provider did not answer; a note says where it is not known whether it has done it.

        Cost: 1 request and 1 HEAD; adopted: 1 request, 1 for each 1,000 parts, and 1 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """

    async def abort(self) -> None:
        """Throw the upload and its parts away; succeeds when it is gone already.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """


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
        """Open a multipart upload whose parts the caller puts."""

    async def adopt_upload(self, key: str, upload_id: str) -> Upload:
        """Take over a multipart upload that is open."""

    def list_uploads(self, prefix: str = "") -> AsyncIterator[MultipartUpload]:
        """Iterate over the open multipart uploads of keys that begin with the literal prefix."""

    def list_versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Iterate over the versions and delete markers of the objects whose keys begin with the literal prefix."""

    async def delete_many(self, keys: Iterable[str]) -> BatchResult:
        """Remove any number of objects and report on each."""

    def delete_each(self, keys: Iterable[str]) -> AsyncGenerator[tuple[str, StorageError | None], None]:
        """Remove any number of objects, and iterate over `(key, None or its error)` as the answers come."""

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy within the bucket, server-side, any size."""

    async def move(self, source: str, destination: str) -> ObjectInfo:
        """Copy, then delete the source."""
