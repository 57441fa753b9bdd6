"""A provider seen through a prefix, or with something done around each of its requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import check_key
from bucketry._core.provider import BodyReader, ObjectRequests, RangeSink
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    CommonPrefix,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    Part,
    WriteOptions,
)

T = TypeVar("T")


class WrappedRequests:
    """The requests of another provider, its keys below `prefix` and named without it.

    Args:
        inner: The provider that does the work.
        prefix: Put before every key as it is; empty: the same keys.
    """

    def __init__(self, inner: ObjectRequests, prefix: str = "") -> None:
        """Remember what is wrapped; no I/O."""
        self.inner = inner
        self.prefix = prefix

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make one request; the place for a subclass to do something before or after it."""
        del operation
        return await request()

    @property
    def name(self) -> str:
        """The wrapped provider's name."""
        return self.inner.name

    @property
    def capabilities(self) -> Capabilities:
        """The wrapped provider's limits and promises."""
        return self.inner.capabilities

    @property
    def max_connections(self) -> int | None:
        """The wrapped provider's connections; `None`: it does not say, or has no limit."""
        connections: int | None = getattr(self.inner, "max_connections", None)
        return connections

    def locate(self, key: str = "") -> str:
        """Give the URL of the object itself."""
        return self.inner.locate(self.prefix + key)

    def _full(self, key: str) -> str:
        check_key(key, self.capabilities, self.locate())
        return self.prefix + key

    def _bare(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, key=info.key.removeprefix(self.prefix)) if self.prefix else info

    def _upload(self, upload: MultipartUpload) -> MultipartUpload:
        return replace(upload, key=self.prefix + upload.key)

    async def connect(self) -> None:
        """Connect the wrapped provider."""
        await self.around("connect", self.inner.connect)

    async def disconnect(self) -> None:
        """Disconnect the wrapped provider."""
        await self.inner.disconnect()

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `ReadsObjects.head`."""
        full = self._full(key)
        return self._bare(await self.around("head", lambda: self.inner.head(full, version_id=version_id)))

    @asynccontextmanager
    async def open_body(
        self,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> AsyncIterator[BodyReader]:
        """See `ReadsObjects.open_body`."""
        opening = self.inner.open_body(
            self._full(key),
            byte_range=byte_range,
            version_id=version_id,
            if_match=if_match,
            if_none_match=if_none_match,
        )
        async with AsyncExitStack() as stack:  # closes the body also where its answer is lost on the way here
            body = await self.around("open_body", lambda: stack.enter_async_context(opening))
            yield _Body(body, self._bare(body.info))

    async def fetch_range(
        self, key: str, byte_range: ByteRange | None, sink: RangeSink, *, if_match: str | None = None
    ) -> ObjectInfo:
        """See `ReadsObjects.fetch_range`."""
        full = self._full(key)
        return self._bare(
            await self.around("fetch_range", lambda: self.inner.fetch_range(full, byte_range, sink, if_match=if_match))
        )

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """See `WritesObjects.put_object`."""
        full = self._full(key)
        return self._bare(await self.around("put_object", lambda: self.inner.put_object(full, body, options)))

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """See `ListsObjects.list_page`."""
        after = self.prefix + start_after if start_after is not None else None
        page = await self.around(
            "list_page",
            lambda: self.inner.list_page(self.prefix + prefix, delimiter=delimiter, start_after=after, token=token),
        )
        entries = (
            self._bare(entry) if isinstance(entry, ObjectInfo) else CommonPrefix(entry.prefix.removeprefix(self.prefix))
            for entry in page.entries
        )
        return ListPage(tuple(entries), page.next_token) if self.prefix else page

    async def delete(self, remote_path: str) -> None:
        """See `DeletesObjects.delete`."""
        full = self._full(remote_path)
        await self.around("delete", lambda: self.inner.delete(full))

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """See `DeletesObjects.delete_batch`."""
        full = [self.prefix + key for key in keys]  # what is malformed is reported as such, by itself
        result = await self.around("delete_batch", lambda: self.inner.delete_batch(full))
        return BatchResult(
            succeeded=tuple(key.removeprefix(self.prefix) for key in result.succeeded),
            failed={key.removeprefix(self.prefix): error for key, error in result.failed.items()},
        )

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        """See `CopiesObjects.copy_object`."""
        full, target = self._full(source), self._full(destination)
        return self._bare(
            await self.around(
                "copy_object",
                lambda: self.inner.copy_object(full, target, if_match=if_match, options=options),
            )
        )

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """See `CopiesObjects.copy_part`."""
        full, inside = self._full(source), self._upload(upload)
        return await self.around(
            "copy_part",
            lambda: self.inner.copy_part(inside, part_number, full, byte_range, if_match=if_match),
        )

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        """See `UploadsParts.create_multipart`."""
        full = self._full(key)
        upload = await self.around("create_multipart", lambda: self.inner.create_multipart(full, options))
        return replace(upload, key=key)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """See `UploadsParts.put_part`."""
        inside = self._upload(upload)
        return await self.around("put_part", lambda: self.inner.put_part(inside, part_number, body))

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        """See `UploadsParts.complete_multipart`."""
        inside = self._upload(upload)
        return self._bare(
            await self.around(
                "complete_multipart",
                lambda: self.inner.complete_multipart(inside, parts, options, checksum=checksum),
            )
        )

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """See `UploadsParts.abort_multipart`."""
        inside = self._upload(upload)
        await self.around("abort_multipart", lambda: self.inner.abort_multipart(inside))

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        """See `UploadsParts.list_parts`."""
        inside = self._upload(upload)
        return await self.around("list_parts", lambda: self.inner.list_parts(inside, after=after))

    async def list_multiparts(self, prefix: str = "") -> tuple[MultipartUpload, ...]:
        """See `UploadsParts.list_multiparts`."""
        found = await self.around("list_multiparts", lambda: self.inner.list_multiparts(self.prefix + prefix))
        return tuple(replace(upload, key=upload.key.removeprefix(self.prefix)) for upload in found)

    async def presign(self, key: str, *, method: str = "GET", expires_in: int = 3600) -> str:
        """See `Presigns.presign`."""
        return await self.inner.presign(self._full(key), method=method, expires_in=expires_in)

    async def presign_post(self, key: str, *, expires_in: int = 3600, max_size: int | None = None) -> dict[str, Any]:
        """See `Presigns.presign_post`."""
        return await self.inner.presign_post(self._full(key), expires_in=expires_in, max_size=max_size)


class _Body:
    """A body whose object is named without the prefix."""

    def __init__(self, body: BodyReader, info: ObjectInfo) -> None:
        self._body = body
        self.info = info

    async def read(self) -> bytes:
        return await self._body.read()

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._body.__aiter__()
