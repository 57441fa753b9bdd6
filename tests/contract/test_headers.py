"""Headers and tags of objects: stored by every write, and given by every read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from bucketry import S3Provider
from bucketry._core.options import WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import ObjectInfo
from bucketry._vendors import aws
from bucketry.errors import InvalidRequestError, UnsupportedError
from bucketry.providers import PrefixedProvider
from tests.contract.conftest import PART_SIZE
from tests.contract.servers import S3Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make = Callable[..., Any]
TAGS = {"project": "a one-two+three", "a+b": "c=d:e/f@g"}
OPTIONS = WriteOptions(
    metadata={"kind": "test"},
    content_type="text/plain",
    cache_control="max-age=60",
    content_disposition='attachment; filename="a.txt"',
    content_encoding="gzip",
    content_language="da",
    tags=TAGS,
)
ALL = ("max-age=60", 'attachment; filename="a.txt"', "gzip", "da")


class SmallCopies(S3Provider):
    """A provider that copies objects above one part size in parts."""

    vendor = replace(aws.VENDOR, capabilities=replace(aws.VENDOR.capabilities, max_copy_size=PART_SIZE))

    def _row(self, _: object) -> Any:
        return self.vendor


def headers_of(info: ObjectInfo) -> tuple[str | None, ...]:
    """Give the four headers."""
    return (info.cache_control, info.content_disposition, info.content_encoding, info.content_language)


async def test_a_put_stores_headers_and_tags(on_moto: Make) -> None:
    """The write's answer, HEAD and GET give the headers; tags need their own request."""
    async with on_moto() as provider:
        made = await provider.put_object("k", b"data", OPTIONS)
        assert headers_of(made) == ALL
        assert headers_of(await provider.head("k")) == ALL
        async with provider.open_body("k") as body:
            assert headers_of(body.info) == ALL
            assert await body.read() == b"data"
        assert body.info.metadata == {"kind": "test"}
        assert await provider.get_tags("k") == TAGS


async def test_an_upload_in_parts_stores_headers_and_tags(on_moto: Make) -> None:
    """The object of a multipart upload has the headers and tags that the upload was opened with."""
    async with on_moto() as provider:
        upload = await provider.create_multipart("k", OPTIONS)
        part = await provider.put_part(upload, 1, b"data")
        made = await provider.complete_multipart(upload, [part], OPTIONS)
        assert headers_of(made) == ALL
        info = await provider.head("k")
        assert (headers_of(info), info.content_type, dict(info.metadata)) == (ALL, "text/plain", {"kind": "test"})
        assert await provider.get_tags("k") == TAGS


async def test_an_object_without_them_says_none(on_moto: Make) -> None:
    """If no headers were stored, reads give none."""
    async with on_moto() as provider:
        await provider.put_object("k", b"data", WriteOptions())
        assert headers_of(await provider.head("k")) == (None, None, None, None)
        assert await provider.get_tags("k") == {}


async def test_an_encoded_body_is_given_as_it_is_stored(on_moto: Make, tmp_path: Path) -> None:
    """No kind of read decodes a gzip body: the bytes are those that were put."""
    packed = gzip.compress(b"some text " * 1000)
    async with on_moto() as provider:
        await provider.put_object("k", packed, WriteOptions(content_encoding="gzip"))
        assert await provider.get("k") == packed
        assert await provider.get_range("k", 2, 20) == packed[2:20]
        async with provider.stream("k") as chunks:
            assert b"".join([chunk async for chunk in chunks]) == packed
        await provider.download("k", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == packed


async def test_a_copy_that_replaces(on_moto: Make) -> None:
    """The options of a copy replace the source's headers; the source's tags stay unless tags are given."""
    async with on_moto() as provider:
        await provider.put_object("a", b"data", OPTIONS)
        new = WriteOptions(cache_control="no-store", content_type="text/css")
        copied = await provider.copy_object("a", "b", options=new)
        assert headers_of(copied) == ("no-store", None, None, None)
        assert (copied.content_type, dict(copied.metadata)) == ("text/css", {})
        assert await provider.get_tags("b") == TAGS
        await provider.copy_object("a", "c", options=WriteOptions(tags={"one": "1"}))
        assert await provider.get_tags("c") == {"one": "1"}


@pytest.mark.parametrize("size", [10, PART_SIZE + 10], ids=["one request", "parts"])
async def test_a_copy_keeps_all(on_moto: Make, size: int) -> None:
    """A copy within a bucket keeps headers, metadata and tags, also a copy in parts."""
    data = b"x" * size
    async with on_moto(SmallCopies) as provider:
        await provider.put_object("a", data, OPTIONS)
        await provider.copy("a", "b")
        info = await provider.head("b")
        assert (headers_of(info), info.content_type, dict(info.metadata)) == (ALL, "text/plain", {"kind": "test"})
        assert await provider.get_tags("b") == TAGS
        assert await provider.get("b") == data
        assert ("-" in info.etag) == (size > PART_SIZE)


async def test_a_copy_to_another_provider_keeps_all(on_moto: Make) -> None:
    """A copy through this machine keeps headers, metadata and tags."""
    async with on_moto() as provider, on_moto() as other:
        await provider.put_object("a", b"data", OPTIONS)
        await provider.transfer.copy_to(other, "a", "b")
        info = await other.head("b")
        assert (headers_of(info), dict(info.metadata)) == (ALL, {"kind": "test"})
        assert await other.get_tags("b") == TAGS


async def test_a_signed_url_chooses_headers_of_the_answer(on_moto: Make) -> None:
    """The answer to a GET of the URL has the signed type and disposition, not the stored ones."""
    disposition = 'attachment; filename="naïve & co.csv"'.encode("ascii", "replace").decode()
    async with on_moto() as provider:
        await provider.put_object("k", b"data", OPTIONS)
        given = {"response_content_type": "text/csv", "response_content_disposition": disposition}
        url = await provider.presign("k", **given)
        plain = await provider.presign("k")
        assert "response-content-type=text%2Fcsv" in await PrefixedProvider(provider, "p/").presign("k", **given)
        with pytest.raises(InvalidRequestError, match="GET"):
            await provider.presign("k", method="PUT", **given)
        with pytest.raises(InvalidRequestError, match="response_content_type"):
            await provider.presign("k", response_content_type="a\nb")
        control = await provider._planes.control()
        signed = [url, await control.presign("k", "GET", 60, {"response-content-type": "text/csv"})]
    opener = build_opener(ProxyHandler({}))
    for each in signed:
        with opener.open(each, timeout=10) as answer:
            assert answer.headers["content-type"] == "text/csv"
    with opener.open(url, timeout=10) as answer:
        assert answer.headers["content-disposition"] == disposition
    with opener.open(plain, timeout=10) as answer:
        assert answer.headers["content-type"] == "text/plain"


async def test_tags_are_refused_where_there_are_none(on_moto: Make, moto: S3Server) -> None:
    """If a vendor's row does not promise tags, they are refused before any request."""
    provider = on_moto(server="generic")
    requests: tuple[Callable[[ObjectRequests], Any], ...] = (
        lambda one: one.put_object("k", b"data", OPTIONS),
        lambda one: one.create_multipart("k", OPTIONS),
        lambda one: one.copy_object("a", "k", options=OPTIONS),
        lambda _: provider.get_tags("k"),
        lambda _: provider.put_tags("k", TAGS),
    )
    for request in requests:
        with pytest.raises(UnsupportedError, match=r"capabilities\.tags is False"):
            await request(provider)
    assert "Contents" not in moto.client.list_objects_v2(Bucket=provider.locate().split("/")[2])
