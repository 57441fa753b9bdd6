"""Metadata and etags of local files."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from bucketry import LocalProvider
from bucketry._core.checks import WRITE_TOKEN
from bucketry._core.config import LocalConfig
from bucketry._core.options import WriteOptions
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import (
    AlreadyExistsError,
    NotFoundError,
    PreconditionFailedError,
)
from tests.local.disk import PLAIN, left_behind


async def test_a_file_changed_by_others_has_no_metadata(local: LocalRequests, base: Path) -> None:
    """Metadata belongs only to the version that was put; a file changed by others has none."""
    info = await local.put_object("key", b"data", WriteOptions(metadata={"a": "1"}))
    with (base / "key").open("ab") as file:
        file.write(b"!")
    found = await local.head("key")
    assert (found.size, found.metadata) == (5, {})
    assert found.etag != info.etag


async def test_details_come_and_go_with_the_object(local: LocalRequests, base: Path) -> None:
    """Metadata is stored, replaced, copied and deleted together with its object."""
    options = WriteOptions(metadata={"a": "1"}, content_type="x/y", storage_class="COLD")
    await local.put_object("key", b"one", options)
    found = await local.head("key")
    assert (found.metadata, found.content_type, found.storage_class) == ({"a": "1"}, "x/y", "COLD")
    await local.copy_object("key", "copy")
    assert (await local.head("copy")).metadata == {"a": "1"}
    await local.put_object("key", b"two", WriteOptions(metadata={"b": "2"}))
    assert (await local.head("key")).metadata == {"b": "2"}
    assert len([name for name in left_behind(base) if name.endswith(".json")]) == 2
    await local.put_object("key", b"three", PLAIN)
    await local.delete("copy")
    assert left_behind(base) == []


async def test_the_mark_of_a_write_is_kept(local: LocalRequests) -> None:
    """The write token is stored and returned, separate from the metadata."""
    await local.put_object("key", b"", WriteOptions(metadata={"a": "1", WRITE_TOKEN: "mine"}))
    found = await local.head("key")
    assert (found.write_token, found.metadata) == ("mine", {"a": "1"})


async def test_a_write_that_fails_keeps_the_old_metadata(local: LocalRequests, base: Path) -> None:
    """A refused write changes neither object nor metadata, and leaves no other file."""
    await local.put_object("key", b"old", WriteOptions(metadata={"a": "old"}))
    before = left_behind(base)
    for options in (
        WriteOptions(metadata={"a": "new"}, if_none_match="*"),
        WriteOptions(metadata={"a": "new"}, if_match='"wrong"'),
    ):
        with pytest.raises((AlreadyExistsError, PreconditionFailedError)):
            await local.put_object("key", b"new", options)
    assert (await local.head("key")).metadata == {"a": "old"}
    assert left_behind(base) == before


@pytest.mark.slow
async def test_readers_see_bytes_and_metadata_of_one_version(local: LocalRequests) -> None:
    """While an object is replaced repeatedly, a read's size, bytes and metadata are always of one version."""
    writing = True

    async def write() -> None:
        nonlocal writing
        for number in range(100):
            data = b"x" * number
            await local.put_object("key", data, WriteOptions(metadata={"size": str(number)}))
        writing = False

    async def look() -> None:
        while writing:
            with suppress(NotFoundError):
                async with local.open_body("key") as body:
                    data = b"".join([chunk async for chunk in body])
                assert body.info.metadata == {"size": str(len(data))}
                assert body.info.size == len(data)

    async with asyncio.TaskGroup() as group:
        for task in (write(), look(), look(), look()):
            group.create_task(task)


async def test_damaged_details_do_not_hide_the_object(
    local: LocalRequests, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An object with a damaged metadata file is read without metadata, with a warning."""
    await local.put_object("key", b"data", WriteOptions(metadata={"a": "1"}))
    (sidecar,) = (base / ".bucketry" / "meta").glob("*/*.json")
    assert json.loads(sidecar.read_text())["key"] == "key"
    sidecar.write_text("{")
    assert (await local.head("key")).metadata == {}
    assert "damaged" in caplog.text


def test_etags_differ_within_a_tick_of_the_clock(base: Path) -> None:
    """Versions written one after another have different etags, even if inodes are reused."""

    async def write() -> set[str]:
        local = LocalRequests(LocalConfig(base_path=base), VENDOR)
        return {(await local.put_object("key", b"same", PLAIN)).etag for _ in range(200)}

    assert len(asyncio.run(write())) == 200


async def test_the_usual_type_takes_no_file(tmp_path: Path) -> None:
    """On the disk, a content type is stored only if it differs from the type of the suffix."""
    provider = LocalProvider({"base_path": tmp_path})
    await provider.put("page.html", b"1")
    assert list((tmp_path / ".bucketry").glob("meta/*")) == []
    await provider.put("page.html", b"1", content_type="text/plain")
    assert len(list((tmp_path / ".bucketry").glob("meta/*/*"))) == 1
