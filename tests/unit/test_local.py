"""What only the local provider promises: files people can look at, and nothing outside of the base."""

# ruff: noqa: ASYNC240 - the tests look at the disk between calls, and nothing else runs meanwhile

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bucketry._core.checks import WRITE_TOKEN
from bucketry._core.config import LocalConfig
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, CommonPrefix, FileRange, MultipartUpload
from bucketry._providers.local import bytes as local_bytes
from bucketry._providers.local import store as local_store
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import (
    AlreadyExistsError,
    DiskFullError,
    IncompleteBodyError,
    IntegrityError,
    LocalFileError,
    LocalNotADirectoryError,
    LocalPermissionError,
    NotFoundError,
    PreconditionFailedError,
    UnsafeKeyError,
    UploadNotFoundError,
)

PLAIN = WriteOptions()
NOT_AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Give the base directory, which does not exist yet."""
    return tmp_path / "base"


@pytest.fixture
async def local(base: Path) -> LocalRequests:
    """Give a provider on an empty directory."""
    provider = LocalRequests(LocalConfig(base_path=base), VENDOR)
    await provider.connect()
    return provider


async def read(provider: LocalRequests, key: str) -> bytes:
    """Give an object's bytes."""
    async with provider.open_body(key) as body:
        return b"".join([chunk async for chunk in body])


async def names(provider: LocalRequests, prefix: str = "", **options: str) -> list[str]:
    """List all pages."""
    found: list[str] = []
    token = None
    while True:
        page = await provider.list_page(prefix, token=token, **options)
        found += [entry.prefix if isinstance(entry, CommonPrefix) else entry.key for entry in page.entries]
        token = page.next_token
        if token is None:
            return found


def left_behind(base: Path) -> list[str]:
    """Name what is in the provider's own directory beside the empty rooms and the locks."""
    own = base / ".bucketry"
    return sorted(
        str(path.relative_to(own))
        for path in own.rglob("*")
        if path.parent.name != "locks"
        and path.relative_to(own).as_posix() not in {"staging", "uploads", "meta", "locks"}
    )


async def test_objects_are_plain_files(local: LocalRequests, base: Path) -> None:
    """The key is the path below the base, and without metadata nothing else is kept."""
    await local.put_object("models/v1/model.bin", b"weights", PLAIN)
    assert (base / "models/v1/model.bin").read_bytes() == b"weights"
    assert left_behind(base) == []


async def test_files_of_other_programs_are_objects(local: LocalRequests, base: Path) -> None:
    """A file that somebody else put there is read, listed, replaced and deleted as any object."""
    (base / "dir").mkdir()
    (base / "dir" / "notes.json").write_text("{}")
    info = await local.head("dir/notes.json")
    assert (info.size, info.content_type, info.metadata) == (2, "application/json", {})
    assert await names(local) == ["dir/notes.json"]
    await local.put_object("dir/notes.json", b"new", WriteOptions(if_match=info.etag))
    await local.delete("dir/notes.json")
    assert not (base / "dir").exists()


async def test_a_file_changed_by_others_has_no_metadata(local: LocalRequests, base: Path) -> None:
    """Metadata belongs to the version that was put, and to no other."""
    info = await local.put_object("key", b"data", WriteOptions(metadata={"a": "1"}))
    with (base / "key").open("ab") as file:
        file.write(b"!")
    found = await local.head("key")
    assert (found.size, found.metadata) == (5, {})
    assert found.etag != info.etag


async def test_names_that_cannot_be_keys_are_left_out(
    local: LocalRequests, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is not UTF-8, or that no key may have, is left out of listings with a warning."""
    (base / "good").write_bytes(b"")
    for name in (b"bad-\xff", b"C:drive", b"\\absolute"):
        Path(os.fsdecode(os.fsencode(base) + b"/" + name)).write_bytes(b"")
    with caplog.at_level(logging.WARNING, "bucketry"):
        assert await names(local) == ["good"]
    assert len(caplog.records) == 3


async def test_only_regular_files_are_objects(local: LocalRequests, base: Path) -> None:
    """Pipes and directories are no objects: they are not listed, not found, and never waited for."""
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
    """A key below another object's is not found, deletes as any missing one, and cannot be written."""
    await local.put_object("a", b"", PLAIN)
    with pytest.raises(NotFoundError):
        await local.head("a/b")
    await local.delete("a/b")
    for key in ("a/b", "a/b/c"):
        for options in (PLAIN, WriteOptions(if_none_match="*"), WriteOptions(metadata={"x": "y"})):
            with pytest.raises(UnsafeKeyError, match="an object already"):
                await local.put_object(key, b"", options)


async def test_a_directory_cannot_be_an_object(local: LocalRequests, base: Path) -> None:
    """A key that has other keys below it cannot be written, and says why."""
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
    """A key that is not a plain path below the base is refused by every method."""
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
    """The provider's own files can be neither read, written, deleted nor listed as objects."""
    for call in (local.head, local.delete):
        with pytest.raises(UnsafeKeyError):
            await call(key)
    with pytest.raises(UnsafeKeyError):
        await local.put_object(key, b"x", PLAIN)
    assert await names(local, ".bucketry") == await names(local, ".bucketry/") == []


async def test_links_do_not_lead_out(local: LocalRequests, base: Path, tmp_path: Path) -> None:
    """No method follows a symbolic link out of the base, whether it is a directory or the file itself."""
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
    """Writing to a key that is a link replaces the link, and deleting removes it; what it named stays."""
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
    """A link to a file inside the base is an object; one to a directory or to own files is none."""
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
    """A base directory reached through a symbolic link works as any."""
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "real")
    local = LocalRequests(LocalConfig(base_path=tmp_path / "base"), VENDOR)
    await local.connect()
    await local.put_object("a/b", b"x", PLAIN)
    assert await names(local) == ["a/b"]
    assert await read(local, "a/b") == b"x"


async def test_details_come_and_go_with_the_object(local: LocalRequests, base: Path) -> None:
    """Metadata is there with the object, replaced with it, copied with it, and gone with it."""
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
    """The token by which transfer code knows its own writes is stored and given back, beside the metadata."""
    await local.put_object("key", b"", WriteOptions(metadata={"a": "1", WRITE_TOKEN: "mine"}))
    found = await local.head("key")
    assert (found.write_token, found.metadata) == ("mine", {"a": "1"})


async def test_a_write_that_fails_keeps_the_old_metadata(local: LocalRequests, base: Path) -> None:
    """A refused write leaves object and metadata as they were, and nothing beside them."""
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
    """While an object is replaced again and again, its size, bytes and metadata always belong together."""
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
    """An object whose metadata file is damaged is read without it, with a warning."""
    await local.put_object("key", b"data", WriteOptions(metadata={"a": "1"}))
    (sidecar,) = (base / ".bucketry" / "meta").glob("*/*.json")
    assert json.loads(sidecar.read_text())["key"] == "key"
    sidecar.write_text("{")
    assert (await local.head("key")).metadata == {}
    assert "damaged" in caplog.text


async def test_a_failed_write_leaves_nothing(local: LocalRequests, base: Path, tmp_path: Path) -> None:
    """A source that is shorter than it says is refused, and no staged file stays."""
    source = tmp_path / "source"
    source.write_bytes(b"short")
    with source.open("rb") as file:
        with pytest.raises(IntegrityError, match="5 of 9 bytes"):
            await local.put_object("key", FileRange(file.fileno(), 0, 9), PLAIN)
        upload = await local.create_multipart("key", PLAIN)
        with pytest.raises(IntegrityError):
            await local.put_part(upload, 1, FileRange(file.fileno(), 0, 9))
    await local.abort_multipart(upload)
    assert left_behind(base) == []


async def test_a_cancelled_write_leaves_nothing(
    local: LocalRequests, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that is cancelled stops after the piece in hand, waits for its thread, and leaves nothing."""
    monkeypatch.setattr(local_bytes, "PIECE", 1)
    written: list[int] = []
    begun, go_on = asyncio.Event(), threading.Event()
    loop, write_at = asyncio.get_running_loop(), local_bytes.write_at

    def slow(fd: int, data: bytes | memoryview, position: int) -> None:
        written.append(position)
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        write_at(fd, data, position)

    monkeypatch.setattr(local_bytes, "write_at", slow)
    task = asyncio.create_task(local.put_object("key", b"many bytes", PLAIN))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert written == [0]
    assert (await names(local), left_behind(base)) == ([], [])


async def test_a_cancelled_read_closes_its_file(local: LocalRequests) -> None:
    """Cancelling a reader at any chunk closes the file."""
    await local.put_object("key", bytes(4 * MiB), PLAIN)
    before = len(os.listdir("/proc/self/fd"))
    for stop_after in range(4):
        reached = asyncio.Event()

        async def consume(count: int, reached: asyncio.Event) -> None:
            async with local.open_body("key") as body:
                async for _ in body:
                    count -= 1
                    if count < 0:
                        reached.set()
                        await asyncio.Event().wait()

        task = asyncio.create_task(consume(stop_after, reached))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(os.listdir("/proc/self/fd")) == before


async def test_old_staged_files_are_swept(local: LocalRequests, base: Path) -> None:
    """Connecting removes what killed processes left staged a day ago, and touches nothing newer."""
    staging = base / ".bucketry" / "staging"
    for name in ("old", "new"):
        (staging / name).write_bytes(b"x")
    (staging / "old-upload").mkdir()
    (staging / "old-upload" / "00001").write_bytes(b"x")
    for name in ("old", "old-upload"):
        os.utime(staging / name, (0, 0))
    await local.connect()
    assert left_behind(base) == ["staging/new"]


FULL_DISK = """
import asyncio, resource, sys
from bucketry._core.config import LocalConfig
from bucketry._core.options import WriteOptions
from bucketry._core.values import FileRange
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import DiskFullError

async def main(base, source):
    local = LocalRequests(LocalConfig(base_path=base), VENDOR)
    await local.connect()
    await local.put_object("key", b"old", WriteOptions())
    upload = await local.create_multipart("key", WriteOptions())
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    with open(source, "rb") as file:
        for body in (bytes(200_000), FileRange(file.fileno(), 0, 200_000)):
            for call in (local.put_object("key", body, WriteOptions()), local.put_part(upload, 1, body)):
                try:
                    await call
                except DiskFullError as error:
                    assert error.path
                else:
                    raise SystemExit("no error")
    await local.abort_multipart(upload)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_full_disk(base: Path, tmp_path: Path) -> None:
    """A disk or quota that is full is a `DiskFullError`; the old object stays and nothing staged does."""
    source = tmp_path / "source"
    source.write_bytes(bytes(200_000))
    subprocess.run([sys.executable, "-c", FULL_DISK, str(base), str(source)], check=True, timeout=15)
    assert (base / "key").read_bytes() == b"old"
    assert left_behind(base) == []


async def test_of_racing_creators_exactly_one_wins(local: LocalRequests, base: Path) -> None:
    """`if_none_match="*"` has exactly one winner, whose bytes and metadata stay."""

    async def create(number: int) -> int | None:
        options = WriteOptions(if_none_match="*", metadata={"n": str(number)})
        try:
            await local.put_object("dir/key", str(number).encode(), options)
        except AlreadyExistsError:
            return None
        return number

    for _ in range(10):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(create(number)) for number in range(8)]
        (winner,) = [task.result() for task in tasks if task.result() is not None]
        assert await read(local, "dir/key") == str(winner).encode()
        assert (await local.head("dir/key")).metadata == {"n": str(winner)}
        await local.delete("dir/key")
        assert left_behind(base) == []


@pytest.mark.slow
async def test_compare_and_swap_loses_no_update(local: LocalRequests) -> None:
    """Writers that add to a counter by compare-and-swap lose no step."""
    await local.put_object("counter", b"0", PLAIN)

    async def add() -> None:
        for _ in range(20):
            while True:
                async with local.open_body("counter") as body:
                    value = int(b"".join([chunk async for chunk in body]))
                with suppress(PreconditionFailedError):
                    await local.put_object("counter", b"%d" % (value + 1), WriteOptions(if_match=body.info.etag))
                    break

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(add())
    assert await read(local, "counter") == b"80"


@pytest.mark.slow
async def test_writes_and_deletes_that_share_a_directory(local: LocalRequests, base: Path) -> None:
    """A write does not fail because a delete removes the directory that it needs."""

    async def churn(number: int) -> None:
        for _ in range(30):
            await local.put_object(f"a/b/{number}", b"x", PLAIN)
            await local.delete(f"a/b/{number}")

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(churn(number))
    assert [path.name for path in base.iterdir()] == [".bucketry"]


async def test_a_directory_that_vanishes_while_it_is_made_is_made_again(
    local: LocalRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a delete removes a directory between the moment it is found and looked at, the write tries again."""
    make, calls = os.makedirs, []

    def vanishing(path: str, *arguments: object, **options: object) -> None:
        if str(path).endswith("a/b") and len(calls) < 2:
            calls.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", path)  # what makedirs says then
        make(path, *arguments, **options)  # type: ignore[arg-type]  # handed on as they come

    monkeypatch.setattr(os, "makedirs", vanishing)
    await local.put_object("a/b/1", b"x", PLAIN)
    assert len(calls) == 2
    assert await read(local, "a/b/1") == b"x"
    await local.put_object("a/file", b"x", PLAIN)
    with pytest.raises(UnsafeKeyError, match="is an object already"):
        await local.put_object("a/file/below", b"x", PLAIN)


async def test_a_stopped_holder_of_the_lock_does_not_hold_up_a_cancellation(local: LocalRequests, base: Path) -> None:
    """A write that waits for another process's lock can be cancelled, and leaves nothing."""
    with local_store.locked(local._root, "key") as lock:
        assert list(local_store.acquire(lock)) == []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await local.put_object("key", b"x", PLAIN)
    assert (await names(local), left_behind(base)) == ([], [])
    await local.put_object("key", b"x", PLAIN)


TREE = sorted(
    (
        "a",
        "a!",
        "a-/x",
        "a.b",
        "a0",
        "b/1",
        "b/a/deep",
        "b/a!",
        "b/a-",
        "b/z",
        "c/d/e/f",
        "c/d/e.f",
        "é/x",
        "日本",
        "😀",
    )
)


@pytest.fixture
async def tree(local: LocalRequests, base: Path) -> LocalRequests:
    """Give a provider with objects whose directories sort awkwardly, and two entries a page."""
    for key in TREE:
        await local.put_object(key, b"", PLAIN)
    (base / "empty" / "too").mkdir(parents=True)
    return LocalRequests(
        LocalConfig(base_path=base), replace(VENDOR, capabilities=replace(VENDOR.capabilities, max_list_keys=2))
    )


async def test_pages_join_to_the_whole(tree: LocalRequests) -> None:
    """Pages of two entries give every key once, in UTF-8 order, from any prefix and any key on."""
    assert await names(tree) == sorted(TREE, key=str.encode)
    for prefix in ("", "a", "b/", "b/a", "c/d", "c/d/e", "empty", "none/", "../", "b/../b/", "日", "a\0", "\ud800/"):
        expected = [key for key in TREE if key.startswith(prefix)]
        assert await names(tree, prefix) == expected
        for after in (*TREE, "", "b", "b/", "b/a/", "c/d/e/zz", "zz", "\U0010ffff"):
            assert await names(tree, prefix, start_after=after) == [key for key in expected if key > after]


@pytest.mark.parametrize("delimiter", ["/", "e", "a/", "!", "none"])
async def test_any_delimiter(tree: LocalRequests, delimiter: str) -> None:
    """What is common up to a delimiter is given once, over pages, whatever the delimiter is."""
    for prefix in ("", "b", "b/", "c/d/", "é"):
        expected = dict.fromkeys(
            key if (end := key.find(delimiter, len(prefix))) < 0 else key[: end + len(delimiter)]
            for key in TREE
            if key.startswith(prefix)
        )
        assert await names(tree, prefix, delimiter=delimiter) == list(expected)


async def test_a_page_does_not_read_the_whole_tree(
    tree: LocalRequests, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page reads the directories that it touches and no other."""
    scanned: list[str] = []
    scandir = os.scandir

    def counting(path: str) -> object:
        scanned.append(os.path.relpath(path, base))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    await tree.list_page()
    assert scanned == [".", "a-"]
    scanned.clear()
    await tree.list_page("c/d/e")
    assert scanned == ["c/d", "c/d/e"]
    scanned.clear()
    await tree.list_page(start_after="c/d/e.f")
    assert scanned == [".", "c", "c/d", "c/d/e", "empty", "empty/too", "é"]
    scanned.clear()
    await tree.list_page("empty/too/")
    await tree.list_page(".bucketry/")
    await tree.list_page("none/")
    assert scanned == ["empty/too"]


@pytest.mark.slow
async def test_large_directories_are_read_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a large directory at rest share one reading of it; a change is seen all the same."""
    base.mkdir()
    for number in range(2_500):
        (base / f"{number:04}").touch()
    os.utime(base, (1_000, 1_000))
    local = LocalRequests(LocalConfig(base_path=base), VENDOR)
    scanned: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(path), scandir(path))[1])
    assert len(await names(local)) == 2_500
    assert len(scanned) == 1
    (base / "new").touch()
    assert len(await names(local)) == 2_501


async def test_a_tree_as_deep_as_keys_can_be(local: LocalRequests) -> None:
    """The deepest possible key is stored, listed and deleted, with its directories."""
    key = "/".join("d" * 512)
    await local.put_object(key, b"x", PLAIN)
    assert await names(local) == [key]
    assert await names(local, delimiter="/") == ["d/"]
    await local.delete(key)
    assert await names(local) == []


@pytest.mark.parametrize("upload_id", ["..", "../../key", "x" * 32, "", "0" * 32])
async def test_upload_ids_are_no_paths(local: LocalRequests, base: Path, upload_id: str) -> None:
    """An upload id that was never given names nothing, whatever path it looks like."""
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
    """Another provider on the same directory sees an open upload and completes it."""
    upload = await local.create_multipart("a/key", WriteOptions(metadata={"m": "1"}))
    part = await local.put_part(upload, 1, b"x")
    other = LocalRequests(LocalConfig(base_path=base), VENDOR)
    assert await other.list_multiparts("a/") == (upload,)
    info = await other.complete_multipart(upload, [part], WriteOptions(if_none_match="*"))
    assert (info.metadata, await other.list_multiparts()) == ({"m": "1"}, ())
    assert [name for name in left_behind(base) if not name.startswith("meta")] == []


async def test_of_two_completions_one_finds_no_upload(local: LocalRequests) -> None:
    """Two completions at once publish the object once."""
    upload = await local.create_multipart("key", PLAIN)
    parts = [await local.put_part(upload, number, b"x" * 1000) for number in range(1, 5)]
    done = await asyncio.gather(
        *(local.complete_multipart(upload, parts, PLAIN) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["ObjectInfo", "UploadNotFoundError", "UploadNotFoundError"]


async def test_a_reader_keeps_its_version(local: LocalRequests) -> None:
    """What was opened before a replacement or a delete is read to its end."""
    await local.put_object("key", b"a" * 3 * MiB, PLAIN)
    async with local.open_body("key") as body:
        await local.put_object("key", b"b", PLAIN)
        await local.delete("key")
        assert b"".join([chunk async for chunk in body]) == b"a" * 3 * MiB


async def test_a_file_changed_while_it_is_read(local: LocalRequests, base: Path) -> None:
    """Bytes of a file that another program changes in place meanwhile are not taken for an object's."""
    await local.put_object("key", bytes(3 * MiB), PLAIN)

    async def read_while_it_changes() -> None:
        async with local.open_body("key") as body:
            async for _ in body:
                (base / "key").write_bytes(b"shorter")

    with pytest.raises(PreconditionFailedError):
        await read_while_it_changes()


class FullSink:
    """A sink on a device that is always full."""

    needs_bytes = False
    position = 0

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes."""
        os.pwrite(self.fd, data, self.position)

    def skip(self, count: int) -> None:
        """Note bytes written by others."""
        self.position += count


@pytest.mark.parametrize("needs_bytes", [True, False])
async def test_a_download_to_a_full_disk(local: LocalRequests, *, needs_bytes: bool) -> None:
    """An error of the sink's file is a typed error too."""
    await local.put_object("key", b"data", PLAIN)
    fd = os.open("/dev/full", os.O_RDWR)
    try:
        sink = FullSink(fd)
        sink.needs_bytes = needs_bytes
        with pytest.raises(DiskFullError):
            await local.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(0, 4)))
        assert sink.position == 0
    finally:
        os.close(fd)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
async def test_where_the_kernel_does_not_copy(
    local: LocalRequests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where the kernel refuses to copy between files, reading and writing does the same."""

    def refuse(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local_bytes, "_copy_file_range", refuse)
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    with source.open("rb") as file:
        await local.put_object("key", FileRange(file.fileno(), 3, 9), PLAIN)
        assert file.tell() == 0
    assert await read(local, "key") == b"345678"


async def test_a_source_that_shrinks(local: LocalRequests, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch of a file that ends early says how much arrived."""
    info = await local.put_object("key", b"0123456789", PLAIN)
    monkeypatch.setattr(local_bytes, "copy_range", lambda *_: 4)
    with (base / "target").open("wb+") as file:
        sink = FullSink(file.fileno())
        with pytest.raises(IncompleteBodyError):
            await local.fetch_range("key", sink, ReadOptions(if_match=info.etag))
    assert sink.position == 4


async def test_connect_makes_the_base(base: Path) -> None:
    """Connecting makes the directory, with its parents; so does the first write without it."""
    for path in (base / "deep" / "one", base / "deep" / "two"):
        local = LocalRequests(LocalConfig(base_path=path), VENDOR)
        assert await names(local) == []
        with pytest.raises(NotFoundError):
            await local.head("key")
        if path.name == "one":
            await local.connect()
            assert path.is_dir()
        await local.put_object("a/key", b"x", PLAIN)
        await local.delete("a/key")
        assert await names(local) == []


@pytest.mark.parametrize("below", ["", "/below"])
async def test_a_base_that_is_a_file(tmp_path: Path, below: str) -> None:
    """A base that is, or is below, a file is refused with its path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalNotADirectoryError, match="file") as caught:
        await LocalRequests(LocalConfig(base_path=f"{tmp_path}/file{below}"), VENDOR).connect()
    assert caught.value.path is not None


@NOT_AS_ROOT
async def test_a_base_that_may_not_be_written(base: Path) -> None:
    """A base without permission to write is refused by connect, and is still readable."""
    base.mkdir()
    (base / "key").write_bytes(b"x")
    base.chmod(0o500)
    local = LocalRequests(LocalConfig(base_path=base), VENDOR)
    with pytest.raises(LocalPermissionError):
        await local.connect()
    assert await read(local, "key") == b"x"
    base.chmod(0o700)


async def test_a_relative_base_is_fixed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative base means the working directory of the constructor, also after it was pickled."""
    monkeypatch.chdir(tmp_path)
    local = LocalRequests(LocalConfig(base_path="data"), VENDOR)
    await local.put_object("key", b"x", PLAIN)
    copy = pickle.loads(pickle.dumps(local))
    monkeypatch.chdir("/")
    assert await read(copy, "key") == b"x"
    assert copy.locate("key") == f"file://{tmp_path}/data/key"


async def test_batches_report_each_key(local: LocalRequests) -> None:
    """A bulk delete goes on after a key that is refused, and names it."""
    await local.put_object("a", b"", PLAIN)
    result = await local.delete_batch(["a", "missing", "../up"])
    assert result.succeeded == ("a", "missing")
    assert isinstance(result.failed["../up"], UnsafeKeyError)


def test_etags_differ_within_a_tick_of_the_clock(base: Path) -> None:
    """Versions written one after the other have different etags, also where inodes are used again."""

    async def write() -> set[str]:
        local = LocalRequests(LocalConfig(base_path=base), VENDOR)
        return {(await local.put_object("key", b"same", PLAIN)).etag for _ in range(200)}

    assert len(asyncio.run(write())) == 200


async def test_what_is_no_upload_is_passed_over(local: LocalRequests, base: Path) -> None:
    """Files and directories of others among the open uploads are neither listed nor an error."""
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
    """What the disk refuses is an error of the package that names the path."""
    own = base / ".bucketry"
    own.mkdir(parents=True, exist_ok=True)
    if (own / "uploads").exists():
        (own / "uploads").rmdir()
    (own / "uploads").write_bytes(b"x")
    with pytest.raises(LocalFileError, match="uploads"):
        await local.list_multiparts()
