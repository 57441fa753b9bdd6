"""Whole objects, ranges, streams, copies: the same bytes on every provider."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Callable

import pytest

from bucketry import SessionPool
from bucketry._core.checks import WRITE_TOKEN
from bucketry._core.units import MiB
from bucketry.errors import (
    InvalidKeyError,
    InvalidMetadataError,
    InvalidRangeError,
    NotFoundError,
    UnsafeKeyError,
    UnsupportedError,
)
from bucketry.providers import StorageProvider
from tests.contract.conftest import PART_SIZE, open_uploads

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATA = bytes(range(256)) * 16
ODD_KEYS = (
    "with space.txt",
    "plus+and%percent%20.txt",
    "question?mark=1&x.txt",
    "hash#tag.txt",
    "quote'\"s.txt",
    "équipe/naïve.txt",
    "日本語/ファイル.bin",
    "emoji 😀.txt",
    "semi;colon,comma:x.txt",
    "brackets[1]{2}(3)<4>.txt",
    "~tilde!$@*^|`.txt",
)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """Give bytes as a stream of unknown length."""
    for part in parts:
        yield part


@pytest.mark.parametrize("data", [b"", b"x", DATA, bytearray(DATA), memoryview(DATA)[7:1000]], ids=len)
async def test_put_then_get(provider: StorageProvider, data: bytes | bytearray | memoryview) -> None:
    """Bytes of every kind are read back unchanged, and `put` and `head` agree."""
    info = await provider.put("a/object", data)
    assert await provider.get("a/object") == bytes(data)
    found = await provider.head("a/object")
    assert (info.key, info.size, info.etag) == ("a/object", len(data), found.etag)
    assert (found.key, found.size) == ("a/object", len(data))
    assert found.last_modified.tzinfo is not None


async def test_put_replaces(provider: StorageProvider) -> None:
    """A second put replaces the object, with its metadata and its etag."""
    first = await provider.put("key", b"first", metadata={"a": "1"}, content_type="text/css")
    second = await provider.put("key", b"second!")
    assert await provider.get("key") == b"second!"
    assert first.etag != second.etag
    assert (await provider.head("key")).metadata == {}


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"",),
        (b"one", b"", b"two"),
        (b"x" * (PART_SIZE - 1),),
        (b"x" * PART_SIZE,),
        (b"y" * MiB,) * 10,
        (b"z" * MiB,) * 11,
    ],
    ids=["nothing", "empty", "small", "a byte less than a part", "one part", "two parts", "two parts and more"],
)
async def test_put_a_stream(provider: StorageProvider, parts: tuple[bytes, ...]) -> None:
    """A stream of unknown length is stored completely, in one part or in several."""
    info = await provider.put("stream", chunks(*parts), metadata={"kind": "stream"}, content_type="text/plain")
    whole = b"".join(parts)
    assert info.size == len(whole)
    assert await provider.get("stream") == whole
    found = await provider.get_metadata("stream")
    assert (found["metadata"], found["content_type"]) == ({"kind": "stream"}, "text/plain")
    assert await open_uploads(provider) == ()


async def test_a_stream_that_fails_stores_nothing(provider: StorageProvider) -> None:
    """An error in the stream is raised unchanged; no object is stored and no upload stays open."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * (PART_SIZE + 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await provider.put("stream", failing())
    assert not await provider.exists("stream")
    assert await open_uploads(provider) == ()


async def test_get_range(provider: StorageProvider) -> None:
    """A range is half-open and is cut at the object's end; a range that begins at the end is refused."""
    await provider.put("key", DATA)
    assert await provider.get_range("key", 0, 10) == DATA[:10]
    assert await provider.get_range("key", 1000, 1001) == DATA[1000:1001]
    assert await provider.get_range("key", 4000, 9999) == DATA[4000:]
    assert await provider.get_range("key", 5, 5) == b""
    with pytest.raises(InvalidRangeError):
        await provider.get_range("key", len(DATA), len(DATA) + 1)
    with pytest.raises(InvalidRangeError):
        await provider.get_range("key", 9, 3)


async def test_get_ranges(provider: StorageProvider) -> None:
    """Several ranges come in the requested order, coalesced or not."""
    await provider.put("key", DATA)
    wanted = [(2000, 2010), (0, 4), (2, 6), (4090, 4096), (7, 7)]
    expected = [DATA[start:end] for start, end in wanted]
    assert await provider.get_ranges("key", wanted) == expected
    assert await provider.get_ranges("key", wanted, coalesce=0) == expected
    assert await provider.get_ranges("key", []) == []


async def test_stream(provider: StorageProvider) -> None:
    """A stream gives the object in chunks of at most the chunk size, and has the object's properties."""
    await provider.put("key", DATA)
    async with provider.stream("key", chunk_size=1000) as reader:
        assert reader.info.size == len(DATA)
        found = [chunk async for chunk in reader]
    assert b"".join(found) == DATA
    assert max(map(len, found)) <= 1000
    async with provider.stream("key", start=100, end=200) as reader:
        assert b"".join([chunk async for chunk in reader]) == DATA[100:200]
    async with provider.stream("key", start=4000) as reader:
        assert b"".join([chunk async for chunk in reader]) == DATA[4000:]


async def test_a_stream_may_be_left_early(provider: StorageProvider) -> None:
    """Leaving a stream after its first chunk leaves the provider usable."""
    await provider.put("key", bytes(3 * MiB))
    async with provider.stream("key") as reader:
        async for chunk in reader:
            assert chunk
            break
    assert await provider.get_file_size("key") == 3 * MiB


async def test_an_empty_object_streams_nothing(provider: StorageProvider) -> None:
    """An empty object has no chunks."""
    await provider.put("empty", b"")
    async with provider.stream("empty") as reader:
        assert [chunk async for chunk in reader] == []


async def test_reading_what_is_missing(provider: StorageProvider) -> None:
    """Every way to read a missing object raises `NotFoundError`."""
    for call in (provider.get("no"), provider.get_range("no", 0, 1), provider.head("no")):
        with pytest.raises(NotFoundError):
            await call
    with pytest.raises(NotFoundError):
        async with provider.stream("no"):
            pass


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys(provider: StorageProvider, key: str) -> None:
    """Keys that a URL or a shell would change are stored, listed, copied and deleted unchanged."""
    await provider.put(key, key.encode())
    assert await provider.get(key) == key.encode()
    assert await provider.list_files() == [key]
    if provider.capabilities.copy:
        await provider.copy(key, f"copy of {key}")
        assert await provider.get(f"copy of {key}") == key.encode()
    await provider.delete_many([key, f"copy of {key}"])
    assert await provider.list_files() == []


IMPOSSIBLE_KEYS: dict[str, Callable[[int], str]] = {
    "empty": lambda _: "",
    "too long": lambda limit: "x" * (limit + 1),
    "too long in UTF-8": lambda limit: "é" * (limit // 2 + 1),
    "lone surrogate": lambda _: "lone \ud800 surrogate",
}
"""Keys that no provider accepts, made from the limit of its row."""


@pytest.mark.parametrize("kind", IMPOSSIBLE_KEYS)
async def test_impossible_keys(provider: StorageProvider, kind: str) -> None:
    """Keys that no vendor accepts are refused by every method before anything is sent."""
    key = IMPOSSIBLE_KEYS[kind](provider.capabilities.max_key_length)
    await provider.put("source", b"data")
    for call in (
        lambda: provider.put(key, b"x"),
        lambda: provider.get(key),
        lambda: provider.head(key),
        lambda: provider.delete(key),
    ):
        with pytest.raises(InvalidKeyError):
            await call()
    if provider.capabilities.copy:
        for source, destination in (("source", key), (key, "destination")):
            with pytest.raises(InvalidKeyError):
                await provider.copy(source, destination)
    assert await provider.list_files() == ["source"]


@pytest.mark.parametrize("key", ["/absolute", "../up", "a/../b", "a//b", "dir/", "./a"])
async def test_keys_that_are_no_paths(provider: StorageProvider, key: str) -> None:
    """If keys are file paths, a key outside the directory, or not a file name, is refused."""
    if not provider.capabilities.plain_paths:
        pytest.skip("keys are not paths here")
    for call in (provider.put(key, b"x"), provider.get(key), provider.delete(key)):
        with pytest.raises(UnsafeKeyError):
            await call
    assert await provider.list_files() == []


async def test_metadata_names_are_lower_case(provider: StorageProvider) -> None:
    """Metadata is read back with lower-case names and unchanged values."""
    await provider.put("key", b"x", metadata={"Mixed-Case": "Value With Blanks", "n": "1", "empty": ""})
    expected = {"mixed-case": "Value With Blanks", "n": "1", "empty": ""}
    assert (await provider.get_metadata("key"))["metadata"] == expected


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "é"},
        {"a b": "x"},
        {"a": "line\nbreak"},
        {"a": " padded"},
        {"A": "1", "a": "2"},
        {"a": "x" * 9000},
        {WRITE_TOKEN: "x"},
    ],
    ids=["not ASCII", "a name with a blank", "line break", "outer blank", "twice", "too large", "reserved"],
)
async def test_bad_metadata(provider: StorageProvider, metadata: dict[str, str]) -> None:
    """Metadata that a header cannot hold unchanged is refused, and nothing is stored."""
    with pytest.raises(InvalidMetadataError):
        await provider.put("key", b"x", metadata=metadata)
    with pytest.raises(InvalidMetadataError):
        await provider.put("key", chunks(b"x"), metadata=metadata)
    assert await provider.list_files() == []


@pytest.mark.needs("copy")
async def test_copy_keeps_everything(provider: StorageProvider) -> None:
    """A copy has the source's bytes, content type and metadata; the source stays."""
    await provider.put("source", DATA, content_type="text/csv", metadata={"a": "1"})
    copied = await provider.copy("source", "sub/copy")
    assert (copied.key, copied.size) == ("sub/copy", len(DATA))
    found = await provider.head("sub/copy")
    assert (found.content_type, found.metadata["a"]) == ("text/csv", "1")
    assert await provider.get("sub/copy") == await provider.get("source") == DATA


@pytest.mark.needs("copy")
async def test_copying_what_is_missing(provider: StorageProvider) -> None:
    """A copy of a missing object raises `NotFoundError`, and makes no object."""
    with pytest.raises(NotFoundError):
        await provider.copy("no", "to")
    assert await provider.list_files() == []


@pytest.mark.needs("copy")
async def test_move(provider: StorageProvider) -> None:
    """A moved object is at its new key only."""
    await provider.put("old/key", DATA)
    await provider.move("old/key", "new/key")
    assert await provider.list_files() == ["new/key"]
    assert await provider.get("new/key") == DATA


async def test_delete_many(provider: StorageProvider) -> None:
    """Every key of a batch has an outcome; missing objects count as deleted."""
    for key in ("a/1", "a/2", "b"):
        await provider.put(key, b"x")
    result = await provider.delete_many(["a/1", "a/2", "missing", "a/1"])
    assert sorted(result.succeeded) == ["a/1", "a/2", "missing"]
    assert result.failed == {}
    result.raise_for_failures()
    assert await provider.list_files() == ["b"]


async def test_what_the_row_denies_is_refused(provider: StorageProvider) -> None:
    """Signed URLs and versions are refused if the row does not promise them."""
    await provider.put("key", b"x")
    if not provider.capabilities.presign_methods:
        with pytest.raises(UnsupportedError):
            await provider.presign("key")
    if not provider.capabilities.presign_post:
        with pytest.raises(UnsupportedError):
            await provider.presign_post("key")


async def test_pickling(provider: StorageProvider, pool: SessionPool) -> None:
    """A provider pickles, and its copy uses the same bucket or directory; or pickling is refused."""
    await provider.put("key", b"data")
    try:
        pickled = pickle.dumps((provider, pool))
    except UnsupportedError:
        return
    copy, copied_pool = pickle.loads(pickled)
    async with copied_pool, copy:
        assert await copy.get("key") == b"data"


async def test_providers_describe_themselves(provider: StorageProvider) -> None:
    """Name, URL and repr identify the bucket or directory, and hold no secret."""
    assert provider.name
    assert "some/key" in provider.locate("some/key")
    assert "secret" not in repr(provider)
