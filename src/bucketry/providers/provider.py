"""StorageProvider: everything users call on a provider, made of the requests it can do."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import islice
from types import TracebackType
from typing import Any, ClassVar, Self, Unpack, overload

from bucketry._core.checks import check_write, refuse_string
from bucketry._core.config import TransferConfig
from bucketry._core.facts import Facts, filled, fills_in_facts
from bucketry._core.optional import KeepsVersions
from bucketry._core.options import WHOLE, ReadOptions, WriteKeywords
from bucketry._core.provider import Content, ObjectStream, StrPath
from bucketry._core.units import MiB
from bucketry._core.values import BatchResult, ByteRange, CommonPrefix, ObjectInfo, ObjectVersion, TransferResult
from bucketry._providers.defaults import DefaultRequests, unkept, unwritten
from bucketry._providers.promises import keep_promises
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.many import BatchCollector, delete_settled
from bucketry._transfer.one.read import read, read_ranges
from bucketry._transfer.one.stream import ResumingStream
from bucketry._transfer.one.write import put_settled
from bucketry._transfer.options import write_options
from bucketry._transfer.tree.directories import every_object
from bucketry.errors import InvalidRangeError, NotFoundError, StorageError


@fills_in_facts
class StorageProvider(DefaultRequests):
    """The base of every provider: a class that writes `RequiredRequests` gets all of `IStorageProvider` from it.

    What else a provider can do is told by its row, `capabilities`, and written by its class; what it cannot is refused
    by `UnsupportedError` before anything is sent.

    A provider holds configuration only. It pickles, and works after a fork, in a spawned process and
    in a second event loop; without `connect` its first call opens what it needs.
    """

    FILLS_IN_FACTS: ClassVar[tuple[str, ...]] = ("get", "put")

    def __init__(self, transfer: TransferConfig | None = None) -> None:
        """Remember how `upload`, `download` and streams are transferred; no I/O.

        Raises:
            TypeError: The class leaves a required request unwritten, or one that its row promises; names it.
        """
        kind = type(self)
        if missing := unwritten(kind):
            message = f"{kind.__name__} must write {', '.join(missing)}: every provider has these"
            raise TypeError(message)
        for promise, names in unkept(kind, self.capabilities).items():
            message = (
                f"{kind.__name__} must write {', '.join(names)}: its row promises capabilities.{promise}; "
                "write them, or take the promise back"
            )
            raise TypeError(message)
        self.transfer = TransferManager(self, transfer)

    def __init_subclass__(cls) -> None:
        """Let the requests that a provider writes refuse what its row does not promise, and their errors say where."""
        super().__init_subclass__()
        fills_in_facts(cls)
        keep_promises(cls, StorageProvider)

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await self.connect()
        except BaseException:
            await self.disconnect()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self.disconnect()

    def __repr__(self) -> str:
        """Name class and place; never a credential."""
        return f"<{type(self).__name__} {self.locate()}>"

    # --- the nine classic methods (connect, disconnect and delete are requests) -----------------------

    async def upload(
        self, local_path: StrPath, remote_path: str, metadata: Mapping[str, str] | None = None
    ) -> TransferResult:
        """Store a local file: any size, parallel parts, visible whole or not at all.

        Raises:
            LocalFileError: The file is missing, a directory, or unreadable.
            IntegrityError: The file changed meanwhile, or other bytes arrived than were sent.

        Cost: 1 request; in parts: 1 for each part and 3 more. The file's bytes up.
        """
        return await self.transfer.upload(local_path, remote_path, metadata=metadata)

    async def download(self, remote_path: str, local_path: StrPath) -> TransferResult:
        """Put an object into a local file: the old file or the whole new one, never a part.

        Raises:
            NotFoundError: There is no such object.
            IntegrityError: The bytes are not those that were stored.
            LocalFileError: The file cannot be written, or is a directory.

        Cost: 1 HEAD, and 1 request for each part. The object's bytes down.
        """
        return await self.transfer.download(remote_path, local_path)

    async def list_files(self, prefix: str | None = None) -> list[str]:
        """Give every key that begins with the literal prefix, in UTF-8 binary order.

        Cost: 1 request for each 1,000 keys; memory for all of them (`list` gives them one by one).
        """
        return sorted([entry.key async for entry in self.list(prefix or "")])

    async def exists(self, remote_path: str) -> bool:
        """Tell whether there is such an object.

        Cost: 1 request.
        """
        try:
            await self.head(remote_path)
        except NotFoundError:
            return False
        return True

    async def get_file_size(self, remote_path: str) -> int:
        """Give the object's length in bytes.

        Raises:
            NotFoundError: There is no such object.

        Cost: 1 request.
        """
        return (await self.head(remote_path)).size

    async def get_metadata(self, remote_path: str) -> dict[str, Any]:
        """Give `size, etag, last_modified, content_type, storage_class, version_id, metadata`.

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

    # --- bytes ---------------------------------------------------------------------------------------

    async def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> bytes:
        """Give the whole object; a body that breaks is resumed, one whose checksum differs is read once more.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: A condition does not hold.
            ChecksumMismatchError: The bytes are not those that were stored, twice.

        Cost: 1 request, the object's bytes down and in memory.
        """
        try:
            options = WHOLE
            if version_id is not None or if_match is not None or if_none_match is not None:
                options = ReadOptions(version_id=version_id, if_match=if_match, if_none_match=if_none_match)
            _, data = await read(self, key, options, policy=self.transfer.policy)
        except StorageError as error:
            filled(error, self.name, "get", key)
            raise
        return data

    async def get_range(
        self, key: str, start: int, end: int, *, version_id: str | None = None, if_match: str | None = None
    ) -> bytes:
        """Give the bytes `[start, end)`; fewer where the object ends before `end`, none of an empty object.

        Args:
            key: The object.
            start: First byte.
            end: One after the last byte.
            version_id: The version; `None`: the current one.
            if_match: An etag: only read exactly this version.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: `if_match` does not hold.
            InvalidRangeError: The range runs backwards, or begins at or beyond the end of an object that is not empty,
                also where it is empty itself.

        Cost: 1 request, the range's bytes down; 1 HEAD for an empty range, 1 HEAD more where S3 refuses the range.
        """
        options = ReadOptions(byte_range=ByteRange(start, end), version_id=version_id, if_match=if_match)
        _, data = await read(self, key, options, policy=self.transfer.policy)
        return data

    async def get_ranges(
        self, key: str, ranges: Iterable[tuple[int, int]], *, coalesce: int = MiB, if_match: str | None = None
    ) -> list[bytes]:
        """Give several ranges `[start, end)` of one version; those at most `coalesce` bytes apart share a request.

        Each is cut at the object's end, or refused, as by `get_range`.

        Args:
            key: The object.
            ranges: Pairs of first byte and one after the last, in any order.
            coalesce: Largest gap to read across, bytes.
            if_match: An etag: only read exactly this version.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: `if_match` does not hold, or the object was replaced meanwhile.
            InvalidRangeError: One of the ranges is refused.

        Cost: 1 request for each group of near ranges, the bytes of ranges and gaps down; 1 HEAD where all are empty.
        """
        width = self.transfer.config.max_concurrency
        return await read_ranges(
            self, key, ranges, coalesce=coalesce, width=width, if_match=if_match, policy=self.transfer.policy
        )

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None, chunk_size: int = MiB
    ) -> AbstractAsyncContextManager[ObjectStream]:
        """Open the object for reading: `async with provider.stream(key) as chunks: async for chunk in chunks: …`.

        The connection is held, and its client kept open, until the context is left. A body that breaks is resumed
        where it broke, from the same version. A range is cut at the object's end, or refused, as by `get_range`.
        Where a whole object is read and the provider keeps its checksum, that is compared before the last chunk is
        given: the chunks before it cannot be taken back, so a difference is raised and not repaired.

        Args:
            key: The object.
            start: First byte.
            end: One after the last byte; `None`: the object's end.
            chunk_size: Bytes of a chunk at most.

        Raises:
            NotFoundError: There is no such object.
            InvalidRangeError: The range is refused.
            ChecksumMismatchError: The bytes are not those that were stored.
            InvalidRequestError: The stream is read outside `async with`.

        Cost: 1 request, the bytes down; about 1 MiB of memory.
        """
        with Facts(self.name, "get", key):
            if chunk_size < 1:
                message = f"{self.locate(key)}: chunk_size={chunk_size}: give 1 or more bytes"
                raise InvalidRangeError(message)
            options = WHOLE
            if start or end is not None:
                last = self.capabilities.max_object_size if end is None else end
                options = ReadOptions(byte_range=ByteRange(start, last))
        return ResumingStream(self, key, options, chunk_size=chunk_size, policy=self.transfer.policy)

    async def put(self, key: str, data: Content, **write: Unpack[WriteKeywords]) -> ObjectInfo:
        """Store bytes, or a stream of unknown length with bounded memory, under the key.

        Args:
            key: The object.
            data: `bytes`, `bytearray`, `memoryview`, or an asynchronous iterable of bytes.
            **write: What goes with the bytes, see `WriteKeywords`: `metadata`, `content_type`, `tags`, `if_match`, ….

        Raises:
            AlreadyExistsError: `if_none_match="*"` and there is an object.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The provider does not enforce the condition or keeps no tags, or the stream is longer
                than a provider without multipart uploads takes; nothing was stored.
            InvalidRequestError: A header's text, or a tag, cannot be sent; nothing was sent.

        Cost: 1 request; a stream longer than a part: 1 for each part and 3 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """
        try:
            options = write_options(self, key, **write)
            if isinstance(data, (bytes, bytearray, memoryview)):
                if options.conditional:
                    check_write(options, self.capabilities, self.locate(key), multipart=False)
                info, _ = await put_settled(self, key, data, options, attempts=self.transfer.config.max_attempts)
                return info
            if not isinstance(data, AsyncIterable):
                wanted = f"bytes or an asynchronous iterable of bytes, not {type(data).__name__}"
                message = f"{self.locate(key)}: put takes {wanted}"
                raise TypeError(message)
            return await self.transfer.put_stream(key, data, options)
        except StorageError as error:
            filled(error, self.name, "put", key)
            raise

    # --- keys ----------------------------------------------------------------------------------------

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
        """Iterate over the objects whose keys begin with the literal prefix, in UTF-8 binary order.

        Args:
            prefix: Literal: `"bus"` matches `"bush/a"`.
            delimiter: Such as `"/"`: keys that hold it after the prefix are given as one `CommonPrefix`.
            start_after: Only keys that sort after it.

        Cost: 1 request for each page of 1,000 entries, the next one made ahead; 2 pages of memory.
        """
        return every_object(self, prefix, delimiter=delimiter, start_after=start_after)

    async def list_versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Iterate over the versions and delete markers of the objects whose keys begin with the literal prefix.

        They come in UTF-8 binary order of their keys, of one key the latest first.

        Args:
            prefix: Literal: `"bus"` matches `"bush/a"`.

        Raises:
            UnsupportedError: The provider keeps no versions; nothing was sent.

        Cost: 1 request for each 1,000 versions.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        with Facts(self.name, "list_versions"):
            if not self.capabilities.versions:
                await KeepsVersions.list_versions_page(self, prefix)  # refuses
            token = None
            while True:
                page = await self.list_versions_page(prefix, token=token)
                for entry in page.entries:
                    yield entry
                if (token := page.next_token) is None:
                    return

    async def delete_many(self, keys: Iterable[str]) -> BatchResult:
        """Remove any number of objects and report on each; a missing one counts as removed.

        Cost: 1 request for each 1,000 keys.
        """
        refuse_string(keys, self.locate())
        collector = BatchCollector()
        remaining = iter(dict.fromkeys(keys))
        while batch := tuple(islice(remaining, self.capabilities.max_delete_keys)):
            await delete_settled(self, batch, collector, self.transfer.policy)
        return collector.result()

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy within the bucket, server-side, any size, pinned to the source's version.

        Cost: 2 requests (3 on S3-compatible clouds); above the vendor's limit for one copy 1 for each 256 MiB and 4.
        """
        return await self.transfer.copy(source, destination)

    async def move(self, source: str, destination: str) -> ObjectInfo:
        """Copy, then delete the source; not atomic: for a moment both are there.

        Cost: as `copy`, and 1 request.
        """
        copied = await self.copy(source, destination)
        await self.delete(source)
        return copied
