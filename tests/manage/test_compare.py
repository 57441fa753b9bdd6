"""How a plan compares entries of equal size: by size, by time, by checksum."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, TransferConfig
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._manage.sync.methods import SyncMethods
from bucketry.testing import Fault, FaultyProvider
from tests.manage.planning import FUTURE, OLD, lines, store, write
from tests.transfer.doubles import RowOf

TIMES = [
    pytest.param(OLD, OLD, False, id="equal"),
    pytest.param(OLD + 999, OLD, False, id="less than a microsecond later"),
    pytest.param(OLD - 999, OLD, False, id="less than a microsecond earlier"),
    pytest.param(OLD + 1_000, OLD, True, id="a microsecond later"),
    pytest.param(OLD - 1_000, OLD, True, id="a microsecond earlier"),
    pytest.param(-1_500_000_000, -1_500_000_000, False, id="before 1970"),
]


@pytest.mark.parametrize(
    ("stored", "file", "differs"),
    [
        *TIMES,
        pytest.param(None, OLD, False, id="stored after the file's time"),
        pytest.param(None, FUTURE, True, id="stored before the file's time"),
        pytest.param("yesterday", OLD, False, id="malformed, so stored after the file's time"),
        pytest.param("yesterday", FUTURE, True, id="malformed, so stored before the file's time"),
    ],
)
async def test_an_upload_compares_times(
    memory: MemoryProvider, root: Path, stored: int | str | None, file: int, differs: bool
) -> None:
    """A file is uploaded if the object's stored time differs, or without one if the object was stored before."""
    write(root, "a", mtime=file)
    await store(memory, "a", mtime=stored)
    plan = await SyncMethods(memory).plan_sync(root, "")
    assert lines(plan) == [("upload", "a", "mtime")] * differs


@pytest.mark.parametrize(("stored", "file", "differs"), TIMES)
async def test_a_download_compares_times(
    memory: MemoryProvider, root: Path, stored: int, file: int, differs: bool
) -> None:
    """An object is downloaded if its stored time is not the file's."""
    write(root, "a", mtime=file)
    await store(memory, "a", mtime=stored)
    plan = await SyncMethods(memory).plan_sync(root, "", direction="download")
    assert lines(plan) == [("download", "a", "mtime")] * differs


@pytest.mark.parametrize("stored", [None, "yesterday"])
async def test_an_object_without_a_time_has_the_one_when_it_was_stored(
    memory: MemoryProvider, root: Path, stored: str | None
) -> None:
    """As a source, such an object is in step with a file exactly if the file has the time when it was stored."""
    info = await store(memory, "a", mtime=stored)
    moment = (info.last_modified - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution) * 1_000
    for mtime, expected in ((moment, []), (moment + 1_000, [("download", "a", "mtime")])):
        write(root, "a", mtime=mtime)
        assert lines(await SyncMethods(memory).plan_sync(root, "", direction="download")) == expected


async def test_a_copy_without_a_time_is_in_step_if_it_was_stored_later(memory: MemoryProvider) -> None:
    """A copy that has no stored time is in step with an older source, and not with one that was stored after it."""
    other = MemoryProvider()
    await store(other, "early")
    await store(memory, "early")
    await store(memory, "late")
    await store(other, "late")
    await store(memory, "timed", mtime=OLD)
    await store(other, "timed")
    assert lines(await SyncMethods(memory).plan_sync_to(other, "", "")) == [("copy", "early", "mtime")]


@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_by_size_no_object_is_asked_for(memory: MemoryProvider, root: Path, direction: Any) -> None:
    """With `compare="size"`, entries of equal size are in step, and only listings are requested."""
    write(root, "a", b"aaaa")
    write(root, "b", b"b")
    await store(memory, "a", b"bbbb")
    await store(memory, "b", b"bb")
    faulty = FaultyProvider(memory)
    plan = await SyncMethods(faulty).plan_sync(root, "", direction=direction, compare="size")
    assert lines(plan) == [(direction, "b", "size")]
    assert faulty.calls == {"list_page": 1}


async def test_times_cost_one_head_for_each_pair_of_equal_size(memory: MemoryProvider, root: Path) -> None:
    """Only pairs of equal size need a HEAD; many are made at once, and the plan is in the order of the paths."""
    names = [f"{number:03}" for number in range(40)]
    for name in names:
        write(root, name)
        await store(memory, name, mtime=OLD + 5_000)
    write(root, "new")
    write(root, "size", b"1")
    await store(memory, "size")
    turns = tuple(Fault(operation="head", nth=nth, hook=lambda: asyncio.sleep(0)) for nth in range(1, 41))
    faulty = FaultyProvider(memory, turns)
    plan = await SyncMethods(faulty, transfer=TransferConfig(max_concurrency=7)).plan_sync(root, "")
    assert [action.path for action in plan] == [*names, "new", "size"]
    assert faulty.calls["head"] == 40
    assert faulty.most_running == 7


async def test_heads_run_many_at_once(memory: MemoryProvider, root: Path) -> None:
    """As many HEADs as `max_concurrency` are under way at the same time."""
    waiting = asyncio.Barrier(5)
    for number in range(5):
        write(root, str(number))
        await store(memory, str(number), mtime=OLD)
    faulty = FaultyProvider(memory, tuple(Fault(operation="head", nth=nth, hook=waiting.wait) for nth in range(1, 6)))
    plan = await SyncMethods(faulty, transfer=TransferConfig(max_concurrency=5)).plan_sync(root, "")
    assert plan.summary.unchanged == 5


class Sums(RowOf):
    """A memory provider that stores other checksums, or none; counts the objects that are read."""

    def __init__(self, **sums: str) -> None:
        super().__init__(stored_checksums=("sha256", "crc32"))
        self.sums = sums
        self.read = 0

    async def head(self, key: str, **options: Any) -> ObjectInfo:
        """Give the checksums of this test."""
        return replace(await super().head(key, **options), checksums=self.sums)

    def open_body(self, key: str, *options: Any) -> Any:
        """Count."""
        self.read += 1
        return super().open_body(key, *options)


CRC = "adf3f363"  # of b"data", as zlib.crc32 gives it
SHA = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"


@pytest.mark.parametrize("direction", ["upload", "download"])
@pytest.mark.parametrize(
    ("sums", "data", "differs", "read"),
    [
        pytest.param({"crc32": CRC}, b"data", False, 0, id="stored, equal"),
        pytest.param({"crc32": CRC}, b"DATA", True, 0, id="stored, different"),
        pytest.param({"sha256": SHA, "crc32": "0"}, b"data", False, 0, id="the best of two"),
        pytest.param({}, b"data", False, 1, id="none stored, equal"),
        pytest.param({}, b"DATA", True, 1, id="none stored, different"),
        pytest.param({"of another world": "1"}, b"data", False, 1, id="none that can be computed"),
    ],
)
async def test_by_checksum_a_file_is_compared_with_the_stored_one(
    root: Path, direction: Any, sums: dict[str, str], data: bytes, differs: bool, read: int
) -> None:
    """The times do not matter; the object is read only if it has no stored checksum that can be computed."""
    store_of_sums = Sums(**sums)
    await store(store_of_sums, "a", b"data", mtime=OLD)
    write(root, "a", data, mtime=OLD + 10**9 * (not differs))
    plan = await SyncMethods(store_of_sums).plan_sync(root, "", direction=direction, compare="checksum")
    assert lines(plan) == [(direction, "a", "checksum")] * differs
    assert store_of_sums.read == read


@pytest.mark.parametrize(
    ("ours", "theirs", "data", "differs", "reads"),
    [
        pytest.param({"x": "1"}, {"x": "1"}, b"data", False, (0, 0), id="common, equal"),
        pytest.param({"x": "1"}, {"x": "2"}, b"data", True, (0, 0), id="common, different"),
        pytest.param({"crc32": CRC}, {"x": "1"}, b"data", False, (0, 1), id="one stored"),
        pytest.param({"x": "1"}, {"crc32": CRC}, b"DATA", True, (1, 0), id="the other stored, different"),
        pytest.param({}, {}, b"data", False, (1, 1), id="none, equal"),
        pytest.param({}, {}, b"DATA", True, (1, 1), id="none, different"),
    ],
)
async def test_by_checksum_two_objects_are_compared_with_as_few_reads_as_possible(
    ours: dict[str, str], theirs: dict[str, str], data: bytes, differs: bool, reads: tuple[int, int]
) -> None:
    """A common stored checksum needs no read, one stored checksum needs one, none needs two."""
    source, target = Sums(**ours), Sums(**theirs)
    await store(source, "a", data)
    await store(target, "a")
    plan = await SyncMethods(source).plan_sync_to(target, "", "", compare="checksum")
    assert lines(plan) == [("copy", "a", "checksum")] * differs
    assert (source.read, target.read) == reads


async def test_by_checksum_empty_entries_are_not_read(root: Path) -> None:
    """Two empty contents are equal."""
    store_of_sums = Sums()
    await store(store_of_sums, "a", b"")
    write(root, "a", b"")
    assert lines(await SyncMethods(store_of_sums).plan_sync(root, "", compare="checksum")) == []
    assert store_of_sums.read == 0


async def test_by_checksum_large_contents_are_read_in_steps(root: Path) -> None:
    """Contents of several chunks are summed whole."""
    store_of_sums = Sums()
    data = os.urandom(3 * MiB + 1)
    await store(store_of_sums, "a", data)
    for content, expected in ((data, []), (data[:-1] + b"?", [("upload", "a", "checksum")])):
        write(root, "a", content)
        assert lines(await SyncMethods(store_of_sums).plan_sync(root, "", compare="checksum")) == expected
