"""A download of a listed object: exactly the listed version, with its time, and with the caller's checks."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucketry import MemoryProvider, TransferConfig
from bucketry._core.mtimes import mtime_of, mtime_text, stored_at, stored_mtime
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry.errors import IntegrityError, LocalFileError, PreconditionFailedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME = 1_600_000_000_123_456_789
FAR = 16_299_260_424_987_654_321  # the year 2486, which is the last that XFS stores
SIZES = (0, 10, 3 * MiB, 5 * MiB)  # through memory, in one request to the file, in ranges


@pytest.fixture
def provider() -> MemoryProvider:
    """Return a provider whose parts have 4 MiB."""
    return MemoryProvider(transfer=TransferConfig(part_size=4 * MiB))


async def listed(provider: MemoryProvider, key: str) -> ObjectInfo:
    """Return the entry of a listing."""
    (entry,) = [entry async for entry in provider.list(key)]
    return entry


@pytest.mark.parametrize("size", SIZES)
async def test_it_keeps_the_time(provider: MemoryProvider, tmp_path: Path, size: int) -> None:
    """The file has the time of the object's metadata, to the nanosecond."""
    await provider.put("a", b"x" * size, metadata={"mtime": mtime_text(TIME)})
    result = await provider.transfer.download_listed(await listed(provider, "a"), str(tmp_path / "a"), keep_mtime=True)
    assert (result.size, (tmp_path / "a").stat().st_mtime_ns) == (size, TIME)


async def test_without_a_time_it_keeps_the_time_of_storing(provider: MemoryProvider, tmp_path: Path) -> None:
    """An object without a time in its metadata gives its file the time when it was stored."""
    info = await provider.put("a", b"x")
    await provider.transfer.download_listed(await listed(provider, "a"), str(tmp_path / "a"), keep_mtime=True)
    assert (tmp_path / "a").stat().st_mtime_ns == stored_at(info) == mtime_of(info)


@pytest.mark.parametrize("size", SIZES)
async def test_a_replaced_object_is_refused(provider: MemoryProvider, tmp_path: Path, size: int) -> None:
    """An object that has another etag than the listed one is not downloaded, also if its size is the same."""
    await provider.put("a", b"x" * size)
    entry = await listed(provider, "a")
    await provider.put("a", b"y" * size)
    if not size:
        await provider.put("a", b"longer")
    with pytest.raises((PreconditionFailedError, IntegrityError)):
        await provider.transfer.download_listed(entry, str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hook", ["before_write", "before_publish"])
async def test_the_caller_may_refuse(provider: MemoryProvider, tmp_path: Path, size: int, hook: str) -> None:
    """If a check of the caller raises, the old file stays, and no staged file is left."""
    await provider.put("a", b"x" * size)
    (tmp_path / "a").write_text("old")

    def refuse() -> None:
        raise LocalFileError("changed", path="a")

    with pytest.raises(LocalFileError, match="changed"):
        await provider.transfer.download_listed(
            await listed(provider, "a"),
            str(tmp_path / "a"),
            **{hook: refuse},  # type: ignore[arg-type]
        )
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000", 1_700_000_000_000_000_000),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("-1.250000000", -1_250_000_000),
        ("", None),
        ("yesterday", None),
        ("1e9", None),
        ("99999999999999999999", None),
    ],
)
def test_stored_times(text: str, nanoseconds: int | None) -> None:
    """The time in the metadata is read as rclone writes it; anything else counts as no time."""
    info = ObjectInfo(key="a", size=1, etag="", last_modified=EPOCH, metadata={"mtime": text})
    assert stored_mtime(info) == nanoseconds


@pytest.mark.parametrize("nanoseconds", [0, 1, -1, TIME, -TIME, FAR])
def test_a_time_survives(nanoseconds: int) -> None:
    """A time that is written as text is read again unchanged."""
    info = ObjectInfo(key="a", size=1, etag="", last_modified=EPOCH, metadata={"mtime": mtime_text(nanoseconds)})
    assert mtime_of(info) == nanoseconds


@pytest.mark.parametrize("size", SIZES)
async def test_a_tree_can_keep_the_times(provider: MemoryProvider, tmp_path: Path, size: int) -> None:
    """With `keep_mtime`, uploads store each file's time and downloads set it; without it, neither does."""
    path = tmp_path / "in/a"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    os.utime(path, ns=(TIME, TIME))
    manager = provider.transfer
    await manager.upload_tree(tmp_path / "in", "tree", keep_mtime=True)
    await manager.upload(path, "one", keep_mtime=True)
    await manager.upload_tree(tmp_path / "in", "plain")
    assert stored_mtime(await provider.head("tree/a")) == stored_mtime(await provider.head("one")) == TIME
    assert not (await provider.head("plain/a")).metadata
    await manager.download_tree("tree", tmp_path / "out", keep_mtime=True)
    await manager.download("one", tmp_path / "one", keep_mtime=True)
    await manager.download("one", tmp_path / "new")
    assert (tmp_path / "out/a").stat().st_mtime_ns == (tmp_path / "one").stat().st_mtime_ns == TIME
    assert (tmp_path / "new").stat().st_mtime_ns != TIME
