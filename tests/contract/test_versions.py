"""Versions of objects: listed, read, deleted; and refused if the vendor's row does not promise them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from bucketry._core.options import ReadOptions
from bucketry._core.values import ObjectVersion
from bucketry.errors import NotFoundError, UnsupportedError
from tests.contract.conftest import OpenFile, Sink
from tests.contract.servers import S3Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make = Callable[..., Any]


def versioned(moto: S3Server) -> str:
    """Make a bucket that keeps versions, and give its name."""
    name: str = moto.new_bucket()["bucket_name"]
    moto.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


async def all_of(provider: Any, prefix: str = "") -> list[ObjectVersion]:
    """Give every version."""
    found: list[ObjectVersion] = []
    token = None
    while True:
        page = await provider.list_versions_page(prefix, token=token)
        found += page.entries
        if (token := page.next_token) is None:
            return found


async def test_versions_are_listed_and_read(on_moto: Make, moto: S3Server) -> None:
    """Versions are listed by key, the newest first; each can be read by its id."""
    async with on_moto(bucket=versioned(moto)) as provider:
        old = await provider.put("a +ö&/1", b"old")
        new = await provider.put("a +ö&/1", b"newer")
        await provider.put("a", b"other")
        first, second, third = await all_of(provider)
        assert [one.key for one in (first, second, third)] == ["a", "a +ö&/1", "a +ö&/1"]
        assert {second.version_id, third.version_id} == {old.version_id, new.version_id}
        latest = next(one for one in (second, third) if one.version_id == new.version_id)
        assert (latest.size, latest.etag, latest.storage_class, latest.is_delete_marker) == (
            *(5, new.etag, "STANDARD"),
            False,
        )
        assert latest.last_modified.tzinfo is not None
        assert [one.key for one in await all_of(provider, "a +")] == ["a +ö&/1"] * 2
        assert await provider.get("a +ö&/1", version_id=old.version_id) == b"old"
        assert await provider.get("a +ö&/1") == b"newer"
        assert (await provider.head("a +ö&/1", version_id=old.version_id)).size == 3


async def test_a_delete_leaves_a_marker(on_moto: Make, moto: S3Server) -> None:
    """A delete marker is listed, and deleting it restores the object; deleting a version removes it for good."""
    async with on_moto(bucket=versioned(moto)) as provider:
        made = await provider.put("k", b"data")
        await provider.delete("k")
        marker = next(one for one in await all_of(provider) if one.is_delete_marker)
        assert (marker.key, marker.is_latest, marker.size, marker.etag) == ("k", True, 0, "")
        assert not await provider.exists("k")
        await provider.delete("k", version_id=marker.version_id)
        assert await provider.get("k") == b"data"
        await provider.delete("k", version_id=made.version_id)
        assert await all_of(provider) == []
        with pytest.raises(NotFoundError):
            await provider.get("k")


async def test_pages_of_versions(on_moto: Make, moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete page has a token for the next page, and no version is lost or given twice."""
    async with on_moto(bucket=versioned(moto)) as provider:
        made = {(await provider.put(key, b"x" * size)).version_id for key in ("a&b", "b ö") for size in range(3)}
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
        page = await provider.list_versions_page()
        assert (len(page.entries), page.next_token is not None) == (2, True)
        found = await all_of(provider)
    assert len(found) == 6
    assert {one.version_id for one in found} == made
    assert [one.key for one in found] == ["a&b"] * 3 + ["b ö"] * 3


async def test_versions_are_refused_where_there_are_none(on_moto: Make, open_file: OpenFile) -> None:
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
