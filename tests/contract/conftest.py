"""One suite, every kind of place: a new provider adds one parameter here and no test."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bucketry._core.config import TransferConfig
from bucketry._core.units import MiB
from bucketry.providers import LocalProvider, MemoryProvider, PrefixedProvider, S3Provider, StorageProvider
from tests.contract import servers

PART_SIZE = 5 * MiB  # the smallest that every vendor takes
PLACES = ("memory", "local", "moto", "rclone", "prefixed")


@pytest.fixture(scope="session")
def moto() -> Iterator[servers.S3Server]:
    """Run moto for the session."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    """Run rclone's S3 server for the session."""
    with servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark of what a test server is known not to do."""
    config.addinivalue_line("markers", "gap(**places): why the test must fail on a place, such as `moto=…`")


@pytest.fixture(params=PLACES)
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageProvider]:
    """Give an open provider of each kind, on an empty place of its own."""
    for gap in request.node.iter_markers("gap"):
        if reason := gap.kwargs.get(request.param):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    transfer = TransferConfig(part_size=PART_SIZE, multipart_threshold=2 * PART_SIZE)
    made: StorageProvider
    match request.param:
        case "memory":
            made = MemoryProvider(transfer=transfer)
        case "local":
            made = LocalProvider({"base_path": tmp_path / "base"}, transfer=transfer)
        case "prefixed":
            made = PrefixedProvider(MemoryProvider(transfer=transfer), "below/")
        case server:
            config = request.getfixturevalue(server).new_bucket()
            made = S3Provider(config, transfer=transfer)
    async with made:
        yield made


class Sink:
    """A place in an open file, as transfers hand it to `fetch_range`."""

    def __init__(self, fd: int, position: int, *, needs_bytes: bool) -> None:
        self.fd = fd
        self.position = position
        self.needs_bytes = needs_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes."""
        self.position += os.pwrite(self.fd, data, self.position)

    def skip(self, count: int) -> None:
        """Note bytes written by others."""
        assert not self.needs_bytes
        self.position += count


OpenFile = Callable[[bytes], int]


@pytest.fixture
def open_file(tmp_path: Path) -> Iterator[OpenFile]:
    """Give a function that makes a file of some bytes, open for reading and writing."""
    opened: list[int] = []
    numbers = itertools.count()

    def make(content: bytes = b"") -> int:
        path = tmp_path / f"open-{next(numbers)}"
        path.write_bytes(content)
        opened.append(os.open(path, os.O_RDWR))
        return opened[-1]

    yield make
    for fd in opened:
        os.close(fd)
