"""Versions of objects: listed, read, deleted; and refused if the vendor's row does not promise them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from bucketry._core.options import ReadOptions
from bucketry._core.values import ObjectVersion
from bucketry.errors import NotFoundError, UnsupportedError
from bucketry.providers import PrefixedProvider, StorageProvider
from tests.contract.conftest import OpenFile, Sink

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = "a +ö&/1"


@pytest_asyncio.fixture(loop_scope="session")
async def versioned(provider: StorageProvider, request: pytest.FixtureRequest) -> StorageProvider:
    """Give a provider whose bucket keeps versions; skip the test on a real bucket that does not."""
    probe = await provider.put("probe", b"")
    if request.config.getoption("--live") and probe.version_id is None:
        pytest.skip("the bucket keeps no versions")
    assert probe.version_id is not None
    await provider.delete("probe", version_id=probe.version_id)
    return provider


async def all_of(provider: StorageProvider, prefix: str = "") -> list[ObjectVersion]:
    """Give every version."""
    return [found async for found in provider.list_versions(prefix)]


@pytest.mark.needs("versions")
async def test_versions_are_listed(versioned: StorageProvider) -> None:
    """Versions are listed by key, of one key the latest first, each with its size, etag and state."""
    old = await versioned.put(KEY, b"old")
    new = await versioned.put(KEY, b"newer")
    other = await versioned.put("a", b"other")
    found = await all_of(versioned)
    assert [(one.key, one.version_id, one.size, one.etag, one.is_latest, one.is_delete_marker) for one in found] == [
        ("a", other.version_id, 5, other.etag, True, False),
        (KEY, new.version_id, 5, new.etag, True, False),
        (KEY, old.version_id, 3, old.etag, False, False),
    ]
    assert all(one.last_modified.tzinfo is not None for one in found)
    assert await all_of(versioned, "a +") == found[1:]
    below = [(one.key, one.version_id) for one in await all_of(PrefixedProvider(versioned, "a +"))]
    assert below == [("ö&/1", new.version_id), ("ö&/1", old.version_id)]


@pytest.mark.needs("versions")
async def test_a_version_is_read_by_its_id(versioned: StorageProvider, open_file: OpenFile) -> None:
    """Every kind of read gives the version with the given id; without an id, the latest version."""
    old = await versioned.put(KEY, b"old", metadata={"a": "1"}, cache_control="no-store")
    new = await versioned.put(KEY, b"newer")
    assert await versioned.get(KEY, version_id=old.version_id) == b"old"
    assert await versioned.get_range(KEY, 1, 3, version_id=old.version_id) == b"ld"
    for range_, expected in (({}, b"old"), ({"start": 1}, b"ld"), ({"end": 2}, b"ol")):
        async with versioned.stream(KEY, version_id=old.version_id, **range_) as chunks:
            assert b"".join([chunk async for chunk in chunks]) == expected
    found = await versioned.head(KEY, version_id=old.version_id)
    async with versioned.open_body(KEY, ReadOptions(version_id=old.version_id)) as body:
        assert await body.read() == b"old"
    sink = Sink(open_file(b""), 0, needs_bytes=True)
    fetched = await versioned.fetch_range(KEY, sink, ReadOptions(version_id=old.version_id))
    assert os.pread(sink.fd, 10, 0) == b"old"
    for info in (found, body.info, fetched):
        assert (info.version_id, info.size, info.etag) == (old.version_id, 3, old.etag)
        assert (info.metadata, info.cache_control) == ({"a": "1"}, "no-store")
    assert await versioned.get(KEY) == await versioned.get(KEY, version_id=new.version_id) == b"newer"
    assert (await versioned.head(KEY)).version_id == new.version_id


@pytest.mark.needs("versions")
async def test_a_delete_leaves_a_marker(versioned: StorageProvider) -> None:
    """A delete marker is listed, and deleting it restores the object."""
    made = await versioned.put(KEY, b"data")
    await versioned.delete(KEY)
    marker, version = await all_of(versioned)
    assert (marker.key, marker.is_latest, marker.is_delete_marker, marker.size, marker.etag) == (KEY, True, True, 0, "")
    assert (version.version_id, version.is_latest, version.is_delete_marker) == (made.version_id, False, False)
    assert not await versioned.exists(KEY)
    assert await versioned.get(KEY, version_id=made.version_id) == b"data"
    await versioned.delete(KEY, version_id=marker.version_id)
    assert await versioned.get(KEY) == b"data"


@pytest.mark.needs("versions")
async def test_a_version_is_deleted_for_good(versioned: StorageProvider) -> None:
    """Deleting a version removes only this version, and it cannot be read any more."""
    old = await versioned.put(KEY, b"old")
    new = await versioned.put(KEY, b"new")
    await versioned.delete(KEY, version_id=old.version_id)
    assert [one.version_id for one in await all_of(versioned)] == [new.version_id]
    for request in (versioned.get, versioned.head):
        with pytest.raises(NotFoundError):
            await request(KEY, version_id=old.version_id)
    assert await versioned.get(KEY) == b"new"
    await versioned.delete(KEY, version_id=new.version_id)
    assert await all_of(versioned) == []
    with pytest.raises(NotFoundError):
        await versioned.get(KEY)


async def test_pages_of_versions(on_moto: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete page has a token for the next page, and no version is lost or given twice."""
    async with on_moto(versions=True) as provider:
        made = {(await provider.put(key, b"x" * size)).version_id for key in ("a&b", "b ö") for size in range(3)}
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
        page = await provider.list_versions_page()
        assert (len(page.entries), page.next_token is not None) == (2, True)
        found = await all_of(provider)
    assert len(found) == 6
    assert {one.version_id for one in found} == made
    assert [one.key for one in found] == ["a&b"] * 3 + ["b ö"] * 3


async def test_nothing_is_sent_where_there_are_none(on_moto: Callable[..., Any], open_file: OpenFile) -> None:
    """If a row does not promise versions, a version id or a listing of versions is refused before any request."""
    provider = on_moto(server="generic", endpoint_url="http://127.0.0.1:9", max_attempts=1)
    sink = Sink(open_file(b""), 0, needs_bytes=False)
    for request in (
        lambda: provider.head("k", version_id="v1"),
        lambda: provider.get("k", version_id="v1"),
        lambda: provider.get_range("k", 0, 1, version_id="v1"),
        lambda: provider.fetch_range("k", sink, ReadOptions(version_id="v1")),
        lambda: provider.delete("k", version_id="v1"),
        provider.list_versions_page,
    ):
        with pytest.raises(UnsupportedError, match=r"capabilities\.versions is False") as caught:
            await request()
        assert caught.value.provider == "s3"
    assert os.fstat(sink.fd).st_size == 0
