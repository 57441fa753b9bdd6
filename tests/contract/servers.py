"""S3 servers on this machine: moto in a thread, rclone as a process."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends

from bucketry.testing import _moto

ACCESS_KEY = "contract-access-key"
SECRET_KEY = "contract-secret-key"
_START_TIMEOUT = 15.0
_NUMBERS = itertools.count()  # of all servers, because those of moto share their buckets in a process


class S3Server:
    """A running server, and buckets on it.

    Attributes:
        client: A boto3 client, to check what a provider has stored.
    """

    def __init__(self, endpoint_url: str, row: str) -> None:
        self.endpoint_url = endpoint_url
        self._row = row
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def new_bucket(self, *, versions: bool = False) -> dict[str, Any]:
        """Make an empty bucket, and give the configuration of a provider for it.

        Args:
            versions: The bucket keeps the versions of its objects, where the server has versions.
        """
        name = f"contract-{next(_NUMBERS)}"
        self._make(name, versions=versions)
        return {
            "bucket_name": name,
            "endpoint_url": self.endpoint_url,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "server": self._row,
        }

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _make(self, name: str, *, versions: bool) -> None:
        self.client.create_bucket(Bucket=name)


class Moto(S3Server):
    """moto in this process: what only prepares a test is done without a request, which takes 10 ms and more."""

    @property
    def stored(self) -> S3Backend:
        """What all servers of this process have stored."""
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """Store an empty object under each key."""
        for key in keys:
            self.stored.put_object(bucket, key, b"")

    def open_uploads(self, bucket: str, keys: Iterable[str]) -> None:
        """Open an upload of each key."""
        for key in keys:
            self.stored.create_multipart_upload(bucket, key, {}, "STANDARD", {}, None, None, None)

    def _make(self, name: str, *, versions: bool) -> None:
        self.stored.create_bucket(name, "us-east-1")
        if versions:
            self.stored.put_bucket_versioning(name, "Enabled")


@contextmanager
def moto() -> Iterator[Moto]:
    """Run moto, which behaves like AWS, with conditions and checksums."""
    with _moto() as url:
        server = Moto(url, row="aws")
        try:
            yield server
        finally:
            server.close()


@contextmanager
def rclone(directory: Path) -> Iterator[S3Server]:
    """Run `rclone serve s3`, a server with few features that stores objects as files."""
    port = _free_port()
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", str(directory)]
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", os.devnull]
    # Else it takes two Unicode forms of one name for the same directory, which no S3 does.
    options.append("--no-unicode-normalization")
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        server = S3Server(f"http://127.0.0.1:{port}", row="generic")
        try:
            yield server
        finally:
            server.close()
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
