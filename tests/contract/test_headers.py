"""Headers of objects: stored by every write, kept by copies, and given by every read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from bucketry._core.options import WriteOptions
from bucketry._core.values import ObjectInfo
from bucketry.errors import InvalidRequestError, StorageError
from bucketry.providers import MemoryProvider, PrefixedProvider, StorageProvider
from tests.contract.writing import BOTH_SIZES, EVERY_WRITE, KEY, SmallCopies, Write

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEADERS: dict[str, Any] = {
    "content_type": "text/plain",
    "cache_control": "max-age=60",
    "content_disposition": 'attachment; filename="a.txt"',
    "content_encoding": "gzip",
    "content_language": "da",
}
OPTIONS = WriteOptions(**HEADERS)


def headers_of(info: ObjectInfo) -> dict[str, Any]:
    """Give what `HEADERS` has."""
    return {name: getattr(info, name) for name in HEADERS}


@EVERY_WRITE
async def test_every_write_stores_headers(provider: StorageProvider, tmp_path: Path, write: Write) -> None:
    """HEAD, GET and a stream give the headers and metadata that were given to any kind of write."""
    await write(provider, tmp_path, metadata={"kind": "test"}, **HEADERS)
    found = await provider.head(KEY)
    async with provider.open_body(KEY) as body:
        await body.read()
    async with provider.stream(KEY) as chunks:
        pass
    for info in (found, body.info, chunks.info):
        assert (headers_of(info), info.metadata) == (HEADERS, {"kind": "test"})


async def test_the_answer_to_a_write_has_the_headers(provider: StorageProvider) -> None:
    """A put returns the stored headers, and so does the completion of a multipart upload."""
    assert headers_of(await provider.put("k", b"data", **HEADERS)) == HEADERS
    if provider.capabilities.multipart:
        upload = await provider.create_multipart("k", OPTIONS)
        part = await provider.put_part(upload, 1, b"data")
        assert headers_of(await provider.complete_multipart(upload, [part], OPTIONS)) == HEADERS


async def test_an_object_without_them_says_none(provider: StorageProvider) -> None:
    """If no headers were stored, reads give none, also if the object before had headers."""
    await provider.put_object("k", b"data", OPTIONS)
    await provider.put_object("k", b"data", WriteOptions())
    found = headers_of(await provider.head("k"))
    del found["content_type"]  # the provider has a default for it
    assert set(found.values()) == {None}


@EVERY_WRITE
async def test_every_write_stores_the_storage_class(provider: StorageProvider, tmp_path: Path, write: Write) -> None:
    """Any kind of write stores the object in the given class; skipped if the server does not have this class."""
    try:
        await write(provider, tmp_path, storage_class="STANDARD_IA")
    except StorageError as error:
        if error.code != "InvalidStorageClass":
            raise
        pytest.skip("the server has no class STANDARD_IA")
    found = await provider.head(KEY)
    async with provider.open_body(KEY) as body:
        await body.read()
    assert (found.storage_class, body.info.storage_class) == ("STANDARD_IA", "STANDARD_IA")


async def test_an_encoded_body_is_given_as_it_is_stored(provider: StorageProvider, tmp_path: Path) -> None:
    """No kind of read decodes a gzip body: the bytes are those that were put."""
    packed = gzip.compress(b"some text " * 1000)
    await provider.put("k", packed, content_encoding="gzip")
    assert await provider.get("k") == packed
    assert await provider.get_range("k", 2, 20) == packed[2:20]
    async with provider.stream("k") as chunks:
        assert b"".join([chunk async for chunk in chunks]) == packed
    await provider.download("k", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == packed


@pytest.mark.gap(rclone="rclone keeps those headers of the source that the copy does not give")
@pytest.mark.needs("copy")
async def test_a_copy_that_replaces(provider: StorageProvider) -> None:
    """The options of a copy replace the source's headers and metadata."""
    await provider.put("a", b"data", metadata={"kind": "test"}, **HEADERS)
    new = WriteOptions(cache_control="no-store", content_type="text/css")
    expected = {**dict.fromkeys(HEADERS), "content_type": "text/css", "cache_control": "no-store"}
    copied = await provider.copy_object("a", "b", options=new)
    for info in (copied, await provider.head("b")):
        assert (headers_of(info), info.metadata) == (expected, {})
    assert await provider.get("b") == b"data"


@BOTH_SIZES
@pytest.mark.needs("copy")
async def test_a_copy_keeps_all(provider: StorageProvider, size: int) -> None:
    """A copy within a bucket keeps headers and metadata, also a copy in parts."""
    await provider.put("a", b"x" * size, metadata={"kind": "test"}, **HEADERS)
    small = SmallCopies(provider)
    await small.copy("a", "b")
    assert (small.calls["copy_object"], small.calls["copy_part"]) == ((0, 1) if size > 10 else (1, 0))
    info = await provider.head("b")
    assert (headers_of(info), info.metadata["kind"]) == (HEADERS, "test")  # rclone adds metadata of its own
    assert await provider.get("b") == b"x" * size


async def test_a_copy_to_another_provider_keeps_all(provider: StorageProvider) -> None:
    """A copy through this machine keeps headers and metadata, from the provider and to it."""
    await provider.put("a", b"data", metadata={"kind": "test"}, **HEADERS)
    async with MemoryProvider() as other:
        await provider.transfer.copy_to(other, "a", "b")
        await other.transfer.copy_to(provider, "b", "c")
        for info in (await other.head("b"), await provider.head("c")):
            assert (headers_of(info), info.metadata) == (HEADERS, {"kind": "test"})


async def test_a_signed_url_chooses_headers_of_the_answer(on_moto: Callable[..., Any]) -> None:
    """The answer to a GET of the URL has the signed type and disposition, not the stored ones."""
    disposition = 'attachment; filename="naïve & co.csv"'.encode("ascii", "replace").decode()
    async with on_moto() as provider:
        await provider.put("k", b"data", **HEADERS)
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
