"""What users call: `IStorageProvider`, the requests and what is made of several of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, Unpack, overload, runtime_checkable

from bucketry._core.options import WriteKeywords
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import BatchResult, CommonPrefix, ObjectInfo, ObjectVersion, TransferResult

StrPath: TypeAlias = str | os.PathLike[str]
Content: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes]


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

    def list_versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Iterate over the versions and delete markers of the objects whose keys begin with the literal prefix."""

    async def delete_many(self, keys: Iterable[str]) -> BatchResult:
        """Remove any number of objects and report on each."""

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy within the bucket, server-side, any size."""

    async def move(self, source: str, destination: str) -> ObjectInfo:
        """Copy, then delete the source."""
