"""The S3 family through aiobotocore: each method is one request. The module is loaded on first use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from bucketry._core.conditions import judge_read
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.values import Body, ByteRange, MultipartUpload, ObjectInfo, ObjectSource, Part, body_size
from bucketry._providers.ranges import fill_sink
from bucketry._providers.s3.answers import (
    headers_of,
    required,
    uploads_behind,
)
from bucketry._providers.s3.boto.bodies import checksum_argument
from bucketry._providers.s3.boto.body import BotoBody, unchecked
from bucketry._providers.s3.boto.calls import nothing
from bucketry._providers.s3.boto.listings import BotoListings
from bucketry._providers.s3.boto.parameters import parameters
from bucketry._providers.s3.headers import (
    condition_headers,
    hex_of,
    info_of,
    is_header_checksum,
    read_info,
    replacing_headers,
    stored_headers,
    version_of,
    write_headers,
    written,
)
from bucketry._wire.slots import Slots
from bucketry.errors import IntegrityError, UnsupportedError

T = TypeVar("T")

_PRESIGNED = {"GET": "get_object", "PUT": "put_object", "HEAD": "head_object", "DELETE": "delete_object"}
_RESPONSE = {
    "response-content-type": "ResponseContentType",
    "response-content-disposition": "ResponseContentDisposition",
}
_HEAD = 200


class BotoPlane(BotoListings):
    """The requests of one bucket through the pool's client for its endpoint; `S3Requests` has checked the arguments."""

    @property
    def closed(self) -> bool:
        """Whether the transport is closed. It never is, because the pool provides an open client for each request."""
        return False

    @property
    def has_free_slot(self) -> bool:
        """Whether a request would begin at once."""
        return self.pool.has_free_slot(self.bucket.endpoint)

    async def head_bucket(self) -> None:
        """Make a HeadBucket request."""
        await self.send("connect", "head_bucket", nothing)

    # --- reads -------------------------------------------------------------------------------------

    async def head(self, key: str, *, version_id: str | None = None, operation: str = "head") -> ObjectInfo:

        def read(answer: dict[str, Any]) -> ObjectInfo:
            if (status := _status(answer)) != _HEAD:
                raise ValueError(f"its status is {status}")
            return info_of(key, headers_of(answer), required(answer, "ContentLength"))

        return await self.send(
            operation,
            "head_object",
            read,
            key=key,
            VersionId=version_id,
            ChecksumMode=self._checksum_mode,
            **self._existing,
        )

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BotoBody]:

        def read(answer: dict[str, Any], slots: Slots) -> BotoBody:
            length = int(required(answer, "ContentLength"))
            try:
                info = read_info(key, _status(answer), headers_of(answer), length, options.byte_range)
            except IntegrityError as exc:
                raise self.bucket.error(IntegrityError, key, "get", str(exc)) from None
            if options.conditional:  # checked here, too, because some servers ignore the headers
                judge_read(info, options, self.bucket.locate(key))
            stream = answer["Body"] if options.byte_range is None else unchecked(answer["Body"], length)
            return BotoBody(info, stream, length, self.bucket, slots)

        # The headers are sent only if the row says that the server enforces them, and not for "*". The response's etag
        # is checked in all cases.
        sent = self.capabilities.get_if_match
        if_match, if_none_match, byte_range = options.if_match, options.if_none_match, options.byte_range
        async with AsyncExitStack() as held:  # holds the client and the slot as long as the body is open
            yield await self.send(
                "get",
                "get_object",
                read,
                key=key,
                held=held,
                VersionId=options.version_id,
                Range=f"bytes={byte_range.start}-{byte_range.end - 1}" if byte_range else None,
                IfMatch=if_match if sent and if_match != "*" else None,
                IfNoneMatch=if_none_match if sent and if_none_match != "*" else None,
                ChecksumMode=self._checksum_mode if options.verify and not (byte_range and byte_range.start) else None,
                **self._existing,
            )

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        return await fill_sink(self.open_body(key, options), sink)

    # --- writes ------------------------------------------------------------------------------------

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        algorithm = self.capabilities.put_checksum
        data, digest = await self.load("put", key, body, algorithm)

        def read(answer: dict[str, Any]) -> ObjectInfo:
            return written(key, headers_of(answer), required(answer, "ETag"), body_size(body), options)

        return await self.send(
            "put",
            "put_object",
            read,
            key=key,
            repeatable=not options.conditional,
            options=options,
            Body=data,
            ChecksumAlgorithm=self._sdk_checksum(algorithm),
            **checksum_argument(algorithm, digest),
            **parameters(write_headers(options)),
            **self._new,
        )

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        algorithm, full = self.capabilities.multipart_checksum or "", self.capabilities.full_object_checksum
        declared = is_header_checksum(algorithm) and (full or options.part_checksums)

        def read(answer: dict[str, Any]) -> MultipartUpload:
            return MultipartUpload(key=key, upload_id=required(answer, "UploadId"))

        return await self.send(
            "create_multipart",
            "create_multipart_upload",
            read,
            key=key,
            # Not repeated, because a repeat after a lost response would open a second upload. `_transfer.cleanup` finds
            # and aborts an upload whose response was lost.
            repeatable=False,
            options=options,
            ChecksumAlgorithm=algorithm.upper() if declared else None,
            ChecksumType="FULL_OBJECT" if full else None,
            **parameters(stored_headers(options)),
            **self._new,
        )

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        algorithm = self.capabilities.multipart_checksum
        data, digest = await self.load("put_part", upload.key, body, algorithm)

        def read(answer: dict[str, Any]) -> Part:
            etag = required(answer, "ETag")
            return Part(part_number=part_number, size=body_size(body), etag=etag, checksum=digest)

        return await self.send(
            "put_part",
            "upload_part",
            read,
            key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=part_number,
            Body=data,
            ChecksumAlgorithm=self._sdk_checksum(algorithm),
            **checksum_argument(algorithm, digest),
            **self._existing,
        )

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        algorithm = self.capabilities.multipart_checksum
        full = checksum is not None and self.capabilities.full_object_checksum

        def read(answer: dict[str, Any]) -> ObjectInfo:
            etag = answer.get("ETag", "")
            if not etag and not answer.get("Key"):  # an empty response means that nothing was published
                raise ValueError("it has neither an ETag nor a Key")
            return written(upload.key, headers_of(answer), etag, sum(part.size for part in parts), options)

        return await self.send(
            "complete_multipart",
            "complete_multipart_upload",
            read,
            key=upload.key,
            # If the response is lost, a repeated request fails, because the upload no longer exists, or because the
            # object that the first request has made fails the precondition.
            repeatable=False,
            options=options,
            UploadId=upload.upload_id,
            MultipartUpload={
                "Parts": [
                    {
                        "PartNumber": part.part_number,
                        "ETag": part.etag,
                        **checksum_argument(algorithm, part.checksum),
                    }
                    for part in parts
                ]
            },
            ChecksumType="FULL_OBJECT" if full else None,
            **checksum_argument(algorithm if full else None, checksum),
            **parameters(condition_headers(options)),
            **self._existing,
        )

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        await self.send("abort_multipart", "abort_multipart_upload", nothing, key=upload.key, UploadId=upload.upload_id)

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:

        def read(answer: dict[str, Any]) -> tuple[Part, ...]:
            return tuple(
                Part(part_number=entry["PartNumber"], size=entry["Size"], etag=entry.get("ETag", ""))
                for entry in answer.get("Parts", ())
                if entry["PartNumber"] > after  # some servers ignore the marker
            )

        return await self.send(
            "list_parts",
            "list_parts",
            read,
            key=upload.key,
            UploadId=upload.upload_id,
            PartNumberMarker=after or None,
            **self._existing,
        )

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:

        def read(answer: dict[str, Any]) -> tuple[MultipartUpload, ...]:
            required(answer, "Bucket")
            found = (
                MultipartUpload(key=entry["Key"], upload_id=entry["UploadId"], initiated=entry.get("Initiated"))
                for entry in answer.get("Uploads", ())
            )
            return uploads_behind(found, after)

        return await self.send(
            "list_multiparts",
            "list_multipart_uploads",
            read,
            Prefix=prefix,
            KeyMarker=after.key if after else None,
            UploadIdMarker=after.upload_id if after else None,
        )

    # --- copying ----------------------------------------------------------------

    async def copy_object(
        self,
        source: ObjectSource,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> str | None:
        """Copy an object, and return the version id of the copy; a HEAD returns the copy's properties."""

        def read(answer: dict[str, Any]) -> str | None:
            required(answer.get("CopyObjectResult", {}), "ETag")
            return version_of(headers_of(answer))

        return await self.send(
            "copy",
            "copy_object",
            read,
            key=destination,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=(if_match or None) if self.capabilities.copy_source_if_match else None,
            **parameters(replacing_headers(options)),
            **self._new,
            **self._source,
        )

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, *, if_match: str
    ) -> Part:

        def read(answer: dict[str, Any]) -> Part:
            result = answer["CopyPartResult"]
            if "ETag" not in result:  # `rclone serve s3` ignores the source, and stores an empty part
                problem = "the server does not copy parts; it answered without an etag"
                raise self.bucket.error(UnsupportedError, source.key, "copy_part", problem)
            checksum = result.get(f"Checksum{(self.capabilities.multipart_checksum or '').upper()}")
            digest = hex_of(checksum) if checksum else None
            return Part(part_number=part_number, size=byte_range.size, etag=result["ETag"], checksum=digest)

        return await self.send(
            "copy_part",
            "upload_part_copy",
            read,
            key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=part_number,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceRange=f"bytes={byte_range.start}-{byte_range.end - 1}",
            CopySourceIfMatch=(if_match or None) if self.capabilities.copy_source_if_match else None,
            **self._existing,
            **self._source,
        )

    # --- signed URLs -------------------------------------------------------------------------------

    async def presign(self, key: str, method: str, expires_in: int, response: Mapping[str, str]) -> str:
        if self._every:
            problem = "aiobotocore signs request_payer as a header, which the user of the URL would have to send"
            raise self.bucket.error(UnsupportedError, key, "presign", problem)
        params = {"Bucket": self.bucket.name, "Key": key}
        params |= {_RESPONSE[name]: value for name, value in response.items()}
        return str(
            await self.sign("presign", "generate_presigned_url", key, _PRESIGNED[method], params, ExpiresIn=expires_in)
        )

    async def presign_post(self, key: str, expires_in: int, max_size: int | None) -> dict[str, Any]:
        conditions = [["content-length-range", 0, max_size]] if max_size is not None else None
        form: dict[str, Any] = await self.sign(
            "presign_post",
            "generate_presigned_post",
            key,
            self.bucket.name,
            key,
            Conditions=conditions,
            ExpiresIn=expires_in,
        )
        return form

    @property
    def _checksum_mode(self) -> str | None:
        return "ENABLED" if self.capabilities.stored_checksums else None

    def _sdk_checksum(self, algorithm: str | None) -> str | None:
        return algorithm.upper() if algorithm and self.bucket.vendor.sdk_checksum_header else None


def _status(answer: dict[str, Any]) -> int | None:
    status: int | None = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status
