"""Ports for servers, and waiting until a server answers on its port."""

from __future__ import annotations

import socket
import subprocess
import time

START_TIMEOUT = 15.0  # nginx and rclone take under 0.2 s; the machine may be busy


def free_port() -> int:
    """Give a TCP port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process accepts connections.

    Raises:
        OSError: It has ended, or did not within `START_TIMEOUT`.
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
