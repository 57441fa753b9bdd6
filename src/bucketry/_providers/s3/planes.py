"""Chooses the transport of a bucket's requests: the data plane if the endpoint is standard, else aiobotocore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from bucketry._core.capabilities import Capabilities
from bucketry._core.choices import Transport
from bucketry._core.optional import FetchesRanges, UploadsParts
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.requests import BodyReader, ReadsObjects, WritesObjects
from bucketry._core.values import ByteRange, ListPage, MultipartUpload, ObjectInfo, ObjectSource, Part, VersionPage
from bucketry._providers.s3.answers import Deletions
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry._runtime.loop_local import LoopLocal
from bucketry._runtime.threads import in_thread
from bucketry._session.pool import SessionPool
from bucketry._session.standard import is_standard
from bucketry._session.versions import fitting
from bucketry._wire.errors import WireError
from bucketry.errors import StorageError

if TYPE_CHECKING:
    from bucketry._providers.s3.boto.plane import BotoPlane


class RequestsPlane(ReadsObjects, FetchesRanges, WritesObjects, UploadsParts, Protocol):
    """The requests that both transports make; `S3Requests` has checked the arguments.

    A method can raise an error for a missing object or upload, also a method that deletes; `S3Requests` handles these
    errors. `operation` is the name of the user's call, for errors.
    """

    @property
    def capabilities(self) -> Capabilities:
        """The vendor's limits and promises, changed for the transport."""

    @property
    def closed(self) -> bool:
        """Whether the transport is closed, so that `Planes` must choose a new transport."""

    @property
    def has_free_slot(self) -> bool:
        """Whether a request would begin at once, because a connection is free or may be opened."""

    async def head_bucket(self) -> None:
        """Make a HeadBucket request."""

    async def head(self, key: str, *, version_id: str | None = None, operation: str = "head") -> ObjectInfo:
        """See `ReadsObjects.head`."""

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
        operation: str = "list",
    ) -> ListPage:
        """See `ListsObjects.list_page`."""

    async def list_versions_page(self, prefix: str, token: str | None) -> VersionPage:
        """See `KeepsVersions.list_versions_page`."""

    async def get_tags(self, key: str) -> dict[str, str]:
        """See `KeepsTags.get_tags`."""

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """See `KeepsTags.put_tags`."""

    async def delete(self, key: str, *, version_id: str | None = None) -> None:
        """Delete one object."""

    async def delete_named(self, keys: Sequence[str]) -> Deletions:
        """Delete keys that XML 1.0 can represent, and return the result for each key."""

    async def copy_object(
        self,
        source: ObjectSource,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> str | None:
        """Copy an object, and return the version id of the copy; a HEAD returns the copy's properties."""

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """See `CopiesObjects.copy_part`."""

    async def presign(self, key: str, method: str, expires_in: int, response: Mapping[str, str]) -> str:
        """Return a signed URL; `response` contains query parameters that set headers of the response."""

    async def presign_post(self, key: str, expires_in: int, max_size: int | None) -> dict[str, Any]:
        """Return a signed form for a browser upload."""


class _Chosen:
    """The transport that was chosen in one event loop."""

    def __init__(self) -> None:
        self.plane: RequestsPlane | None = None


class Planes:
    """Chooses the transport, once for each event loop.

    Args:
        bucket: The bucket.
        pool: The pool that opens connections.
        transport: The transport in the configuration.

    Attributes:
        capabilities: The vendor's limits and promises; when a transport was chosen, they are changed for it.
    """

    def __init__(self, bucket: S3Bucket, pool: SessionPool, transport: Transport) -> None:
        """Store the arguments; no I/O."""
        self._bucket = bucket
        self._pool = pool
        self._transport = transport
        self._standard = is_standard(bucket.endpoint, bucket.name)
        self._chosen = LoopLocal(_Chosen)
        self.capabilities = bucket.vendor.capabilities
        self._control: BotoPlane | None = None

    @property
    def ready(self) -> RequestsPlane | None:
        """The transport, if it was chosen already and is not closed."""
        chosen = self._chosen.peek()
        if chosen is None or chosen.plane is None or chosen.plane.closed:
            return None
        return chosen.plane

    async def data(self) -> RequestsPlane:
        """Return the transport of all requests; the first call in an event loop chooses it."""
        if (plane := self.ready) is not None:
            return plane
        plane = (await self._wire() if self._transport == "auto" else None) or await self.control()
        self._chosen.get().plane = plane
        self.capabilities = plane.capabilities
        return plane

    async def signing(self) -> RequestsPlane:
        """Return the transport that signs URLs, which needs no request.

        For a standard endpoint this is the data plane, so that aiobotocore is not loaded.
        """
        return await self._wire() or await self.control()

    async def _wire(self) -> WirePlane | None:
        if not self._standard:
            return None
        bucket, endpoint = self._bucket, self._bucket.endpoint
        virtual = endpoint.addressing_style == "virtual"
        try:
            client = await self._pool.origin_client(endpoint, bucket.name if virtual else "")
        except WireError as exc:
            raise _not_opened(bucket, exc) from exc
        base = urlsplit(endpoint.standard_url or "").path.rstrip("/")
        return None if client is None else WirePlane(bucket, client, base if virtual else f"{base}/{bucket.name}")

    async def control(self) -> BotoPlane:
        """Return aiobotocore; the first call loads it in a thread.

        Loading takes a second and 60 MB, and many programs never need it.
        """
        if self._control is None:
            try:
                loaded = await in_thread(_load)
            except WireError as exc:
                raise _not_opened(self._bucket, exc) from exc
            self._control = loaded(self._bucket, self._pool)
        return self._control


def _not_opened(bucket: S3Bucket, exc: WireError) -> StorageError:
    """Return the error for a transport that cannot be opened; code that knows the operation adds it."""
    return exc.kind(f"{bucket.locate()}: {exc.problem}", provider=bucket.vendor.name, bucket=bucket.name)


def _load() -> type[BotoPlane]:
    with fitting():
        from bucketry._providers.s3.boto.plane import BotoPlane

    return BotoPlane


class OpeningBody:
    """The context that `open_body` returns if no transport was chosen yet; entering it chooses the transport."""

    __slots__ = ("_context", "_key", "_options", "_planes")

    def __init__(self, planes: Planes, key: str, options: ReadOptions) -> None:
        self._planes = planes
        self._key = key
        self._options = options
        self._context: AbstractAsyncContextManager[BodyReader] | None = None

    async def __aenter__(self) -> BodyReader:
        plane = self._planes.ready or await self._planes.data()
        self._context = plane.open_body(self._key, self._options)
        return await self._context.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._context.__aexit__(kind, error, trace) if self._context is not None else None
