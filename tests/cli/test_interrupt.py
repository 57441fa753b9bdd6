"""Ctrl-C: after the first the program cleans up, at the second it ends at once."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Shell, files_below

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("interruptible")]

NOTE = b"interrupted: cleaning up (interrupt again to stop at once)\n"


def _until(condition: Callable[[], object], running: subprocess.Popen[bytes]) -> None:
    """Wait until a condition of another process is true; the test's timeout ends the wait."""
    while not condition():
        assert running.poll() is None
        time.sleep(0.01)


def _uploads(store: Path) -> list[Path]:
    return [*store.glob(".bucketry/uploads/*")]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_upload_leaves_nothing(bucketry: Shell, sent: signal.Signals, code: int) -> None:
    """A signal during an upload that waits for input aborts its parts and stores no object."""
    with bucketry.start("upload", "--local", "-", "--remote", "k", "--part-size", "64KiB") as running:
        assert running.stdin is not None
        running.stdin.write(bytes(1_000_000))
        running.stdin.flush()
        _until(lambda: _uploads(bucketry.store), running)
        running.send_signal(sent)
        out, err = running.communicate()
    assert (running.returncode, out, err) == (code, b"", NOTE)
    assert _uploads(bucketry.store) == []
    assert files_below(bucketry.store) == {}


def test_an_interrupted_download_leaves_the_old_file(bucketry: Shell) -> None:
    """SIGINT during a download keeps the old file and leaves no staged one."""
    hanging = bucketry.scripted(
        "from bucketry import MemoryProvider, StorageProviderFactory\n"
        "from bucketry.testing import Fault, FaultyProvider\n"
        "import asyncio\n"
        "async def full():\n"
        "    inner = MemoryProvider()\n"
        "    await inner.put('k', bytes(3000))\n"
        "    return inner\n"
        "async def told():\n"
        "    print('fetching', flush=True)\n"
        "faults = tuple(Fault(operation='fetch_range', nth=n, hook=told, hang=True) for n in (1, 2, 3))\n"
        "provider = FaultyProvider(asyncio.run(full()), faults)\n"
        "StorageProviderFactory.register('hanging', lambda config, **options: provider)"
    )
    bucketry.write("out/k", b"old")
    with hanging.start("download", "--remote", "k", "--local", "out/k", "--provider", "hanging") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"fetching\n"
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert (running.returncode, err) == (130, NOTE)
    assert files_below(bucketry.directory / "out") == {"k": b"old"}


def test_a_second_interrupt_ends_at_once(bucketry: Shell) -> None:
    """If the clean-up hangs, the second Ctrl-C ends the program with the same code."""
    stubborn = bucketry.scripted(
        "import asyncio\n"
        "from bucketry import MemoryProvider, StorageProviderFactory\n"
        "class Stubborn(MemoryProvider):\n"
        "    async def head(self, key, *, version_id=None):\n"
        "        try:\n"
        "            print('waiting', flush=True)\n"
        "            await asyncio.Event().wait()\n"
        "        finally:\n"
        "            await asyncio.Event().wait()\n"
        "StorageProviderFactory.register('stubborn', Stubborn)"
    )
    with stubborn.start("info", "k", "--provider", "stubborn") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == b"waiting\n"
        running.send_signal(signal.SIGINT)
        assert running.stderr.readline() == NOTE
        running.send_signal(signal.SIGINT)
        assert running.wait() == 130


def test_an_interrupted_cat_into_a_full_pipe_ends(bucketry: Shell) -> None:
    """SIGINT ends a cat whose reader does not read."""
    bucketry.write("data/storage/k", bytes(5_000_000))
    with bucketry.start("cat", "k") as running:
        assert running.stdout is not None
        assert len(running.stdout.read(1_000)) == 1_000
        running.send_signal(signal.SIGINT)
        assert running.wait() == 130
        assert running.stderr is not None
        assert running.stderr.read() == NOTE


def test_an_error_while_cleaning_up_is_shown(bucketry: Shell) -> None:
    """An error during the clean-up is printed, and the exit code is still that of the interrupt."""
    failing = bucketry.scripted(
        "import asyncio\n"
        "from bucketry import MemoryProvider, StorageProviderFactory, errors\n"
        "class Failing(MemoryProvider):\n"
        "    async def head(self, key, *, version_id=None):\n"
        "        print('waiting', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "    async def disconnect(self):\n"
        "        raise errors.ConnectionFailedError('no clean-up')\n"
        "StorageProviderFactory.register('failing', Failing)"
    )
    with failing.start("info", "k", "--provider", "failing") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"waiting\n"
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert (running.returncode, err) == (130, NOTE + b"error: info: no clean-up\n")


@pytest.mark.parametrize(
    "words",
    [
        ("upload", "tree", "new"),
        ("download", "old/", "new"),
        ("copy", "-r", "old", "new"),
    ],
)
def test_a_transfer_of_many_files_says_how_to_continue(bucketry: Shell, words: tuple[str, ...]) -> None:
    """After Ctrl-C what is complete stays, nothing else does, and the named command transfers the rest."""
    data = {f"f{number}": bytes(3_000) for number in range(9)}
    for name, body in data.items():
        bucketry.write(f"tree/{name}", body)
        bucketry.write(f"data/storage/old/{name}", body)
    target = bucketry.directory / "new" if words[0] == "download" else bucketry.store / "new"
    slow = ("--bwlimit", "1KiB", "--part-size", "1KiB", "--concurrency", "1")
    if words[0] == "copy":  # the store copies by itself, so the rate has no limit: a request hangs instead
        shell, slow = bucketry.scripted(_HANGING_COPY), ("--provider", "hanging", "--concurrency", "1")
    else:
        shell = bucketry
    with shell.start(*words, *slow) as running:
        _until(lambda: target.is_dir() and any(path.name in data for path in target.iterdir()), running)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate()
    again = "to continue, run the same command again with --no-clobber\n"
    assert (running.returncode, out) == (130, b"")
    assert err.decode() == f"{NOTE.decode()}{words[0]}: what is complete was kept; {again}"
    found = files_below(target)
    assert 0 < len(found) < len(data)
    assert found.items() <= data.items()
    ran = bucketry(*words, "--no-clobber", "--json")
    assert (ran.code, ran.document["skipped"]) == (0, len(found))
    assert files_below(target) == data


_HANGING_COPY = (
    "from bucketry import LocalProvider, StorageProviderFactory\n"
    "from bucketry.testing import Fault, FaultyProvider\n"
    "fault = Fault(operation='copy_object', nth=3, hang=True)\n"
    "provider = FaultyProvider(LocalProvider({'base_path': 'data/storage'}), (fault,))\n"
    "StorageProviderFactory.register('hanging', lambda config, **options: provider)"
)
