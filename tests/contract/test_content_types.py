"""The default content type of a write: from the key's suffix, the same for every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketry._core.options import WriteOptions
from bucketry.providers import StorageProvider
from tests.contract.conftest import PART_SIZE

pytestmark = pytest.mark.asyncio(loop_scope="session")

KNOWN = (
    ("a/page.html", "text/html"),
    ("PAGE.HTML", "text/html"),
    ("data.json", "application/json"),
    ("v1.2/rows.csv", "text/csv"),
    ("picture.png", "image/png"),
)
UNKNOWN = ("model", "a.b/model", "model.safetensors", "rows.csv.gz", "all.tar.gz", "all.tgz", ".html", "page.html.")


async def stream(*parts: bytes) -> AsyncIterator[bytes]:
    """Give bytes as a stream of unknown length."""
    for part in parts:
        yield part


@pytest.mark.parametrize(("key", "expected"), KNOWN)
async def test_every_write_takes_it_from_the_suffix(
    provider: StorageProvider, tmp_path: Path, key: str, expected: str
) -> None:
    """Bytes, streams, files and directories get the same content type."""

    async def found() -> str | None:
        info = await provider.head(key)
        await provider.delete(key)
        return info.content_type

    await provider.put(key, b"x")
    assert await found() == expected
    await provider.put(key, stream(b"x"))
    assert await found() == expected
    source = tmp_path / "tree" / key
    source.parent.mkdir(parents=True)
    source.write_bytes(b"x")
    await provider.upload(source, key)
    assert await found() == expected
    await provider.transfer.upload_tree(tmp_path / "tree", "")
    assert await found() == expected


async def test_an_object_in_parts_has_it_too(provider: StorageProvider) -> None:
    """An upload in parts gets the content type of the key's suffix."""
    await provider.put("page.html", stream(bytes(PART_SIZE), bytes(PART_SIZE)))
    assert (await provider.head("page.html")).content_type == "text/html"


@pytest.mark.parametrize("key", UNKNOWN)
async def test_what_no_suffix_tells_is_the_providers_default(provider: StorageProvider, key: str) -> None:
    """For a key without a known suffix, or a compressed file, no content type is sent: the server decides."""
    await provider.put_object(key, b"x", WriteOptions())
    usual = (await provider.head(key)).content_type
    await provider.put(key, b"x")
    assert (await provider.head(key)).content_type == usual


async def test_what_is_given_is_kept(provider: StorageProvider) -> None:
    """A given content type replaces that of the suffix."""
    await provider.put("page.html", b"x", content_type="text/plain")
    assert (await provider.head("page.html")).content_type == "text/plain"


@pytest.mark.needs("copy")
async def test_a_copy_keeps_it(provider: StorageProvider) -> None:
    """A copy keeps the source's content type under any key."""
    await provider.put("page.html", b"x", content_type="text/plain")
    await provider.put("other.html", b"x")
    for source, expected in (("page.html", "text/plain"), ("other.html", "text/html")):
        for destination in ("copy", "copy.json", "copy.html"):
            await provider.copy(source, destination)
            assert (await provider.head(destination)).content_type == expected
