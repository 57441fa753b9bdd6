"""The requests that are sent: keys unchanged, bodies complete and with checksums."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ByteRange, MultipartUpload, ObjectInfo
from bucketry.errors import InvalidRequestError, StorageError
from tests.wire.conftest import ACCESS, Provide
from tests.wire.scripted import Answer, Request, completed, content, created, error, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK = Answer(200, b"", {"ETag": '"e1"'})
DATA = b"some bytes " * 100
KINDS = (S3Provider, DigitalOceanProvider, WasabiProvider, BackblazeProvider, CloudflareR2Provider)
UPLOAD = MultipartUpload(key="k", upload_id="u1")
CRC32 = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()

KEYS = [
    "plain",
    "a/b/c",
    "a/../b",
    "../b",
    "..",
    ".",
    "a/./b",
    "a//b",
    "/a",
    "//a",
    "a/",
    "ä+ %2F?#&=",
    "%",
    "%2e%2e/b",
    "a b",
    "a+b",
    "~*'()!$,:;@[]{}|^`<>\"\\",
    "line\nend\ttab",
    "\U0001f600/é/e\u0301",
    "?list-type=2",
    "k?versionId=1",
]


class FileSink:
    """A position in an open file, as transfers give it to `fetch_range`."""

    needs_bytes = False

    def __init__(self, fd: int) -> None:
        self.position = 0
        self._fd = fd

    def begin(self, info: ObjectInfo) -> None:
        """Do nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes."""
        self.position += os.pwrite(self._fd, data, self.position)

    def skip(self, count: int) -> None:
        """Count bytes that were written elsewhere."""
        self.position += count


class TestKeys:
    """How a key is put into the URL."""

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    async def test_arrives_as_itself(self, provide: Provide, key: str) -> None:
        """A key is percent-encoded once, not normalized: the server decodes the same key in every request."""
        async with serving(lambda request: content(DATA, request) if request.method == "GET" else OK) as server:
            provider = provide(server)
            await provider.get(key)
            await provider.head(key)
            await provider.put(key, b"x")
            await provider.delete(key)
        assert [request.method for request in server.requests] == ["GET", "HEAD", "PUT", "DELETE"]
        for request in server.requests:
            assert request.path == f"/bkt/{quote(key, safe='/~')}"
            assert unquote(request.path) == f"/bkt/{key}"
            assert request.query in ("", "x-id=GetObject", "x-id=PutObject", "x-id=DeleteObject")

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    async def test_arrives_as_itself_beside_large_bodies(self, provide: Provide, key: str) -> None:
        """The same for bodies in lanes: a range into a file, and a part."""
        part = bytes(300 * KiB)
        with tempfile.TemporaryFile() as file:
            async with serving(lambda request: content(DATA, request) if request.method == "GET" else OK) as server:
                provider = provide(server)
                await provider.fetch_range(key, FileSink(file.fileno()), ReadOptions(byte_range=ByteRange(0, 9)))
                await provider.put_part(MultipartUpload(key=key, upload_id="u1"), 1, part)
            assert os.pread(file.fileno(), 100, 0) == DATA[:9]
        assert [request.method for request in server.requests] == ["GET", "PUT"]
        assert {request.path for request in server.requests} == {f"/bkt/{quote(key, safe='/~')}"}
        assert server.requests[1].body == part

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    async def test_copies_from_itself(self, provide: Provide, key: str) -> None:
        """The source of a copy is in a header, also percent-encoded once."""
        body = b'<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>&quot;e1&quot;</ETag></CopyObjectResult>'
        async with serving(lambda request: Answer(200, body) if request.method == "PUT" else OK) as server:
            await provide(server).copy_object(key, "target")
        assert unquote(server.requests[0].headers["x-amz-copy-source"]).lstrip("/") == f"bkt/{key}".lstrip("/")
        assert unquote(server.requests[0].path) == "/bkt/target"

    @pytest.mark.slow
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
    async def test_any_key_arrives(self, provide: Provide, key: str) -> None:
        """The same for any key."""
        async with serving([OK]) as server:
            await provide(server).put(key, b"")
        assert unquote(server.requests[0].path) == f"/bkt/{key}"

    async def test_a_bulk_delete_names_them_as_they_are(self, provide: Provide) -> None:
        """In XML, keys are escaped, not percent-encoded."""
        answer = b"<DeleteResult><Deleted><Key>1</Key></Deleted><Deleted><Key>2</Key></Deleted></DeleteResult>"
        async with serving([Answer(200, answer)]) as server:
            await provide(server).delete_many(["a&b<c>", "ä+ %2F"])
        assert "<Key>a&amp;b&lt;c&gt;</Key>" in server.requests[0].body.decode()
        assert "<Key>ä+ %2F</Key>" in server.requests[0].body.decode()


class Generic:
    """Stands for `S3Provider` with the generic row."""


class TestBodies:
    """How bodies are sent."""

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize("data", [b"", DATA], ids=["empty", "some"])
    async def test_a_put(self, provide: Provide, kind: type, data: bytes) -> None:
        """A body is sent with its length, in one piece: not chunked, no trailer, no `Expect`, for every vendor."""
        async with serving([OK]) as server:
            await provide(server, kind).put("k", data, metadata={"Run": "7"}, content_type="text/x")
        (request,) = server.requests
        assert request.body == data
        headers = request.headers
        assert headers["content-length"] == str(len(data))
        assert not {"transfer-encoding", "x-amz-trailer", "expect", "x-amz-decoded-content-length"} & set(headers)
        assert "aws-chunked" not in headers.get("content-encoding", "")
        assert not headers.get("x-amz-content-sha256", "").startswith("STREAMING")
        assert (headers["x-amz-meta-run"], headers["content-type"]) == ("7", "text/x")
        assert ACCESS in headers["authorization"]

    @pytest.mark.parametrize(
        ("kind", "put", "part"),
        [
            (S3Provider, "x-amz-checksum-crc32", "x-amz-checksum-crc32"),
            (DigitalOceanProvider, "x-amz-content-sha256", "x-amz-content-sha256"),
            (WasabiProvider, "x-amz-checksum-crc32", "x-amz-checksum-crc32"),
            (BackblazeProvider, "x-amz-checksum-crc32", "x-amz-checksum-crc32"),
            (CloudflareR2Provider, "x-amz-checksum-crc32", "x-amz-checksum-crc32"),
            (Generic, "x-amz-content-sha256", "x-amz-content-sha256"),
        ],
        ids=lambda value: value if isinstance(value, str) else value.__name__,
    )
    async def test_the_proof_of_the_row(self, provide: Provide, kind: type, put: str, part: str) -> None:
        """Single puts and parts have the checksum that the vendor checks, with the right value, and no other one."""
        values = {"x-amz-checksum-crc32": CRC32, "x-amz-content-sha256": hashlib.sha256(DATA).hexdigest()}
        async with serving(lambda _: OK) as server:
            generic = kind is Generic
            provider = provide(server, S3Provider, server="generic") if generic else provide(server, kind)
            await provider.put("k", DATA)
            await provider.put_part(UPLOAD, 1, DATA)
        for request, name in zip(server.requests, (put, part), strict=True):
            sent = {
                header for header in request.headers if header.startswith("x-amz-checksum-") or header == "content-md5"
            }
            assert sent - {"x-amz-checksum-algorithm"} == {name} - {"x-amz-content-sha256"}
            assert request.headers[name] == values[name]
            assert ("x-amz-sdk-checksum-algorithm" in request.headers) == (kind is S3Provider)

    async def test_unquoted_views(self, provide: Provide) -> None:
        """A bytearray and a view of a larger buffer are sent as their bytes."""
        async with serving(lambda _: OK) as server:
            await provide(server).put("k", bytearray(DATA))
            await provide(server).put("k", memoryview(b"xx" + DATA)[2:])
        assert [request.body for request in server.requests] == [DATA, DATA]

    @pytest.mark.slow
    async def test_an_upload_in_parts(self, provide: Provide, tmp_path: Path) -> None:
        """An upload in parts creates, sends every part, completes with all of them in order, and sends one HEAD."""
        data = bytes(11 * MiB)
        source = tmp_path / "source"
        source.write_bytes(data)
        mark: dict[str, str] = {}

        def script(request: Request) -> Answer:
            if request.method == "POST" and "uploads" in request.query:
                mark.update({name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")})
                return created("u 1")
            if request.method == "POST":
                return completed('"e-3"')
            if request.method == "HEAD":
                return Answer(200, b"", {"ETag": '"e-3"', "Content-Length": str(len(data)), **mark})
            return OK

        async with serving(script) as server:
            provider = provide(server)
            result = await provider.upload(source, "k")
        assert (result.size, result.parts, result.etag, result.verified) == (len(data), 3, '"e-3"', "crc32")
        parts = [request for request in server.requests if request.method == "PUT"]
        found = [number for request in parts for number in range(1, 9) if f"partNumber={number}" in request.query]
        assert sorted(found) == [1, 2, 3]
        assert all("uploadId=u%201" in request.query for request in parts)
        (complete,) = (
            request for request in server.requests if request.method == "POST" and "uploadId" in request.query
        )
        text = complete.body.decode()
        assert text.index("<PartNumber>1<") < text.index("<PartNumber>2<") < text.index("<PartNumber>3<")
        whole = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
        assert complete.headers["x-amz-checksum-crc32"] == whole
        assert complete.headers["x-amz-checksum-type"] == "FULL_OBJECT"

    @pytest.mark.slow
    async def test_a_part_that_is_refused_aborts(self, provide: Provide, tmp_path: Path) -> None:
        """After a part fails finally, the upload is aborted, and the listing of uploads is checked."""
        source = tmp_path / "source"
        source.write_bytes(bytes(11 * MiB))
        namespace = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        listing = b"<ListMultipartUploadsResult %b><Bucket>bkt</Bucket></ListMultipartUploadsResult>" % namespace

        def script(request: Request) -> Answer:
            if request.method == "POST":
                return created("u1")
            if "partNumber=2" in request.query:
                return error("AccessDenied", 403)
            if request.method == "DELETE":
                return Answer(204)
            return OK if request.method == "PUT" else Answer(200, listing)

        async with serving(script) as server:
            with pytest.raises(StorageError) as caught:
                await provide(server).upload(source, "k")
        assert caught.value.code == "AccessDenied"
        # The other part may still be under way when its sender is cancelled.
        assert [request.method for request in server.requests if request.method != "PUT"] == ["POST", "DELETE", "GET"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
async def test_memory_is_bounded(provide: Provide, tmp_path: Path, stream: bool) -> None:
    """A file or a long stream over HTTP uses no more memory than the budget and 1 MiB for each body."""
    size, part = 80 * MiB, 5 * MiB
    path = tmp_path / "source"
    path.write_bytes(b"")
    os.truncate(path, size)

    def script(request: Request) -> Answer:
        server.requests.clear()
        if request.method == "POST" and "uploads" in request.query:
            return created("u1")
        if request.method == "POST":
            return completed('"e"')
        if request.method == "HEAD":
            return Answer(200, b"", {"ETag": '"e"', "Content-Length": str(size)})
        return OK

    async def source():  # noqa: ANN202 - an iterator of bytes
        for _ in range(size // (256 * KiB)):
            yield bytes(256 * KiB)

    async with serving(script, keep=False) as server:
        provider = provide(server)
        config = TransferConfig(part_size=part, memory_budget=4 * part, max_concurrency=4)
        await provider.put("warm", b"x")
        tracemalloc.start()
        try:
            if stream:
                await TransferManager(provider, config).upload_stream(source(), "k")
            else:
                await TransferManager(provider, config).upload(path, "k")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak <= config.memory_budget + config.max_concurrency * MiB


@pytest.mark.parametrize("kind", KINDS)
async def test_bodies_of_xml_have_their_md5(provide: Provide, kind: type) -> None:
    """Deletions and tags are sent with `Content-MD5` and no newer checksum, which not all vendors know."""
    async with serving(lambda _: Answer(200, b"<DeleteResult/>")) as server:
        provider = provide(server, kind)
        await provider.delete_many(["k"])
        if provider.capabilities.tags:
            await provider.put_tags("k", {"a": "1"})
    assert len(server.requests) >= 1
    for request in server.requests:
        md5 = base64.b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode()
        assert request.headers["content-md5"] == md5
        newer = [name for name in request.headers if name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum"))]
        assert newer == []


NAMED: dict[str, Callable[[Any, Any], Awaitable[object]]] = {
    "get": lambda p, name: p.get("k", version_id=name),
    "range": lambda p, name: p.get_range("k", 0, 1, version_id=name),
    "fetch": lambda p, name: p.fetch_range("k", None, ReadOptions(version_id=name)),
    "head": lambda p, name: p.head("k", version_id=name),
    "delete": lambda p, name: p.delete("k", version_id=name),
    "put_part": lambda p, name: p.put_part(MultipartUpload(key="k", upload_id=name), 1, b"x"),
    "copy_part": lambda p, name: p.copy_part(
        MultipartUpload(key="k", upload_id=name), 1, "k", ByteRange(0, 1), if_match='"e1"'
    ),
    "complete": lambda p, name: p.complete_multipart(MultipartUpload(key="k", upload_id=name), [], WriteOptions()),
    "abort": lambda p, name: p.abort_multipart(MultipartUpload(key="k", upload_id=name)),
    "list_parts": lambda p, name: p.list_parts(MultipartUpload(key="k", upload_id=name)),
    "list_multiparts": lambda p, name: p.list_multiparts(after=MultipartUpload(key="k", upload_id=name)),
}


@pytest.mark.parametrize("request_", NAMED)
@pytest.mark.parametrize(("name", "problem"), [("a\ud800", "not valid Unicode"), (3, "must be a str, not int")])
async def test_an_id_that_is_no_text(provide: Provide, request_: str, name: Any, problem: str) -> None:
    """An id of a version or an upload that a URL cannot contain is refused, and nothing is sent."""
    async with serving(lambda _: OK) as server:
        with pytest.raises(InvalidRequestError, match=problem):
            await NAMED[request_](provide(server), name)
    assert server.requests == []
