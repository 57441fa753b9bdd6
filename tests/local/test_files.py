"""Objects of the local provider are plain files below the base directory."""

# ruff: noqa: ASYNC240 - the tests look at the disk between calls, and nothing else runs meanwhile

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from bucketry._core.config import LocalConfig
from bucketry._core.options import WriteOptions
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import (
    NotFoundError,
    UnsafeKeyError,
)
from tests.local.disk import PLAIN, left_behind, names, read


async def test_objects_are_plain_files(local: LocalRequests, base: Path) -> None:
    """The key is the path below the base, and without metadata nothing else is stored."""
    await local.put_object("models/v1/model.bin", b"weights", PLAIN)
    assert (base / "models/v1/model.bin").read_bytes() == b"weights"
    assert left_behind(base) == []


async def test_files_of_other_programs_are_objects(local: LocalRequests, base: Path) -> None:
    """Another program's file can be read, listed, replaced and deleted like any object."""
    (base / "dir").mkdir()
    (base / "dir" / "notes.json").write_text("{}")
    info = await local.head("dir/notes.json")
    assert (info.size, info.content_type, info.metadata) == (2, "application/json", {})
    assert await names(local) == ["dir/notes.json"]
    await local.put_object("dir/notes.json", b"new", WriteOptions(if_match=info.etag))
    await local.delete("dir/notes.json")
    assert not (base / "dir").exists()


async def test_names_that_cannot_be_keys_are_left_out(
    local: LocalRequests, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is not UTF-8, or not valid as a key, is left out of listings with a warning."""
    (base / "good").write_bytes(b"")
    for name in (b"bad-\xff", b"C:drive", b"\\absolute"):
        Path(os.fsdecode(os.fsencode(base) + b"/" + name)).write_bytes(b"")
    with caplog.at_level(logging.WARNING, "bucketry"):
        assert await names(local) == ["good"]
    assert len(caplog.records) == 3


async def test_only_regular_files_are_objects(local: LocalRequests, base: Path) -> None:
    """Pipes and directories are not objects: they are not listed and not found, and a pipe is never waited for."""
    os.mkfifo(base / "pipe")
    (base / "empty").mkdir()
    assert await names(local) == []
    assert await names(local, delimiter="/") == []
    for key in ("pipe", "empty"):
        with pytest.raises(NotFoundError):
            await local.head(key)
    await local.delete("empty")
    assert (base / "empty").is_dir()


async def test_below_an_object_there_is_nothing(local: LocalRequests) -> None:
    """A key below another object's key is not found, can be deleted like any missing one, and cannot be written."""
    await local.put_object("a", b"", PLAIN)
    with pytest.raises(NotFoundError):
        await local.head("a/b")
    await local.delete("a/b")
    for key in ("a/b", "a/b/c"):
        for options in (PLAIN, WriteOptions(if_none_match="*"), WriteOptions(metadata={"x": "y"})):
            with pytest.raises(UnsafeKeyError, match="an object already"):
                await local.put_object(key, b"", options)


async def test_a_directory_cannot_be_an_object(local: LocalRequests, base: Path) -> None:
    """A key with other keys below it cannot be written, and the error says why."""
    await local.put_object("a/b", b"", PLAIN)
    for options in (PLAIN, WriteOptions(if_none_match="*")):
        with pytest.raises(UnsafeKeyError, match="is a directory"):
            await local.put_object("a", b"", options)
    assert left_behind(base) == []


async def test_a_path_that_is_too_long(local: LocalRequests) -> None:
    """A name that the file system cannot hold is refused as a key."""
    with pytest.raises(UnsafeKeyError):
        await local.put_object("x" * 256, b"", PLAIN)


@pytest.mark.parametrize(
    "key",
    ["../up", "a/../../up", "/etc/passwd", "a//b", "./a", "a/.", "a/", "a\0b", "C:\\x", "\\\\host\\x", "a\\..\\b"],
)
async def test_hostile_keys(local: LocalRequests, base: Path, key: str) -> None:
    """Every method refuses a key that is not a plain path below the base."""
    for call in (
        lambda: local.put_object(key, b"x", PLAIN),
        lambda: local.head(key),
        lambda: local.delete(key),
        lambda: local.create_multipart(key, PLAIN),
        lambda: local.copy_object("source", key),
    ):
        with pytest.raises(UnsafeKeyError):
            await call()
    assert list(base.parent.iterdir()) == [base]
    assert left_behind(base) == []


@pytest.mark.parametrize("key", [".bucketry", ".bucketry/locks", ".bucketry/meta/x", ".BUCKETRY/lock"])
async def test_own_files_are_no_objects(local: LocalRequests, key: str) -> None:
    """The provider's own files cannot be read, written, deleted or listed as objects."""
    for call in (local.head, local.delete):
        with pytest.raises(UnsafeKeyError):
            await call(key)
    with pytest.raises(UnsafeKeyError):
        await local.put_object(key, b"x", PLAIN)
    assert await names(local, ".bucketry") == await names(local, ".bucketry/") == []


async def test_links_do_not_lead_out(local: LocalRequests, base: Path, tmp_path: Path) -> None:
    """No method follows a symbolic link out of the base, neither a directory's nor a file's."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (base / "dir").symlink_to(outside)
    (base / "file").symlink_to(outside / "secret")
    for key in ("dir/secret", "file"):
        with pytest.raises(UnsafeKeyError):
            await local.head(key)
    with pytest.raises(UnsafeKeyError):
        await local.put_object("dir/new", b"x", PLAIN)
    with pytest.raises(UnsafeKeyError):
        await local.delete("dir/secret")
    assert await names(local) == await names(local, "dir/") == []
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_a_link_is_replaced_and_deleted_itself(local: LocalRequests, base: Path, tmp_path: Path) -> None:
    """Writing to a key that is a link replaces the link, and deleting removes it; the link's target stays."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside")
    for _ in range(2):
        (base / "key").symlink_to(outside)
        await local.put_object("key", b"inside", PLAIN)
        assert not (base / "key").is_symlink()
        assert await read(local, "key") == b"inside"
        (base / "key").unlink()
    (base / "key").symlink_to(outside)
    await local.delete("key")
    assert not (base / "key").is_symlink()
    assert outside.read_bytes() == b"outside"


async def test_links_inside_the_base_are_objects(local: LocalRequests, base: Path) -> None:
    """A link to a file inside the base is an object; one to a directory or to the provider's own files is not."""
    await local.put_object("real/file", b"data", PLAIN)
    (base / "link").symlink_to(base / "real" / "file")
    (base / "loop").symlink_to(base)
    (base / ".bucketry" / "own").write_bytes(b"")
    (base / "own").symlink_to(base / ".bucketry" / "own")
    (base / "dangling").symlink_to(base / "nothing")
    assert await names(local) == ["link", "real/file"]
    assert await read(local, "link") == b"data"
    with pytest.raises(UnsafeKeyError):
        await local.head("own")
    with pytest.raises(NotFoundError):
        await local.head("dangling")


async def test_the_base_itself_may_be_a_link(tmp_path: Path) -> None:
    """A base directory that is a symbolic link works like any other."""
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "real")
    local = LocalRequests(LocalConfig(base_path=tmp_path / "base"), VENDOR)
    await local.connect()
    await local.put_object("a/b", b"x", PLAIN)
    assert await names(local) == ["a/b"]
    assert await read(local, "a/b") == b"x"
