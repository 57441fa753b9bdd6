"""A dictionary as object storage, with the same contract as a bucket, for tests and small caches.

One process and one event loop use it. Code that changes the dictionary never awaits, so it needs no lock.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NoReturn

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import check_key
from bucketry._core.conditions import cut_range, judge_read, judge_write
from bucketry._core.config import MemoryConfig
from bucketry._core.facts import fills_in_facts
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.requests import BodyReader, ObjectRequests
from bucketry._core.units import KiB
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    FileRange,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    Part,
    body_size,
)
from bucketry._providers.memory.bytes import (
    CHECKSUM,
    Content,
    SortedObjects,
    StoredObject,
    fill_sink,
    join,
    take_in,
)
from bucketry._providers.stored.bodies import BytesBody
from bucketry._providers.stored.listing import last_seen, take_page
from bucketry._providers.stored.multipart import MAX_LISTED, check_part_number, in_order, page_of_uploads
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._vendors.row import Vendor
from bucketry.errors import (
    IntegrityError,
    InvalidRequestError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    UploadNotFoundError,
)

_HASHED_ON_LOOP = 64 * KiB  # hashing a larger body on the loop takes longer than a switch to a thread


@dataclass(frozen=True, slots=True)
class _Upload:
    upload: MultipartUpload
    options: WriteOptions
    parts: dict[int, tuple[Part, Content]] = field(default_factory=dict)


@fills_in_facts
class MemoryRequests(ObjectRequests):
    """The requests of objects in memory. Each instance has its own objects, and begins without objects."""

    def __init__(self, config: MemoryConfig, vendor: Vendor) -> None:
        """Start without objects."""
        self._vendor = vendor
        self._objects: dict[str, StoredObject] = {}
        self._keys: list[str] = []  # sorted; the order of code points is the order of their UTF-8 bytes
        self._uploads: dict[str, _Upload] = {}

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle, because a copy would not share the objects.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(
            "memory:// does not pickle: its objects are in this process alone; use a bucket or a directory"
        )

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._vendor.name

    @property
    def capabilities(self) -> Capabilities:
        """The limits and promises of the vendor's row."""
        return self._vendor.capabilities

    def locate(self, key: str = "") -> str:
        """Return `memory:///key`."""
        return f"memory:///{key}"

    async def connect(self) -> None:
        """Do nothing, because there is no connection."""

    async def disconnect(self) -> None:
        """Do nothing, because the objects stay as long as the instance exists."""

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        del version_id  # always None, because the row has no versions
        return self._get(key).info

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        stored, wanted = self._read(key, options)
        yield BytesBody(stored.info, stored.data, wanted)

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        stored, wanted = self._read(key, options)
        await in_steps(fill_sink(stored, wanted, sink, self.locate(key)))
        return stored.info

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        self._check(key)
        content = await self._take(body, self.locate(key))
        return self._publish(key, content, f'"{content.md5.hex()}"', options)

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        after = last_seen(start_after, token)
        objects = SortedObjects(self._keys, self._objects, prefix, after)
        limit = self.capabilities.max_list_keys
        return take_page(objects, prefix=prefix, delimiter=delimiter, after=after, limit=limit, skip=objects.skip)

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        del version_id  # always None, because the row has no versions
        self._check(remote_path)
        if self._objects.pop(remote_path, None) is not None:
            del self._keys[bisect_left(self._keys, remote_path)]

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        limit = self.capabilities.max_delete_keys
        if len(keys) > limit:
            raise InvalidRequestError(f"{self.locate()}: {len(keys)} keys in one batch; {limit} is the limit")
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                await self.delete(key)
            except StorageError as error:
                failed[key] = error
        return BatchResult(succeeded=tuple(key for key in keys if key not in failed), failed=failed)

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        self._check(destination)
        stored, _ = self._read(source, ReadOptions(if_match=if_match))
        if options is None:
            options = WriteOptions.like(stored.info, tags=stored.tags)
        elif not options.tags:
            options = replace(options, tags=stored.tags)  # as on S3, a copy keeps the tags unless it gets new tags
        content = await self._take(stored.data, self.locate(source))
        return self._publish(destination, content, f'"{content.md5.hex()}"', options)

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        stored, wanted = self._read(source, ReadOptions(byte_range=byte_range, if_match=if_match))
        return await self.put_part(upload, part_number, memoryview(stored.data)[wanted.start : wanted.end])

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        self._check(key)
        upload = MultipartUpload(key=key, upload_id=secrets.token_hex(16), initiated=datetime.now(UTC))
        self._uploads[upload.upload_id] = _Upload(upload, options)
        return upload

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        self._find(upload)
        check_part_number(part_number, self.capabilities, self.locate(upload.key))
        content = await self._take(body, self.locate(upload.key))
        etag = f'"{content.md5.hex()}"'
        part = Part(part_number=part_number, size=len(content.data), etag=etag, checksum=content.crc32)
        self._find(upload).parts[part_number] = (part, content)
        return part

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
            parts: Every part, in any order.
            options: Only the preconditions are used here.
            checksum: CRC-32 of the whole object, in hex.

        Raises:
            UploadNotFoundError: The upload was completed or aborted.
            AlreadyExistsError: `if_none_match="*"` and the object exists now.
            PreconditionFailedError: `if_match` does not hold.
            IntegrityError: The object's CRC-32 is not `checksum`; the upload stays open.

        Cost: the parts are joined in a worker thread; meanwhile the bytes are in memory twice.
        """
        where = self.locate(upload.key)
        found = self._find(upload)
        chosen = []
        for part in in_order(parts, self.capabilities, where):
            stored, content = found.parts.get(part.part_number, (None, None))
            if content is None or stored is None or (stored.etag, stored.size) != (part.etag, part.size):
                raise InvalidRequestError(f"{where}: part {part.part_number} was never stored, or was replaced")
            chosen.append(content)
        whole = await in_thread(join, chosen)
        if checksum is not None and checksum.lower() != whole.crc32:
            raise IntegrityError(f"{where}: the parts have CRC-32 {whole.crc32}, not {checksum}; nothing was stored")
        self._find(upload)  # raises an error if the upload was aborted while the parts were joined
        written = replace(found.options, if_none_match=options.if_none_match, if_match=options.if_match)
        info = self._publish(upload.key, whole, f'"{whole.md5.hex()}-{len(chosen)}"', written)
        del self._uploads[upload.upload_id]
        return info

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        self._uploads.pop(upload.upload_id, None)

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        parts = self._find(upload).parts
        return tuple(parts[number][0] for number in sorted(parts) if number > after)[:MAX_LISTED]

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:
        return page_of_uploads((entry.upload for entry in self._uploads.values()), prefix, after)

    async def get_tags(self, key: str) -> dict[str, str]:
        return dict(self._get(key).tags)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        self._objects[key] = replace(self._get(key), tags=dict(tags))

    def _check(self, key: str) -> None:
        check_key(key, self.capabilities, self.locate())

    def _get(self, key: str) -> StoredObject:
        self._check(key)
        try:
            return self._objects[key]
        except KeyError:
            message = f"{self.locate(key)}: there is no such object"
            raise NotFoundError(message, key=key) from None

    def _read(self, key: str, options: ReadOptions) -> tuple[StoredObject, ByteRange]:
        stored = self._get(key)
        judge_read(stored.info, options, self.locate(key))
        return stored, cut_range(stored.info, options.byte_range, self.locate(key))

    def _find(self, upload: MultipartUpload) -> _Upload:
        found = self._uploads.get(upload.upload_id)
        if found is None or found.upload.key != upload.key:
            message = f"{self.locate(upload.key)}: upload {upload.upload_id} was completed or aborted, or never existed"
            raise UploadNotFoundError(message, key=upload.key)
        return found

    async def _take(self, body: Body, where: str) -> Content:
        if isinstance(body, FileRange) or body_size(body) > _HASHED_ON_LOOP:
            return await in_thread(take_in, body, where)
        return take_in(body, where)

    def _publish(self, key: str, content: Content, etag: str, options: WriteOptions) -> ObjectInfo:
        old = self._objects.get(key)
        judge_write(None if old is None else old.info.etag, options, key=key, where=self.locate(key))
        properties = options.properties()
        properties["content_type"] = options.content_type or "application/octet-stream"
        properties["metadata"] = MappingProxyType(properties["metadata"])
        info = ObjectInfo(
            key=key,
            size=len(content.data),
            etag=etag,
            last_modified=datetime.now(UTC),
            checksums=MappingProxyType({CHECKSUM: content.crc32}),
            **properties,
        )
        if old is None:
            insort(self._keys, key)
        self._objects[key] = StoredObject(info, content.data, dict(options.tags))
        return info
