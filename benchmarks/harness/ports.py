"""Finds free ports, and waits until a server accepts connections."""

from __future__ import annotations

import socket
import subprocess
import time

START_TIMEOUT = 15.0  # nginx and rclone need under 0.2 s, but the machine may be busy


def free_port() -> int:
    """Give a free TCP port of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process accepts connections.

    Raises:
        OSError: The process has ended, or accepts none within `START_TIMEOUT`.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
