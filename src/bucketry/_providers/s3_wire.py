"""The S3 family by the data plane: one method, one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bucketry._core import checksums
from bucketry._core.checks import check_key
from bucketry._core.file_bodies import read_body
from bucketry._core.provider import RangeSink
from bucketry._core.threads import in_thread
from bucketry._core.units import KiB
from bucketry._core.values import (
    Body,
    ByteRange,
    FileRange,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    Part,
    WriteOptions,
    body_size,
)
from bucketry._providers.s3_answers import Deletions
from bucketry._providers.s3_bucket import S3Bucket
from bucketry._providers.s3_headers import (
    base64_of,
    checksum_headers,
    expect_range,
    http_date,
    info_of,
    range_header,
    write_headers,
    written,
)
from bucketry._providers.s3_wire_body import Get, WireBody
from bucketry._wire.client import Call, Road
from bucketry._wire.failures import Refusal, WireError, refusal_error
from bucketry._wire.http1 import AnswerHead
from bucketry._wire.lanes import Write
from bucketry._wire.listing import ListingParser
from bucketry._wire.multipart import answer_fields, completion_request, open_uploads
from bucketry._wire.sigv4 import encode_path, encode_query
from bucketry._wire.unary import MAX_BODY, Connection
from bucketry._wire.xml import LARGEST_ANSWER, AnswerIsErrorError, deletion_request, deletions, error_fields
from bucketry.errors import IncompleteBodyError, IntegrityError, RequestTimeoutError, StorageError, TransientError

_ERROR_BODY = 64 * KiB  # of an error's XML
_OK = range(200, 300)
_FORBIDDEN = 403
_SKEWED = "RequestTimeTooSkewed"
_CREATED = ("InitiateMultipartUploadResult", "InitiateMultipartUpload")  # the second is what rclone's server says


class WirePlane:
    """The requests of one bucket on a road of the data plane; `S3Requests` has checked what belongs together.

    Attributes:
        capabilities: The vendor's, and what this transport adds.
    """

    def __init__(self, bucket: S3Bucket, road: Road, root: str) -> None:
        """Remember; no I/O.

        Args:
            bucket: The bucket.
            road: Leads to its host.
            root: The bucket's own path there, percent-encoded, without a slash at its end.
        """
        self.bucket = bucket
        self.road = road
        self._root = root
        self._row = bucket.vendor.capabilities
        self.capabilities = replace(self._row, buffers_parts=False)
        self._where = bucket.locate()
        self._sdk = bucket.vendor.sdk_checksum_header
        self._checksum_mode = {"x-amz-checksum-mode": "ENABLED"} if self._row.stored_checksums else {}

    @property
    def closed(self) -> bool:
        """Whether the road is closed, so that another has to be asked for."""
        return self.road.closed

    async def head_bucket(self) -> None:
        """Ask for the bucket."""
        await self._ask("connect", Call("HEAD", self._root or "/"))

    # --- reads -------------------------------------------------------------------------------------

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `ReadsObjects.head`."""
        call = Call("HEAD", self._path(key), _version(version_id), self._checksum_mode)
        head, _ = await self._ask("head", call, key)
        try:
            return info_of(key, head.headers, _length(head))
        except ValueError as exc:
            raise self._unreadable(exc, key, "head") from exc

    def open_body(
        self,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> WireBody:
        """See `ReadsObjects.open_body`."""
        return WireBody(self, self._get(key, byte_range, version_id, if_match, if_none_match))

    async def fetch_range(
        self, key: str, byte_range: ByteRange | None, sink: RangeSink, *, if_match: str | None = None
    ) -> ObjectInfo:
        """See `ReadsObjects.fetch_range`."""
        get = self._get(key, byte_range, None, if_match, None)
        info: ObjectInfo | None = None

        def accept(head: AnswerHead) -> Write | None:
            nonlocal info
            if head.status not in _OK:
                return None
            info = self.begun(get, head)
            return sink.write

        async def once() -> StorageError | None:
            try:
                async with self.bucket.in_time():
                    head, body = await self.road.carry_down(get.call, accept)
            except (WireError, RequestTimeoutError) as exc:
                error = self.failed(exc, "get", key) if isinstance(exc, WireError) else exc
                if info is None:
                    raise error from exc
                # The transfer asks for the rest.
                return self.bucket.error(IncompleteBodyError, key, "get", str(error))
            if head.status not in _OK:
                error = self.refused(head, body, "get", key)
                del body  # S3 quotes what was sent, and error reports show the locals of frames
                raise error
            return None

        broken = await self.bucket.repeat(once, timed=False)
        if broken is not None:
            raise broken
        assert info is not None  # noqa: S101 - an answer was accepted
        return info

    # --- writes ------------------------------------------------------------------------------------

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """See `WritesObjects.put_object`."""
        call = Call("PUT", self._path(key), "", write_headers(options), not options.conditional)
        # The file's bytes are held, so that those which were summed and looked at are those which are stored.
        data = await in_thread(read_body, body, self.bucket.locate(key)) if isinstance(body, FileRange) else body
        creates = options.if_none_match is not None
        head, _ = await self._send("put", call, key, data, self._row.put_checksum, creates=creates)
        return written(key, head.headers, self._etag(head.headers, key), body_size(data), options)

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        """See `UploadsParts.create_multipart`."""
        headers = write_headers(options)
        if self._row.multipart_checksum and self._sdk:
            headers["x-amz-checksum-algorithm"] = self._row.multipart_checksum.upper()
        if self._row.full_object_checksum:
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        call = Call("POST", self._path(key), "uploads=", headers)
        _, answer = await self._ask("create_multipart", call, key)
        with self.reading(key, "create_multipart"):
            upload_id = answer_fields(answer, *_CREATED).get("UploadId")
            if not upload_id:
                raise ValueError("it has no UploadId")
        return MultipartUpload(key=key, upload_id=upload_id)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """See `UploadsParts.put_part`."""
        key = upload.key
        query = encode_query({"partNumber": str(part_number), "uploadId": upload.upload_id})
        call = Call("PUT", self._path(key), query)
        head, digest = await self._send("put_part", call, key, body, self._row.multipart_checksum)
        etag = self._etag(head.headers, key)
        return Part(part_number=part_number, size=body_size(body), etag=etag, checksum=digest)

    async def complete_multipart(
        self, upload: MultipartUpload, parts: Sequence[Part], options: WriteOptions, *, checksum: str | None = None
    ) -> ObjectInfo:
        """See `UploadsParts.complete_multipart`."""
        key, algorithm = upload.key, self._row.multipart_checksum if self._row.full_object_checksum else None
        listed = []
        for part in parts:
            fields = {"PartNumber": str(part.part_number), "ETag": part.etag}
            if algorithm is not None and part.checksum is not None:
                fields[f"Checksum{algorithm.upper()}"] = base64_of(part.checksum)
            listed.append(fields)
        headers = write_headers(WriteOptions(if_match=options.if_match, if_none_match=options.if_none_match))
        if algorithm is not None and checksum is not None:
            headers |= checksum_headers(algorithm, checksum, sdk=False) | {"x-amz-checksum-type": "FULL_OBJECT"}
        # A repeat after a lost answer finds no upload, or a precondition that the first try itself made fail.
        call = Call("POST", self._path(key), _upload(upload), headers, repeatable=False)
        body = completion_request(listed)
        creates = options.if_none_match is not None
        head, answer = await self._ask("complete_multipart", call, key, body, creates=creates)
        with self.reading(key, "complete_multipart", creates=creates):
            etag = answer_fields(answer, "CompleteMultipartUploadResult").get("ETag")
            if not etag:  # an empty 200 published nothing
                raise ValueError("it has no ETag")
        return written(key, head.headers, etag, sum(part.size for part in parts), options)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """Abort; an upload that is gone is an error here."""
        call = Call("DELETE", self._path(upload.key), _upload(upload))
        await self._ask("abort_multipart", call, upload.key)

    async def list_multiparts(self, prefix: str = "") -> tuple[MultipartUpload, ...]:
        """See `UploadsParts.list_multiparts`."""
        self.bucket.check("list_multiparts", None, Prefix=prefix)
        query = encode_query({"uploads": "", "prefix": prefix} if prefix else {"uploads": ""})
        _, answer = await self._ask("list_multiparts", Call("GET", self._root or "/", query))
        with self.reading(None, "list_multiparts"):
            return tuple(
                MultipartUpload(key=key, upload_id=upload_id, initiated=initiated)
                for key, upload_id, initiated in open_uploads(answer)
            )

    # --- listing, deleting -------------------------------------------------------------------------

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
    ) -> ListPage:
        """See `ListsObjects.list_page`; the page is read as its bytes arrive."""
        given = {
            "prefix": prefix or None,
            "delimiter": delimiter,
            "start-after": start_after,
            "continuation-token": token,
            "max-keys": None if max_keys is None else str(max_keys),
        }
        self.bucket.check("list", None, **given)
        pairs = {"list-type": "2", "encoding-type": "url"}
        pairs |= {name: value for name, value in given.items() if value is not None}
        call = Call("GET", self._root or "/", encode_query(pairs))

        async def once() -> ListPage:
            connection = await self.opened("list", call, None)
            try:
                with self.reading(None, "list"):
                    parser = ListingParser()
                    while piece := await connection.piece():
                        parser.feed(piece)
                    return parser.close(token)
            except WireError as exc:
                raise self.failed(exc, "list", None) from exc
            finally:
                self.road.done(connection)

        return await self.bucket.repeat(once)

    async def delete(self, key: str) -> None:
        """Delete; a missing object may be an error here."""
        await self._ask("delete", Call("DELETE", self._path(key)), key)

    async def delete_named(self, keys: Sequence[str]) -> Deletions:
        """Delete keys that XML can carry, and give what the answer says of each."""
        body = deletion_request(keys)
        headers = checksum_headers("md5", checksums.of("md5", body), sdk=False)
        call = Call("POST", self._root or "/", "delete=", headers)
        _, answer = await self._ask("delete_many", call, body=body)
        with self.reading(None, "delete_many"):
            return deletions(answer)

    # --- one request -------------------------------------------------------------------------------

    async def opened(self, doing: str, call: Call, key: str | None) -> Connection:
        """Make a request once, and give the connection with the head of its answer, which is a good one."""
        try:
            connection = await self.road.open(call)
        except WireError as exc:
            raise self.failed(exc, doing, key) from exc
        head = connection.answer
        if head.status in _OK:
            return connection
        try:
            raise self.refused(head, await connection.body(_ERROR_BODY), doing, key)
        except WireError as exc:
            raise self.failed(exc, doing, key) from exc
        finally:
            self.road.done(connection)

    async def _ask(
        self, doing: str, call: Call, key: str | None = None, body: bytes = b"", *, creates: bool = False
    ) -> tuple[AnswerHead, bytes]:
        """Make a small request, and again where that may help, and give its answer."""

        async def once() -> tuple[AnswerHead, bytes]:
            try:
                head, answer = await self.road.ask(call, body, limit=LARGEST_ANSWER)
            except WireError as exc:
                raise self.failed(exc, doing, key) from exc
            if head.status not in _OK:
                error = self.refused(head, answer, doing, key, creates=creates)
                del answer  # as in `fetch_range`
                raise error
            return head, answer

        return await self.bucket.repeat(once, repeatable=call.repeatable)

    async def _send(
        self, doing: str, call: Call, key: str, body: Body, algorithm: str | None, *, creates: bool = False
    ) -> tuple[AnswerHead, str | None]:
        """Send a body, and give its answer and the body's checksum: a small one by the loop, others by a lane."""
        if body_size(body) <= MAX_BODY:
            where = self.bucket.locate(key)
            data = await in_thread(read_body, body, where) if isinstance(body, FileRange) else bytes(body)
            digest = checksums.of(algorithm, data) if algorithm else None
            headers = {**call.headers, **checksum_headers(algorithm, digest, sdk=self._sdk)}
            full = Call(call.method, call.path, call.query, headers, call.repeatable)  # half the time of _replace
            head, _ = await self._ask(doing, full, key, data, creates=creates)
            return head, digest

        async def once() -> tuple[AnswerHead, str | None]:
            try:
                head, answer, digest = await self.road.carry_up(
                    call,
                    body,
                    algorithm,
                    lambda digest: checksum_headers(algorithm, digest, sdk=self._sdk),
                    self.bucket.locate(key),
                )
            except WireError as exc:
                raise self.failed(exc, doing, key) from exc
            if head.status not in _OK:
                error = self.refused(head, answer, doing, key, creates=creates)
                del answer  # as in `fetch_range`
                raise error
            return head, digest

        return await self.bucket.repeat(once, repeatable=call.repeatable)

    def _get(
        self,
        key: str,
        byte_range: ByteRange | None,
        version_id: str | None,
        if_match: str | None,
        if_none_match: str | None,
    ) -> Get:
        headers = {}
        if byte_range is not None:
            headers["range"] = range_header(byte_range)
        elif self._checksum_mode:
            headers = {**self._checksum_mode}
        # Where the row does not say that the headers are honoured, the answer's etag alone decides.
        if self._row.get_if_match:
            if if_match is not None:
                headers["if-match"] = if_match
            if if_none_match is not None:
                headers["if-none-match"] = if_none_match
        call = Call("GET", self._path(key), _version(version_id), headers)
        return Get(call, key, byte_range, if_match, if_none_match)

    def begun(self, get: Get, head: AnswerHead) -> ObjectInfo:
        """Give the object, having checked that the answer is the one that was asked for."""
        try:
            size = expect_range(head.headers.get("content-range", ""), _length(head), get.byte_range)
            info = info_of(get.key, head.headers, size)
        except IntegrityError as exc:
            raise self.bucket.error(IntegrityError, get.key, "get", str(exc)) from None
        except ValueError as exc:
            raise self._unreadable(exc, get.key, "get") from exc
        self.bucket.hold(info, get.if_match, get.if_none_match)
        return info

    # --- errors ------------------------------------------------------------------------------------

    def failed(self, exc: WireError, doing: str, key: str | None) -> StorageError:
        """Give the error for a request that was not answered, or not to its end."""
        return self.bucket.error(exc.kind, key, doing, f"{doing} failed: {exc.problem}")

    def refused(
        self, head: AnswerHead, body: bytes, doing: str, key: str | None, *, creates: bool = False
    ) -> StorageError:
        """Give the error for an answer that is one."""
        fields = error_fields(body)
        moment = _date(head)
        if not fields and head.status == _FORBIDDEN and moment is not None and self.road.wire.is_off(moment):
            fields = {"Code": _SKEWED}  # an answer to HEAD cannot say so
        error = self._refusal(Refusal(head.status, head.headers, fields), doing, key, creates=creates)
        if error.code == _SKEWED and moment is not None:
            self.road.wire.set_clock(moment)
        return error

    @contextmanager
    def reading(self, key: str | None, doing: str, *, creates: bool = False) -> Iterator[None]:
        """Turn what an answer that is no S3 server's does to its reader into an error of ours."""
        try:
            yield
        except AnswerIsErrorError as exc:  # S3 had begun to answer when it failed
            raise self._refusal(Refusal(500, {}, exc.fields), doing, key, creates=creates) from exc
        except ValueError as exc:
            if isinstance(exc, StorageError):
                raise
            raise self._unreadable(exc, key, doing) from exc

    def _unreadable(self, exc: ValueError, key: str | None, doing: str) -> StorageError:
        problem = f"the answer to {doing} cannot be read, it is perhaps no S3 server's: {exc}"
        return self.bucket.error(TransientError, key, doing, problem)

    def _refusal(self, refusal: Refusal, doing: str, key: str | None, *, creates: bool) -> StorageError:
        bucket = self.bucket
        where = bucket.locate(key or "")
        return refusal_error(
            refusal, bucket.vendor, where, operation=doing, bucket=bucket.name, key=key, creates=creates
        )

    def _path(self, key: str) -> str:
        check_key(key, self._row, self._where)
        return f"{self._root}/{encode_path(key)}"

    def _etag(self, headers: Mapping[str, str], key: str) -> str:
        etag = headers.get("etag")
        if not etag:
            problem = "the answer has no ETag: it does not come from an S3 server, or it was cut short"
            raise self.bucket.error(TransientError, key, "put", problem)
        return etag


def _date(head: AnswerHead) -> float | None:
    try:
        return http_date(head.headers.get("date", "")).timestamp()
    except ValueError:
        return None


def _version(version_id: str | None) -> str:
    return encode_query({"versionId": version_id}) if version_id is not None else ""


def _upload(upload: MultipartUpload) -> str:
    return encode_query({"uploadId": upload.upload_id})


def _length(head: AnswerHead) -> int:
    if head.length is None:
        raise ValueError("it has no Content-Length")
    return head.length
