"""Starts the process of `forked.py`, one for all tests of this process, and runs command lines in its copies."""

from __future__ import annotations

import atexit
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import bucketry
from tests.cli import fork_client, forked

ENVIRON = {
    "PYTHONPATH": str(Path(bucketry.__file__).parents[1]),
    "PYTHONUNBUFFERED": "",
    # The first process compiles the modules for all others, which halves the time of these tests.
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / f"bucketry-tests-{os.getuid()}"),
}
"""Child processes import the tested package, even if the tests' path is relative, and buffer their output."""


def about_python(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that an interpreter reads when it starts: what they say cannot be changed later."""
    return {name: value for name, value in environ.items() if name.startswith(("PYTHON", "LC_", "LANG", "COVERAGE"))}


@cache
def server() -> tuple[str, dict[str, str]]:
    """Start the process; give the path of its socket, and how it was started. Both go when this process ends."""
    path = str(Path(tempfile.mkdtemp(prefix="bucketry-")) / "socket")
    environ = {**os.environ, **ENVIRON}
    command = [sys.executable, forked.__file__, path]
    process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    atexit.register(process.communicate)  # closes its standard input, at whose end it ends
    return path, about_python(environ)


def can_run(environ: Mapping[str, str]) -> bool:
    """Tell whether an interpreter with these variables starts as the server's did."""
    return about_python(environ) == server()[1]


def run(words: tuple[str, ...], cwd: Path, environ: dict[str, str], stdin: bytes) -> tuple[int, bytes, bytes]:
    """Run a command line to the end; give its exit code and what it printed to both streams."""
    (feed, fed), (out, told), (err, told_err) = pipes = [os.pipe() for _ in range(3)]
    with ThreadPoolExecutor(len(pipes)) as threads:
        try:
            threads.submit(write, fed, stdin)
            outputs = [threads.submit(read, end) for end in (out, err)]
            code = fork_client.run(server()[0], list(words), (feed, told, told_err), str(cwd), environ)
        finally:
            for end in (feed, told, told_err):
                os.close(end)
        return code, outputs[0].result(), outputs[1].result()


def read(end: int) -> bytes:
    """Read a pipe to its end."""
    with open(end, "rb") as pipe:
        return pipe.read()


def write(end: int, data: bytes) -> None:
    """Write into a pipe, which its reader may close before."""
    try:
        with open(end, "wb", buffering=0) as pipe:
            while data:
                data = data[pipe.write(data) :]
    except BrokenPipeError:
        pass


def program(path: Path) -> None:
    """Make a program `bucketry` for shells."""
    words = [sys.executable, "-I", "-S", fork_client.__file__, server()[0]]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o700)
