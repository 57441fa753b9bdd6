"""The program on a terminal: progress, another width, Ctrl-C, colours and cut keys; and in a pipe."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bucketry._cli.terminal import width_of
from tests.cli.conftest import ENVIRON, Shell

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("interruptible")]

TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes the terminal that of the process, so that its Ctrl-C and its new size become signals."""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ENTER, CTRL_C = b"\n", b"\x03"
GATE = """
import asyncio, os
from bucketry import MemoryProvider, StorageProviderFactory
from bucketry.testing import Fault, FaultyProvider
async def wait():
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
provider = FaultyProvider(MemoryProvider(), tuple(Fault(operation="put_object", nth=n, hook=wait) for n in (2, 3)))
StorageProviderFactory.register("gate", lambda config, **options: provider)
"""
"""A provider that stores the first object, and the others only after the test has made the file `go`."""
NOTE = "interrupted: cleaning up (interrupt again to stop at once)"


class Terminal:
    """A process on a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self.shown = ""

    def resize(self, columns: int) -> None:
        """Change the width, as by dragging the window."""
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._screen, keys)

    def until(self, text: str) -> str:
        """Read until a text is shown; return what was shown since the last call."""
        before = len(self.shown)
        while text not in self.shown[before:]:
            more = self._read()
            assert more, f"{text!r} is not in {self.shown[before:]!r}"
        return self.shown[before:]

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait()

    def widest(self, since: int = 0) -> int:
        """Return the columns of the longest line that was shown."""
        lines = re.split(r"[\r\n]+", CONTROL.sub("", self.shown[since:]))
        return max(map(width_of, lines))

    def _read(self) -> str:
        select.select([self._screen], [], [])
        try:
            more = os.read(self._screen, 65_536).decode(errors="replace")
        except OSError:  # the process has ended
            more = ""
        self.shown += more
        return more


@contextmanager
def on_terminal(shell: Shell, *words: str, columns: int = 80, **environ: str) -> Iterator[Terminal]:
    """Start the command on a terminal of so many columns."""
    screen, inside = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *shell.command, *words],
        cwd=shell.directory,
        env={**kept, "TERM": "xterm-256color", **ENVIRON, **shell.environ, **environ},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _files(bucketry: Shell) -> None:
    for number in range(3):
        bucketry.write(f"tree/{number}.bin", bytes(1_000_000))


def _upload(bucketry: Shell) -> tuple[Shell, tuple[str, ...]]:
    _files(bucketry)
    return bucketry.scripted(GATE), ("upload", "tree", "k/", "--provider", "gate", "--concurrency", "1")


@pytest.mark.parametrize("columns", [80, 200])
def test_progress_is_shown(bucketry: Shell, columns: int) -> None:
    """During an upload, files, bytes and percent are shown within the terminal's width; the summary stays."""
    shell, words = _upload(bucketry)
    with on_terminal(shell, *words, columns=columns) as terminal:
        text = CONTROL.sub("", terminal.until("files 1 of 3"))
        assert "of 2.9 MiB" in text
        assert "33 %" in text
        assert terminal.widest() <= columns
        bucketry.write("go", b"")
        terminal.until("verified")
        assert terminal.end() == 0
        assert terminal.widest() <= columns
    assert "3,000,000" in terminal.shown


def test_another_width_does_no_harm(bucketry: Shell) -> None:
    """A terminal that becomes narrower and wider during a transfer changes the display only."""
    shell, words = _upload(bucketry)
    with on_terminal(shell, *words, columns=200) as terminal:
        terminal.until("files 1 of 3")
        for columns in (60, 20, 120):
            terminal.resize(columns)
            terminal.until("upload")
        terminal.until("files 1 of 3")
        bucketry.write("go", b"")
        assert terminal.end() == 0
    assert "Traceback" not in terminal.shown
    assert "3,000,000" in terminal.shown


def test_ctrl_c_ends_cleanly_and_says_how_to_continue(bucketry: Shell) -> None:
    """Ctrl-C during an upload of many files ends with 130, and names the command that continues."""
    shell, words = _upload(bucketry)
    with on_terminal(shell, *words) as terminal:
        terminal.until("files 1 of 3")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    text = CONTROL.sub("", terminal.shown)
    assert NOTE in text
    assert "what is complete was kept; to continue, " in text
    assert "Traceback" not in text
    assert terminal.shown.count("\x1b[?25l") == terminal.shown.count("\x1b[?25h")  # the cursor is shown again


def test_ctrl_c_twice_ends_at_once(bucketry: Shell) -> None:
    """If the clean-up takes too long, a second Ctrl-C ends the program."""
    stubborn = bucketry.scripted(
        "import asyncio\n"
        "from bucketry import MemoryProvider, StorageProviderFactory\n"
        "class Stubborn(MemoryProvider):\n"
        "    async def head(self, key, *, version_id=None):\n"
        "        print('waiting', flush=True)\n"
        "        while True:\n"
        "            try:\n"
        "                await asyncio.Event().wait()\n"
        "            except asyncio.CancelledError:\n"
        "                pass\n"
        "StorageProviderFactory.register('stubborn', Stubborn)"
    )
    with on_terminal(stubborn, "info", "k", "--provider", "stubborn") as terminal:
        terminal.until("waiting")
        terminal.press(CTRL_C)
        terminal.until(NOTE)
        terminal.press(CTRL_C)
        assert terminal.end() == 130


def test_ctrl_c_twice_during_a_transfer_leaves_the_terminal_in_order(bucketry: Shell) -> None:
    """The second Ctrl-C ends the program during the progress display: the cursor is shown again, on a new line."""
    _files(bucketry)
    gate = GATE.replace("await asyncio.sleep(0.01)", "await stay()").replace(
        "async def wait",
        "async def stay():\n    try:\n        await asyncio.sleep(1)\n"
        "    except asyncio.CancelledError:\n        pass\nasync def wait",
    )
    words = ("upload", "tree", "k/", "--provider", "gate", "--concurrency", "1")
    with on_terminal(bucketry.scripted(gate), *words) as terminal:
        terminal.until("files 1 of 3")
        terminal.press(CTRL_C)
        terminal.until(NOTE)
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l") >= 0
    assert terminal.shown.endswith("\r\n")
    assert "Traceback" not in terminal.shown


def test_a_second_ctrl_c_while_the_program_ends_shows_no_traceback(bucketry: Shell) -> None:
    """After the first Ctrl-C has ended the job, Python waits for its threads; a second one ends that wait at once.

    The thread tells it a moment late: Python misses a signal that comes just before its wait begins.
    """
    waiting = bucketry.scripted(
        "import asyncio, threading\n"
        "from bucketry import MemoryProvider, StorageProviderFactory\n"
        "def stay():\n"
        "    threading.main_thread().join()\n"
        "    threading.Event().wait(0.3)\n"
        "    print('ending', flush=True)\n"
        "    threading.Event().wait()\n"
        "class Slow(MemoryProvider):\n"
        "    async def head(self, key, *, version_id=None):\n"
        "        threading.Thread(target=stay).start()\n"
        "        print('waiting', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "StorageProviderFactory.register('slow', Slow)"
    )
    with on_terminal(waiting, "info", "k", "--provider", "slow") as terminal:
        terminal.until("waiting")
        terminal.press(CTRL_C)
        terminal.until("ending")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert "Traceback" not in terminal.shown


def _shown(shell: Shell, *words: str, columns: int = 80, **environ: str) -> str:
    """Return all that a command shows on a terminal."""
    with on_terminal(shell, *words, columns=columns, **environ) as terminal:
        terminal.end()
    return terminal.shown


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_for_terminals_that_have_them(bucketry: Shell, environ: dict[str, str]) -> None:
    """An error is red on a terminal; with NO_COLOR, on a dumb terminal and in a pipe it is the same text without."""
    coloured = _shown(bucketry, "info", "missing")
    assert COLOUR.search(coloured)
    plain = _shown(bucketry, "info", "missing", **environ)
    assert plain == CONTROL.sub("", coloured)
    assert bucketry("info", "missing").err == plain.replace("\r\n", "\n")


@pytest.mark.parametrize("words", [("upload", "tree", "k/"), ("download", "d/", "out"), ("list",), ("du",), ("info",)])
def test_a_dumb_terminal_and_a_pipe_get_text_only(bucketry: Shell, words: tuple[str, ...]) -> None:
    """Nothing moves the cursor of a dumb terminal, and nothing but text is written to a pipe."""
    _files(bucketry)
    bucketry.write("data/storage/d/k", b"x")
    assert "\x1b" not in _shown(bucketry, *words, TERM="dumb")
    ran = bucketry(*words)
    assert ran.code == 0
    assert re.search(r"[\x00-\x09\x0b-\x1f]", ran.text + ran.err) is None


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("words", [("list",), ("ls", "-l"), ("du",)])
def test_a_long_key_is_cut_on_a_terminal_only(bucketry: Shell, words: tuple[str, ...], columns: int) -> None:
    """A listing fits the terminal, also with wide characters; a pipe gets whole keys."""
    long, wide = f"{'directory-' * 24}/{'name-' * 30}.bin", f"{'数据' * 40}/{'训练' * 30}.bin"
    for key in (long, wide):
        bucketry.write(f"data/storage/{key}", b"x")
    with on_terminal(bucketry, *words, columns=columns) as terminal:
        assert terminal.end() == 0
        assert terminal.widest() <= columns
    assert "…" in terminal.shown
    whole = (long, wide) if words[0] != "du" else (long.split("/", maxsplit=1)[0], wide.split("/", maxsplit=1)[0])
    piped = bucketry(*words).text
    assert all(key in piped for key in whole)


def test_the_help_fits_a_narrow_terminal(bucketry: Shell) -> None:
    """The texts of options are broken at the terminal's width, and at 80 columns on a wide one."""
    for columns, most in ((50, 90), (200, 80)):
        text = _shown(bucketry, "list", "--help", columns=columns)
        options = text.partition("common options")[2].partition("examples")[0]
        assert max(map(len, options.splitlines())) <= most - 10 * (columns == 50)
    assert Path(bucketry.directory).exists()
