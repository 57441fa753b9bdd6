"""Tags of objects: stored by every write, kept by copies, read and replaced by their own requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bucketry._core.options import WriteOptions
from bucketry.errors import InvalidRequestError, NotFoundError
from bucketry.providers import MemoryProvider, StorageProvider
from tests.contract.writing import BOTH_SIZES, EVERY_WRITE, KEY, SmallCopies, Write

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAGS = {"project": "a one-two+three", "a+b": "c=d:e/f@g", "näme": "Wert", "empty": ""}


@EVERY_WRITE
@pytest.mark.needs("tags")
async def test_every_write_stores_tags(provider: StorageProvider, tmp_path: Path, write: Write) -> None:
    """The object has the tags that were given to any kind of write."""
    await write(provider, tmp_path, tags=TAGS)
    assert await provider.get_tags(KEY) == TAGS


@pytest.mark.needs("tags")
async def test_a_write_without_tags(provider: StorageProvider) -> None:
    """A write without tags stores none, also if the object before had tags."""
    await provider.put("key", b"x")
    assert await provider.get_tags("key") == {}
    await provider.put("key", b"y", tags=TAGS)
    assert await provider.get_tags("key") == TAGS
    await provider.put("key", b"z")
    assert await provider.get_tags("key") == {}


@pytest.mark.needs("tags")
async def test_tags_are_replaced_as_a_whole(provider: StorageProvider) -> None:
    """New tags replace all earlier tags, an empty mapping removes them, and the object itself does not change."""
    info = await provider.put("a/ø b", b"data", metadata={"a": "1"}, cache_control="no-store", tags={"old": "1"})
    for tags in (TAGS, {"one": "1", "two": "a + b = c@d"}, {"three": ""}, {}):
        await provider.put_tags("a/ø b", tags)
        assert await provider.get_tags("a/ø b") == tags
    found = await provider.head("a/ø b")
    assert (found.etag, found.metadata, found.cache_control) == (info.etag, {"a": "1"}, "no-store")
    assert await provider.get("a/ø b") == b"data"


@pytest.mark.needs("tags")
async def test_tags_of_a_missing_object(provider: StorageProvider) -> None:
    """Reading or replacing the tags of a missing object is `NotFoundError`."""
    with pytest.raises(NotFoundError) as caught:
        await provider.get_tags("missing")
    assert (caught.value.key, caught.value.operation) == ("missing", "get_tags")
    with pytest.raises(NotFoundError) as caught:
        await provider.put_tags("missing", TAGS)
    assert (caught.value.key, caught.value.operation) == ("missing", "put_tags")
    assert await provider.list_files() == []


@BOTH_SIZES
@pytest.mark.needs("tags", "copy")
async def test_a_copy_keeps_tags(provider: StorageProvider, size: int) -> None:
    """A copy within a bucket has the tags of its source, also a copy in parts."""
    await provider.put("a", bytes(size), tags=TAGS)
    small = SmallCopies(provider)
    await small.copy("a", "b")
    assert (small.calls["copy_object"], small.calls["copy_part"]) == ((0, 1) if size > 10 else (1, 0))
    assert await provider.get_tags("b") == TAGS
    assert await provider.get_tags("a") == TAGS


@pytest.mark.needs("tags", "copy")
async def test_a_copy_with_options(provider: StorageProvider) -> None:
    """The options of a copy replace the source's tags only if they have tags."""
    await provider.put("a", b"data", tags=TAGS)
    await provider.copy_object("a", "b", options=WriteOptions(content_type="text/css"))
    assert await provider.get_tags("b") == TAGS
    await provider.copy_object("a", "c", options=WriteOptions(tags={"one": "1"}))
    assert await provider.get_tags("c") == {"one": "1"}


@pytest.mark.needs("tags")
async def test_a_copy_to_another_provider_keeps_tags(provider: StorageProvider) -> None:
    """A copy through this machine keeps the tags, from the provider and to it."""
    await provider.put("a", b"data", tags=TAGS)
    async with MemoryProvider() as other:
        await provider.transfer.copy_to(other, "a", "b")
        assert await other.get_tags("b") == TAGS
        await other.transfer.copy_to(provider, "b", "c")
    assert await provider.get_tags("c") == TAGS


@pytest.mark.parametrize(
    "tags",
    [
        {str(number): "x" for number in range(11)},
        {"": "x"},
        {"n" * 129: "x"},
        {"a": "v" * 257},
        {"a": 1},
        {2: "b"},
        {"\ud800": "c"},
        {"a": "\ud800"},
    ],
    ids=["eleven", "no name", "long name", "long value", "value no str", "name no str", "bad name", "bad value"],
)
@pytest.mark.needs("tags")
async def test_tags_that_cannot_be_stored(provider: StorageProvider, tags: Any) -> None:
    """Every method that takes tags refuses bad ones, and nothing is stored."""
    with pytest.raises(InvalidRequestError):
        await provider.put("key", b"x", tags=tags)
    assert await provider.list_files() == []
    longest = {"n" * 128: "v" * 256}
    await provider.put("key", b"x", tags=longest)
    with pytest.raises(InvalidRequestError):
        await provider.put_tags("key", tags)
    assert await provider.get_tags("key") == longest


async def test_a_tag_that_xml_cannot_carry(on_moto: Callable[..., Any]) -> None:
    """A character that XML does not have is refused by an S3 provider."""
    async with on_moto() as provider:
        await provider.put("k", b"data")
        with pytest.raises(InvalidRequestError):
            await provider.put_tags("k", {"a": "\0"})
        assert await provider.get_tags("k") == {}
