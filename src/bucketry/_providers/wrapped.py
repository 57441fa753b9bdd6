"""A provider that sends its requests to another provider, with a prefix or with code around each request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import check_key
from bucketry._core.facts import fills_in_facts
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.requests import BodyReader, ObjectRequests
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    CommonPrefix,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    ObjectSource,
    Part,
    VersionPage,
)
from bucketry._runtime.gate import Gates
from bucketry.errors import StorageError

T = TypeVar("T")


@fills_in_facts
class WrappedRequests(ObjectRequests):
    """Sends each request to another provider; adds `prefix` to the request's keys, and removes it from the result's.

    Args:
        inner: The provider that makes the requests.
        prefix: The text that is put before every key; if it is empty, the keys stay the same.
    """

    def __init__(self, inner: ObjectRequests, prefix: str = "") -> None:
        """Store the arguments; no I/O."""
        self.inner = inner
        self.prefix = prefix
        self._named = _BareKeys(prefix)

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make one request. A subclass can override this method to do something before or after the request."""
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
    def billed_by(self) -> str:
        """The name of the cloud whose list prices apply; empty: there is none."""
        return getattr(self.inner, "billed_by", "")

    @property
    def max_connections(self) -> int | None:
        """The wrapped provider's limit on connections; `None`: it has no limit, or does not state the limit."""
        connections: int | None = getattr(self.inner, "max_connections", None)
        return connections

    @property
    def gates(self) -> Gates | None:
        """What limits transfers to the wrapped provider's endpoint; `None`: it has no such limit."""
        gates: Gates | None = getattr(self.inner, "gates", None)
        return gates

    def locate(self, key: str = "") -> str:
        """Return the URL of the object, prefix included."""
        return self.inner.locate(self.prefix + key)

    async def _ask(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        with self._named:
            return await self.around(operation, request)

    def _full(self, key: str) -> str:
        check_key(key, self.capabilities, self.locate())
        return self.prefix + key

    def _bare(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, key=info.key.removeprefix(self.prefix)) if self.prefix else info

    def _upload(self, upload: MultipartUpload) -> MultipartUpload:
        return replace(upload, key=self.prefix + upload.key)

    async def connect(self) -> None:
        """Connect the wrapped provider."""
        await self._ask("connect", self.inner.connect)

    async def disconnect(self) -> None:
        """Disconnect the wrapped provider."""
        await self.inner.disconnect()

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        full = self._full(key)
        return self._bare(await self._ask("head", lambda: self.inner.head(full, version_id=version_id)))

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        opening = self.inner.open_body(self._full(key), options)
        async with AsyncExitStack() as stack:  # closes the body, also if `around` fails after the body was opened
            body = await self._ask("open_body", lambda: stack.enter_async_context(opening))
            yield _Body(body, self._bare(body.info), self._named)

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        full = self._full(key)
        return self._bare(await self._ask("fetch_range", lambda: self.inner.fetch_range(full, sink, options)))

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        full = self._full(key)
        return self._bare(await self._ask("put_object", lambda: self.inner.put_object(full, body, options)))

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        after = self.prefix + start_after if start_after is not None else None
        page = await self._ask(
            "list_page",
            lambda: self.inner.list_page(self.prefix + prefix, delimiter=delimiter, start_after=after, token=token),
        )
        entries = (
            self._bare(entry) if isinstance(entry, ObjectInfo) else CommonPrefix(entry.prefix.removeprefix(self.prefix))
            for entry in page.entries
            if not (isinstance(entry, ObjectInfo) and entry.key == self.prefix)  # a console's "directory"
        )
        return ListPage(tuple(entries), page.next_token) if self.prefix else page

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        full = self._full(remote_path)
        await self._ask("delete", lambda: self.inner.delete(full, version_id=version_id))

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        full: list[str] = []
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                full.append(self._full(key))  # the key is checked alone, because with a prefix an empty key would pass
            except StorageError as error:
                failed[key] = error
        result = BatchResult()
        if full:
            result = await self._ask("delete_batch", lambda: self.inner.delete_batch(full))
        failed |= {key.removeprefix(self.prefix): self._named.bare(error) for key, error in result.failed.items()}
        return BatchResult(
            succeeded=tuple(key.removeprefix(self.prefix) for key in result.succeeded),
            failed=failed,
        )

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        full, target = self._full(source), self._full(destination)
        return self._bare(
            await self._ask(
                "copy_object",
                lambda: self.inner.copy_object(full, target, if_match=if_match, options=options),
            )
        )

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        full, inside = self._full(source), self._upload(upload)
        return await self._ask(
            "copy_part",
            lambda: self.inner.copy_part(inside, part_number, full, byte_range, if_match=if_match),
        )

    def copy_source(self, key: str) -> ObjectSource | None:
        return self.inner.copy_source(self._full(key))

    async def copy_object_from(
        self,
        source: ObjectSource,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        target = self._full(destination)
        return self._bare(
            await self._ask(
                "copy_object_from",
                lambda: self.inner.copy_object_from(source, target, if_match=if_match, options=options),
            )
        )

    async def copy_part_from(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        inside = self._upload(upload)
        return await self._ask(
            "copy_part_from",
            lambda: self.inner.copy_part_from(inside, part_number, source, byte_range, if_match=if_match),
        )

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        full = self._full(key)
        upload = await self._ask("create_multipart", lambda: self.inner.create_multipart(full, options))
        return replace(upload, key=key)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        inside = self._upload(upload)
        return await self._ask("put_part", lambda: self.inner.put_part(inside, part_number, body))

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        inside = self._upload(upload)
        return self._bare(
            await self._ask(
                "complete_multipart",
                lambda: self.inner.complete_multipart(inside, parts, options, checksum=checksum),
            )
        )

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        inside = self._upload(upload)
        await self._ask("abort_multipart", lambda: self.inner.abort_multipart(inside))

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        inside = self._upload(upload)
        return await self._ask("list_parts", lambda: self.inner.list_parts(inside, after=after))

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:
        inside = None if after is None else self._upload(after)
        found = await self._ask(
            "list_multiparts", lambda: self.inner.list_multiparts(self.prefix + prefix, after=inside)
        )
        return tuple(replace(upload, key=upload.key.removeprefix(self.prefix)) for upload in found)

    async def presign(
        self,
        key: str,
        *,
        method: str = "GET",
        expires_in: int = 3600,
        response_content_type: str | None = None,
        response_content_disposition: str | None = None,
    ) -> str:
        full = self._full(key)
        with self._named:
            return await self.inner.presign(
                full,
                method=method,
                expires_in=expires_in,
                response_content_type=response_content_type,
                response_content_disposition=response_content_disposition,
            )

    async def presign_post(self, key: str, *, expires_in: int = 3600, max_size: int | None = None) -> dict[str, Any]:
        full = self._full(key)
        with self._named:
            return await self.inner.presign_post(full, expires_in=expires_in, max_size=max_size)

    async def list_versions_page(self, prefix: str = "", *, token: str | None = None) -> VersionPage:
        page = await self._ask(
            "list_versions_page", lambda: self.inner.list_versions_page(self.prefix + prefix, token=token)
        )
        entries = (replace(entry, key=entry.key.removeprefix(self.prefix)) for entry in page.entries)
        return VersionPage(tuple(entries), page.next_token) if self.prefix else page

    async def get_tags(self, key: str) -> dict[str, str]:
        full = self._full(key)
        return await self._ask("get_tags", lambda: self.inner.get_tags(full))

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        full = self._full(key)
        await self._ask("put_tags", lambda: self.inner.put_tags(full, tags))


class _Body:
    """A body whose `info.key` has no prefix."""

    def __init__(self, body: BodyReader, info: ObjectInfo, named: _BareKeys) -> None:
        self._body = body
        self._named = named
        self.info = info

    @property
    def verified(self) -> str | None:
        return self._body.verified

    async def read(self) -> bytes:
        with self._named:
            return await self._body.read()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        with self._named:
            async with aclosing(self._body.__aiter__()) as chunks:
                async for chunk in chunks:
                    yield chunk


class _BareKeys:
    """`with _BareKeys(prefix):` removes the prefix from the key of an error that leaves the block."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StorageError):
            self.bare(error)

    def bare(self, error: StorageError) -> StorageError:
        """Remove the prefix from the error's key, and return the error."""
        if error.key is not None:
            error.key = error.key.removeprefix(self._prefix)
        return error
