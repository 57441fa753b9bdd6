"""A program under test: in memory, with faults on demand, and on an S3 server."""

from __future__ import annotations

# --8<-- [start:program]
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry import IStorageProvider, MemoryProvider, S3Provider, TransferConfig, TransferManager
from bucketry.errors import ConnectionFailedError, ThrottledError
from bucketry.testing import Fault, FaultyProvider, embedded_s3


async def archive(storage: IStorageProvider, day: str, lines: list[str]) -> bool:
    """The program under test: stores the lines of a day, and returns `False` if the store is too busy."""
    try:
        await storage.put(f"days/{day}.txt", "".join(lines).encode())
    except ThrottledError:
        return False
    return True


# --8<-- [end:program]


# --8<-- [start:memory]
async def test_lines_are_stored_below_days() -> None:
    storage = MemoryProvider()
    assert await archive(storage, "2026-10-03", ["one\n", "two\n"])
    assert await storage.get("days/2026-10-03.txt") == b"one\ntwo\n"


# --8<-- [end:memory]


# --8<-- [start:faults]
async def test_a_throttled_store_is_reported() -> None:
    fault = Fault(operation="put_object", error=ThrottledError("slow down"))
    storage = FaultyProvider(MemoryProvider(), (fault,))
    assert not await archive(storage, "2026-10-03", ["one\n"])
    assert await archive(storage, "2026-10-03", ["one\n"])  # each fault happens once
    assert storage.calls["put_object"] == 2


async def test_a_broken_upload_leaves_no_parts(tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(10_000))
    fault = Fault(operation="put_part", nth=3, error=ConnectionFailedError("gone"))
    storage = FaultyProvider(MemoryProvider(), (fault,))
    manager = TransferManager(storage, TransferConfig(part_size=1024, multipart_threshold=1024))
    with pytest.raises(ConnectionFailedError):
        await manager.upload(source, "source.bin")
    assert await storage.list_multiparts() == ()
    assert not await storage.exists("source.bin")


# --8<-- [end:faults]


# --8<-- [start:server]
@pytest.fixture
def bucket() -> Iterator[S3Provider]:
    with embedded_s3() as server:
        yield S3Provider(server.config)


async def test_it_works_on_an_s3_server(bucket: S3Provider) -> None:
    async with bucket:
        assert await archive(bucket, "2026-10-03", ["one\n"])
        assert await bucket.list_files("days/") == ["days/2026-10-03.txt"]


# --8<-- [end:server]

if __name__ == "__main__":
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "-o", "asyncio_mode=auto"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    sys.exit(pytest.main([*options, __file__]))
