"""Times of objects are remembered: which HEADs a plan does not make, and that it sees every change all the same."""

from __future__ import annotations

import asyncio
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, StorageManager, TransferConfig
from bucketry._core.mtimes import MTIME, mtime_text, stored_at
from bucketry._core.options import WriteOptions
from bucketry._core.values import ObjectInfo, ObjectSource
from bucketry._manage.managed import Managed
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.memo import KEPT, StoredTime, TimeMemo, cache_directory, memo_of
from bucketry.errors import AccessDeniedError, InvalidRequestError, LocalFileError
from bucketry.providers import PrefixedProvider, S3Provider
from bucketry.testing import EmbeddedS3, Fault, FaultyProvider, embedded_s3
from tests.manage.planning import OLD, lines, store, write

SECOND = 1_000_000_000
DAY = 24 * 60 * 60


class Shared(MemoryProvider):
    """A memory provider that is remembered like a bucket of a server, with times of microseconds in its listings."""

    def __init__(self, endpoint: str = "http://one", **options: Any) -> None:
        super().__init__(**options)
        self.endpoint = endpoint

    def copy_source(self, key: str) -> ObjectSource | None:
        """Name the server, for `memo_of`."""
        return ObjectSource(id(self), "bucket", key, self.endpoint)


class Sync:
    """A directory, a provider that counts its requests, and a manager that remembers in a directory."""

    def __init__(self, root: Path, memos: Path, inner: MemoryProvider | S3Provider | None = None) -> None:
        self.root = root
        self.memos = memos
        self.provider = FaultyProvider(Shared() if inner is None else inner)
        self.manager = StorageManager(self.provider, memo_dir=memos)

    async def plan(self) -> list[tuple[str, str, str]]:
        """Plan an upload, and give its actions."""
        return lines(await self.manager.plan_sync(self.root, "p"))

    async def heads(self) -> int:
        """Plan an upload that has nothing to do, and count its HEADs."""
        self.provider.calls.clear()
        assert await self.plan() == []
        return self.provider.calls["head"]

    @property
    def file(self) -> Path:
        """The file of the memo."""
        (file,) = self.memos.glob("*.sqlite3")
        return file


@pytest.fixture
async def sync(root: Path, tmp_path: Path) -> Sync:
    """Give a directory of three files, with equal objects that another program has stored."""
    sync = Sync(root, tmp_path / "memos")
    for name in "abc":
        write(root, name)
        await store(sync.provider, f"p/{name}", mtime=OLD)
    return sync


def listed(key: str = "a", *, etag: str = '"e"', size: int = 4, at: int = OLD) -> ObjectInfo:
    """Make an object of a listing."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at // 1_000)
    return ObjectInfo(key=key, size=size, etag=etag, last_modified=when)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Give a running S3 server with one bucket."""
    pytest.importorskip("moto")
    with embedded_s3() as running:
        yield running


@pytest.mark.slow
async def test_on_a_server_the_second_plan_makes_no_head(server: EmbeddedS3, root: Path, tmp_path: Path) -> None:
    """After a plan with HEADs, and after an upload in one piece or in parts, the next plan makes no HEAD."""
    small = TransferConfig(part_size=5 * 1024 * 1024, multipart_threshold=5 * 1024 * 1024)
    for row in ("aws", None):
        config = {name: value for name, value in server.config.items() if row is not None or name != "server"}
        async with S3Provider(config, transfer=small) as inner:
            sync = Sync(root, tmp_path / f"memos-{row}", inner)
            await inner.delete_many([key async for key in _keys(inner)])
            write(root, "seen")
            await store(inner, "p/seen", mtime=OLD)
            write(root, "new/uploaded")
            write(root, "new/in parts", bytes(11 * 1024 * 1024))
            report = await sync.manager.sync(root, "p")
            report.raise_for_failures()
            assert (report.transferred, report.plan.unchanged) == (2, 1)
            assert await sync.heads() == 0


async def _keys(provider: S3Provider) -> Any:
    async for info in provider.list():
        yield info.key


async def test_each_object_needs_one_head_ever(sync: Sync) -> None:
    """The first plan makes a HEAD for each object of equal size; later plans make none, in either direction."""
    assert [await sync.heads() for _ in range(3)] == [3, 0, 0]
    plan = await sync.manager.plan_sync(sync.root, "p", direction="download")
    assert (plan.summary.unchanged, sync.provider.calls["head"]) == (3, 0)


async def test_an_upload_is_remembered(root: Path, tmp_path: Path) -> None:
    """After the first sync, the plan of the second sync makes no HEAD."""
    sync = Sync(root, tmp_path / "memos")
    for name in "abc":
        write(root, name)
    assert (await sync.manager.sync(root, "p")).transferred == 3
    assert await sync.heads() == 0


async def test_uploads_before_an_error_are_remembered(root: Path, tmp_path: Path) -> None:
    """If the iteration is left early, the entries of the finished uploads are saved."""
    sync = Sync(root, tmp_path / "memos")
    sync.manager = StorageManager(sync.provider, memo_dir=sync.memos, transfer=TransferConfig(max_concurrency=1))
    for name in "abc":
        write(root, name)
    plan = await sync.manager.plan_sync(root, "p")
    outcomes = sync.manager.apply_each(plan)
    await anext(outcomes)
    await outcomes.aclose()
    with closing(sqlite3.connect(sync.file)) as database:
        assert database.execute("SELECT key FROM times").fetchall()[:1] == [("p/a",)]


async def test_both_sides_of_a_copy_are_remembered(sync: Sync) -> None:
    """A plan between two buckets remembers the objects of each, and makes no HEAD the next time."""
    other = FaultyProvider(Shared("http://two"))
    await sync.manager.sync_to(other, "p", "q")
    for heads in (3, 0):
        sync.provider.calls.clear()
        other.calls.clear()
        assert lines(await sync.manager.plan_sync_to(other, "p", "q")) == []
        assert (sync.provider.calls["head"], other.calls["head"]) == (heads, heads)


async def test_an_object_without_a_time_is_remembered(sync: Sync) -> None:
    """Such an object still counts as equal if it was stored after the file's last change, and only then."""
    await store(sync.provider, "p/b")
    assert [await sync.heads() for _ in range(2)] == [3, 0]
    write(sync.root, "b", mtime=4_000_000_000 * SECOND)
    assert await sync.plan() == [("upload", "b", "mtime")]


async def test_a_replaced_object_is_seen(sync: Sync) -> None:
    """Another object of the same size is compared by its own time."""
    await sync.plan()
    await store(sync.provider, "p/b", b"DATA", mtime=OLD + SECOND)
    assert await sync.plan() == [("upload", "b", "mtime")]
    assert sync.provider.calls["head"] == 4


async def test_metadata_that_a_copy_changed_is_seen(sync: Sync) -> None:
    """The same bytes with another time have another `last_modified`, so the new time is compared."""
    await sync.plan()
    (before,) = [info async for info in sync.provider.list("p/b")]
    options = WriteOptions(metadata={MTIME: mtime_text(OLD + SECOND)})
    await sync.provider.copy_object("p/b", "p/b", options=options)
    (after,) = [info async for info in sync.provider.list("p/b")]
    assert (after.etag, after.size) == (before.etag, before.size)
    assert await sync.plan() == [("upload", "b", "mtime")]


async def test_a_changed_file_is_seen(sync: Sync) -> None:
    """A file with a new time is uploaded, without a HEAD."""
    await sync.plan()
    sync.provider.calls.clear()
    write(sync.root, "b", mtime=OLD + SECOND)
    plan = await sync.manager.plan_sync(sync.root, "p")
    assert lines(plan) == [("upload", "b", "mtime")]
    assert sync.provider.calls["head"] == 0
    (await sync.manager.apply(plan)).raise_for_failures()
    assert await sync.heads() == 0


async def test_by_checksum_nothing_is_remembered(sync: Sync) -> None:
    """A comparison of checksums needs the answer to the HEAD, so it makes the HEAD each time."""
    await sync.plan()
    sync.provider.calls.clear()
    await sync.manager.plan_sync(sync.root, "p", compare="checksum")
    assert sync.provider.calls["head"] == 3


async def test_prefixed_providers_share_the_file(sync: Sync) -> None:
    """A provider with a prefix uses what a provider of the whole bucket has remembered."""
    await sync.plan()
    sync.provider.calls.clear()
    manager = StorageManager(PrefixedProvider(sync.provider, "p/"), memo_dir=sync.memos)
    plan = await manager.plan_sync(sync.root, "")
    assert (plan.summary.unchanged, sync.provider.calls["head"]) == (3, 0)


async def test_two_endpoints_share_nothing(sync: Sync) -> None:
    """A bucket of the same name at another endpoint has its own file."""
    await sync.plan()
    other = Sync(sync.root, sync.memos, Shared("http://two"))
    for name in "abc":
        await store(other.provider, f"p/{name}", mtime=OLD)
    assert await other.heads() == 3
    assert len(list(sync.memos.glob("*.sqlite3"))) == 2


async def test_a_provider_without_a_server_has_no_memo(memory: MemoryProvider, root: Path, tmp_path: Path) -> None:
    """HEADs of memory and of directories cost nothing, so no file is made."""
    write(root, "a")
    await store(memory, "a", mtime=OLD)
    await StorageManager(memory, memo_dir=tmp_path / "memos").plan_sync(root, "")
    assert not (tmp_path / "memos").exists()


async def test_none_turns_the_memo_off(sync: Sync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `memo_dir=None`, each plan makes all HEADs, and no file is made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sync.manager = StorageManager(sync.provider, memo_dir=None)
    assert [await sync.heads() for _ in range(2)] == [3, 3]
    assert not (tmp_path / "cache").exists()


async def test_the_default_is_the_cache_directory(sync: Sync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, the file is in `bucketry` in the user's cache directory, for the user alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sync.manager = StorageManager(sync.provider)
    assert [await sync.heads() for _ in range(2)] == [3, 0]
    (file,) = (tmp_path / "cache" / "bucketry").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_cache_directory_of_an_environment() -> None:
    """It is below `XDG_CACHE_HOME` if that is absolute, else below the home; without a home there is none."""
    assert cache_directory({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == os.path.join("/c", "bucketry")
    assert cache_directory({"XDG_CACHE_HOME": "c", "HOME": "/h"}) == os.path.join("/h", ".cache", "bucketry")
    assert cache_directory({"HOME": "h"}) is None
    given = {"STORAGE_PROVIDER": "memory", "XDG_CACHE_HOME": "/given"}
    assert StorageManager.from_env(given).memo_dir == os.path.join("/given", "bucketry")


def test_the_directory_is_checked_and_absolute(memory: MemoryProvider, tmp_path: Path) -> None:
    """A wrong directory is an error of the constructor; the manager still pickles."""
    with pytest.raises(InvalidRequestError, match="memo_dir"):
        StorageManager(memory, memo_dir=3)  # type: ignore[arg-type] # the error is tested
    with pytest.raises(LocalFileError, match="NUL"):
        StorageManager(memory, memo_dir="a\0b")
    assert StorageManager(memory, memo_dir="memos").memo_dir == os.path.abspath("memos")
    manager = StorageManager(S3Provider({"bucket_name": "bucket", "region": "eu-west-1"}), memo_dir=tmp_path)
    assert pickle.loads(pickle.dumps(manager)).memo_dir == str(tmp_path)
    assert Managed(memory).memo_dir is None


async def test_a_corrupt_file_is_removed(sync: Sync, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is no database changes no plan; it is removed, so that the plan after the next is fast again."""
    await sync.plan()
    sync.file.write_bytes(b"no database" * 1_000)
    with caplog.at_level("DEBUG", logger="bucketry"):
        assert await sync.heads() == 3
    assert any("memo of times" in record.getMessage() for record in caplog.records)
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert not list(sync.memos.iterdir())
    assert [await sync.heads() for _ in range(2)] == [3, 0]


async def test_a_file_with_other_tables_is_left_alone(sync: Sync) -> None:
    """A database of another program changes no plan, and stays."""
    await sync.plan()
    with closing(sqlite3.connect(sync.file)) as database:
        database.executescript("DROP TABLE times; CREATE TABLE times (other TEXT)")
    assert [await sync.heads() for _ in range(2)] == [3, 3]
    assert sync.file.exists()


async def test_a_directory_that_cannot_be_made(sync: Sync, tmp_path: Path) -> None:
    """If the directory cannot be made, syncs work without the memo."""
    write(tmp_path, "file")
    sync.manager = StorageManager(sync.provider, memo_dir=tmp_path / "file" / "memos")
    assert [await sync.heads() for _ in range(2)] == [3, 3]
    write(sync.root, "new")
    assert (await sync.manager.sync(sync.root, "p")).transferred == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_that_cannot_be_written(sync: Sync) -> None:
    """If the directory cannot be written, syncs work without the memo."""
    sync.memos.mkdir(mode=0o500)
    assert [await sync.heads() for _ in range(2)] == [3, 3]


async def test_a_locked_file_is_not_waited_for_long(sync: Sync) -> None:
    """While another process keeps the file locked, a plan makes its HEADs."""
    await sync.plan()
    with closing(sqlite3.connect(sync.file)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert await sync.heads() == 3
    assert await sync.heads() == 0


async def test_an_error_of_the_provider_is_not_hidden(sync: Sync) -> None:
    """If a HEAD fails, the plan fails as it does without a memo."""
    faulty = FaultyProvider(sync.provider, (Fault(operation="head", error=AccessDeniedError("no")),))
    with pytest.raises(AccessDeniedError):
        await StorageManager(faulty, memo_dir=sync.memos).plan_sync(sync.root, "p")


_NOTE = """
import asyncio, sys
from bucketry._manage.sync.memo import StoredTime, TimeMemo
from tests.manage.test_memo import listed

async def main():
    name = sys.argv[2]
    for number in range(20):
        memo = TimeMemo(sys.argv[1], wait=60)
        infos = [listed(f"{name}/{number}/{each}") for each in range(50)]
        for info in infos:
            memo.note(info, StoredTime(number, True))
        await memo.flush()
        assert len(await memo.look_up(infos)) == 50

asyncio.run(main())
"""


@pytest.mark.slow
def test_two_processes_use_one_file(tmp_path: Path) -> None:
    """What several processes remember at once is all in the file, which one of them has made."""
    path = tmp_path / "new" / "memo.sqlite3"
    paths = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    running = [subprocess.Popen([sys.executable, "-c", _NOTE, path, name], env=environ) for name in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    infos = [listed(f"{name}/{number}/{each}") for name in "ab" for number in range(20) for each in range(50)]
    assert len(asyncio.run(TimeMemo(str(path)).look_up(infos))) == 2_000


class TestTimeMemo:
    """The memo itself."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        """Give the path of a file that does not exist."""
        return str(tmp_path / "memo.sqlite3")

    async def test_what_must_be_equal(self, path: str) -> None:
        """Key, etag, size and `last_modified` must be those of the listing; quotes of the etag do not count."""
        memo = TimeMemo(path)
        info = listed()
        memo.note(info, StoredTime(-OLD, in_metadata=True))
        await memo.flush()
        for same in (info, listed(etag="e")):
            assert await TimeMemo(path).look_up([same]) == {"a": StoredTime(-OLD, in_metadata=True)}
        for other in (
            listed("b"),
            listed(etag='"f"'),
            listed(etag=""),
            listed(size=5),
            listed(at=OLD + 1_000),
            listed(at=OLD - 1_000),
        ):
            assert await TimeMemo(path).look_up([other]) == {}

    async def test_without_an_etag_nothing_is_kept(self, path: str, tmp_path: Path) -> None:
        """An object without an etag could change without a trace, so it is not remembered."""
        memo = TimeMemo(path)
        memo.note(listed(etag=""), StoredTime(OLD, in_metadata=True))
        await memo.flush()
        assert not os.listdir(tmp_path)

    async def test_a_time_that_does_not_fit_is_not_kept(self, path: str) -> None:
        """SQLite stores 64 bits, and metadata can name later times."""
        memo = TimeMemo(path)
        memo.note(listed("late"), StoredTime(2**63, in_metadata=True))
        memo.note(listed("a"), StoredTime(2**63 - 1, in_metadata=True))
        await memo.flush()
        assert (await memo.look_up([listed("late"), listed("a")])).keys() == {"a"}

    async def test_an_upload_holds_for_any_time_in_the_listing(self, path: str) -> None:
        """A write does not return `last_modified`, and some servers list the file's time: key, size and etag decide."""
        memo = TimeMemo(path)
        memo.note_written("a", '"e"', 4, mtime=7)
        await memo.flush()
        for at in (0, OLD, OLD + 60 * SECOND):
            assert (await memo.look_up([listed(at=at)]))["a"].mtime == 7
        assert not await memo.look_up([listed(etag='"other"')])

    async def test_uploads_are_saved_in_batches(self, path: str, tmp_path: Path) -> None:
        """Below the given number of entries, nothing is written."""
        memo = TimeMemo(path)
        for number in range(3):
            await memo.flush(at_least=3)
            assert not os.listdir(tmp_path)
            memo.note(listed(str(number)), StoredTime(OLD, in_metadata=True))
        await memo.flush(at_least=3)
        assert len(await memo.look_up([listed(str(number)) for number in range(3)])) == 3

    async def test_many_keys_at_once(self, path: str) -> None:
        """More keys than one SELECT can have are found."""
        memo = TimeMemo(path)
        infos = [listed(f"{number:05}") for number in range(1_201)]
        for info in infos:
            memo.note(info, StoredTime(stored_at(info), in_metadata=False))
        await memo.flush()
        assert len(await memo.look_up(infos)) == 1_201

    async def test_unused_entries_are_dropped(self, path: str) -> None:
        """After 90 days an entry that no plan has used is dropped; an entry in use stays."""
        now = 0.0
        memo = TimeMemo(path, clock=lambda: now)
        used, unused = listed("used"), listed("unused")
        for info in (used, unused):
            memo.note(info, StoredTime(OLD, in_metadata=True))
        await memo.flush()
        for day in range(0, KEPT + 40, 10):
            now = float(day * DAY)
            assert await memo.look_up([used])
        assert await memo.look_up([unused]) == {}

    async def test_a_key_that_is_no_text_turns_it_off(self, path: str) -> None:
        """A key that UTF-8 cannot encode is no error."""
        memo = TimeMemo(path)
        memo.note(listed("\ud800"), StoredTime(OLD, in_metadata=True))
        await memo.flush()
        assert await memo.look_up([listed()]) == {}

    def test_the_file_depends_on_endpoint_and_bucket(self, tmp_path: Path) -> None:
        """A manager without a directory has no memo; neither has a provider without a server."""
        assert memo_of(Shared(), None) is None
        assert memo_of(MemoryProvider(), str(tmp_path)) is None
        assert memo_of(Shared(), str(tmp_path)) is not None


async def test_a_manager_without_a_directory_works_as_before(sync: Sync) -> None:
    """The part of the manager that syncs has no memo of its own accord."""
    manager = ApplyMethods(sync.provider)
    for _ in range(2):
        sync.provider.calls.clear()
        assert (await manager.sync(sync.root, "p")).plan.unchanged == 3
        assert sync.provider.calls["head"] == 3
