"""Runs `python -m bucketry` in a copy of a process that has loaded the modules: 0.06 s of CPU instead of 0.4.

A command has a process, a directory, an environment and streams of its own, as if it was started from a shell. Only
what it loads when it starts is not tested so: tests of that, and those that send signals, start a process.

As a program: `forked.py SOCKET`. It ends when its standard input ends.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from contextlib import suppress

OTHERS = ("aiobotocore.session", "botocore.session", "dotenv", "moto.s3.responses", "moto.server", "rich.console")
STDERR = 2


def load() -> None:
    """Load every module that a command line can need."""
    import bucketry  # noqa: PLC0415 - only the program needs it

    ours = pkgutil.walk_packages(bucketry.__path__, "bucketry.", onerror=lambda _: None)
    for name in (*(found.name for found in ours), *OTHERS):
        if not name.endswith("__main__"):
            with suppress(ImportError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)
    gc.collect()
    gc.freeze()


def serve(path: str) -> list[str]:
    """Answer until standard input ends. Returns only in the process of a command, the words of which it gives."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait for the commands
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print(flush=True)  # noqa: T201 - tells that commands can be run
        while True:
            if 0 in select.select([listener, 0], [], [])[0]:
                os.unlink(path)
                os.rmdir(os.path.dirname(path))
                os._exit(0)
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    words, cwd, environ = json.loads(connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
    command = os.fork()
    if command:
        for fd in streams:
            os.close(fd)
        with connection:
            connection.sendall(wait(command, connection).to_bytes(8, "big", signed=True))
        os._exit(0)
    connection.close()
    take_over(streams, cwd, environ)
    return list(words)


def wait(command: int, connection: socket.socket) -> int:
    """Wait for the end of a command, and kill it if nobody waits for its answer any more."""
    if hasattr(os, "pidfd_open"):
        ends = os.pidfd_open(command)
        if ends not in select.select([ends, connection], [], [])[0]:
            os.kill(command, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])


def take_over(streams: list[int], cwd: str, environ: dict[str, str]) -> None:
    """Give this process the streams, the directory and the environment of a command."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    tempfile.tempdir = None  # is found again, in the environment of the command
    sys.path.insert(0, cwd)  # as `python -m` does
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        stream = open(  # noqa: SIM115 - until the process ends
            number,
            "w" if number else "r",
            encoding=before.encoding,
            errors=before.errors,
            newline="\n" if number else None,
            buffering=1 if number == STDERR or os.isatty(number) else -1,
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(words: list[str]) -> None:
    """Run `python -m bucketry`, and end this process without the removal of all modules, which copies their memory."""
    sys.argv = ["bucketry", *words]
    try:
        runpy.run_module("bucketry", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        threading._shutdown()  # as the interpreter does: waits for the threads
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


if __name__ == "__main__":
    sys.path.pop(0)  # the directory of the tests
    load()
    run(serve(sys.argv[1]))
