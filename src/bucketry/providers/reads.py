"""The methods that read one object, built from the provider's methods that make one request."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from bucketry._core.config import TransferConfig
from bucketry._core.facts import Facts, filled, fills_in_facts
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.provider import ObjectStream
from bucketry._core.retry import RetryPolicy
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange
from bucketry._providers.defaults import DefaultRequests
from bucketry._transfer.one.read import read, read_ranges
from bucketry._transfer.one.stream import ResumingStream
from bucketry.errors import InvalidRangeError, NotFoundError, StorageError

if TYPE_CHECKING:
    from bucketry._transfer.manager import TransferManager


@fills_in_facts
class ReadMethods(DefaultRequests):
    """The part of `StorageProvider` that reads one object."""

    FILLS_IN_FACTS: ClassVar[tuple[str, ...]] = ("get",)
    _transfer_config: TransferConfig

    @cached_property
    def transfer(self) -> TransferManager:
        """The manager of this provider's transfers; its module is imported on first use, because it takes long."""
        manager: TransferManager = import_module("bucketry._transfer.manager").TransferManager(
            self, self._transfer_config
        )
        return manager

    @cached_property
    def _policy(self) -> RetryPolicy:
        """How often an incomplete body is resumed; the manager has the same policy, and takes long to load."""
        return RetryPolicy.of(self._transfer_config)

    async def exists(self, remote_path: str) -> bool:
        """Return whether there is such an object.

        Cost: 1 request.
        """
        try:
            await self.head(remote_path)
        except NotFoundError:
            return False
        return True

    async def get_file_size(self, remote_path: str) -> int:
        """Return the object's length in bytes.

        Raises:
            NotFoundError: There is no such object.

        Cost: 1 request.
        """
        return (await self.head(remote_path)).size

    async def get_metadata(self, remote_path: str) -> dict[str, Any]:
        """Return `size, etag, last_modified, content_type, storage_class, version_id, metadata`.

        For the other headers, such as `cache_control`, use `head`.

        Raises:
            NotFoundError: There is no such object.

        Cost: 1 request.
        """
        info = await self.head(remote_path)
        return {
            "size": info.size,
            "etag": info.etag,
            "last_modified": info.last_modified,
            "content_type": info.content_type,
            "storage_class": info.storage_class,
            "version_id": info.version_id,
            "metadata": dict(info.metadata),
        }

    async def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> bytes:
        """Return the bytes of the object; an incomplete body is resumed, and a wrong checksum causes a second read.

        Args:
            key: The object.
            version_id: The version; `None`: the current version.
            if_match: An etag: only read the version with this etag.
            if_none_match: An etag: only read a version with another etag.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: A condition does not hold.
            ChecksumMismatchError: The bytes do not match the stored checksum, not even in the second read.

        Cost: 1 request, the object's bytes down and in memory.
        """
        try:
            options = WHOLE
            if version_id is not None or if_match is not None or if_none_match is not None:
                options = ReadOptions(version_id=version_id, if_match=if_match, if_none_match=if_none_match)
            _, data = await read(self, key, options, policy=self._policy)
        except StorageError as error:
            filled(error, self.name, "get", key)
            raise
        return data

    async def get_range(
        self, key: str, start: int, end: int, *, version_id: str | None = None, if_match: str | None = None
    ) -> bytes:
        """Return the bytes `[start, end)`: fewer if the object ends before `end`, none if the object is empty.

        Args:
            key: The object.
            start: The position of the first byte.
            end: The position after the last byte.
            version_id: The version; `None`: the current version.
            if_match: An etag: only read the version with this etag.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: `if_match` does not hold.
            InvalidRangeError: `end` is before `start`, or the range (even an empty one) begins at or beyond the end of
                an object that is not empty.

        Cost: 1 request, the range's bytes down; 1 HEAD for an empty range; 1 more HEAD if S3 refuses the range.
        """
        options = ReadOptions(byte_range=ByteRange(start, end), version_id=version_id, if_match=if_match)
        _, data = await read(self, key, options, policy=self._policy)
        return data

    async def get_ranges(
        self, key: str, ranges: Iterable[tuple[int, int]], *, coalesce: int = MiB, if_match: str | None = None
    ) -> list[bytes]:
        """Return several ranges `[start, end)` of one version; ranges at most `coalesce` bytes apart share a request.

        Each range is cut at the object's end, or refused, as by `get_range`.

        Args:
            key: The object.
            ranges: Pairs `(start, end)`, in any order; `end` is the position after the last byte.
            coalesce: Largest gap in bytes between two ranges of one request; the bytes of the gap are read too.
            if_match: An etag: only read the version with this etag.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: `if_match` does not hold, or the object was replaced meanwhile.
            InvalidRangeError: A range is refused.

        Cost: 1 request for each group of near ranges, the bytes of ranges and gaps down; 1 HEAD if all of them are
            empty.
        """
        width = self.transfer.config.max_concurrency
        return await read_ranges(
            self, key, ranges, coalesce=coalesce, width=width, if_match=if_match, policy=self._policy
        )

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_size: int = MiB,
        version_id: str | None = None,
    ) -> AbstractAsyncContextManager[ObjectStream]:
        """Open the object for reading: `async with provider.stream(key) as chunks: async for chunk in chunks: …`.

        The stream holds a connection until the context ends. An incomplete body is resumed at its first missing byte,
        from the same version. A range is cut at the object's end, or refused, as by `get_range`. If the whole object is
        read and the provider keeps its checksum, the checksum is compared before the last chunk is yielded. A wrong
        checksum is an error, not a second read, because the caller has the earlier chunks already. After a body was
        resumed, only the length is compared.

        Args:
            key: The object.
            start: The position of the first byte.
            end: The position after the last byte; `None`: the object's end.
            chunk_size: Maximum bytes of a chunk.
            version_id: The version; `None`: the current version.

        Raises:
            NotFoundError: There is no such object.
            InvalidRangeError: The range is refused, or `chunk_size` is less than 1.
            ChecksumMismatchError: The bytes do not match the stored checksum.
            InvalidRequestError: The stream is read outside `async with`.

        Cost: 1 request, the bytes down; about 1 MiB of memory.
        """
        with Facts(self.name, "get", key):
            if chunk_size < 1:
                message = f"{self.locate(key)}: chunk_size={chunk_size}: give 1 or more bytes"
                raise InvalidRangeError(message)
            options = WHOLE if version_id is None else ReadOptions(version_id=version_id)
            if start or end is not None:
                last = self.capabilities.max_object_size if end is None else end
                options = ReadOptions(byte_range=ByteRange(start, last), version_id=version_id)
        return ResumingStream(self, key, options, chunk_size=chunk_size, policy=self._policy)
