"""The lock among processes: tasks and processes exclude each other, and a killed owner releases it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bucketry._runtime.file_lock import FileLock
from bucketry.errors import LocalFileError, LocalFileNotFoundError, LocalPermissionError

_HOLD = """
import asyncio, sys
from bucketry._runtime.file_lock import FileLock

async def main():
    async with FileLock(sys.argv[1]):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""

_ADD = """
import asyncio, sys
from pathlib import Path
from bucketry._runtime.file_lock import FileLock

async def main():
    number = Path(sys.argv[2])
    for _ in range(20):
        async with FileLock(sys.argv[1]):
            value = int(number.read_text())
            await asyncio.sleep(0)
            number.write_text(str(value + 1))

asyncio.run(main())
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the lock until its input ends."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


async def until_waiting(lock: FileLock) -> None:
    """Let the loop run until the lock has been refused once."""
    async with asyncio.timeout(5):
        while not lock.waited:  # noqa: ASYNC110 - the lock has no event to wait for
            await asyncio.sleep(0)


async def test_tasks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    """While one task holds the lock, another one waits; it gets the lock when the first leaves."""
    path = str(tmp_path / "lock")
    order = []

    async def second(lock: FileLock) -> None:
        async with lock:
            order.append("second")

    async with asyncio.TaskGroup() as group, FileLock(path) as first:
        waiting = FileLock(path)
        group.create_task(second(waiting))
        await until_waiting(waiting)
        order.append("first")
    assert order == ["first", "second"]
    assert (first.waited, waiting.waited) == (False, True)


@pytest.mark.slow
async def test_a_killed_owner_releases_the_lock(tmp_path: Path) -> None:
    """After SIGKILL of the process that holds the lock, another process gets it."""
    path = tmp_path / "lock"

    async def lock_it(lock: FileLock) -> None:
        async with lock:
            pass

    with holder(path) as process:
        async with asyncio.TaskGroup() as group:
            lock = FileLock(str(path))
            task = group.create_task(lock_it(lock))
            await until_waiting(lock)
            assert not task.done()
            process.send_signal(signal.SIGKILL)
    assert lock.waited


@pytest.mark.slow
def test_processes_do_not_overlap(tmp_path: Path) -> None:
    """Four processes that each add 20 to a number in a file under the lock lose no addition."""
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", _ADD, str(tmp_path / "lock"), str(number)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert number.read_text() == "80"


async def test_a_wait_can_be_cancelled(tmp_path: Path) -> None:
    """Cancelling a waiting task leaves no descriptor open, and the owner keeps the lock."""
    path = str(tmp_path / "lock")
    async with FileLock(path):
        before = len(os.listdir("/proc/self/fd"))
        waiting = FileLock(path)
        task = asyncio.get_running_loop().create_task(waiting.__aenter__())
        await until_waiting(waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(os.listdir("/proc/self/fd")) == before
        again = FileLock(path)
        task = asyncio.get_running_loop().create_task(again.__aenter__())
        await until_waiting(again)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_copy_of_the_descriptor_does_not_keep_the_lock(tmp_path: Path) -> None:
    """The lock ends with its block also if a forked child still has the descriptor."""
    path = str(tmp_path / "lock")
    async with FileLock(path) as lock:
        copy = os.dup(lock._fd)  # as after a fork: the same open file
    try:
        async with FileLock(path) as second:
            assert not second.waited
    finally:
        os.close(copy)


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """A lock in a directory that does not exist is a clear error."""
    with pytest.raises(LocalFileNotFoundError, match="opening the lock file"):
        async with FileLock(str(tmp_path / "none" / "lock")):
            pass


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link in place of the lock file is refused, and its target is not made."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalFileError, match="opening the lock file"):
        async with FileLock(str(tmp_path / "lock")):
            pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    """A lock in a directory that this user may not write is a clear error."""
    os.chmod(tmp_path, 0o500)
    with pytest.raises(LocalPermissionError, match="opening the lock file"):
        async with FileLock(str(tmp_path / "lock")):
            pass
