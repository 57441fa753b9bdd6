"""Reads from the disk: all bytes of one version, and no open file afterwards."""

# ruff: noqa: ASYNC240 - the tests look at the disk between calls, and nothing else runs meanwhile

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bucketry._core.config import LocalConfig
from bucketry._core.options import ReadOptions
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import (
    DiskFullError,
    IncompleteBodyError,
    PreconditionFailedError,
)
from tests.local.disk import PLAIN, read

SHORT = Path("/sys/devices/system/cpu/online")


async def test_a_cancelled_read_closes_its_file(local: LocalRequests) -> None:
    """Cancelling a read at any chunk closes the file."""
    await local.put_object("key", bytes(4 * MiB), PLAIN)
    before = len(os.listdir("/proc/self/fd"))
    for stop_after in range(4):
        reached = asyncio.Event()

        async def consume(count: int, reached: asyncio.Event) -> None:
            async with local.open_body("key") as body:
                async for _ in body:
                    count -= 1
                    if count < 0:
                        reached.set()
                        await asyncio.Event().wait()

        task = asyncio.create_task(consume(stop_after, reached))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_reader_keeps_its_version(local: LocalRequests) -> None:
    """A read that began before a replacement or a delete reads the old version to its end."""
    await local.put_object("key", b"a" * 3 * MiB, PLAIN)
    async with local.open_body("key") as body:
        await local.put_object("key", b"b", PLAIN)
        await local.delete("key")
        assert b"".join([chunk async for chunk in body]) == b"a" * 3 * MiB


async def test_a_file_changed_while_it_is_read(local: LocalRequests, base: Path) -> None:
    """A read of a file that another program changes in place at the same time is an error."""
    await local.put_object("key", bytes(3 * MiB), PLAIN)

    async def read_while_it_changes() -> None:
        async with local.open_body("key") as body:
            async for _ in body:
                (base / "key").write_bytes(b"shorter")

    with pytest.raises(PreconditionFailedError):
        await read_while_it_changes()


class FullSink:
    """A sink for a device that is always full."""

    needs_bytes = False
    position = 0

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def begin(self, info: ObjectInfo) -> None:
        """Do nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes."""
        os.pwrite(self.fd, data, self.position)

    def skip(self, count: int) -> None:
        """Count bytes written without `write`."""
        self.position += count


@pytest.mark.parametrize("needs_bytes", [True, False])
async def test_a_download_to_a_full_disk(local: LocalRequests, *, needs_bytes: bool) -> None:
    """An error of the sink's file is a typed error, too."""
    await local.put_object("key", b"data", PLAIN)
    fd = os.open("/dev/full", os.O_RDWR)
    try:
        sink = FullSink(fd)
        sink.needs_bytes = needs_bytes
        with pytest.raises(DiskFullError):
            await local.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(0, 4)))
        assert sink.position == 0
    finally:
        os.close(fd)


async def test_a_source_that_shrinks(local: LocalRequests, base: Path) -> None:
    """A read of a file that another program shortens at the same time is an error."""
    info = await local.put_object("key", b"0123456789", PLAIN)

    class Shrinking(FullSink):
        """A sink that shortens the object just before its bytes are copied."""

        @property
        def needs_bytes(self) -> bool:
            os.truncate(base / "key", 4)
            return False

    with (base / "target").open("wb+") as file:
        sink = Shrinking(file.fileno())
        with pytest.raises(PreconditionFailedError, match="changed"):
            await local.fetch_range("key", sink, ReadOptions(if_match=info.etag))
    assert sink.position == 4


@pytest.mark.skipif(not SHORT.exists(), reason="this system shows no such file")
@pytest.mark.parametrize("needs_bytes", [True, False])
async def test_a_file_shorter_than_its_length(tmp_path: Path, *, needs_bytes: bool) -> None:
    """If a file has fewer bytes than its length, as the kernel's files do, the error says how many are missing."""
    local = LocalRequests(LocalConfig(base_path=SHORT.parent), VENDOR)
    assert (await local.head(SHORT.name)).size > len(SHORT.read_bytes())
    with (tmp_path / "target").open("wb+") as file:
        sink = FullSink(file.fileno())
        sink.needs_bytes = needs_bytes
        with pytest.raises(IncompleteBodyError):
            await local.fetch_range(SHORT.name, sink)
    with pytest.raises(IncompleteBodyError):
        await read(local, SHORT.name)
