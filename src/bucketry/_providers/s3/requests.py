"""The S3 family: each method is one request, made by the data plane or by aiobotocore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import check_header
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.requests import BodyReader, ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.s3_config import S3FamilyConfig
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    ObjectSource,
    Part,
    VersionPage,
)
from bucketry._providers.s3.answers import deletion_failures
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.configured import configured_headers, unsigned
from bucketry._providers.s3.endpoint import resolve
from bucketry._providers.s3.planes import OpeningBody, Planes
from bucketry._providers.s3.xml.characters import fits_xml
from bucketry._session.pool import SessionPool
from bucketry._vendors.row import Vendor
from bucketry.errors import (
    AccessDeniedError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnsupportedError,
    UploadNotFoundError,
)

if TYPE_CHECKING:
    from bucketry._providers.s3.hedged import HedgedReads

_ANY = "any-bucket"
PROBE_KEY = ".bucketry-connect-probe"  # connect() reads it if nothing else is allowed; it is never written


class S3Requests(ObjectRequests):
    """The requests of one bucket. An instance has no connections, because these are in the pool."""

    def __init__(
        self,
        config: S3FamilyConfig,
        vendor: Vendor,
        pool: SessionPool | None = None,
        *,
        concurrency: int = 1,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check the configuration against the vendor's row; no I/O."""
        vendor = unsigned(vendor) if config.anonymous else vendor
        endpoint = resolve(config, vendor, concurrency=concurrency)
        self._config = config
        self._owns_pool = pool is None
        self._pool = SessionPool(environ=environ) if pool is None else pool
        retry = RetryPolicy.of(config)
        headers = configured_headers(config, vendor, endpoint)
        self._bucket = S3Bucket(vendor, config.bucket_name, endpoint, self._pool.state(endpoint), retry, headers)
        self._planes = Planes(self._bucket, self._pool, config.transport)
        self._hedged: HedgedReads | None = None
        if config.hedge:
            module = import_module("bucketry._providers.s3.hedged")
            self._hedged = module.HedgedReads(self._bucket, self._planes, self._pool, config.transport)

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._bucket.vendor.name

    @property
    def capabilities(self) -> Capabilities:
        """The vendor's limits and promises; when a transport was chosen, they are changed for it."""
        return self._planes.capabilities

    @property
    def max_connections(self) -> int:
        """The limit on sockets to the endpoint, which is also the limit on requests at the same time."""
        return self._pool.max_connections or self._bucket.endpoint.max_connections

    def locate(self, key: str = "") -> str:
        """Return `scheme://bucket/key`."""
        return self._bucket.locate(key)

    async def connect(self) -> None:
        """Check the bucket and the credentials, with requests that read only.

        The first request is a HeadBucket. If it is refused, the next request is a listing. If the listing is refused,
        too, the last request is a HEAD of a key, which need not exist.

        Cost: 1 to 3 requests.
        """
        plane = await self._planes.data()
        try:
            await plane.head_bucket()
        except (AccessDeniedError, InvalidRequestError):
            pass  # many tokens of R2 and B2 do not permit HeadBucket; a response to HEAD has no reason
        else:
            return
        try:
            await plane.list_page(max_keys=1, operation="connect")
        except AccessDeniedError as refused:
            try:
                await plane.head(PROBE_KEY, operation="connect")
            except NotFoundError:
                return
            except AccessDeniedError:
                raise refused from None

    async def disconnect(self) -> None:
        """Close the pool if the provider made it; a pool from the caller stays open."""
        if self._owns_pool:
            await self._pool.close()

    # --- reads -------------------------------------------------------------------------------------

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        if version_id is not None:
            self._bucket.check("head", key, version_id=version_id)
        if self._hedged is not None:
            return await self._hedged.head(key, version_id)
        plane = self._planes.ready or await self._planes.data()
        return await plane.head(key, version_id=version_id)

    def open_body(self, key: str, options: ReadOptions = WHOLE) -> AbstractAsyncContextManager[BodyReader]:
        if options.version_id is not None:
            self._bucket.check("get", key, version_id=options.version_id)
        if self._hedged is not None and self._hedged.may_be_small(options):
            return self._hedged.open_body(key, options)
        if (plane := self._planes.ready) is not None:
            return plane.open_body(key, options)
        return OpeningBody(self._planes, key, options)

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        if options.version_id is not None:
            self._bucket.check("get", key, version_id=options.version_id)
        plane = await self._planes.data()
        return await plane.fetch_range(key, sink, options)

    # --- writes ------------------------------------------------------------------------------------

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        plane = self._planes.ready or await self._planes.data()
        return await plane.put_object(key, body, options)

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        plane = await self._planes.data()
        return await plane.create_multipart(key, options)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        self._check_upload("put_part", upload)
        plane = self._planes.ready or await self._planes.data()
        return await plane.put_part(upload, part_number, body)

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        self._check_upload("complete_multipart", upload)
        plane = await self._planes.data()
        ordered = sorted(parts, key=lambda part: part.part_number)
        return await plane.complete_multipart(upload, ordered, options, checksum=checksum)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        self._check_upload("abort_multipart", upload)
        plane = await self._planes.data()
        try:
            await plane.abort_multipart(upload)
        except UploadNotFoundError:
            return

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        self._check_upload("list_parts", upload)
        plane = await self._planes.data()
        return await plane.list_parts(upload, after=after)

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:
        if after is not None:
            self._bucket.check("list_multiparts", None, key_marker=after.key, upload_id=after.upload_id)
        plane = await self._planes.data()
        try:
            return await plane.list_multiparts(prefix, after=after)
        except UploadNotFoundError:  # `rclone serve s3` answers so if there are no uploads
            return ()

    def _check_upload(self, operation: str, upload: MultipartUpload) -> None:
        self._bucket.check(operation, upload.key, upload_id=upload.upload_id)

    # --- listing, deleting, copying ----------------------------------------------------------------

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        plane = await self._planes.data()
        return await plane.list_page(prefix, delimiter=delimiter, start_after=start_after, token=token)

    async def list_versions_page(self, prefix: str = "", *, token: str | None = None) -> VersionPage:
        return await (await self._planes.data()).list_versions_page(prefix, token)

    async def get_tags(self, key: str) -> dict[str, str]:
        return await (await self._planes.data()).get_tags(key)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        if wrong := [name for name, value in tags.items() if not fits_xml(name + value)]:
            problem = f"the tag {wrong[0]!r}, or its value, contains control characters"
            raise self._bucket.error(InvalidRequestError, key, "put_tags", problem)
        await (await self._planes.data()).put_tags(key, tags)

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        if version_id is not None:
            self._bucket.check("delete", remote_path, version_id=version_id)
        plane = self._planes.ready or await self._planes.data()
        try:
            await plane.delete(remote_path, version_id=version_id)
        except NotFoundError:
            return

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """Remove up to `capabilities.max_delete_keys` objects, and return the result for each.

        Cost: 1 request, and 1 for each key with control characters, because XML 1.0 cannot represent such a key.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        failed: dict[str, StorageError] = {}
        named = []
        for key in keys:
            try:
                self._bucket.check_key("delete_many", key)
                if fits_xml(key):
                    named.append(key)
                else:
                    await self.delete(key)  # alone, because XML 1.0 cannot represent the key
            except StorageError as error:
                failed[key] = error
        if named:
            plane = await self._planes.data()
            failed |= deletion_failures(await plane.delete_named(named), named, self._bucket)
        return BatchResult(succeeded=tuple(key for key in keys if key not in failed), failed=failed)

    async def copy_object(
        self, source: str, destination: str, *, if_match: str | None = None, options: WriteOptions | None = None
    ) -> ObjectInfo:
        """Copy within the bucket, up to `capabilities.max_copy_size` bytes, metadata included.

        Args:
            source: Key to copy.
            destination: Key to write.
            if_match: The source's etag, to copy exactly that version.
            options: Replaces metadata and headers; `None` keeps the source's.

        Raises:
            NotFoundError: The source does not exist.
            PreconditionFailedError: The source's etag is not `if_match`.

        Cost: 1 request, and a HEAD, because the response does not contain the size.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        return await self._copy(self.copy_source(source), destination, if_match=if_match, options=options)

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        return await self._copy_part(upload, part_number, self.copy_source(source), byte_range, if_match)

    def copy_source(self, key: str) -> ObjectSource:
        # Without keys in the configuration, the pool's environment decides which credentials are used.
        credentials = None if self._config.access_key else id(self._pool)
        server = (replace(self._config, bucket_name=_ANY), credentials)
        return ObjectSource(server, self._bucket.name, key, self._bucket.endpoint.url)

    async def copy_object_from(
        self,
        source: ObjectSource,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        if not self.capabilities.copy_between_buckets:
            return await super().copy_object_from(source, destination)  # raises UnsupportedError
        return await self._copy(source, destination, if_match=if_match, options=options)

    async def copy_part_from(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        if not self.capabilities.copy_between_buckets:
            return await super().copy_part_from(upload, part_number, source, byte_range, if_match=if_match)  # raises
        return await self._copy_part(upload, part_number, source, byte_range, if_match)

    async def _copy_part(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, if_match: str
    ) -> Part:
        self._bucket.check_key("copy_part", source.key)
        self._check_upload("copy_part", upload)
        plane = await self._planes.data()
        with self._about_source(source, upload.key):
            return await plane.copy_part(upload, part_number, source, byte_range, if_match=if_match)

    async def _copy(
        self, source: ObjectSource, destination: str, *, if_match: str | None, options: WriteOptions | None
    ) -> ObjectInfo:
        if options is not None and options.conditional:
            problem = "a copy has no condition on its destination here; leave if_match and if_none_match out"
            raise self._bucket.error(UnsupportedError, destination, "copy", problem)
        self._bucket.check_key("copy", source.key)
        plane = await self._planes.data()
        with self._about_source(source, destination):
            version_id = await plane.copy_object(source, destination, if_match=if_match, options=options)
        return await plane.head(destination, version_id=version_id if self.capabilities.versions else None)

    @contextmanager
    def _about_source(self, source: ObjectSource, destination: str) -> Iterator[None]:
        """Make errors about the source of a copy name the source, although the request is about the destination."""
        try:
            yield
        except StorageError as error:
            if error.code == "NoSuchKey" or isinstance(error, PreconditionFailedError):
                error.key = source.key
                where = self.locate(source.key).replace(self._bucket.name, source.bucket, 1)
                error.args = (str(error).replace(self.locate(destination), where, 1),)
            raise

    # --- signed URLs -------------------------------------------------------------------------------

    async def presign(
        self,
        key: str,
        *,
        method: str = "GET",
        expires_in: int = 3600,
        response_content_type: str | None = None,
        response_content_disposition: str | None = None,
    ) -> str:
        self._check_presign("presign", key, expires_in, writes=method == "PUT")
        if method not in self.capabilities.presign_methods:
            known = ", ".join(self.capabilities.presign_methods)
            problem = f"cannot sign a URL for {method!r}; this provider signs {known}"
            raise self._bucket.error(UnsupportedError, key, "presign", problem)
        given = (
            ("response-content-type", response_content_type),
            ("response-content-disposition", response_content_disposition),
        )
        response = {name: value for name, value in given if value is not None}
        for name, value in response.items():
            check_header(name.replace("-", "_"), value, self.locate(key))
        if response and method != "GET":
            problem = f"a signed URL can set the answer's headers only for a GET, not for a {method}"
            raise self._bucket.error(InvalidRequestError, key, "presign", problem)
        return await (await self._planes.signing()).presign(key, method, expires_in, response)

    async def presign_post(self, key: str, *, expires_in: int = 3600, max_size: int | None = None) -> dict[str, Any]:
        self._check_presign("presign_post", key, expires_in, writes=True)
        if not self.capabilities.presign_post:
            problem = "this provider has no browser uploads by a signed form; use presign"
            raise self._bucket.error(UnsupportedError, key, "presign_post", problem)
        return await (await self._planes.signing()).presign_post(key, expires_in, max_size)

    def _check_presign(self, operation: str, key: str, expires_in: int, *, writes: bool) -> None:
        self._bucket.check_key(operation, key)
        # These entries are refused, because the user of the URL would have to send them as headers, and one of them is
        # a secret encryption key.
        names = ["sse_customer_key", "expected_bucket_owner"]
        names += ["server_side_encryption"] if writes else []
        names += ["request_payer"] if operation == "presign_post" else []
        if name := next((name for name in names if getattr(self._config, name)), None):
            problem = f"a signed URL or form cannot contain {name}; sign with a provider without it"
            raise self._bucket.error(UnsupportedError, key, operation, problem)
        if self._config.anonymous:
            problem = "there are no credentials to sign with, because of anonymous=True; give credentials"
            raise self._bucket.error(UnsupportedError, key, operation, problem)
        longest = self.capabilities.max_presign_expiry
        if not isinstance(expires_in, int) or isinstance(expires_in, bool) or not 1 <= expires_in <= longest:
            problem = f"expires_in={expires_in!r} must be within 1 and {longest} seconds"
            raise self._bucket.error(InvalidRequestError, key, operation, problem)
