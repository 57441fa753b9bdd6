"""The nine classic methods do the same on every provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bucketry.errors import LocalFileNotFoundError, NotFoundError
from bucketry.providers import StorageProvider
from tests.contract.conftest import PART_SIZE, open_uploads

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_connect_can_be_called_again(provider: StorageProvider) -> None:
    """A second connect and a call after disconnect both work."""
    await provider.connect()
    await provider.disconnect()
    assert not await provider.exists("models/none.bin")
    await provider.disconnect()


async def test_upload_then_download(provider: StorageProvider, tmp_path: Path) -> None:
    """An uploaded file is downloaded unchanged, with its metadata."""
    source, target = tmp_path / "source.bin", tmp_path / "new" / "target.bin"
    source.write_bytes(b"weights" * 1000)
    sent = await provider.upload(source, "models/v1/model.bin", metadata={"Version": "1.0"})
    assert (sent.key, sent.size) == ("models/v1/model.bin", 7000)
    received = await provider.download("models/v1/model.bin", str(target))
    assert received.size == 7000
    assert target.read_bytes() == source.read_bytes()
    assert (await provider.get_metadata("models/v1/model.bin"))["metadata"] == {"version": "1.0"}


@pytest.mark.slow
async def test_upload_and_download_in_parts(provider: StorageProvider, tmp_path: Path) -> None:
    """A file of several parts is downloaded unchanged, and no upload stays open."""
    source, target = tmp_path / "source.bin", tmp_path / "target.bin"
    source.write_bytes(bytes(range(256)) * (10 * PART_SIZE // 1024) + b"tail")
    await provider.upload(source, "big.bin")
    await provider.download("big.bin", target)
    assert target.read_bytes() == source.read_bytes()
    assert await open_uploads(provider) == ()


async def test_upload_of_a_missing_file(provider: StorageProvider, tmp_path: Path) -> None:
    """Uploading a missing file fails, and nothing is stored."""
    with pytest.raises(LocalFileNotFoundError):
        await provider.upload(tmp_path / "missing", "key")
    assert await provider.list_files() == []


async def test_list_files_takes_a_literal_prefix(provider: StorageProvider) -> None:
    """`list_files` gives every key that begins with the prefix, across directories, in order."""
    for key in ("bus/1", "bus/2", "bush", "other"):
        await provider.put(key, b"x")
    assert await provider.list_files() == ["bus/1", "bus/2", "bush", "other"]
    assert await provider.list_files("bus") == ["bus/1", "bus/2", "bush"]
    assert await provider.list_files("bus/") == ["bus/1", "bus/2"]
    assert await provider.list_files("no such prefix") == []


async def test_exists_and_delete(provider: StorageProvider) -> None:
    """A deleted object does not exist any more, and deleting it again succeeds."""
    await provider.put("a/b/c.txt", b"x")
    assert await provider.exists("a/b/c.txt")
    assert not await provider.exists("a/b")
    await provider.delete("a/b/c.txt")
    assert not await provider.exists("a/b/c.txt")
    await provider.delete("a/b/c.txt")
    await provider.delete("never/was")


async def test_size_and_metadata(provider: StorageProvider) -> None:
    """Size and metadata are those of the object."""
    info = await provider.put("a.json", b"{}", content_type="application/json", metadata={"Owner": "me"})
    assert await provider.get_file_size("a.json") == 2
    found = await provider.get_metadata("a.json")
    assert found.keys() == {
        *("size", "etag", "last_modified", "content_type", "storage_class", "version_id", "metadata")
    }
    assert (found["size"], found["content_type"]) == (2, "application/json")
    assert found["metadata"] == {"owner": "me"}
    assert found["etag"] == info.etag
    assert abs(datetime.now(UTC) - found["last_modified"]) < timedelta(minutes=5)


async def test_missing_objects_are_not_found(provider: StorageProvider, tmp_path: Path) -> None:
    """Reading a missing object raises `NotFoundError`, which is a `FileNotFoundError`."""
    target = tmp_path / "target"
    with pytest.raises(NotFoundError) as caught:
        await provider.download("missing", target)
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(NotFoundError):
        await provider.get_file_size("missing")
    with pytest.raises(NotFoundError):
        await provider.get_metadata("missing")
    assert not target.exists()
