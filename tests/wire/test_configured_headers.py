"""Headers from the configuration: each request of every transfer has them, and nothing shows the key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from bucketry import S3Provider
from bucketry._core.options import WriteOptions
from bucketry._core.units import MiB
from bucketry._core.values import MultipartUpload
from bucketry._vendors import aws
from bucketry.errors import StorageError, UnsupportedError
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, Request, completed, content, created, error, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = b"customer key of thirty-two bytes"
ENCODED = base64.b64encode(KEY).decode()
OWNER = "123456789012"
SSE = "server-side-encryption-customer-"
CUSTOMER = {
    "algorithm": "AES256",
    "key": ENCODED,
    "key-md5": base64.b64encode(hashlib.md5(KEY, usedforsecurity=False).digest()).decode(),
}
LARGE = bytes(11 * MiB)
LISTED = b"<ListBucketResult><Name>bkt</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
VERSIONS = b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"
TAGGED = b"<Tagging><TagSet/></Tagging>"
COPIED = b'<CopyObjectResult><ETag>"e1"</ETag></CopyObjectResult>'
PART_COPIED = b'<CopyPartResult><ETag>"p"</ETag></CopyPartResult>'
DELETED = b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"
UPLOADS = b"<ListMultipartUploadsResult><Bucket>bkt</Bucket></ListMultipartUploadsResult>"
PARTS = b"<ListPartsResult/>"


class SmallCopies(S3Provider):
    """Copies anything above 8 MiB in parts."""

    vendor = replace(aws.VENDOR, capabilities=replace(aws.VENDOR.capabilities, max_copy_size=8 * MiB))

    def _row(self, _: object) -> Any:
        return self.vendor


def kind_of(request: Request) -> str:
    """Name S3's operation."""
    names = parse_qs(request.query, keep_blank_values=True)
    at_object = request.path.count("/") > 1 and not request.path.endswith("/")
    source = "x-amz-copy-source" in request.headers
    for name, kinds in (
        ("versions", {"GET": "ListObjectVersions"}),
        ("list-type", {"GET": "ListObjectsV2"}),
        ("delete", {"POST": "DeleteObjects"}),
        ("tagging", {"GET": "GetObjectTagging", "PUT": "PutObjectTagging", "DELETE": "DeleteObjectTagging"}),
        ("uploads", {"GET": "ListMultipartUploads", "POST": "CreateMultipartUpload"}),
        (
            "uploadId",
            {
                "PUT": "UploadPartCopy" if source else "UploadPart",
                "POST": "CompleteMultipartUpload",
                "DELETE": "AbortMultipartUpload",
                "GET": "ListParts",
            },
        ),
    ):
        if name in names:
            return kinds[request.method]
    if not at_object:
        return "HeadBucket"
    return (
        "CopyObject"
        if source
        else {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}.get(request.method, "DeleteObject")
    )


EXISTING = {"HeadObject", "GetObject", "UploadPart", "CompleteMultipartUpload", "ListParts", "UploadPartCopy"}
NEW = {"PutObject", "CreateMultipartUpload", "CopyObject"}
SOURCE = {"CopyObject", "UploadPartCopy"}
OTHER = {
    *("HeadBucket", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "AbortMultipartUpload"),
    *("DeleteObject", "DeleteObjects", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"),
}


def like_s3(request: Request) -> Answer:
    """Answer every operation as S3 does, with a large object at `large` and a small one elsewhere."""
    data = LARGE if "large" in unquote(request.path) else b"some bytes"
    match kind_of(request):
        case "GetObject" | "HeadObject":
            return content(data, request)
        case "CreateMultipartUpload":
            return created("u1")
        case "CompleteMultipartUpload":
            return completed('"whole"')
        case "DeleteObject" | "AbortMultipartUpload" | "DeleteObjectTagging":
            return Answer(204)
        case kind:
            bodies = {
                "CopyObject": COPIED,
                "UploadPartCopy": PART_COPIED,
                "ListObjectsV2": LISTED,
                "ListObjectVersions": VERSIONS,
                "GetObjectTagging": TAGGED,
                "DeleteObjects": DELETED,
                "ListMultipartUploads": UPLOADS,
                "ListParts": PARTS,
            }
            return Answer(200, bodies.get(kind, b""), {"ETag": '"e1"'})


async def everything(provider: Any, path: Path) -> None:
    """Make each kind of request at least once, those of transfers by the transfers."""
    (path / "large").write_bytes(LARGE)
    await provider.connect()
    await provider.put("k", b"some bytes")
    await provider.put("k", bytes(2 * MiB))
    await provider.upload(path / "large", "large")
    await provider.get("k")
    await provider.get_range("k", 2, 5)
    await provider.head("k")
    await provider.download("large", path / "target")
    async with provider.stream("k") as chunks:
        async for _ in chunks:
            pass
    await provider.copy("k", "b")
    await provider.copy("large", "large-b")
    await provider.list_files()
    await provider.list_versions_page()
    await provider.get_tags("k")
    await provider.put_tags("k", {"a": "b"})
    await provider.put_tags("k", {})
    await provider.delete("k")
    await provider.delete_many(["a"])
    upload = await provider.create_multipart("k", WriteOptions())
    await provider.list_parts(upload)
    await provider.abort_multipart(upload)
    await provider.list_multiparts()


def customer_headers(request: Request, name: str = "x-amz-") -> dict[str, str]:
    """Give the headers with this prefix that contain the customer's key."""
    begin = f"{name}{SSE}"
    return {name.removeprefix(begin): value for name, value in request.headers.items() if name.startswith(begin)}


async def test_every_request_carries_what_belongs_to_it(provide: Provide, transport: str, tmp_path: Path) -> None:
    """All requests have payer and owner; objects and uploads have the customer's key, and copies the source's key."""
    async with serving(like_s3) as server:
        entries = {"sse_customer_key": KEY, "request_payer": True, "expected_bucket_owner": OWNER}
        await everything(provide(server, SmallCopies, **entries), tmp_path)
    seen = {kind_of(request) for request in server.requests}
    assert seen == EXISTING | NEW | OTHER
    for request in server.requests:
        kind = kind_of(request)
        assert request.headers.get("x-amz-expected-bucket-owner") == OWNER, kind
        payers = {"requester"}
        if transport == "aiobotocore" and kind in {"HeadBucket", "DeleteObjectTagging"}:
            payers = {None}  # botocore has no parameter for it there
        assert {request.headers.get("x-amz-request-payer")} == payers, kind
        assert customer_headers(request) == (CUSTOMER if kind in EXISTING | NEW else {}), kind
        assert customer_headers(request, "x-amz-copy-source-") == (CUSTOMER if kind in SOURCE else {}), kind
        owner = request.headers.get("x-amz-source-expected-bucket-owner")
        assert owner == (OWNER if kind in SOURCE else None), kind
        assert "x-amz-server-side-encryption" not in request.headers, kind
        signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {name for name in request.headers if name.startswith("x-amz-")} <= set(signed), kind


async def test_managed_encryption_goes_with_what_makes_objects(provide: Provide, tmp_path: Path) -> None:
    """Requests that read, and those for parts, do not have the headers: S3 refuses them there."""
    entries = {"server_side_encryption": "aws:kms", "kms_key_id": "alias/k", "bucket_key": True}
    async with serving(like_s3) as server:
        await everything(provide(server, SmallCopies, **entries), tmp_path)
    begin = "x-amz-server-side-encryption"
    for request in server.requests:
        said = {name: value for name, value in request.headers.items() if begin in name}
        expected = {begin: "aws:kms", f"{begin}-aws-kms-key-id": "alias/k", f"{begin}-bucket-key-enabled": "true"}
        assert said == (expected if kind_of(request) in NEW else {}), kind_of(request)
        assert "x-amz-request-payer" not in request.headers
        assert "x-amz-expected-bucket-owner" not in request.headers


class Encrypting:
    """A store that follows SSE-C: what was stored with a key is read with the same key, or refused."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str | None]] = {}

    def __call__(self, request: Request) -> Answer:
        """Answer GET, HEAD, PUT, and copies."""
        key, place = request.headers.get(f"x-amz-{SSE}key"), request.path
        if request.method == "PUT" and (source := request.headers.get("x-amz-copy-source")):
            data, stored_with = self.objects["/" + source]
            if stored_with != request.headers.get(f"x-amz-copy-source-{SSE}key"):
                return error("AccessDenied", 403)
            self.objects[place] = (data, key)
            return Answer(200, COPIED)
        if request.method == "PUT":
            self.objects[place] = (request.body, key)
            return Answer(200, b"", {"ETag": '"e1"'})
        data, stored_with = self.objects[place]
        if stored_with is not None and key is None:
            return error("InvalidRequest", 400)
        return content(data, request) if stored_with == key else error("AccessDenied", 403)


async def test_who_has_the_key_reads_and_nobody_else(provide: Provide) -> None:
    """A server with SSE-C gives the bytes, also of a copy, only for the same key."""
    async with serving(Encrypting()) as server:
        ours = provide(server, sse_customer_key=ENCODED)
        await ours.put("a", b"some bytes")
        await ours.copy("a", "b")
        assert await ours.get("b") == await ours.get("a") == b"some bytes"
        for other in (provide(server), provide(server, sse_customer_key=bytes(32))):
            with pytest.raises(StorageError):
                await other.get("a")
            with pytest.raises(StorageError):
                await other.head("b")


async def test_a_signed_url_carries_no_key(provide: Provide) -> None:
    """If the URL's user would have to send headers, signing is refused, and the error says what to do."""
    for entries, writes_only in (
        ({"sse_customer_key": KEY}, False),
        ({"expected_bucket_owner": OWNER}, False),
        ({"server_side_encryption": "AES256"}, True),
    ):
        provider = provide("http://127.0.0.1:9", **entries)
        refused: list[Callable[[], Any]] = [lambda one=provider: one.presign("k", method="PUT")]
        refused.append(lambda one=provider: one.presign_post("k"))
        if writes_only:
            assert "X-Amz-Signature=" in await provider.presign("k")
        else:
            refused.append(lambda one=provider: one.presign("k"))
        for sign in refused:
            with pytest.raises(UnsupportedError, match=f"{next(iter(entries))}; sign with") as caught:
                await sign()
            assert ENCODED not in str(caught.value)


async def test_a_signed_url_says_who_pays(provide: Provide) -> None:
    """`x-amz-request-payer` stands in the URL, signed, so that whoever has it need not send a header."""
    url = await provide("http://127.0.0.1:9", request_payer=True).presign("k")
    assert "x-amz-request-payer=requester" in url
    with pytest.raises(UnsupportedError, match="request_payer"):
        await provide("http://127.0.0.1:9", request_payer=True).presign_post("k")


async def test_parts_of_an_adopted_upload(provide: Provide) -> None:
    """A part that is put from memory carries the key as well, large or small."""
    async with serving(like_s3) as server:
        provider = provide(server, sse_customer_key=KEY)
        upload = MultipartUpload(key="k", upload_id="u1")
        await provider.put_part(upload, 1, bytes(6 * MiB))
        await provider.put_part(upload, 2, b"end")
    assert [customer_headers(request) for request in server.requests] == [CUSTOMER] * 2
