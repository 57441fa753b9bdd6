"""Runs the command line at a pseudo-terminal, as a person does: its three streams are the terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
from collections.abc import Callable
from dataclasses import dataclass

from tests.cli.conftest import ENVIRON, Shell


@dataclass(frozen=True)
class Seen:
    """How a process at a terminal ended, and all that it showed there."""

    code: int
    screen: str


def at_terminal(
    shell: Shell,
    *words: str,
    answer: str = "",
    when: str = "[y/N] ",
    width: int = 120,
    interrupt: bool = False,
    meanwhile: Callable[[], object] | None = None,
) -> Seen:
    """Run to the end at a terminal.

    Args:
        shell: The command line and its directory.
        words: The words of the command line.
        answer: What the person types, with the key Enter behind it; empty: nothing.
        when: The text on the screen after which the person types.
        width: The columns of the terminal.
        interrupt: Send SIGINT, as the key Ctrl-C does, instead of an answer.
        meanwhile: What happens before the person types.
    """
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (40, width))
    try:
        with subprocess.Popen(
            [*shell.command, *words],
            cwd=shell.directory,
            env={**os.environ, **ENVIRON, "COLUMNS": str(width), "TERM": "xterm", **shell.environ},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        ) as running:
            os.close(slave)
            screen, typed = b"", not (answer or interrupt)
            while shown := _read(master):
                screen += shown
                if not typed and when.encode() in screen:
                    if meanwhile is not None:
                        meanwhile()
                    if interrupt:
                        running.send_signal(signal.SIGINT)
                    else:
                        os.write(master, f"{answer}\n".encode())
                    typed = True
            code = running.wait()
    finally:
        os.close(master)
    return Seen(code, screen.decode().replace("\r\n", "\n"))


def _read(master: int) -> bytes:
    """Return the next bytes; none: the process has closed the terminal."""
    try:
        return os.read(master, 65_536)
    except OSError:  # how Linux reports it
        return b""
