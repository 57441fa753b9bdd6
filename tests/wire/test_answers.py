"""How a server's answers are handled: retried or not, the right error, and never a false success."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from bucketry import (
    BackblazeProvider,
    CloudflareR2Provider,
    DigitalOceanProvider,
    S3Provider,
    TransferConfig,
    TransferManager,
    WasabiProvider,
)
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, MultipartUpload, Part
from bucketry.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    AuthenticationError,
    BucketNotFoundError,
    ChecksumMismatchError,
    ConfigError,
    ConnectionFailedError,
    IncompleteBodyError,
    IntegrityError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    RequestTimeoutError,
    StorageError,
    ThrottledError,
    TransientError,
    UnreachableError,
    UnsupportedError,
    UploadNotFoundError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, Request, completed, content, created, error, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

DATA = bytes(range(256)) * 4
UPLOAD = MultipartUpload(key="k", upload_id="u1")
PARTS = (Part(part_number=1, size=10, etag='"p1"', checksum="00000000"),)
OK = Answer(200, b"", {"ETag": '"e1"'})


def of(data: bytes = DATA, **headers: str) -> Callable[[Request], Answer]:
    """Serve one object."""
    return lambda request: content(data, request, **headers)


def first(*answers: Answer, then: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Give these answers first, then those of a script."""
    remaining = iter(answers)
    return lambda request: next(remaining, None) or then(request)


async def _all_of(found: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in found]


async def streamed(provider: Any, **options: int) -> bytes:
    """Read an object in chunks."""
    async with provider.stream("k", **options) as reader:
        return b"".join([chunk async for chunk in reader])


class TestRepeats:
    """The answers after which a request is retried."""

    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            (S3Provider, error("SlowDown", 503)),
            (S3Provider, error("InternalError", 500)),
            (S3Provider, error("ServiceUnavailable", 503)),
            (S3Provider, error("RequestTimeout", 400)),
            (S3Provider, Answer(502, b"<html>bad gateway</html>")),
            (S3Provider, Answer(504)),
            (S3Provider, Answer(drop=True)),
            (S3Provider, error("OperationAborted", 409)),
            (CloudflareR2Provider, Answer(429)),
            (CloudflareR2Provider, error("TooManyRequests", 429)),
            (CloudflareR2Provider, error("ServiceUnavailable", 503)),
            (WasabiProvider, error("RequestRateLimitExceeded", 403)),
            (WasabiProvider, error("RequestRateLimitExceeded", 400)),
            (WasabiProvider, error("TemporarilyUnavailable", 503)),
            (BackblazeProvider, error("SlowDown", 503, Retry_After="0")),
            (BackblazeProvider, error("InternalError", 500)),
            (DigitalOceanProvider, error("SlowDown", 503)),
        ],
        ids=lambda value: f"{value.status}{value.body[44:75]!r}" if isinstance(value, Answer) else value.__name__,
    )
    async def test_repeated(self, provide: Provide, kind: type, answer: Answer) -> None:
        """After each vendor's temporary errors, reads and plain writes are retried."""
        async with serving(first(answer, then=of())) as server:
            assert await provide(server, kind).get("k") == DATA
        async with serving([answer, OK]) as writing:
            assert (await provide(writing, kind).put("k", DATA)).etag == '"e1"'
        assert (len(server.requests), len(writing.requests)) == (2, 2)
        assert writing.requests[0].body == writing.requests[1].body == DATA

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (error("AccessDenied", 403), AccessDeniedError),
            (error("InvalidAccessKeyId", 403), AuthenticationError),
            (error("SignatureDoesNotMatch", 403), AuthenticationError),
            (error("NoSuchKey", 404), NotFoundError),
            (error("NoSuchBucket", 404), BucketNotFoundError),
            (error("InvalidRequest", 400), InvalidRequestError),
            (error("NotImplemented", 501), UnsupportedError),
            (error("PreconditionFailed", 412), PreconditionFailedError),
            (Answer(403), AccessDeniedError),
            (Answer(404, b"<html>not S3</html>"), NotFoundError),
            (Answer(418, b"{}"), InvalidRequestError),
        ],
        ids=lambda value: f"{value.status}{value.body[44:70]!r}" if isinstance(value, Answer) else value.__name__,
    )
    async def test_not_repeated(self, provide: Provide, answer: Answer, kind: type[StorageError]) -> None:
        """A permanent error is raised at once, with its status, its code and the request's id."""
        async with serving([answer]) as server:
            with pytest.raises(kind) as caught:
                await provide(server).get("k")
        assert type(caught.value) is kind
        assert len(server.requests) == 1
        assert caught.value.status == answer.status
        assert (caught.value.key, caught.value.bucket, caught.value.operation) == ("k", "bkt", "get")
        if answer.body.startswith(b"<?xml"):
            assert caught.value.request_id == "REQ7"
            assert "said the server" in str(caught.value)

    async def test_the_tries_are_bounded(self, provide: Provide) -> None:
        """After `max_attempts` the last answer is the error."""
        async with serving(lambda _: error("SlowDown", 503)) as server:
            with pytest.raises(ThrottledError):
                await provide(server, max_attempts=4).get("k")
        assert len(server.requests) == 4

    async def test_botocore_adds_no_tries_of_its_own(self, provide: Provide) -> None:
        """With one attempt there is one request, whatever the answer."""
        for answer in (error("InternalError", 500), error("SlowDown", 503), Answer(drop=True), Answer(429)):
            async with serving(lambda _, answer=answer: answer) as server:
                with pytest.raises(TransientError):
                    await provide(server, max_attempts=1).head("k")
            assert len(server.requests) == 1

    async def test_the_vendors_wait_is_honoured(self, provide: Provide) -> None:
        """A `Retry-After` above the limit is not waited for: the error says how long the vendor asked for."""
        async with serving(lambda _: error("SlowDown", 503, Retry_After="3600")) as server:
            with pytest.raises(ThrottledError) as caught:
                await provide(server).get("k")
        assert caught.value.retry_after == 3600
        assert len(server.requests) == 1

    async def test_a_skewed_clock(self, provide: Provide) -> None:
        """After a refusal for a wrong clock, the request is signed again once; then the error names the clock."""
        async with serving(lambda _: error("RequestTimeTooSkewed", 403)) as server:
            with pytest.raises(AuthenticationError, match="clock"):
                await provide(server, max_attempts=5).get("k")
        assert len(server.requests) == 2

    async def test_a_wrong_clock_is_set_once_for_all(self, provide: Provide) -> None:
        """Many parallel requests with a wrong clock all succeed, even HEAD, whose refusal has no code."""
        ahead = timedelta(hours=1)

        def script(request: Request) -> Answer:
            now = datetime.now(UTC) + ahead
            signed = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            date = {"Date": format_datetime(now, usegmt=True)}
            if abs(now - signed) > timedelta(minutes=15):
                return Answer(403, b"", date)
            return Answer(200, b"", {"ETag": '"e"', "Content-Length": "3", **date})

        async with serving(script) as server:
            provider = provide(server, max_attempts=3)
            found = await asyncio.gather(*(provider.head("k") for _ in range(5)))
        assert [info.size for info in found] == [3] * 5

    async def test_nobody_listens(self, provide: Provide) -> None:
        """A refused connection is an UnreachableError after all attempts."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(ConnectionFailedError) as caught:
            await provide(f"http://127.0.0.1:{port}").get("k")
        assert type(caught.value) is UnreachableError

    async def test_a_server_that_says_nothing(self, provide: Provide) -> None:
        """No answer within `read_timeout` is a timeout, after all attempts."""
        async with serving(lambda _: Answer(drop=True, stall=True)) as server:
            with pytest.raises(RequestTimeoutError):
                await provide(server, read_timeout=0.05, max_attempts=2).get("k")
        assert len(server.requests) == 2


class TestNotFound:
    """404 and 403, with and without a body."""

    @pytest.mark.parametrize(
        ("status", "kind"), [(404, NotFoundError), (403, AccessDeniedError), (412, PreconditionFailedError)]
    )
    async def test_head(self, provide: Provide, status: int, kind: type[StorageError]) -> None:
        """The answer to HEAD has no body: its status decides."""
        async with serving([Answer(status)]) as server:
            with pytest.raises(kind) as caught:
                await provide(server).head("k")
        assert (caught.value.status, caught.value.code) == (status, None)

    async def test_exists(self, provide: Provide) -> None:
        """404 means no, 200 means yes, and 403 is an error, because the object may exist."""
        async with serving([Answer(404), OK, Answer(403)]) as server:
            provider = provide(server)
            assert not await provider.exists("k")
            assert await provider.exists("k")
            with pytest.raises(AccessDeniedError):
                await provider.exists("k")

    async def test_connect_names_a_missing_bucket(self, provide: Provide) -> None:
        """After a 404 without a body to HeadBucket, the error names the bucket, or says that this is no S3 server."""
        async with serving([Answer(404)]) as server:
            with pytest.raises(BucketNotFoundError, match=r"'bkt'.*not that of an S3 server"):
                await provide(server).connect()

    async def test_connect_accepts_a_token_that_may_only_read(self, provide: Provide) -> None:
        """If HeadBucket and a listing get 403, but a missing key gets 404, the token works."""
        async with serving([Answer(403), error("AccessDenied", 403), Answer(404)]) as server:
            await provide(server).connect()
        assert [request.method for request in server.requests] == ["HEAD", "GET", "HEAD"]

    async def test_connect_refuses_a_wrong_secret(self, provide: Provide) -> None:
        """A wrong secret is an AuthenticationError, though HeadBucket can only say 403."""
        async with serving([Answer(403), error("SignatureDoesNotMatch", 403)]) as server:
            with pytest.raises(AuthenticationError):
                await provide(server).connect()

    async def test_connect_names_what_was_asked_for(self, provide: Provide) -> None:
        """For every failed request, the error names `connect`."""
        refusals = [Answer(403), error("InvalidAccessKeyId", 403)]
        async with serving(refusals) as server:
            with pytest.raises(AuthenticationError, match="connect was answered InvalidAccessKeyId") as caught:
                await provide(server).connect()
        assert caught.value.operation == "connect"
        assert len(server.requests) == 2

    async def test_connect_that_may_do_nothing(self, provide: Provide) -> None:
        """For a token that may neither head, list nor read, the error has the listing's message."""
        async with serving([Answer(403), error("AccessDenied", 403, "not yours"), Answer(403)]) as server:
            with pytest.raises(AccessDeniedError, match="not yours"):
                await provide(server).connect()

    async def test_delete_of_nothing(self, provide: Provide) -> None:
        """Deleting a missing object succeeds; in a missing bucket it fails."""
        async with serving([Answer(204), error("NoSuchKey", 404), error("NoSuchBucket", 404)]) as server:
            provider = provide(server)
            await provider.delete("k")
            await provider.delete("k")
            with pytest.raises(BucketNotFoundError):
                await provider.delete("k")


class TestSuccessThatIsNone:
    """Answers with status 200 that contain an error."""

    @pytest.mark.parametrize("space", [b"", b"  \n   \n"])
    @pytest.mark.parametrize(
        ("code", "kind"),
        [("InternalError", TransientError), ("SlowDown", ThrottledError), ("AccessDenied", AccessDeniedError)],
    )
    async def test_complete(self, provide: Provide, code: str, kind: type[StorageError], space: bytes) -> None:
        """A completion whose body has `<Error>` after a status 200 and white space is an error."""
        declaration, _, rest = error(code, 200).body.partition(b"\n")
        wrong = Answer(200, declaration + space + rest)
        async with serving(lambda _: wrong) as server:
            with pytest.raises(kind) as caught:
                await provide(server, max_attempts=1).complete_multipart(UPLOAD, PARTS, WriteOptions())
        assert caught.value.code == code
        assert len(server.requests) == 1

    @pytest.mark.parametrize("code", ["InternalError", "AccessDenied"])
    async def test_copy(self, provide: Provide, code: str) -> None:
        """The same for copies, whole and in parts."""
        async with serving(lambda _: Answer(200, error(code, 200).body)) as server:
            provider = provide(server, max_attempts=1)
            with pytest.raises(StorageError) as whole:
                await provider.copy_object("a", "b")
            with pytest.raises(StorageError) as part:
                await provider.copy_part(UPLOAD, 1, "a", ByteRange(0, 5), if_match='"e"')
        assert whole.value.code == part.value.code == code
        assert [request.method for request in server.requests] == ["PUT", "PUT"]

    @pytest.mark.parametrize(
        "body", [b"", b"<html>proxy login</html>", b"<CompleteMultipartUploadResult><ETag>", b"\x00\xff"]
    )
    async def test_no_answer_of_s3(self, provide: Provide, body: bytes) -> None:
        """200 without a body, with another document or with an incomplete one is our error, not an empty listing."""
        async with serving(lambda _: Answer(200, body)) as server:
            provider = provide(server, max_attempts=1)
            for request in (
                lambda: provider.create_multipart("k", WriteOptions()),
                lambda: provider.copy_part(UPLOAD, 1, "a", ByteRange(0, 5), if_match='"e"'),
                lambda: provider.put_part(UPLOAD, 1, b"x"),
                lambda: provider.list_page(""),
                provider.list_multiparts,
            ):
                with pytest.raises(StorageError):
                    await request()
            with pytest.raises(StorageError):
                (await provider.delete_batch(["a"])).raise_for_failures()

    async def test_a_completion_without_an_etag(self, provide: Provide) -> None:
        """Ceph 16 completes an upload and names the key, but no etag: the upload is done, and a HEAD tells the etag."""
        done = b"<CompleteMultipartUploadResult><Key>k</Key><ETag></ETag></CompleteMultipartUploadResult>"

        stored: dict[str, str] = {}

        def script(request: Request) -> Answer:
            if request.method == "HEAD":
                return Answer(200, b"", {"ETag": '"final"', "Content-Length": "1", **stored})
            if request.method == "POST":
                stored.update((name, value) for name, value in request.headers.items() if "x-amz-meta-" in name)
                return created("u1") if "uploads" in request.query else Answer(200, done)
            if request.method == "GET":
                part = b"<Part><PartNumber>1</PartNumber><ETag>&quot;p&quot;</ETag><Size>1</Size></Part>"
                asked_again = "part-number-marker=1" in request.query
                return Answer(200, b"<ListPartsResult>" + (b"" if asked_again else part) + b"</ListPartsResult>")
            return Answer(200, b"", {"ETag": '"p"'})

        async with serving(script) as server:
            provider = provide(server, max_attempts=1)
            assert (await provider.complete_multipart(UPLOAD, [PARTS[0]], WriteOptions())).etag == ""
            async with await provider.start_upload("k") as upload:
                await upload.put_part(1, b"x")
                assert (await upload.commit()).etag == '"final"'
            adopted = await provider.adopt_upload("k", "u1")
            assert (await adopted.commit()).etag == '"final"'

    async def test_the_parts_of_a_missing_upload(self, provide: Provide) -> None:
        """Ceph 16 answers `NoSuchKey` to a listing of the parts of an upload that does not exist."""
        async with serving([error("NoSuchKey", 404)]) as server:
            with pytest.raises(UploadNotFoundError, match="completed or aborted"):
                await provide(server).list_parts(UPLOAD)

    async def test_a_part_without_an_etag(self, provide: Provide) -> None:
        """A part whose answer has no etag cannot be completed: our error says so."""
        async with serving([Answer(200)]) as server:
            with pytest.raises(StorageError):
                await provide(server, max_attempts=1).put_part(UPLOAD, 1, b"x")

    @pytest.mark.parametrize("size", [1, 300_000], ids=["by the loop", "by a lane"])
    async def test_a_part_without_an_etag_is_sent_again(self, provide: Provide, size: int) -> None:
        """One answer without an etag is a temporary fault, and does not end an upload."""
        async with serving([Answer(200), Answer(200, b"", {"ETag": '"p1"'})]) as server:
            part = await provide(server).put_part(UPLOAD, 1, bytes(size))
        assert part.etag == '"p1"'
        assert server.asked == ["PUT /bkt/k"] * 2

    @pytest.mark.parametrize(
        "ask",
        [
            lambda provider: provider.get("k"),
            lambda provider: provider.head("k"),
            lambda provider: provider.get_range("k", 3, 9),
            streamed,
        ],
        ids=["get", "head", "range", "stream"],
    )
    async def test_a_proxys_page_is_asked_past(self, provide: Provide, ask: Callable[[Any], Awaitable[object]]) -> None:
        """After a page that is not from an S3 server the request is retried; a second such page is an error."""
        page = Answer(200, b"<html>wait a moment</html>", {"Content-Type": "text/html"})
        async with serving(first(page, then=of())) as server:
            await ask(provide(server))
            assert len(server.requests) == 2
        async with serving(lambda _: page) as server:
            with pytest.raises(StorageError) as caught:
                await ask(provide(server, max_attempts=2))
            assert caught.value.key == "k"
            assert caught.value.operation in {"get", "head"}

    async def test_an_upload_without_an_id(self, provide: Provide) -> None:
        """An answer without an upload id is our error."""
        body = b'<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Key>k</Key></InitiateMultipartUploadResult>'
        async with serving([Answer(200, body)]) as server:
            with pytest.raises(StorageError):
                await provide(server, max_attempts=1).create_multipart("k", WriteOptions())


class TestBodies:
    """Bodies and ranges that differ from the requested ones."""

    @pytest.mark.parametrize("cut", [0, 1, 700, len(DATA) - 1])
    async def test_cut_and_resumed(self, provide: Provide, cut: int) -> None:
        """After a stream breaks at byte n, the next request asks for `bytes=n-` of the same version."""
        cutting = Answer(200, DATA, {"ETag": '"e1"'}, cut=cut)
        async with serving(first(cutting, then=of())) as server:
            assert await streamed(provide(server)) == DATA
        assert [request.headers.get("range") for request in server.requests] == [None, f"bytes={cut}-{len(DATA) - 1}"]
        assert server.requests[1].headers["if-match"] == '"e1"'

    @pytest.mark.parametrize("cut", [0, 1, 700, len(DATA) - 1])
    async def test_a_small_body_is_resumed(self, provide: Provide, cut: int) -> None:
        """The same for a small object that is read in one piece: the received bytes are kept."""
        cutting = Answer(200, DATA, {"ETag": '"e1"'}, cut=cut)
        async with serving(first(cutting, then=of())) as server:
            assert await provide(server).get("k") == DATA
        assert [request.headers.get("range") for request in server.requests] == [None, f"bytes={cut}-{len(DATA) - 1}"]
        assert server.requests[1].headers["if-match"] == '"e1"'

    @pytest.mark.slow
    async def test_a_large_body_is_resumed(self, provide: Provide) -> None:
        """An object above 1 MiB is read in pieces: only the missing bytes are requested."""
        data, cut = os.urandom(3 * MiB), 2 * MiB + 7
        cutting = Answer(200, data, {"ETag": '"e1"'}, cut=cut)
        async with serving(first(cutting, then=of(data))) as server:
            assert await provide(server).get("k") == data
        assert server.requests[1].headers["range"] == f"bytes={cut}-{len(data) - 1}"

    @pytest.mark.parametrize("cut", [0, 5, len(DATA) - 1])
    async def test_cut_and_resumed_into_a_file(
        self, provide: Provide, transport: str, tmp_path: Path, cut: int
    ) -> None:
        """The same for a download: the received bytes are kept, and only the rest is requested."""
        stored = base64.b64encode(zlib.crc32(DATA).to_bytes(4)).decode()

        def script(request: Request) -> Answer:
            whole = content(DATA, request, **{"x-amz-checksum-crc32": stored, "x-amz-checksum-type": "FULL_OBJECT"})
            return Answer(whole.status, whole.body, whole.headers, cut=cut if len(server.requests) == 1 else None)

        async with serving(script) as server:
            result = await provide(server).download("k", tmp_path / "t")
        assert (tmp_path / "t").read_bytes() == DATA
        assert (result.retries, result.verified) == (1, "crc32")
        begins = {cut} if transport == "auto" else {0, cut}  # aiohttp may drop bytes when the connection breaks
        whole, rest = (request.headers["range"] for request in server.requests)
        assert whole == f"bytes=0-{5 * MiB - 1}"
        assert rest in {f"bytes={start}-{len(DATA) - 1}" for start in begins}
        assert server.requests[1].headers["if-match"] == '"e1"'

    async def test_cut_twice_within_a_range(self, provide: Provide) -> None:
        """A range of 5 to 500 that breaks after 10 and then 20 bytes is continued at 15 and at 35."""

        def script(request: Request) -> Answer:
            whole = content(DATA, request)
            cut = {1: 10, 2: 20}.get(len(server.requests))
            return Answer(whole.status, whole.body, whole.headers, cut=cut)

        async with serving(script) as server:
            assert await provide(server).get_range("k", 5, 500) == DATA[5:500]
        assert [request.headers["range"] for request in server.requests] == [
            "bytes=5-499",
            "bytes=15-499",
            "bytes=35-499",
        ]

    async def test_replaced_before_the_rest(self, provide: Provide) -> None:
        """If the object is replaced before the rest is requested, the answer is 412, and versions are not mixed."""
        cutting = Answer(200, DATA, {"ETag": '"e0"'}, cut=5)
        async with serving(first(cutting, then=of())) as server:
            with pytest.raises(PreconditionFailedError):
                await provide(server).get("k")
        assert server.requests[1].headers["if-match"] == '"e0"'

    @pytest.mark.parametrize("kind", [S3Provider, WasabiProvider])
    async def test_a_condition_that_the_server_ignores(self, provide: Provide, kind: type) -> None:
        """An answer with another etag than `if_match` is a failed precondition, even with status 200."""

        def ignoring(request: Request) -> Answer:
            headers = {name: value for name, value in request.headers.items() if name != "if-match"}
            return content(DATA, Request(request.method, request.target, headers, b""), etag='"e2"')

        async with serving(ignoring) as server:
            with pytest.raises(PreconditionFailedError):
                await provide(server, kind).get("k", if_match='"e1"')
            with pytest.raises(PreconditionFailedError):
                await provide(server, kind).get_range("k", 0, 5, if_match='"e1"')
            with pytest.raises(PreconditionFailedError):
                await provide(server, kind).get("k", if_none_match='"e2"')

    @pytest.mark.parametrize(
        "wrong",
        [
            Answer(206, DATA[5:10], {"ETag": '"e1"', "Content-Range": f"bytes 6-10/{len(DATA)}"}),
            Answer(206, DATA[5:10], {"ETag": '"e1"', "Content-Range": f"bytes 5-8/{len(DATA)}"}),
            Answer(206, DATA[5:9], {"ETag": '"e1"', "Content-Range": f"bytes 5-9/{len(DATA)}"}),
            Answer(206, DATA[5:10], {"ETag": '"e1"', "Content-Range": "bytes 5-9/*"}),
            Answer(206, DATA[5:10], {"ETag": '"e1"', "Content-Range": "nonsense"}),
            Answer(206, DATA[5:10], {"ETag": '"e1"'}),
            Answer(200, DATA, {"ETag": '"e1"'}),
            Answer(200, DATA[:5], {"ETag": '"e1"'}),
        ],
        ids=["start", "end", "length", "no-size", "nonsense", "none", "ignored", "ignored-same-length"],
    )
    async def test_another_range(self, provide: Provide, wrong: Answer) -> None:
        """An answer with another range than the requested one, or without a range, is refused."""
        async with serving(lambda _: wrong) as server:
            with pytest.raises(IntegrityError):
                await provide(server).get_range("k", 5, 10)

    async def test_a_range_beyond_the_end(self, provide: Provide) -> None:
        """The answer for a range beyond the object's end ends at the object's end."""
        async with serving(of(b"0123456789")):
            pass
        async with serving(of(b"0123456789")) as server:
            assert await provide(server).get_range("k", 8, 100) == b"89"

    async def test_without_a_length(self, provide: Provide) -> None:
        """A chunked answer has no length to check: the caller gets all bytes, or our error."""

        def script(request: Request) -> Answer:
            whole = content(DATA, request)
            return Answer(whole.status, whole.body, whole.headers, chunked=True)

        async with serving(script) as server:
            try:
                found = await provide(server).get("k")
            except StorageError:
                pass
            else:
                assert found == DATA

    async def test_head_without_a_length(self, provide: Provide) -> None:
        """A HEAD answer without a length is our error: the size is not guessed."""
        async with serving(lambda _: Answer(200, b"", {"ETag": '"e1"', "Content-Length": None})) as server:
            with pytest.raises(StorageError):
                await provide(server).head("k")

    @pytest.mark.slow
    async def test_a_body_that_stalls(self, provide: Provide) -> None:
        """A body that stalls is stopped within `read_timeout`, and resumed."""
        stalled = Answer(200, DATA, {"ETag": '"e1"'}, cut=10, stall=True)
        async with serving(first(stalled, then=of())) as server:
            assert await provide(server, read_timeout=0.1).get("k") == DATA
        assert server.requests[1].headers["range"] == f"bytes=10-{len(DATA) - 1}"
        async with serving(
            lambda request: Answer(**{**as_dict(content(DATA, request)), "cut": 0, "stall": True})
        ) as server:
            with pytest.raises(IncompleteBodyError, match="stalled"):
                await provide(server, read_timeout=0.05).get("k")

    async def test_gzip_is_given_as_it_is_stored(self, provide: Provide) -> None:
        """The bytes of an object with a content encoding are given as stored, not decoded."""
        async with serving(of(b"\x1f\x8b not really gzip", **{"Content-Encoding": "gzip"})) as server:
            assert await provide(server).get("k") == b"\x1f\x8b not really gzip"

    @pytest.mark.slow
    async def test_a_download_in_parts_is_of_one_version(self, provide: Provide, tmp_path: Path) -> None:
        """If the object is replaced after the first range, the download fails, and the target does not change."""
        old, new = bytes(12 * MiB), b"\1" * (12 * MiB)
        (tmp_path / "t").write_bytes(b"old")

        def script(request: Request) -> Answer:
            replaced = len(server.requests) > 2
            return content(new if replaced else old, request, etag='"e2"' if replaced else '"e1"')

        for kind in (S3Provider, WasabiProvider):
            async with serving(script) as server:
                with pytest.raises(PreconditionFailedError):
                    await provide(server, kind).download("k", tmp_path / "t")
            assert (tmp_path / "t").read_bytes() == b"old"
            assert os.listdir(tmp_path) == ["t"]

    async def test_a_wrong_checksum(self, provide: Provide, tmp_path: Path) -> None:
        """Bytes that do not match the stored checksum are neither published nor given to the caller."""
        headers = {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT"}
        async with serving(of(DATA, **headers)) as server:
            with pytest.raises(IntegrityError, match="not those that were stored"):
                await provide(server).download("k", tmp_path / "t")
        assert os.listdir(tmp_path) == []
        async with serving(of(DATA, **headers)) as server:
            with pytest.raises(IntegrityError):
                await provide(server).get("k")

    async def test_a_body_says_what_it_compares(self, provide: Provide) -> None:
        """A body of a whole object says which stored checksum it compares; a range, or one not to verify, none."""
        headers = {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(DATA).to_bytes(4)).decode()}
        async with serving(of(DATA, **headers, **{"x-amz-checksum-type": "FULL_OBJECT"})) as server:
            provider = provide(server)
            for options, verified in (
                (ReadOptions(), "crc32"),
                (ReadOptions(verify=False), None),
                (ReadOptions(byte_range=ByteRange(0, 10)), None),
            ):
                async with provider.open_body("k", options) as body:
                    assert len(await body.read()) in (10, len(DATA))
                    assert body.verified == verified

    @pytest.mark.parametrize("verify", [True, False])
    async def test_a_directory_without_verify(self, provide: Provide, tmp_path: Path, *, verify: bool) -> None:
        """With `verify=False` no checksum is asked for, and one that is sent all the same is not compared."""
        headers = {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT"}
        listing = (
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/k</Key><ETag>e1</ETag>"
            f"<Size>{len(DATA)}</Size><LastModified>2026-10-21T07:28:00Z</LastModified></Contents></ListBucketResult>"
        )

        def script(request: Request) -> Answer:
            return Answer(200, listing.encode()) if "list-type" in request.query else content(DATA, request, **headers)

        async with serving(script) as server:
            manager = TransferManager(provide(server), TransferConfig(max_concurrency=2, verify=verify))
            result = await manager.download_tree("p", tmp_path)
        reads = [request for request in server.requests if "list-type" not in request.query]
        assert {"x-amz-checksum-mode" in request.headers for request in reads} == {verify}
        if verify:
            assert isinstance(result.failed["p/k"], ChecksumMismatchError)
        else:
            assert result.results["p/k"].verified == "length"

    async def test_a_composite_checksum_is_not_used(self, provide: Provide, tmp_path: Path) -> None:
        """A checksum of parts' checksums says nothing about the bytes: the result says "length"."""
        headers = {"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}
        async with serving(of(DATA, **headers)) as server:
            assert (await provide(server).download("k", tmp_path / "t")).verified == "length"


def as_dict(answer: Answer) -> dict[str, object]:
    """Give an answer's fields, to make a changed copy."""
    return {name: getattr(answer, name) for name in answer.__slots__}


class TestWholeReads:
    """Reads of a complete object."""

    PART = DATA[100:200]

    @pytest.mark.parametrize(
        "wrong",
        [
            Answer(206, PART, {"ETag": '"e1"', "Content-Range": f"bytes 100-199/{len(DATA)}"}),
            Answer(206, PART, {"ETag": '"e1"'}),
            Answer(204, b"", {"ETag": '"e1"', "Content-Length": None}),
            Answer(203, DATA, {"ETag": '"e1"'}),
        ],
        ids=["206", "206 without a range", "204", "203"],
    )
    @pytest.mark.parametrize(
        "ask",
        [
            lambda provider, _: provider.get("k"),
            lambda provider, _: streamed(provider),
            lambda provider, _: _all_of(provider.transfer.get_many(["k"])),
            lambda provider, path: provider.download("k", path),
        ],
        ids=["get", "stream", "get_many", "download"],
    )
    async def test_another_answer(
        self, provide: Provide, tmp_path: Path, wrong: Answer, ask: Callable[[Any, Path], Awaitable[object]]
    ) -> None:
        """A partial answer, or an empty one, is never returned as the whole object."""
        whole = content(DATA, Request("GET", "/", {}, b""))

        def script(request: Request) -> Answer:
            return wrong if request.method == "GET" else whole

        async with serving(script) as server:
            with pytest.raises((IntegrityError, TransientError)) as caught:
                await ask(provide(server, max_attempts=1), tmp_path / "file")
        assert caught.value.key == "k"
        assert not (tmp_path / "file").exists()

    async def test_a_head_that_is_none(self, provide: Provide) -> None:
        """A HEAD answer with another success status than 200 is an error."""
        async with serving(lambda _: Answer(206, b"", {"ETag": '"e1"', "Content-Length": "5"})) as server:
            with pytest.raises(TransientError, match="206"):
                await provide(server, max_attempts=1).head("k")


class TestRedirects:
    """Answers that redirect."""

    @pytest.mark.parametrize("method", ["get", "head", "put", "list_files"])
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_nothing_is_sent_elsewhere(self, provide: Provide, status: int, method: str) -> None:
        """A `Location` is never followed: the credentials are sent only to the configured endpoint."""
        async with serving(of()) as elsewhere:
            code = {301: "PermanentRedirect", 307: "TemporaryRedirect"}.get(status, "Redirect")
            body = error(code, status).body.replace(
                b"</Error>", f"<Endpoint>{elsewhere.url[7:]}</Endpoint></Error>".encode()
            )
            headers = {"Location": f"{elsewhere.url}/bkt/k", "x-amz-bucket-region": "eu-central-1"}
            async with serving(lambda _: Answer(status, body, headers)) as server:
                provider = provide(server)
                arguments = {"put": ("k", b"x"), "list_files": ()}.get(method, ("k",))
                with pytest.raises(StorageError):
                    await getattr(provider, method)(*arguments)
            assert elsewhere.requests == []
            assert elsewhere.connections == 0
            assert len(server.requests) <= 6

    async def test_the_region_is_named(self, provide: Provide) -> None:
        """The error for a bucket in another region says to set the region."""
        async with serving(lambda _: error("PermanentRedirect", 301)) as server:
            with pytest.raises(BucketNotFoundError, match="region"):
                await provide(server).get("k")


class TestListing:
    """Pages of listings, complete and broken."""

    @staticmethod
    def page(*keys: str, token: str | None = None, truncated: bool = True) -> Answer:
        """Make a page of a listing."""
        objects = "".join(
            f"<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
            "<LastModified>2026-10-21T07:28:00Z</LastModified></Contents>"
            for key in keys
        )
        way = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        return Answer(
            200,
            (
                '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>'
                f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>{way}{objects}</ListBucketResult>"
            ).encode(),
        )

    async def test_pages(self, provide: Provide) -> None:
        """Pages are requested one after another by their tokens, and names are decoded once."""
        async with serving([self.page("a%2520b", "%C3%A4%2B", token="t1"), self.page("z", truncated=False)]) as server:
            assert await provide(server).list_files("p ä") == ["a%20b", "z", "ä+"]
        assert "continuation-token=t1" in server.requests[1].query
        assert all("prefix=p%20%C3%A4" in request.query for request in server.requests)
        assert all("list-type=2" in request.query for request in server.requests)

    @pytest.mark.parametrize("token", [None, "t0"])
    async def test_cut_without_a_way_on(self, provide: Provide, token: str | None) -> None:
        """A truncated page without a new token is an error, not a short result or an endless loop."""
        async with serving(lambda _: self.page("a", token=token)) as server:
            with pytest.raises(StorageError):
                await provide(server).list_files()
        assert len(server.requests) <= 8

    async def test_tokens_that_go_round(self, provide: Provide) -> None:
        """A token of an earlier page is an error, not an endless loop."""

        def script(request: Request) -> Answer:
            if len(server.requests) > 40:
                return error("AccessDenied", 403, "it went on for ever")
            return self.page("a", token="t2" if "token=t1" in request.query else "t1")

        async with serving(script) as server:
            with pytest.raises(StorageError) as caught:
                await provide(server).list_files()
        assert "for ever" not in str(caught.value)

    async def test_keys_that_xml_cannot_carry(self, provide: Provide) -> None:
        """Control characters in keys are percent-encoded, as the request asked."""
        async with serving([self.page("a%00b%0A%1F", truncated=False)]) as server:
            assert await provide(server).list_files() == ["a\0b\n\x1f"]
        assert "encoding-type=url" in server.requests[0].query

    async def test_partial_deletes(self, provide: Provide) -> None:
        """A bulk delete reports each key that failed; a missing one counts as deleted."""
        body = (
            b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            b"<Deleted><Key>a</Key></Deleted>"
            b"<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
            b"<Error><Key>c</Key><Code>NoSuchKey</Code></Error>"
            b"<Error><Key>d</Key><Code>SlowDown</Code></Error></DeleteResult>"
        )
        async with serving([Answer(200, body)]) as server:
            result = await provide(server).delete_batch(["a", "b", "c", "d"])
        assert result.succeeded == ("a", "c")
        assert {key: type(failed) for key, failed in result.failed.items()} == {
            "b": AccessDeniedError,
            "d": ThrottledError,
        }
        assert server.requests[0].body.count(b"<Key>") == 4

    async def test_deletes_in_batches(self, provide: Provide) -> None:
        """2,005 keys are sent in three requests of at most 1,000."""

        def answer(request: Request) -> Answer:
            deleted = re.findall(rb"<Key>k\d+</Key>", request.body)
            return Answer(
                200,
                b"<DeleteResult>" + b"".join(b"<Deleted>%b</Deleted>" % key for key in deleted) + b"</DeleteResult>",
            )

        async with serving(answer) as server:
            result = await provide(server).delete_many(f"k{number}" for number in range(2_005))
        assert [request.body.count(b"<Key>") for request in server.requests] == [1_000, 1_000, 5]
        assert len(result.succeeded) == 2_005


def _no_uploads(request: Request) -> Answer:
    assert "uploads" in request.query
    return Answer(200, b"<ListMultipartUploadsResult><Bucket>bkt</Bucket></ListMultipartUploadsResult>")


class TestLostCreations:
    """CreateMultipartUpload when its first answer is lost."""

    NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)

    def listing(self, *uploads: tuple[str, str, float]) -> Answer:
        """List open uploads: key, id, and how long before now they were opened."""
        entries = "".join(
            f"<Upload><Key>{key}</Key><UploadId>{upload_id}</UploadId>"
            f"<Initiated>{(self.NOW - timedelta(seconds=before)).isoformat()}</Initiated></Upload>"
            for key, upload_id, before in uploads
        )
        return Answer(
            200, f"<ListMultipartUploadsResult><Bucket>bkt</Bucket>{entries}</ListMultipartUploadsResult>".encode()
        )

    @pytest.mark.parametrize(
        "lost", [Answer(drop=True), error("InternalError", 500), Answer(200, b"")], ids=["dropped", "500", "empty"]
    )
    async def test_what_it_opened_is_aborted(self, provide: Provide, tmp_path: Path, lost: Answer) -> None:
        """The orphan is aborted; uploads of others stay: older ones, other keys, and those that have parts."""
        source = tmp_path / "source"
        source.write_bytes(bytes(6 * MiB))
        answers = iter([lost, created("ours")])
        listed = [("k", "orphan", 0), ("k", "ours", 0), ("k", "older", 60), ("k-2", "other", 0), ("k", "busy", 0)]
        aborted: list[str] = []

        def script(request: Request) -> Answer:
            if request.method == "POST":
                return next(answers) if "uploads" in request.query else completed('"e-2"')
            if request.method == "DELETE":
                aborted.append(request.query)
                listed[:] = [each for each in listed if each[1] not in request.query]
                return Answer(204)
            if request.method == "GET" and "uploads" in request.query:
                return self.listing(*listed)
            if request.method == "GET":
                part = "<Part><PartNumber>1</PartNumber><Size>5</Size><ETag>e</ETag></Part>"
                inside = part if "busy" in request.query else ""
                return Answer(200, f"<ListPartsResult>{inside}</ListPartsResult>".encode())
            if request.method == "HEAD":
                return Answer(200, b"", {"ETag": '"e-2"', "Content-Length": str(6 * MiB)})
            return Answer(200, b"", {"ETag": '"p"'})

        async with serving(script) as server:
            await provide(server).upload(source, "k")
        assert aborted == ["uploadId=orphan"]

    async def test_a_try_that_never_arrived_opened_nothing(self, provide: Provide, tmp_path: Path) -> None:
        """If no connection was opened, no request was lost: uploads that others have just opened are not checked."""
        source = tmp_path / "source"
        source.write_bytes(bytes(6 * MiB))

        def script(request: Request) -> Answer:
            if request.method == "POST":
                return created("ours") if "uploads" in request.query else completed('"e-2"')
            if request.method == "HEAD":
                return Answer(200, b"", {"ETag": '"e-2"', "Content-Length": str(6 * MiB)})
            return Answer(200, b"", {"ETag": '"p"'})

        async with serving(script) as server:
            provider = provide(server)
            unreachable = Fault(operation="create_multipart", error=UnreachableError("the network is down"))
            manager = TransferManager(FaultyProvider(provider, (unreachable,)), provider.transfer.config)
            await manager.upload(source, "k")
        assert "GET" not in {request.method for request in server.requests}

    async def test_more_than_were_lost_are_left_alone(
        self, provide: Provide, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """If two open uploads could be from the one lost attempt, one belongs to another writer: none is aborted."""
        source = tmp_path / "source"
        source.write_bytes(bytes(6 * MiB))
        answers = iter([Answer(drop=True), created("ours")])

        def script(request: Request) -> Answer:
            if request.method == "POST":
                return next(answers) if "uploads" in request.query else completed('"e-2"')
            if request.method == "GET" and "uploads" in request.query:
                return self.listing(("k", "one", 0), ("k", "ours", 0), ("k", "two", 0))
            if request.method == "GET":
                return Answer(200, b"<ListPartsResult></ListPartsResult>")
            if request.method == "HEAD":
                return Answer(200, b"", {"ETag": '"e-2"', "Content-Length": str(6 * MiB)})
            return Answer(200, b"", {"ETag": '"p"'})

        async with serving(script) as server:
            await provide(server).upload(source, "k")
        assert "DELETE" not in {request.method for request in server.requests}
        assert "found 2 open multipart uploads after 1 lost answers" in caplog.text

    @pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("RequestTimeout", 400)])
    async def test_a_refused_one_opened_nothing(self, provide: Provide, tmp_path: Path, code: str, status: int) -> None:
        """A server that refuses the request has opened no upload: nothing is searched."""
        source = tmp_path / "source"
        source.write_bytes(bytes(6 * MiB))
        answers = iter([error(code, status), created("ours")])

        def script(request: Request) -> Answer:
            if request.method == "POST":
                return next(answers) if "uploads" in request.query else completed('"e-2"')
            if request.method == "HEAD":
                return Answer(200, b"", {"ETag": '"e-2"', "Content-Length": str(6 * MiB)})
            return Answer(200, b"", {"ETag": '"p"'})

        async with serving(script) as server:
            await provide(server).upload(source, "k")
        assert "GET" not in {request.method for request in server.requests}


class TestConditionalWrites:
    """Writes that must happen at most once."""

    async def test_a_lost_answer_is_settled_by_looking(self, provide: Provide) -> None:
        """After a create-only put without an answer, HEAD finds the put's own token: a success, with one put."""
        mark: dict[str, str] = {}

        def script(request: Request) -> Answer:
            if request.method == "PUT":
                mark.update({name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")})
                return Answer(drop=True)
            return Answer(200, b"", {"ETag": '"e1"', "Content-Length": str(len(DATA)), **mark})

        async with serving(script) as server:
            info = await provide(server).put("k", DATA, if_none_match="*")
        assert (info.etag, info.size) == ('"e1"', len(DATA))
        assert [request.method for request in server.requests] == ["PUT", "HEAD"]
        assert server.requests[0].headers["if-none-match"] == "*"
        assert not info.metadata

    async def test_no_layer_below_repeats_it(self, provide: Provide) -> None:
        """The transport does not repeat a stored create-only put whose answer was lost: it would get a false 412."""
        mark: dict[str, str] = {}

        def script(request: Request) -> Answer:
            if request.method == "PUT" and not mark:
                mark.update({name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")})
                return Answer(drop=True)
            if request.method == "PUT":
                return error("PreconditionFailed", 412)
            return Answer(200, b"", {"ETag": '"e1"', "Content-Length": str(len(DATA)), **mark})

        async with serving(script) as server:
            assert (await provide(server).put("k", DATA, if_none_match="*")).etag == '"e1"'

    async def test_somebody_elses_object(self, provide: Provide) -> None:
        """If HEAD finds another write's token, the put is sent again, and its 412 is the result."""

        def script(request: Request) -> Answer:
            if request.method == "PUT":
                return Answer(drop=True) if "HEAD" not in methods() else error("PreconditionFailed", 412)
            return Answer(
                200, b"", {"ETag": '"e1"', "Content-Length": str(len(DATA)), "x-amz-meta-bucketry-write": "0"}
            )

        def methods() -> list[str]:
            return [request.method for request in server.requests]

        async with serving(script) as server:
            with pytest.raises(AlreadyExistsError):
                await provide(server).put("k", DATA, if_none_match="*")
        assert methods()[:3] == ["PUT", "HEAD", "PUT"]

    async def test_a_throttled_one_is_made_again(self, provide: Provide) -> None:
        """After a 503, which may hide a successful write, the object is checked before the put is sent again."""
        script = [error("SlowDown", 503, Retry_After="0"), Answer(404), OK]
        async with serving(script) as server:
            await provide(server).put("k", DATA, if_none_match="*")
        assert [request.method for request in server.requests] == ["PUT", "HEAD", "PUT"]

    async def test_a_write_that_landed_behind_a_503_is_no_conflict(self, provide: Provide) -> None:
        """If the first attempt was stored but got 503, the second one gets 412, and a HEAD shows the success."""
        mark: dict[str, str] = {}

        def script(request: Request) -> Answer:
            if request.method == "HEAD":
                if len(server.requests) == 2:
                    return error("InternalError", 500)
                return Answer(200, b"", {"ETag": '"e"', "Content-Length": str(len(DATA)), **mark})
            mark["x-amz-meta-bucketry-write"] = request.headers["x-amz-meta-bucketry-write"]
            return error("SlowDown", 503, Retry_After="0")

        async with serving(script) as server:
            assert (await provide(server).put("k", DATA, if_none_match="*")).size == len(DATA)
        assert [request.method for request in server.requests].count("PUT") == 1

    async def test_what_may_not_be_looked_at_is_not_known(self, provide: Provide) -> None:
        """If HEAD is refused after a lost answer, the error is that of the lost answer, and says so."""

        def script(request: Request) -> Answer:
            return Answer(403) if request.method == "HEAD" else error("InternalError", 500)

        async with serving(script) as server:
            with pytest.raises(TransientError) as caught:
                await provide(server).put("k", DATA, if_none_match="*")
        assert "not known" in "".join(caught.value.__notes__)
        assert [request.method for request in server.requests].count("PUT") == 1

    async def test_a_completion_without_an_etag_is_none(self, provide: Provide) -> None:
        """An empty answer with status 200 to a completion is not a success."""
        async with serving([Answer(200, b"")]) as server:
            with pytest.raises(TransientError, match="ETag"):
                await provide(server).complete_multipart(UPLOAD, [PARTS[0]], WriteOptions())

    async def test_an_upload_that_another_write_got_into_is_begun_anew(self, provide: Provide, tmp_path: Path) -> None:
        """After 409 ConditionalRequestConflict all parts are sent to a new upload; the first upload is aborted."""
        source = tmp_path / "source"
        source.write_bytes(bytes(6 * MiB))
        opened = iter(["u1", "u2"])
        asked: list[str] = []

        def script(request: Request) -> Answer:
            upload_id, number = re.search("u[12]", request.query), re.search("partNumber=.", request.query)
            what = " ".join([request.method, *(found[0] for found in (number, upload_id) if found)])
            if request.method == "POST" and "uploads" in request.query:
                asked.append("create")
                return created(next(opened))
            if request.method == "POST":
                asked.append(what)
                return completed('"e-2"') if "u2" in request.query else error("ConditionalRequestConflict", 409)
            if request.method == "HEAD":
                return Answer(404)
            if request.method in {"PUT", "DELETE"}:
                asked.append(what)
                return Answer(200, b"", {"ETag": '"p"'})
            return _no_uploads(request)

        async with serving(script) as server:
            result = await provide(server).transfer.upload(source, "k", if_none_match="*")
        assert (result.etag, result.retries) == ('"e-2"', 1)
        assert sorted(asked[:3]) == ["PUT partNumber=1 u1", "PUT partNumber=2 u1", "create"]
        assert asked[3:5] == ["POST u1", "DELETE u1"]
        assert asked[5] == "create"
        assert asked[-1] == "POST u2"

    async def test_a_stream_that_another_write_got_into_cannot_be_begun_anew(self, provide: Provide) -> None:
        """A stream that was read cannot be read again: the error says so."""

        def script(request: Request) -> Answer:
            if request.method == "POST":
                return created("u1") if "uploads" in request.query else error("ConditionalRequestConflict", 409)
            if request.method == "HEAD":
                return Answer(404)
            return _no_uploads(request) if request.method == "GET" else Answer(200, b"", {"ETag": '"p"'})

        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(6 * MiB)

        async with serving(script) as server:
            with pytest.raises(TransientError) as caught:
                await provide(server).put("k", chunks(), if_none_match="*")
        assert "stream" in "".join(caught.value.__notes__)

    async def test_an_expired_token_at_the_end_is_signed_anew(self, provide: Provide) -> None:
        """A refused signature means that nothing was done: the completion is sent again once."""
        done = b"<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>"
        async with serving([error("ExpiredToken", 400), Answer(200, done)]) as server:
            assert (await provide(server).complete_multipart(UPLOAD, [PARTS[0]], WriteOptions())).etag == '"e"'

    @pytest.mark.parametrize(
        ("kind", "condition"),
        [
            (WasabiProvider, {"if_none_match": "*"}),
            (WasabiProvider, {"if_match": '"e"'}),
            (BackblazeProvider, {"if_none_match": "*"}),
            (BackblazeProvider, {"if_match": '"e"'}),
            (DigitalOceanProvider, {"if_match": '"e"'}),
        ],
        ids=str,
    )
    async def test_kept_or_refused(self, provide: Provide, kind: type, condition: dict[str, str]) -> None:
        """If the vendor does not enforce the condition, the error is raised before any request."""
        async with serving([]) as server:
            with pytest.raises(UnsupportedError, match="nothing was sent"):
                await provide(server, kind).put("k", DATA, **condition)
            with pytest.raises(UnsupportedError):
                await provide(server, kind).put_object("k", DATA, WriteOptions(**condition))
            with pytest.raises(UnsupportedError):
                await provide(server, kind).complete_multipart(UPLOAD, PARTS, WriteOptions(**condition))
        assert server.requests == []
        assert server.connections == 0

    async def test_a_server_nobody_has_measured(self, provide: Provide) -> None:
        """At a custom endpoint no condition is trusted unless the configuration says so."""
        async with serving([OK]) as server:
            with pytest.raises(UnsupportedError):
                await provide(server.url, server="auto").put("k", DATA, if_none_match="*")
            assert server.requests == []
            await provide(server.url, server="aws").put("k", DATA, if_none_match="*")
        assert len(server.requests) == 1


async def test_tls_is_not_optional(provide: Provide) -> None:
    """A server without TLS at an https endpoint is refused, and gets no request."""
    async with serving([OK]) as server:
        with pytest.raises(StorageError) as caught:
            await provide(server.url.replace("http://", "https://"), max_attempts=1, connect_timeout=0.2).get("k")
    assert isinstance(caught.value, (ConfigError, ConnectionFailedError, RequestTimeoutError))
    assert server.requests == []
