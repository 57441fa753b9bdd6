"""Listings: UTF-8 binary order, literal prefixes, delimiters and pages."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bucketry._core.values import CommonPrefix, ObjectInfo
from bucketry.providers import StorageProvider
from tests.contract.conftest import bucket_of
from tests.contract.servers import Moto

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = sorted(
    (
        "a",
        "a!",
        "a-b/x",
        "a.b",
        "a0",
        "b/1",
        "b/2/deep/er",
        "b/2/deep",
        "b/30",
        "ba",
        "c d/é",
        "z",
        "é/a",
        "日/本",
        "😀",
    )
)
# A file system cannot have `b/2/deep` beside `b/2/deep/er`.
PATHS = [key for key in KEYS if key != "b/2/deep"]


async def fill(provider: StorageProvider, keys: list[str]) -> None:
    """Store objects, not in the order of their keys, several at once."""
    pending = iter(reversed(keys))

    async def worker() -> None:
        for key in pending:
            await provider.put(key, key.encode())

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(worker())


async def names(provider: StorageProvider, prefix: str = "", **options: str) -> list[str]:
    """List keys and common prefixes."""
    return [
        entry.prefix if isinstance(entry, CommonPrefix) else entry.key
        async for entry in provider.list(prefix, **options)
    ]


async def test_order_is_that_of_utf8(provider: StorageProvider) -> None:
    """Keys are sorted by their UTF-8 bytes, also across directories."""
    await fill(provider, PATHS)
    assert await names(provider) == sorted(PATHS, key=str.encode)
    assert await provider.list_files() == sorted(PATHS, key=str.encode)


async def test_listed_objects_agree_with_head(provider: StorageProvider) -> None:
    """Size and etag of a listed object are those that `head` gives."""
    await provider.put("dir/key", b"12345", metadata={"a": "1"})
    (listed,) = [entry async for entry in provider.list()]
    assert isinstance(listed, ObjectInfo)
    found = await provider.head("dir/key")
    assert (listed.key, listed.size) == ("dir/key", 5)
    assert listed.etag.strip('"') == found.etag.strip('"')
    assert listed.last_modified.tzinfo is not None


@pytest.mark.parametrize(
    "prefix", ["a", "a-", "a-b", "a-b/", "a-b/x", "b", "b/", "b/2", "b/2/d", "é", "日/", "zz", "a/"]
)
async def test_prefixes_are_literal(provider: StorageProvider, prefix: str) -> None:
    """A prefix may end anywhere in a key, and has no special characters."""
    await fill(provider, PATHS)
    assert await names(provider, prefix) == [key for key in PATHS if key.startswith(prefix)]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a", "a!", "a-b/", "a.b", "a0", "b/", "ba", "c d/", "z", "é/", "日/", "😀"]),
        ("b", ["b/", "ba"]),
        ("b/", ["b/1", "b/2/", "b/30"]),
        ("b/2", ["b/2/"]),
        ("b/2/", ["b/2/deep/"]),
        ("none/", []),
    ],
)
async def test_delimiter(provider: StorageProvider, prefix: str, expected: list[str]) -> None:
    """With a delimiter, all keys with a common prefix are given as one entry."""
    await fill(provider, PATHS)
    assert await names(provider, prefix, delimiter="/") == expected


async def test_start_after(provider: StorageProvider) -> None:
    """Only keys that sort after `start_after` are listed, also if that key does not exist."""
    await fill(provider, PATHS)
    for after in ("a", "a!!", "b/1", "b/2/deep/er", "b/2", "b0", "z", "😀"):
        assert await names(provider, start_after=after) == [key for key in PATHS if key > after]
    assert await names(provider, "b/", start_after="b/1") == ["b/2/deep/er", "b/30"]
    assert await names(provider, "b/", start_after="a") == ["b/1", "b/2/deep/er", "b/30"]
    assert await names(provider, "b/", start_after="c") == []


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_more_keys_than_a_page(provider: StorageProvider, on_server: Moto | None) -> None:
    """A listing of several pages gives each key once, in order; a bulk delete removes as many keys."""
    count = provider.capabilities.max_list_keys + 5
    keys = [f"{number % 7}/{number:05}" for number in range(count)]
    if on_server is None:
        await fill(provider, keys)
    else:
        on_server.fill(bucket_of(provider), keys)
    first = await provider.list_page()
    assert len(first.entries) == provider.capabilities.max_list_keys
    second = await provider.list_page(token=first.next_token)
    assert len(second.entries) == 5
    assert second.next_token is None
    listed = [entry.key for entry in itertools.chain(first.entries, second.entries) if isinstance(entry, ObjectInfo)]
    assert listed == await provider.list_files() == sorted(keys)
    assert await names(provider, delimiter="/") == [f"{number}/" for number in range(7)]
    result = await provider.delete_many(keys)
    assert len(result.succeeded) == count
    assert await names(provider) == []


async def test_an_empty_place_lists_nothing(provider: StorageProvider) -> None:
    """An empty bucket or directory has one empty page."""
    page = await provider.list_page()
    assert (page.entries, page.next_token) == ((), None)
