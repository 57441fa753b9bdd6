"""Makes a request of the data plane, repeats it if that may help, reads the response, and translates errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from bucketry._core import checksums
from bucketry._core.conditions import judge_read
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.units import KiB
from bucketry._core.values import NOTHING, Body, ByteCounter, FileRange, MultipartUpload, ObjectInfo, body_size
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.headers import (
    checksum_headers,
    range_header,
    read_info,
)
from bucketry._providers.s3.xml.documents import LARGEST_ANSWER, AnswerIsErrorError, error_fields
from bucketry._runtime.file_bodies import read_body
from bucketry._runtime.loading import load_checksum
from bucketry._runtime.threads import in_thread
from bucketry._wire.client import Call, OriginClient
from bucketry._wire.errors import Refusal, WireError
from bucketry._wire.http1 import AnswerHead
from bucketry._wire.sigv4 import encode_path, encode_query
from bucketry._wire.unary import MAX_BODY, Connection
from bucketry.errors import IntegrityError, StorageError

T = TypeVar("T")

OK = range(200, 300)
_ERROR_BODY = 64 * KiB  # the most bytes of an error's XML that are read


class Get(NamedTuple):
    """A read: its request, its key, and the options, against which the response is checked."""

    call: Call
    key: str
    options: ReadOptions


class WireCalls:
    """Requests to one bucket on a client of the data plane.

    Attributes:
        bucket: The bucket.
        client: The client for the bucket's host.
    """

    def __init__(self, bucket: S3Bucket, client: OriginClient, root: str) -> None:
        """Store the arguments; no I/O.

        Args:
            bucket: The bucket.
            client: The client for the bucket's host.
            root: The bucket's path on that host, percent-encoded, without a slash at its end.
        """
        self.bucket = bucket
        self.client = client
        self.root = root
        self._row = bucket.vendor.capabilities
        self._sdk = bucket.vendor.sdk_checksum_header
        self._headers = bucket.headers
        self._read_headers = {**self._headers.every, **self._headers.existing}
        mode = {"x-amz-checksum-mode": "ENABLED"} if self._row.stored_checksums else {}
        self._whole_headers = self._read_headers | mode

    @property
    def closed(self) -> bool:
        """Whether the client is closed, so that a new client is needed."""
        return self.client.closed

    @property
    def has_free_slot(self) -> bool:
        """Whether a request would begin at once."""
        return self.client.endpoint.pool.has_free

    def call(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] = NOTHING,
        *,
        repeatable: bool = True,
    ) -> Call:
        """Return a request with the given headers and with the headers of every request."""
        every = self._headers.every
        return Call(method, path, query, {**every, **headers} if every else headers, repeatable)

    async def opened(
        self, operation: str, call: Call, key: str | None, begin: Callable[[AnswerHead], None] | None = None
    ) -> Connection:
        """Make a request once. If it succeeds, return the connection, from which the body is not read yet.

        Args:
            operation: The provider's method, for errors.
            call: The request.
            key: The object.
            begin: A function that reads the response's head; if it raises an exception, the request ends.
        """
        try:
            connection = await self.client.open(call)
        except WireError as exc:
            raise self.failed(exc, operation, key) from exc
        head = connection.answer
        if head.status in OK:
            if begin is not None:
                try:
                    begin(head)
                except BaseException:
                    self.client.done(connection)
                    raise
            return connection
        try:
            raise self.refused(head, await connection.body(_ERROR_BODY), operation, key)
        except WireError as exc:
            raise self.failed(exc, operation, key) from exc
        finally:
            self.client.done(connection)

    async def ask(
        self,
        operation: str,
        call: Call,
        read: Callable[[AnswerHead, bytes], T],
        key: str | None = None,
        body: bytes = b"",
        payload_hash: str | None = None,
        *,
        options: WriteOptions | None = None,
    ) -> T:
        """Make a small request, repeat it if that may help, and return the result of `read`."""
        attempts = self.bucket.attempts(operation, key, repeatable=call.repeatable)
        while True:
            async with attempts:
                try:
                    head, answer = await self.client.ask(call, body, payload_hash, limit=LARGEST_ANSWER)
                except WireError as exc:
                    raise self.failed(exc, operation, key) from exc
                if (error := self.refusal_of(head, answer, operation, key, options)) is not None:
                    del answer  # it may quote the request, and error reports show local variables
                    raise error
                try:
                    return read(head, answer)
                except ValueError as exc:
                    raise self.unreadable(exc, operation, key, options, head=head) from exc

    async def send(
        self,
        operation: str,
        call: Call,
        read: Callable[[AnswerHead, str | None], T],
        key: str,
        body: Body,
        algorithm: str | None,
        *,
        options: WriteOptions | None = None,
        sent: ByteCounter | None = None,
    ) -> T:
        """Send a body, and return the result of `read` for the response's head and the body's checksum.

        The event loop sends a small body; a lane (a worker thread) sends a larger body.
        """
        if body_size(body) <= MAX_BODY:
            data = await self.bytes_of(body, operation, key) if isinstance(body, FileRange) else bytes(body)
            if algorithm:
                await load_checksum(algorithm)
            digest = checksums.of(algorithm, data) if algorithm else None
            headers = {**call.headers, **checksum_headers(algorithm, digest, sdk=self._sdk)}
            full = Call(call.method, call.path, call.query, headers, call.repeatable)  # `_replace` takes twice the time
            signed = digest if algorithm == "sha256" else None
            return await self.ask(
                operation, full, lambda head, _: read(head, digest), key, data, signed, options=options
            )

        upload = self.client.upload(
            call,
            body,
            algorithm,
            lambda digest: checksum_headers(algorithm, digest, sdk=self._sdk),
            self.bucket.locate(key),
            sent,
        )
        attempts = self.bucket.attempts(operation, key, repeatable=call.repeatable)
        while True:
            async with attempts:
                try:
                    head, answer = await self.client.lanes.exchange(upload)
                except WireError as exc:
                    raise self.failed(exc, operation, key) from exc
                self.client.log(call, head)
                if (error := self.refusal_of(head, answer, operation, key, options)) is not None:
                    del answer  # it may quote the request, and error reports show local variables
                    raise error
                try:
                    return read(head, upload.digest)
                except ValueError as exc:
                    raise self.unreadable(exc, operation, key, options, head=head) from exc

    # --- reads --------------------------------------------------------------------------------------

    def read_of(self, key: str, options: ReadOptions) -> Get:
        """Return the request that reads an object, or a range of it."""
        # A range from byte 0 may cover the object: then S3 sends the object's checksum with the range.
        summed = options.verify and (options.byte_range is None or not options.byte_range.start)
        headers = dict(self._whole_headers if summed else self._read_headers)
        if options.byte_range is not None:
            headers["range"] = range_header(options.byte_range)
        # The headers are sent only if the row says that the server enforces them, and not for "*". The response's etag
        # is checked in all cases.
        if self._row.get_if_match:
            if options.if_match is not None and options.if_match != "*":
                headers["if-match"] = options.if_match
            if options.if_none_match is not None and options.if_none_match != "*":
                headers["if-none-match"] = options.if_none_match
        return Get(Call("GET", self.path(key, "get"), version_query(options.version_id), headers), key, options)

    def begun(self, get: Get, head: AnswerHead) -> ObjectInfo:
        """Check that the response fits the request exactly, and return the object's properties."""
        try:
            info = read_info(get.key, head.status, head.headers, length_of(head), get.options.byte_range)
        except IntegrityError as exc:
            raise self.bucket.error(IntegrityError, get.key, "get", str(exc)) from None
        except ValueError as exc:
            raise self.unreadable(exc, "get", get.key, head=head) from exc
        if get.options.conditional:  # checked here, too, because some servers ignore the headers
            judge_read(info, get.options, self.bucket.locate(get.key))
        return info

    # --- errors ------------------------------------------------------------------------------------

    def failed(self, exc: WireError, operation: str, key: str | None) -> StorageError:
        """Return the error for a request without a response, or with an incomplete response."""
        return self.bucket.error(exc.kind, key, operation, f"{operation} failed: {exc.problem}")

    def refusal_of(
        self, head: AnswerHead, body: bytes, operation: str, key: str | None, options: WriteOptions | None = None
    ) -> StorageError | None:
        """Return the error for an error response; `None`: the request succeeded."""
        return None if head.status in OK else self.refused(head, body, operation, key, options)

    def refused(
        self, head: AnswerHead, body: bytes, operation: str, key: str | None, options: WriteOptions | None = None
    ) -> StorageError:
        """Return the error for an error response."""
        return self.bucket.refused(Refusal(head.status, head.headers, error_fields(body)), operation, key, options)

    def unreadable(
        self,
        exc: ValueError,
        operation: str,
        key: str | None,
        options: WriteOptions | None = None,
        *,
        head: AnswerHead,
    ) -> StorageError:
        """Return the error for a response that `read` could not read."""
        if isinstance(exc, AnswerIsErrorError):  # S3 failed after it began to answer
            return self.bucket.refused(Refusal(500, head.headers, exc.fields), operation, key, options)
        return exc if isinstance(exc, StorageError) else self.bucket.unreadable(str(exc), operation, key)

    def path(self, key: str, operation: str) -> str:
        """Return the encoded path of an object.

        Raises:
            InvalidKeyError: No vendor can store this key.
        """
        self.bucket.check_key(operation, key)
        return f"{self.root}/{encode_path(key)}"

    async def bytes_of(self, body: FileRange, operation: str, key: str) -> bytes:
        """Read a body from a file into memory."""
        try:
            return await in_thread(read_body, body, self.bucket.locate(key))
        except StorageError as error:
            raise self.bucket.with_facts(error, operation, key) from None


def version_query(version_id: str | None) -> str:
    """Return the query that names a version."""
    return encode_query({"versionId": version_id}) if version_id is not None else ""


def upload_query(upload: MultipartUpload, **more: str) -> str:
    """Return the query that names an open upload."""
    return encode_query({"uploadId": upload.upload_id, **more})


def etag_of(head: AnswerHead) -> str:
    """Return the etag of a response to a write.

    Raises:
        ValueError: The response has no etag.
    """
    if not (etag := head.headers.get("etag")):
        raise ValueError("it has no ETag")
    return etag


def length_of(head: AnswerHead) -> int:
    """Return the length of a response's body.

    Raises:
        ValueError: The response does not state the length.
    """
    if head.length is None:
        raise ValueError("it has no Content-Length")
    return head.length
