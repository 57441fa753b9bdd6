"""The S3 family through aiobotocore: one method, one request. Loaded when something first needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from io import BytesIO
from types import TracebackType
from typing import Any

from bucketry._core.provider import RangeSink
from bucketry._core.threads import in_thread
from bucketry._core.units import MiB
from bucketry._core.values import (
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
    Deletions,
    list_page,
    object_info,
    reading,
    required,
    written_info,
)
from bucketry._providers.s3_bodies import checksum_argument, load
from bucketry._providers.s3_bucket import Patience, S3Bucket
from bucketry._providers.s3_headers import expect_range, hex_of
from bucketry._session.botocore_errors import BORDER, exception_class, translate
from bucketry._session.frames import without_frames
from bucketry._session.pool import SessionPool
from bucketry._session.versions import fitting
from bucketry._wire.failures import WireError
from bucketry.errors import (
    IncompleteBodyError,
    IntegrityError,
    RequestTimeoutError,
    StorageError,
    UnsupportedError,
)

_PRESIGNED = {"GET": "get_object", "PUT": "put_object", "HEAD": "head_object", "DELETE": "delete_object"}
CHUNK = MiB  # one hop to a worker thread for each


class BotoPlane:
    """The requests of one bucket through the pool's client for its endpoint; `S3Requests` has checked the arguments."""

    def __init__(self, bucket: S3Bucket, pool: SessionPool) -> None:
        """Remember both; no I/O."""
        self._bucket = bucket
        self._pool = pool
        self.capabilities = bucket.vendor.capabilities

    @property
    def closed(self) -> bool:
        """Whether it has to be asked for anew: never."""
        return False

    async def head_bucket(self) -> None:
        """Ask for the bucket."""
        await self._send("connect", "head_bucket")

    # --- reads -------------------------------------------------------------------------------------

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `ReadsObjects.head`."""
        answer = await self._send(
            "head", "head_object", key=key, VersionId=version_id, ChecksumMode=self._checksum_mode
        )
        return object_info(key, answer, required(answer, "ContentLength", self._bucket.locate(key)))

    @asynccontextmanager
    async def open_body(
        self,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> AsyncIterator[BotoBody]:
        """See `ReadsObjects.open_body`."""
        where = self._bucket.locate(key)
        async with AsyncExitStack() as lent:
            with self._translating("get", key):
                await lent.enter_async_context(self._lend())  # the client outlives its open bodies
            answer = await self._send(
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
                length = int(required(answer, "ContentLength", where))
                try:
                    size = expect_range(answer.get("ContentRange", ""), length, byte_range)
                except IntegrityError as exc:
                    raise self._bucket.error(IntegrityError, key, "get", str(exc)) from None
                info = object_info(key, answer, size)
                self._bucket.hold(info, if_match, if_none_match)
                yield BotoBody(info, stream, length, self._bucket)
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
        algorithm = self.capabilities.put_checksum
        data, digest = await in_thread(load, body, algorithm, self._bucket.locate(key))
        answer = await self._send(
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
        required(answer, "ETag", self._bucket.locate(key))
        return written_info(key, answer, body_size(body), options)

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        """See `UploadsParts.create_multipart`."""
        full = self.capabilities.full_object_checksum
        answer = await self._send(
            "create_multipart",
            "create_multipart_upload",
            key=key,
            Metadata=dict(options.metadata),
            ContentType=options.content_type,
            StorageClass=options.storage_class,
            ChecksumAlgorithm=self._sdk_checksum(self.capabilities.multipart_checksum),
            ChecksumType="FULL_OBJECT" if full else None,
        )
        return MultipartUpload(key=key, upload_id=required(answer, "UploadId", self._bucket.locate(key)))

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """See `UploadsParts.put_part`."""
        algorithm = self.capabilities.multipart_checksum
        data, digest = await in_thread(load, body, algorithm, self._bucket.locate(upload.key))
        answer = await self._send(
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
            etag=required(answer, "ETag", self._bucket.locate(upload.key)),
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
        full = self.capabilities.full_object_checksum
        algorithm = self.capabilities.multipart_checksum if full else None
        answer = await self._send(
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
                    for part in parts
                ]
            },
            IfNoneMatch=options.if_none_match,
            IfMatch=options.if_match,
            ChecksumType="FULL_OBJECT" if algorithm and checksum else None,
            **checksum_argument(algorithm, checksum),
        )
        required(answer, "ETag", self._bucket.locate(upload.key))  # an empty 200 published nothing
        return written_info(upload.key, answer, sum(part.size for part in parts), options)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """See `UploadsParts.abort_multipart`."""
        await self._send("abort_multipart", "abort_multipart_upload", key=upload.key, UploadId=upload.upload_id)

    async def list_multiparts(self, prefix: str = "") -> tuple[MultipartUpload, ...]:
        """See `UploadsParts.list_multiparts`."""
        answer = await self._send("list_multiparts", "list_multipart_uploads", Prefix=prefix)
        required(answer, "Bucket", self._bucket.locate(prefix))
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
        max_keys: int | None = None,
    ) -> ListPage:
        """See `ListsObjects.list_page`."""
        answer = await self._send(
            "list",
            "list_objects_v2",
            Prefix=prefix,
            Delimiter=delimiter,
            StartAfter=start_after,
            ContinuationToken=token,
            MaxKeys=max_keys,
        )
        with reading(self._bucket.locate(prefix)):
            return list_page(answer, token, self._bucket.locate(prefix))

    async def delete(self, key: str) -> None:
        """See `DeletesObjects.delete`."""
        await self._send("delete", "delete_object", key=key)

    async def delete_named(self, keys: Sequence[str]) -> Deletions:
        """Delete keys that XML can carry in one request, and give what the answer says of each."""
        answer = await self._send("delete_many", "delete_objects", Delete={"Objects": [{"Key": key} for key in keys]})
        deleted = [entry.get("Key", "") for entry in answer.get("Deleted", ())]
        return deleted, [dict(entry) for entry in answer.get("Errors", ())]

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> None:
        """Copy; what was made has to be looked at."""
        replaced: dict[str, Any] = {}
        if options is not None:
            replaced = {
                "MetadataDirective": "REPLACE",
                "Metadata": dict(options.metadata),
                "ContentType": options.content_type,
                "StorageClass": options.storage_class,
            }
        answer = await self._send(
            "copy",
            "copy_object",
            key=destination,
            CopySource={"Bucket": self._bucket.name, "Key": source},
            CopySourceIfMatch=if_match if self.capabilities.copy_source_if_match else None,
            **replaced,
        )
        required(answer.get("CopyObjectResult", {}), "ETag", self._bucket.locate(destination))

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """See `CopiesObjects.copy_part`."""
        answer = await self._send(
            "copy_part",
            "upload_part_copy",
            key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=part_number,
            CopySource={"Bucket": self._bucket.name, "Key": source},
            CopySourceRange=f"bytes={byte_range.start}-{byte_range.end - 1}",
            CopySourceIfMatch=if_match if self.capabilities.copy_source_if_match else None,
        )
        result = answer["CopyPartResult"]
        if "ETag" not in result:  # `rclone serve s3` ignores the source, and stores an empty part
            problem = "the server does not copy parts; it answered without an etag"
            raise self._bucket.error(UnsupportedError, source, "copy_part", problem)
        checksum = result.get(f"Checksum{(self.capabilities.multipart_checksum or '').upper()}")
        digest = hex_of(checksum) if checksum else None
        return Part(part_number=part_number, size=byte_range.size, etag=result["ETag"], checksum=digest)

    # --- signed URLs -------------------------------------------------------------------------------

    async def presign(self, key: str, method: str, expires_in: int) -> str:
        """See `Presigns.presign`."""
        params = {"Bucket": self._bucket.name, "Key": key}
        return str(await self._sign("generate_presigned_url", key, _PRESIGNED[method], params, ExpiresIn=expires_in))

    async def presign_post(self, key: str, expires_in: int, max_size: int | None) -> dict[str, Any]:
        """See `Presigns.presign_post`."""
        conditions = [["content-length-range", 0, max_size]] if max_size is not None else None
        form: dict[str, Any] = await self._sign(
            "generate_presigned_post", key, self._bucket.name, key, Conditions=conditions, ExpiresIn=expires_in
        )
        return form

    @property
    def _checksum_mode(self) -> str | None:
        return "ENABLED" if self.capabilities.stored_checksums else None

    def _sdk_checksum(self, algorithm: str | None) -> str | None:
        return algorithm.upper() if algorithm and self._bucket.vendor.sdk_checksum_header else None

    def _lend(self) -> AbstractAsyncContextManager[Any]:
        return self._pool.client(self._bucket.endpoint)

    async def _send(
        self,
        doing: str,
        operation: str,
        *,
        key: str | None = None,
        repeatable: bool = True,
        **params: Any,  # noqa: ANN401 - botocore border
    ) -> dict[str, Any]:
        """Make a request, and make it again where that is safe and may help.

        Args:
            doing: The provider's method, for errors.
            operation: The client's method.
            key: The object concerned.
            repeatable: See `S3Bucket.repeat`.
            params: The operation's parameters; `None` leaves one out.
        """
        arguments = {name: value for name, value in params.items() if value is not None} | {"Bucket": self._bucket.name}
        if key is not None:
            arguments["Key"] = key
        self._bucket.check(doing, key, **{name: value for name, value in params.items() if isinstance(value, str)})
        creates = arguments.get("IfNoneMatch") == "*" and operation != "get_object"
        body = arguments.get("Body")

        async def once() -> dict[str, Any]:
            sent = BytesIO(body) if body is not None else None  # each attempt reads its own
            if sent is not None:
                arguments["Body"] = sent
            try:
                with self._translating(doing, key, creates=creates):
                    async with self._lend() as client:
                        with fitting(), reading(self._bucket.locate(key or "")):
                            answer: dict[str, Any] = await getattr(client, operation)(**arguments)
                            return answer
            finally:
                if sent is not None:
                    with suppress(BufferError):
                        sent.close()  # the client's cycles would keep its bytes until they are collected

        return await self._bucket.repeat(once, repeatable=repeatable)

    async def _sign(self, method: str, key: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - botocore border
        """Call one of the client's signers, which make no request."""
        with self._translating("presign", key):
            async with self._lend() as client:
                with fitting():
                    return await getattr(client, method)(*args, **options)

    def _translating(self, doing: str, key: str | None, *, creates: bool = False) -> _Translating:
        return _Translating(self._bucket, doing, key, creates=creates)


class _Translating:
    """Turns what aiobotocore raises into errors of ours; what leaves it shows no frame of another library.

    A class, as `contextmanager` would give the frames back to an exception that passes.
    """

    def __init__(self, bucket: S3Bucket, doing: str, key: str | None, *, creates: bool) -> None:
        self._bucket = bucket
        self._doing = doing
        self._key = key
        self._creates = creates

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Translate."""
        if exc is None:
            return
        without_frames(exc)
        bucket, key, doing = self._bucket, self._key, self._doing
        if isinstance(exc, WireError):
            raise bucket.error(exc.kind, key, doing, exc.problem) from exc
        if isinstance(exc, BORDER):
            where = bucket.locate(key or "")
            raise translate(
                exc, bucket.vendor, where, operation=doing, bucket=bucket.name, key=key, creates=self._creates
            ) from exc


class BotoBody:
    """The body of one answer, counted against its length."""

    def __init__(self, info: ObjectInfo, stream: Any, length: int, bucket: S3Bucket) -> None:  # noqa: ANN401 - botocore border
        self.info = info
        self._stream = stream
        self._length = length
        self._bucket = bucket
        self._read: list[bytes] = []

    async def read(self) -> bytes:
        """Give all the bytes in one piece; when it breaks, iterating gives what did come, and then breaks again."""
        chunks: list[bytes] = []
        try:
            async with aclosing(self.__aiter__()) as each:
                async for chunk in each:
                    chunks.append(chunk)  # noqa: PERF401 - kept when the body breaks
        except IncompleteBodyError:
            self._read = chunks
            raise
        return b"".join(chunks)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        done = 0
        patience = Patience(self._bucket)
        for kept in self._read:
            done += len(kept)
            yield kept
        while True:
            try:
                chunk: bytes = await patience.wait(self._stream.read(CHUNK))
            except RequestTimeoutError as exc:
                raise self._broken("took longer than total_timeout", done) from without_frames(exc)
            except BORDER as exc:
                without_frames(exc)
                if exception_class(exc) is IntegrityError:
                    problem = f"the bytes are not those that were stored: {exc}"
                    raise self._bucket.error(IntegrityError, self.info.key, "get", problem) from exc
                raise self._broken("stalled" if isinstance(exc, asyncio.TimeoutError) else "broke", done) from exc
            if not chunk:
                break
            done += len(chunk)
            if done > self._length:
                problem = f"the body is longer than its {self._length} bytes"
                raise self._bucket.error(IntegrityError, self.info.key, "get", problem)
            yield chunk
        if done < self._length:
            raise self._broken("ended", done)

    def _broken(self, how: str, done: int) -> StorageError:
        """Give the error for a body that did not come whole: always one that resuming can mend."""
        problem = f"the body {how} after {done} of {self._length} bytes"
        return self._bucket.error(IncompleteBodyError, self.info.key, "get", problem)
