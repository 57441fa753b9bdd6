"""Reads of the S3 family that are requested a second time if they take unusually long; for both transports."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Any, TypeVar

from bucketry._core.choices import Transport
from bucketry._core.options import ReadOptions
from bucketry._core.requests import BodyReader
from bucketry._core.values import ObjectInfo
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.planes import Planes, RequestsPlane
from bucketry._runtime.gate import SMALL_BODY
from bucketry._runtime.hedger import Hedger, Read
from bucketry._session.pool import SessionPool
from bucketry.errors import IncompleteBodyError, StorageError

T = TypeVar("T")


class HedgedReads:
    """HEAD and GET requests of one bucket, see `bucketry._runtime.hedger`.

    The second request is made beside the first one, below the retries: a request that is repeated after an error is not
    made twice at once, and a server that refuses requests gets no second ones.
    """

    def __init__(self, bucket: S3Bucket, planes: Planes, pool: SessionPool, transport: Transport) -> None:
        """Store the arguments; no I/O.

        Args:
            bucket: The bucket.
            planes: Chooses the transport of the bucket's other requests.
            pool: The pool that opens connections.
            transport: The transport in the configuration.
        """
        self._bucket = bucket
        self._others = planes
        self._planes = Planes(bucket.with_one_attempt(), pool, transport)

    @staticmethod
    def may_be_small(options: ReadOptions) -> bool:
        """Return whether a read can have a small body; only such reads are requested a second time."""
        return options.byte_range is None or options.byte_range.size <= SMALL_BODY

    async def head(self, key: str, version_id: str | None) -> ObjectInfo:
        """See `ReadsObjects.head`."""
        plane = self._planes.ready or await self._choose()

        def request() -> Coroutine[Any, Any, ObjectInfo]:
            return plane.head(key, version_id=version_id)

        return await self._run("head", key, plane, request, lambda _: True, _nothing)

    def open_body(self, key: str, options: ReadOptions) -> HedgedBody:
        """See `ReadsObjects.open_body`; a small body is read before the context is entered."""
        return HedgedBody(self, key, options)

    async def opened(self, key: str, options: ReadOptions) -> OpenBody:
        """Open a body, and read it if it is small."""
        plane = self._planes.ready or await self._choose()

        def request() -> Coroutine[Any, Any, OpenBody]:
            return _open(plane, key, options)

        return await self._run("get", key, plane, request, OpenBody.is_complete, OpenBody.close)

    async def _choose(self) -> RequestsPlane:
        await self._others.data()  # the provider takes its capabilities from there
        return await self._planes.data()

    async def _run(
        self,
        operation: str,
        key: str,
        plane: RequestsPlane,
        request: Callable[[], Coroutine[Any, Any, T]],
        is_complete: Callable[[T], bool],
        drop: Callable[[T], Awaitable[None]],
    ) -> T:
        bucket, is_repeat = self._bucket, False
        attempts = bucket.attempts(operation, key, timed=False)  # `total_timeout` ends each request by itself
        while True:
            async with attempts:
                if is_repeat:
                    return await request()
                is_repeat = True
                # A second request that waits for a slot helps nobody.
                name, may_repeat = f"{operation} of {bucket.locate(key)}", lambda: plane.has_free_slot
                return await Hedger(bucket.hedging.get()).run(Read(request, is_complete, drop, may_repeat, name))


class HedgedBody:
    """The context that `HedgedReads.open_body` returns; entering it makes the requests."""

    __slots__ = ("_key", "_opened", "_options", "_reads")

    def __init__(self, reads: HedgedReads, key: str, options: ReadOptions) -> None:
        self._reads = reads
        self._key = key
        self._options = options
        self._opened: OpenBody | None = None

    async def __aenter__(self) -> BodyReader:
        self._opened = await self._reads.opened(self._key, self._options)
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()


class OpenBody:
    """The body of one response, which was read already if it is small; see `BodyReader`."""

    __slots__ = ("_body", "_data", "_error", "_held")

    def __init__(self, body: BodyReader, data: bytes | None, error: StorageError | None, held: AsyncExitStack) -> None:
        """Store the arguments.

        Args:
            body: The body.
            data: Its bytes, if they were read.
            error: The error of reading them.
            held: Closes the body.
        """
        self._body = body
        self._data = data
        self._error = error
        self._held = held

    @property
    def info(self) -> ObjectInfo:
        """The object's properties."""
        return self._body.info

    @property
    def verified(self) -> str | None:
        """The algorithm of the stored checksum that the bytes are compared with."""
        return self._body.verified

    def is_complete(self) -> bool:
        """Return whether no error came while the body was read."""
        return self._error is None

    async def close(self) -> None:
        """Close the body; later reads raise the error of a closed body."""
        self._data = None
        await self._held.aclose()

    async def read(self) -> bytes:
        """Return all bytes in one piece."""
        if self._error is not None:
            raise self._error
        return self._data if self._data is not None else await self._body.read()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes; after an incomplete body, those that arrived, and then raise the error again."""
        if self._data is not None:
            yield self._data
            if self._data is not None:  # not closed meanwhile
                return
        if self._error is not None and not isinstance(self._error, IncompleteBodyError):
            raise self._error
        async with aclosing(self._body.__aiter__()) as chunks:
            async for chunk in chunks:
                yield chunk


async def _open(plane: RequestsPlane, key: str, options: ReadOptions) -> OpenBody:
    """Make one request, and read the body if it is small; an error while reading it is kept for the reader."""
    data: bytes | None = None
    failed: StorageError | None = None
    async with AsyncExitStack() as stack:
        body = await stack.enter_async_context(plane.open_body(key, options))
        size = body.info.size if options.byte_range is None else options.byte_range.size
        if size <= SMALL_BODY:
            try:
                data = await body.read()
            except StorageError as error:
                failed = error
        # A body that was read needs its connection no longer.
        return OpenBody(body, data, failed, AsyncExitStack() if data is not None else stack.pop_all())


async def _nothing(_: ObjectInfo) -> None:
    """Release nothing, because an answer without a body holds no connection."""
