"""Asks the process of `forked.py` to run a command line. As a program: `fork_client.py SOCKET WORD …`.

Only what that needs is imported, because a shell starts this program for each command.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def run(path: str, words: list[str], streams: tuple[int, int, int], cwd: str, environ: dict[str, str]) -> int:
    """Run a command line to the end, and return its exit code; minus the number of the signal that ended it."""
    order = json.dumps([words, cwd, environ]).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(order).to_bytes(8, "big")], streams)
        connection.sendall(order)
        return int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big", signed=True)


def main() -> int:
    """Run as a program, and return the exit code as a shell gives it."""
    _, path, *words = sys.argv
    code = run(path, words, (0, 1, 2), os.getcwd(), dict(os.environ))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
