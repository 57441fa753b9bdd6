"""Multipart uploads, which are stored in the provider's own directory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bucketry._core.config import LocalConfig
from bucketry._core.options import WriteOptions
from bucketry._core.values import MultipartUpload
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import (
    LocalFileError,
    UploadNotFoundError,
)
from tests.local.disk import PLAIN, left_behind


@pytest.mark.parametrize("upload_id", ["..", "../../key", "x" * 32, "", "0" * 32])
async def test_upload_ids_are_no_paths(local: LocalRequests, base: Path, upload_id: str) -> None:
    """An unknown upload id is not found, even if it looks like a path."""
    await local.put_object("key", b"x", PLAIN)
    forged = MultipartUpload(key="key", upload_id=upload_id)
    with pytest.raises(UploadNotFoundError):
        await local.put_part(forged, 1, b"x")
    with pytest.raises(UploadNotFoundError):
        await local.complete_multipart(forged, [], PLAIN)
    await local.abort_multipart(forged)
    assert (base / "key").exists()


async def test_an_upload_belongs_to_its_key(local: LocalRequests) -> None:
    """An upload cannot be completed under another key."""
    upload = await local.create_multipart("key", PLAIN)
    part = await local.put_part(upload, 1, b"x")
    with pytest.raises(UploadNotFoundError):
        await local.complete_multipart(replace(upload, key="other"), [part], PLAIN)


async def test_uploads_outlive_the_process(local: LocalRequests, base: Path) -> None:
    """Another provider with the same directory lists an open upload and completes it."""
    upload = await local.create_multipart("a/key", WriteOptions(metadata={"m": "1"}))
    part = await local.put_part(upload, 1, b"x")
    other = LocalRequests(LocalConfig(base_path=base), VENDOR)
    assert await other.list_multiparts("a/") == (upload,)
    info = await other.complete_multipart(upload, [part], WriteOptions(if_none_match="*"))
    assert (info.metadata, await other.list_multiparts()) == ({"m": "1"}, ())
    assert [name for name in left_behind(base) if not name.startswith("meta")] == []


async def test_of_two_completions_one_finds_no_upload(local: LocalRequests) -> None:
    """Of two parallel completions, one publishes the object, and the other finds no upload."""
    upload = await local.create_multipart("key", PLAIN)
    parts = [await local.put_part(upload, number, b"x" * 1000) for number in range(1, 5)]
    done = await asyncio.gather(
        *(local.complete_multipart(upload, parts, PLAIN) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["ObjectInfo", "UploadNotFoundError", "UploadNotFoundError"]


async def test_what_is_no_upload_is_passed_over(local: LocalRequests, base: Path) -> None:
    """Unknown files and directories among the open uploads are skipped, without an error."""
    upload = await local.create_multipart("key", PLAIN)
    uploads = base / ".bucketry" / "uploads"
    (uploads / "stray").write_bytes(b"x")
    (uploads / ("0" * 32)).write_bytes(b"a file with an upload's name")
    for number, record in enumerate(("{", "[]", '{"key": 1}', '{"key": "key", "initiated": 5}'), start=1):
        directory = uploads / f"{number:032x}"
        directory.mkdir()
        (directory / "upload.json").write_text(record)
    (uploads / "stray directory").mkdir()
    assert [found.upload_id for found in await local.list_multiparts()] == [upload.upload_id]
    with pytest.raises(UploadNotFoundError):
        await local.put_part(MultipartUpload(key="key", upload_id=f"{1:032x}"), 1, b"x")


async def test_uploads_that_cannot_be_read_are_an_error(local: LocalRequests, base: Path) -> None:
    """If the disk refuses access to the uploads, our error names the path."""
    own = base / ".bucketry"
    own.mkdir(parents=True, exist_ok=True)
    if (own / "uploads").exists():
        (own / "uploads").rmdir()
    (own / "uploads").write_bytes(b"x")
    with pytest.raises(LocalFileError, match="uploads"):
        await local.list_multiparts()
