"""Writes to the disk: atomic and cancellable; of parallel conditional writes exactly one succeeds."""

# ruff: noqa: ASYNC240 - the tests look at the disk between calls, and nothing else runs meanwhile

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bucketry._core.options import WriteOptions
from bucketry._core.values import FileRange
from bucketry._providers.local import store as local_store
from bucketry._providers.local.requests import LocalRequests
from bucketry._runtime.file_copies import PIECE
from bucketry.errors import (
    AlreadyExistsError,
    IntegrityError,
    PreconditionFailedError,
    UnsafeKeyError,
)
from tests.local.disk import PLAIN, left_behind, names, read
from tests.transfer.doubles import until


async def test_a_failed_write_leaves_nothing(local: LocalRequests, base: Path, tmp_path: Path) -> None:
    """A source that is shorter than its range is refused, and no staged file stays."""
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


async def test_a_cancelled_write_leaves_nothing(local: LocalRequests, base: Path) -> None:
    """A cancelled write stops after the present piece, waits for its thread, and leaves no file."""
    zeros = mmap.mmap(-1, 16 * PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # takes no memory
    task = asyncio.create_task(local.put_object("key", memoryview(zeros), PLAIN))
    staged = base / ".bucketry" / "staging"
    await until(lambda: any(path.stat().st_size for path in staged.iterdir()))
    with next(staged.iterdir()).open("rb") as file:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        written = os.fstat(file.fileno()).st_size
    assert 0 < written < 16 * PIECE
    assert written % PIECE == 0  # the write waited for its thread
    assert (await names(local), left_behind(base)) == ([], [])


async def test_old_staged_files_are_swept(local: LocalRequests, base: Path) -> None:
    """Connecting removes staged files that are older than a day, from killed processes, and no newer ones."""
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
    """A full disk or quota is a `DiskFullError`; the old object stays, and no staged file does."""
    source = tmp_path / "source"
    source.write_bytes(bytes(200_000))
    subprocess.run([sys.executable, "-c", FULL_DISK, str(base), str(source)], check=True, timeout=15)
    assert (base / "key").read_bytes() == b"old"
    assert left_behind(base) == []


async def test_of_racing_creators_exactly_one_wins(local: LocalRequests, base: Path) -> None:
    """Of parallel writes with `if_none_match="*"` exactly one succeeds, and its bytes and metadata stay."""

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
    """If writers increment a counter with `if_match`, no increment is lost."""
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
    """A write succeeds even if a delete removes the directory that it needs."""

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
    """If a delete removes a directory while a write makes it, the write makes it again.

    A test cannot cause this at the right moment, so it raises the error of `os.makedirs` itself.
    """
    make, calls = os.makedirs, []

    def vanishing(path: str, *arguments: object, **options: object) -> None:
        if str(path).endswith("a/b") and len(calls) < 2:
            calls.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", path)  # the error of makedirs in this case
        make(path, *arguments, **options)  # type: ignore[arg-type]  # passed on unchanged

    monkeypatch.setattr(os, "makedirs", vanishing)
    await local.put_object("a/b/1", b"x", PLAIN)
    assert len(calls) == 2
    assert await read(local, "a/b/1") == b"x"
    await local.put_object("a/file", b"x", PLAIN)
    with pytest.raises(UnsafeKeyError, match="is an object already"):
        await local.put_object("a/file/below", b"x", PLAIN)


async def test_a_stopped_holder_of_the_lock_does_not_hold_up_a_cancellation(local: LocalRequests, base: Path) -> None:
    """A write that waits for another process's lock can be cancelled, and leaves no file."""
    with local_store.locked(local._root, "key") as lock:
        assert list(local_store.acquire(lock)) == []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await local.put_object("key", b"x", PLAIN)
    assert (await names(local), left_behind(base)) == ([], [])
    await local.put_object("key", b"x", PLAIN)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
async def test_where_the_kernel_does_not_copy(
    local: LocalRequests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """If the kernel cannot copy between files, reading and writing gives the same result.

    Other file systems and kernels refuse it; this machine may not, so the test patches `os`.
    """

    def refuse(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    with source.open("rb") as file:
        await local.put_object("key", FileRange(file.fileno(), 3, 9), PLAIN)
        assert file.tell() == 0
    assert await read(local, "key") == b"345678"
