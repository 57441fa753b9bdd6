"""The S3 family through aiobotocore: one method, one request."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import check_key, check_write, etag_matches
from bucketry._core.config import S3FamilyConfig
from bucketry._core.provider import RangeSink
from bucketry._core.threads import in_thread
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    Part,
    WriteOptions,
    body_size,
)
from bucketry._providers.s3_answers import (
    deletion_failures,
    expect_range,
    list_page,
    object_info,
    reading,
    required,
    written_info,
)
from bucketry._providers.s3_bodies import checksum_argument, load
from bucketry._providers.s3_client import CHUNK, S3Body, S3Client
from bucketry._session.pool import SessionPool
from bucketry._vendors.endpoint import resolve
from bucketry._vendors.row import Vendor
from bucketry.errors import (
    AccessDeniedError,
    IncompleteBodyError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnsupportedError,
    UploadNotFoundError,
)

_XML = re.compile(r"[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")  # XML 1.0, § 2.2, and no carriage return
PROBE_KEY = ".bucketry-connect-probe"  # asked for by connect() where nothing else is allowed; never written


class S3Requests:
    """The requests of one bucket. Holds configuration only; what is live is in the pool."""

    def __init__(
        self, config: S3FamilyConfig, vendor: Vendor, pool: SessionPool | None = None, *, concurrency: int = 1
    ) -> None:
        """Check the configuration against the vendor's row; no I/O."""
        endpoint = resolve(config, vendor, concurrency=concurrency)
        self._config = config
        self._vendor = vendor
        self._owns_pool = pool is None
        self._pool = SessionPool() if pool is None else pool
        self._client = S3Client(vendor, config.bucket_name, endpoint, self._pool, config.max_attempts)

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._vendor.name

    @property
    def capabilities(self) -> Capabilities:
        """The vendor's limits and promises."""
        return self._vendor.capabilities

    def locate(self, key: str = "") -> str:
        """Give `scheme://bucket/key`."""
        return self._client.locate(key)

    async def connect(self) -> None:
        """Prove bucket and credentials: HeadBucket, else one listing, else one read that may find nothing.

        Cost: 1 to 3 requests.
        """
        try:
            await self._client.send("connect", "head_bucket")
        except (AccessDeniedError, InvalidRequestError):
            pass  # many tokens of R2 and B2 may not HeadBucket; an answer to HEAD does not say why
        else:
            return
        try:
            await self._client.send("connect", "list_objects_v2", MaxKeys=1)
        except AccessDeniedError as refused:
            try:
                await self._client.send("connect", "head_object", key=PROBE_KEY)
            except NotFoundError:
                return
            except AccessDeniedError:
                raise refused from None

    async def disconnect(self) -> None:
        """Close the provider's own pool; one that was handed in stays open."""
        if self._owns_pool:
            await self._pool.close()

    # --- reads -------------------------------------------------------------------------------------

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `ReadsObjects.head`."""
        answer = await self._client.send(
            "head", "head_object", key=key, VersionId=version_id, ChecksumMode=self._checksum_mode
        )
        return object_info(key, answer, required(answer, "ContentLength", self.locate(key)))

    @asynccontextmanager
    async def open_body(
        self,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> AsyncIterator[S3Body]:
        """See `ReadsObjects.open_body`."""
        where = self.locate(key)
        async with self._client.lend():  # the client outlives its open bodies
            answer = await self._client.send(
                "get",
                "get_object",
                key=key,
                VersionId=version_id,
                Range=f"bytes={byte_range.start}-{byte_range.end - 1}" if byte_range else None,
                # Where the row does not say that the header is honoured, the answer's etag alone decides.
                IfMatch=if_match if self.capabilities.get_if_match else None,
                IfNoneMatch=if_none_match if self.capabilities.get_if_match else None,
                ChecksumMode=self._checksum_mode if byte_range is None else None,
            )
            stream = answer["Body"]
            try:
                length, size = expect_range(answer, byte_range, where)
                info = object_info(key, answer, size)
                self._hold_conditions(info, if_match, if_none_match)
                yield S3Body(info, stream, length, self._client)
            finally:
                stream.close()

    async def fetch_range(
        self, key: str, byte_range: ByteRange | None, sink: RangeSink, *, if_match: str | None = None
    ) -> ObjectInfo:
        """See `ReadsObjects.fetch_range`."""
        async with self.open_body(key, byte_range=byte_range, if_match=if_match) as body:
            pending = bytearray()
            try:
                async with aclosing(body.__aiter__()) as chunks:
                    async for chunk in chunks:
                        pending += chunk
                        if len(pending) >= CHUNK:
                            await in_thread(sink.write, pending)
                            pending = bytearray()
            except IncompleteBodyError:
                await in_thread(sink.write, pending)  # what did arrive need not be asked for again
                raise
            await in_thread(sink.write, pending)
            return body.info

    # --- writes ------------------------------------------------------------------------------------

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """See `WritesObjects.put_object`."""
        check_write(options, self.capabilities, self.locate(key), multipart=False)
        algorithm = self.capabilities.put_checksum
        data, digest = await in_thread(load, body, algorithm, self.locate(key))
        answer = await self._client.send(
            "put",
            "put_object",
            key=key,
            repeatable=not options.conditional,
            Body=data,
            Metadata=dict(options.metadata),
            ContentType=options.content_type,
            StorageClass=options.storage_class,
            IfNoneMatch=options.if_none_match,
            IfMatch=options.if_match,
            ChecksumAlgorithm=self._sdk_checksum(algorithm),
            **checksum_argument(algorithm, digest),
        )
        required(answer, "ETag", self.locate(key))
        return written_info(key, answer, body_size(body), options)

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        """See `UploadsParts.create_multipart`."""
        full = self.capabilities.full_object_checksum
        answer = await self._client.send(
            "create_multipart",
            "create_multipart_upload",
            key=key,
            Metadata=dict(options.metadata),
            ContentType=options.content_type,
            StorageClass=options.storage_class,
            ChecksumAlgorithm=self._sdk_checksum(self.capabilities.multipart_checksum),
            ChecksumType="FULL_OBJECT" if full else None,
        )
        return MultipartUpload(key=key, upload_id=required(answer, "UploadId", self.locate(key)))

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """See `UploadsParts.put_part`."""
        algorithm = self.capabilities.multipart_checksum
        data, digest = await in_thread(load, body, algorithm, self.locate(upload.key))
        answer = await self._client.send(
            "put_part",
            "upload_part",
            key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=part_number,
            Body=data,
            ChecksumAlgorithm=self._sdk_checksum(algorithm),
            **checksum_argument(algorithm, digest),
        )
        return Part(
            part_number=part_number,
            size=body_size(body),
            etag=required(answer, "ETag", self.locate(upload.key)),
            checksum=digest,
        )

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        """See `UploadsParts.complete_multipart`."""
        check_write(options, self.capabilities, self.locate(upload.key), multipart=True)
        full = self.capabilities.full_object_checksum
        algorithm = self.capabilities.multipart_checksum if full else None
        ordered = sorted(parts, key=lambda part: part.part_number)
        answer = await self._client.send(
            "complete_multipart",
            "complete_multipart_upload",
            key=upload.key,
            # A repeat after a lost answer finds no upload, or a precondition that the first try itself made fail.
            repeatable=False,
            UploadId=upload.upload_id,
            MultipartUpload={
                "Parts": [
                    {
                        "PartNumber": part.part_number,
                        "ETag": part.etag,
                        **checksum_argument(algorithm, part.checksum),
                    }
                    for part in ordered
                ]
            },
            IfNoneMatch=options.if_none_match,
            IfMatch=options.if_match,
            ChecksumType="FULL_OBJECT" if algorithm and checksum else None,
            **checksum_argument(algorithm, checksum),
        )
        required(answer, "ETag", self.locate(upload.key))  # an empty 200 published nothing
        return written_info(upload.key, answer, sum(part.size for part in parts), options)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """See `UploadsParts.abort_multipart`."""
        try:
            await self._client.send(
                "abort_multipart", "abort_multipart_upload", key=upload.key, UploadId=upload.upload_id
            )
        except UploadNotFoundError:
            return

    async def list_multiparts(self, prefix: str = "") -> tuple[MultipartUpload, ...]:
        """See `UploadsParts.list_multiparts`."""
        try:
            answer = await self._client.send("list_multiparts", "list_multipart_uploads", Prefix=prefix)
        except UploadNotFoundError:  # how `rclone serve s3` says that there are none
            return ()
        required(answer, "Bucket", self.locate(prefix))
        return tuple(
            MultipartUpload(key=entry["Key"], upload_id=entry["UploadId"], initiated=entry.get("Initiated"))
            for entry in answer.get("Uploads", ())
        )

    # --- listing, deleting, copying ----------------------------------------------------------------

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """See `ListsObjects.list_page`."""
        answer = await self._client.send(
            "list",
            "list_objects_v2",
            Prefix=prefix,
            Delimiter=delimiter,
            StartAfter=start_after,
            ContinuationToken=token,
        )
        with reading(self.locate(prefix)):
            return list_page(answer, token, self.locate(prefix))

    async def delete(self, remote_path: str) -> None:
        """See `DeletesObjects.delete`."""
        try:
            await self._client.send("delete", "delete_object", key=remote_path)
        except NotFoundError:
            return

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """See `DeletesObjects.delete_batch`; keys with control characters take a request each."""
        failed: dict[str, StorageError] = {}
        named = []
        for key in keys:
            try:
                check_key(key, self.capabilities, self.locate())
                if _XML.fullmatch(key):
                    named.append(key)
                else:
                    await self.delete(key)  # XML cannot carry it
            except StorageError as error:
                failed[key] = error
        if named:
            answer = await self._client.send(
                "delete_many", "delete_objects", Delete={"Objects": [{"Key": key} for key in named]}
            )
            failed |= deletion_failures(answer, named, self._vendor, self._config.bucket_name, self.locate)
        return BatchResult(succeeded=tuple(key for key in keys if key not in failed), failed=failed)

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        """See `CopiesObjects.copy_object`; one request more, because the answer does not say the size."""
        check_key(source, self.capabilities, self.locate())
        replaced: dict[str, Any] = {}
        if options is not None:
            replaced = {
                "MetadataDirective": "REPLACE",
                "Metadata": dict(options.metadata),
                "ContentType": options.content_type,
                "StorageClass": options.storage_class,
            }
        answer = await self._client.send(
            "copy",
            "copy_object",
            key=destination,
            CopySource={"Bucket": self._config.bucket_name, "Key": source},
            CopySourceIfMatch=if_match if self.capabilities.copy_source_if_match else None,
            **replaced,
        )
        required(answer.get("CopyObjectResult", {}), "ETag", self.locate(destination))
        return await self.head(destination)

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """See `CopiesObjects.copy_part`."""
        check_key(source, self.capabilities, self.locate())
        answer = await self._client.send(
            "copy_part",
            "upload_part_copy",
            key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=part_number,
            CopySource={"Bucket": self._config.bucket_name, "Key": source},
            CopySourceRange=f"bytes={byte_range.start}-{byte_range.end - 1}",
            CopySourceIfMatch=if_match if self.capabilities.copy_source_if_match else None,
        )
        result = answer["CopyPartResult"]
        if "ETag" not in result:  # `rclone serve s3` ignores the source, and stores an empty part
            problem = "the server does not copy parts; it answered without an etag"
            raise self._client.error(UnsupportedError, source, "copy_part", problem)
        checksum = result.get(f"Checksum{(self.capabilities.multipart_checksum or '').upper()}")
        digest = base64.b64decode(checksum).hex() if checksum else None
        return Part(part_number=part_number, size=byte_range.size, etag=result["ETag"], checksum=digest)

    # --- signed URLs -------------------------------------------------------------------------------

    async def presign(self, key: str, *, method: str = "GET", expires_in: int = 3600) -> str:
        """See `Presigns.presign`."""
        operations = {
            "GET": "get_object",
            "PUT": "put_object",
            "HEAD": "head_object",
            "DELETE": "delete_object",
        }
        self._check_presign(key, expires_in)
        if method not in self.capabilities.presign_methods or method not in operations:
            known = ", ".join(self.capabilities.presign_methods)
            problem = f"cannot sign a URL for {method!r}; this provider signs {known}"
            raise self._client.error(UnsupportedError, key, "presign", problem)
        params = {"Bucket": self._config.bucket_name, "Key": key}
        return str(
            await self._client.sign("generate_presigned_url", key, operations[method], params, ExpiresIn=expires_in)
        )

    async def presign_post(self, key: str, *, expires_in: int = 3600, max_size: int | None = None) -> dict[str, Any]:
        """See `Presigns.presign_post`."""
        self._check_presign(key, expires_in)
        if not self.capabilities.presign_post:
            problem = "this provider has no browser uploads by a signed form; use presign"
            raise self._client.error(UnsupportedError, key, "presign_post", problem)
        conditions = [["content-length-range", 0, max_size]] if max_size is not None else None
        form: dict[str, Any] = await self._client.sign(
            "generate_presigned_post", key, self._config.bucket_name, key, Conditions=conditions, ExpiresIn=expires_in
        )
        return form

    def _check_presign(self, key: str, expires_in: int) -> None:
        check_key(key, self.capabilities, self.locate())
        longest = self.capabilities.max_presign_expiry
        if not isinstance(expires_in, int) or isinstance(expires_in, bool) or not 1 <= expires_in <= longest:
            problem = f"expires_in={expires_in!r} must be within 1 and {longest} seconds"
            raise self._client.error(InvalidRequestError, key, "presign", problem)

    @property
    def _checksum_mode(self) -> str | None:
        return "ENABLED" if self.capabilities.stored_checksums else None

    def _sdk_checksum(self, algorithm: str | None) -> str | None:
        return algorithm.upper() if algorithm and self._vendor.sdk_checksum_header else None

    def _hold_conditions(self, info: ObjectInfo, if_match: str | None, if_none_match: str | None) -> None:
        """Hold the conditions against the answer as well: some servers ignore the headers."""
        changed = if_match is not None and not etag_matches(info.etag, if_match)
        unchanged = if_none_match is not None and etag_matches(info.etag, if_none_match)
        if changed or unchanged:
            problem = f"the object is {info.etag}, " + (f"not {if_match}" if changed else "as you have it")
            raise self._client.error(PreconditionFailedError, info.key, "get", problem)
