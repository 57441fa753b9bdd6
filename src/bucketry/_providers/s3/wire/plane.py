"""The S3 family through the data plane: each method is one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bucketry._core import checksums
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.units import KiB
from bucketry._core.values import (
    Body,
    ByteRange,
    FileRange,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    ObjectSource,
    Part,
    VersionPage,
    body_size,
)
from bucketry._providers.s3.answers import Deletions, marker_of, uploads_behind, version_page
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.headers import (
    base64_of,
    checksum_headers,
    condition_headers,
    hex_of,
    info_of,
    is_header_checksum,
    range_header,
    replacing_headers,
    stored_headers,
    version_of,
    write_headers,
    written,
)
from bucketry._providers.s3.wire.body import WireBody
from bucketry._providers.s3.wire.calls import OK, WireCalls, etag_of, length_of, upload_query, version_query
from bucketry._providers.s3.xml.documents import deletion_request, deletions
from bucketry._providers.s3.xml.listing import ListingParser
from bucketry._providers.s3.xml.multipart import answer_fields, completion_request, open_uploads, stored_parts
from bucketry._providers.s3.xml.versions import tags as tags_of
from bucketry._providers.s3.xml.versions import tags_request, versions
from bucketry._runtime.slices import in_slices
from bucketry._wire.client import Call, OriginClient
from bucketry._wire.errors import WireError
from bucketry._wire.http1 import AnswerHead
from bucketry._wire.lanes import Write
from bucketry._wire.sigv4 import encode_path, encode_query
from bucketry.errors import IncompleteBodyError, RequestTimeoutError, UnsupportedError

LISTING_SLICE = 64 * KiB  # parsing a page of 1,000 keys takes 2 to 7 ms; so much of it takes up to 1.5 ms
_CREATED = ("InitiateMultipartUploadResult", "InitiateMultipartUpload")  # rclone's server sends the second name


class WirePlane(WireCalls):
    """The requests of one bucket on a client of the data plane; `S3Requests` has checked the arguments.

    Attributes:
        capabilities: The vendor's limits and promises, changed for this transport.
    """

    def __init__(self, bucket: S3Bucket, client: OriginClient, root: str) -> None:
        """Store the arguments; no I/O. See `WireCalls`."""
        WireCalls.__init__(self, bucket, client, root)
        self.capabilities = replace(self._row, buffers_parts=False)

    async def head_bucket(self) -> None:
        """Make a HeadBucket request."""
        await self.ask("connect", self.call("HEAD", self.root or "/"), _nothing)

    # --- reads -------------------------------------------------------------------------------------

    async def head(self, key: str, *, version_id: str | None = None, operation: str = "head") -> ObjectInfo:

        def read(head: AnswerHead, _: bytes) -> ObjectInfo:
            if head.status != 200:  # noqa: PLR2004 - the only status of a complete response
                raise ValueError(f"its status is {head.status}")
            return info_of(key, head.headers, length_of(head))

        call = Call("HEAD", self.path(key, operation), version_query(version_id), self._whole_headers)
        return await self.ask(operation, call, read, key)

    def open_body(self, key: str, options: ReadOptions = WHOLE) -> WireBody:
        return WireBody(self, self.read_of(key, options))

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        get = self.read_of(key, options)
        info: ObjectInfo | None = None

        def accept(head: AnswerHead) -> Write | None:
            nonlocal info
            if head.status not in OK:
                return None
            info = self.begun(get, head)
            sink.begin(info)
            return sink.write

        request = self.client.download(get.call, accept)
        attempts = self.bucket.attempts("get", key, timed=False)
        while True:
            async with attempts:
                try:
                    async with self.bucket.in_time("get", key):
                        head, body = await self.client.lanes.exchange(request)
                except (WireError, RequestTimeoutError) as exc:
                    error = self.failed(exc, "get", key) if isinstance(exc, WireError) else exc
                    if info is None:
                        raise error from exc
                    broken = self.bucket.with_facts(IncompleteBodyError(str(error)), "get", key)
                    break  # the transfer requests the rest
                self.client.log(get.call, head)
                if (refusal := self.refusal_of(head, body, "get", key)) is not None:
                    del body  # it may quote the request, and error reports show local variables
                    raise refusal
                assert info is not None  # noqa: S101 - a good response was accepted
                return info
        raise broken

    # --- writes ------------------------------------------------------------------------------------

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        headers = {**write_headers(options), **self._headers.new}
        call = self.call("PUT", self.path(key, "put"), "", headers, repeatable=not options.conditional)
        # A file is read into memory once, so that the checksum is computed from the same bytes that are sent.
        data = await self.bytes_of(body, "put", key) if isinstance(body, FileRange) else body

        def read(head: AnswerHead, _: str | None) -> ObjectInfo:
            return written(key, head.headers, etag_of(head), body_size(data), options)

        sent = body.sent if isinstance(body, FileRange) else None
        return await self.send("put", call, read, key, data, self._row.put_checksum, options=options, sent=sent)

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        headers = {**stored_headers(options), **self._headers.new}
        algorithm, full = self._row.multipart_checksum, self._row.full_object_checksum
        if algorithm is not None and is_header_checksum(algorithm) and (full or options.part_checksums):
            headers["x-amz-checksum-algorithm"] = algorithm.upper()
        if full:
            headers["x-amz-checksum-type"] = "FULL_OBJECT"

        def read(_: AnswerHead, answer: bytes) -> MultipartUpload:
            upload_id = answer_fields(answer, *_CREATED).get("UploadId")
            if not upload_id:
                raise ValueError("it has no UploadId")
            return MultipartUpload(key=key, upload_id=upload_id)

        # Not repeated, because a repeat after a lost response would open a second upload. `_transfer.cleanup` finds and
        # aborts an upload whose response was lost.
        call = self.call("POST", self.path(key, "create_multipart"), "uploads=", headers, repeatable=False)
        return await self.ask("create_multipart", call, read, key, options=options)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        algorithm = self._row.multipart_checksum

        def read(head: AnswerHead, digest: str | None) -> Part:
            kept = digest if algorithm is not None and is_header_checksum(algorithm) else None
            return Part(part_number=part_number, size=body_size(body), etag=etag_of(head), checksum=kept)

        query = upload_query(upload, partNumber=str(part_number))
        call = self.call("PUT", self.path(upload.key, "put_part"), query, self._headers.existing)
        sent = body.sent if isinstance(body, FileRange) else None
        return await self.send("put_part", call, read, upload.key, body, algorithm, sent=sent)

    async def complete_multipart(
        self, upload: MultipartUpload, parts: Sequence[Part], options: WriteOptions, *, checksum: str | None = None
    ) -> ObjectInfo:
        key, algorithm = upload.key, self._row.multipart_checksum or ""
        listed = []
        for part in parts:
            fields = {"PartNumber": str(part.part_number), "ETag": part.etag}
            if part.checksum is not None and is_header_checksum(algorithm):
                fields[f"Checksum{algorithm.upper()}"] = base64_of(part.checksum)
            listed.append(fields)
        headers = {**condition_headers(options), **self._headers.existing}
        if checksum is not None and self._row.full_object_checksum:
            headers |= checksum_headers(algorithm, checksum, sdk=False) | {"x-amz-checksum-type": "FULL_OBJECT"}

        def read(head: AnswerHead, answer: bytes) -> ObjectInfo:
            fields = answer_fields(answer, "CompleteMultipartUploadResult")
            etag = fields.get("ETag", "")
            if not etag and not fields.get("Key"):  # an empty response means that nothing was published
                raise ValueError("it has neither an ETag nor a Key")
            return written(key, head.headers, etag, sum(part.size for part in parts), options)

        # If the response is lost, a repeated request fails, because the upload no longer exists, or because the object
        # that the first request has made fails the precondition.
        call = self.call("POST", self.path(key, "complete_multipart"), upload_query(upload), headers, repeatable=False)
        return await self.ask("complete_multipart", call, read, key, completion_request(listed), options=options)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """Abort an upload; a missing upload is an error here."""
        call = self.call("DELETE", self.path(upload.key, "abort_multipart"), upload_query(upload))
        await self.ask("abort_multipart", call, _nothing, upload.key)

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        query = upload_query(upload, **({"part-number-marker": str(after)} if after else {}))
        call = self.call("GET", self.path(upload.key, "list_parts"), query, self._headers.existing)

        def read(_: AnswerHead, answer: bytes) -> tuple[Part, ...]:
            # Parts up to number `after` are left out here, because some servers ignore the marker.
            return tuple(part for part in stored_parts(answer) if part.part_number > after)

        return await self.ask("list_parts", call, read, upload.key)

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:
        self.bucket.check("list_multiparts", None, Prefix=prefix, KeyMarker=after.key if after else None)
        wanted = {"prefix": prefix} if prefix else {}
        if after is not None:
            wanted |= {"key-marker": after.key, "upload-id-marker": after.upload_id}
        query = encode_query({"uploads": "", **wanted})

        def read(_: AnswerHead, answer: bytes) -> tuple[MultipartUpload, ...]:
            found = (
                MultipartUpload(key=key, upload_id=upload_id, initiated=initiated)
                for key, upload_id, initiated in open_uploads(answer)
            )
            return uploads_behind(found, after)

        return await self.ask("list_multiparts", self.call("GET", self.root or "/", query), read)

    # --- listing, deleting, copying ----------------------------------------------------------------

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
        """See `ListsObjects.list_page`; the page is read as its bytes arrive."""
        given = {
            "prefix": prefix or None,
            "delimiter": delimiter,
            "start-after": start_after,
            "continuation-token": token,
            "max-keys": None if max_keys is None else str(max_keys),
        }
        self.bucket.check(operation, None, **given)
        pairs = {"list-type": "2", "encoding-type": "url"}
        pairs |= {name: value for name, value in given.items() if value is not None}
        call = self.call("GET", self.root or "/", encode_query(pairs))

        attempts = self.bucket.attempts(operation, None)
        while True:
            async with attempts:
                connection = await self.opened(operation, call, None)
                try:
                    parser = ListingParser()
                    while piece := await connection.piece():
                        await in_slices(parser.feed, piece, LISTING_SLICE)
                    return parser.close(token)
                except WireError as exc:
                    raise self.failed(exc, operation, None) from exc
                except ValueError as exc:
                    raise self.unreadable(exc, operation, None, head=connection.answer) from exc
                finally:
                    self.client.done(connection)

    async def list_versions_page(self, prefix: str, token: str | None) -> VersionPage:
        self.bucket.check("list_versions", None, Prefix=prefix)
        pairs = {"versions": "", "encoding-type": "url", **marker_of(token)}
        query = encode_query(pairs | {"prefix": prefix} if prefix else pairs)

        def read(_: AnswerHead, answer: bytes) -> VersionPage:
            return version_page(*versions(answer), token)

        return await self.ask("list_versions", self.call("GET", self.root or "/", query), read)

    async def get_tags(self, key: str) -> dict[str, str]:
        call = self.call("GET", self.path(key, "get_tags"), "tagging=")
        return await self.ask("get_tags", call, lambda _, answer: tags_of(answer), key)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        if not tags:
            call = self.call("DELETE", self.path(key, "put_tags"), "tagging=")
            await self.ask("put_tags", call, _nothing, key)
            return
        body = tags_request(tags)
        headers = checksum_headers("md5", checksums.of("md5", body), sdk=False)  # S3 requires a checksum here
        call = self.call("PUT", self.path(key, "put_tags"), "tagging=", headers)
        await self.ask("put_tags", call, _nothing, key, body)

    async def delete(self, key: str, *, version_id: str | None = None) -> None:
        """Delete an object; on some servers, a missing object is an error here."""
        call = self.call("DELETE", self.path(key, "delete"), version_query(version_id))
        await self.ask("delete", call, _nothing, key)

    async def delete_named(self, keys: Sequence[str]) -> Deletions:
        """Delete keys that XML 1.0 can represent, and return the result for each key."""
        body = deletion_request(keys)
        headers = checksum_headers("md5", checksums.of("md5", body), sdk=False)  # S3 requires a checksum here
        call = self.call("POST", self.root or "/", "delete=", headers)
        return await self.ask("delete_many", call, lambda _, answer: deletions(answer), None, body)

    async def copy_object(
        self,
        source: ObjectSource,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> str | None:
        """Copy an object, and return the version id of the copy; a HEAD returns the copy's properties."""
        headers = self._source(source, if_match) | {**replacing_headers(options), **self._headers.new}

        def read(head: AnswerHead, answer: bytes) -> str | None:
            # An empty response with status 200 means that nothing was copied.
            if not answer_fields(answer, "CopyObjectResult").get("ETag"):
                raise ValueError("it has no ETag")
            return version_of(head.headers)

        return await self.ask("copy", self.call("PUT", self.path(destination, "copy"), "", headers), read, destination)

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, *, if_match: str
    ) -> Part:

        def read(_: AnswerHead, answer: bytes) -> Part:
            fields = answer_fields(answer, "CopyPartResult")
            if "ETag" not in fields:  # `rclone serve s3` ignores the source, and stores an empty part
                problem = "the server does not copy parts; it answered without an etag"
                raise self.bucket.error(UnsupportedError, source.key, "copy_part", problem)
            checksum = fields.get(f"Checksum{(self._row.multipart_checksum or '').upper()}")
            digest = hex_of(checksum) if checksum else None
            return Part(part_number=part_number, size=byte_range.size, etag=fields["ETag"], checksum=digest)

        headers = self._source(source, if_match) | {"x-amz-copy-source-range": range_header(byte_range)}
        headers |= self._headers.existing
        query = upload_query(upload, partNumber=str(part_number))
        call = self.call("PUT", self.path(upload.key, "copy_part"), query, headers)
        return await self.ask("copy_part", call, read, upload.key)

    # --- signed URLs -------------------------------------------------------------------------------

    async def presign(self, key: str, method: str, expires_in: int, response: Mapping[str, str]) -> str:
        """See `Presigns.presign`; the headers of every request become query parameters."""
        query = encode_query({**response, **self._headers.every})
        try:
            return await self.client.presign(Call(method, self.path(key, "presign"), query), expires_in)
        except WireError as exc:
            raise self.failed(exc, "presign", key) from exc

    async def presign_post(self, key: str, expires_in: int, max_size: int | None) -> dict[str, Any]:
        conditions: list[object] = [{"bucket": self.bucket.name}, {"key": key}]
        if max_size is not None:
            conditions.append(["content-length-range", 0, max_size])
        try:
            fields = await self.client.sign_form(conditions, expires_in)
        except WireError as exc:
            raise self.failed(exc, "presign_post", key) from exc
        return {"url": f"{self.client.origin}{self.root or '/'}", "fields": {"key": key, **fields}}

    def _source(self, source: ObjectSource, if_match: str | None) -> dict[str, str]:
        headers = {"x-amz-copy-source": f"{source.bucket}/{encode_path(source.key)}", **self._headers.source}
        if if_match and self._row.copy_source_if_match:
            headers["x-amz-copy-source-if-match"] = if_match
        return headers


def _nothing(head: AnswerHead, answer: bytes) -> None:
    """Read nothing, because only the success of the request matters."""
