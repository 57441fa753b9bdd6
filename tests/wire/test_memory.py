"""The configuration limits the memory, for every object size.

The test command compares 256 MiB with 2 GiB; HYPOTHESIS_PROFILE=nightly compares 1 GiB with 8 GiB. Nothing of that
size is stored: an upload reads a sparse file, the server drops the received bytes, and so does a download.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from bucketry._core.units import GiB, MiB
from tests.wire.swallow import swallow

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SMALL, LARGE = (GiB, 8 * GiB) if NIGHTLY else (256 * MiB, 2 * GiB)
LIKE = 24 * MiB  # noise, from the allocator and from the number of busy threads
BOUND = 64 * MiB

SCRIPT = """
    import asyncio, json, os, re, sys
    from bucketry import S3Provider, TransferConfig
    from bucketry._core.options import ReadOptions
    from bucketry._core.values import ByteRange

    PART = 8 * 2**20

    def status(name):
        with open("/proc/self/status", encoding="ascii") as file:
            return int(re.search(rf"^{name}:\\s+([0-9]+) kB", file.read(), re.M)[1]) * 1024

    class Nowhere:
        needs_bytes = False
        fd = -1

        def __init__(self):
            self.position = 0

        def begin(self, info):
            pass

        def write(self, data):
            self.position += len(data)

        def skip(self, count):
            self.position += count

    async def download(provider, size):
        starts = iter(range(0, size, PART))
        got = 0

        async def worker():
            nonlocal got
            for start in starts:
                sink = Nowhere()
                part = ByteRange(start, min(start + PART, size))
                await provider.fetch_range(f"zeros-{size}", sink, ReadOptions(byte_range=part))
                got += sink.position

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(worker())
        assert got == size, got

    async def upload(provider, size):
        with open(sys.argv[4], "wb") as file:
            file.truncate(size)
        result = await provider.upload(sys.argv[4], "uploaded")
        assert result.size == size, result

    async def main():
        provider = S3Provider(json.loads(sys.argv[1]), transfer=TransferConfig(part_size=PART, max_concurrency=8))
        await provider.put("warm", b"up")
        idle = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # forget the peak so far
        await {"download": download, "upload": upload}[sys.argv[2]](provider, int(sys.argv[3]))
        print(status("VmHWM") - idle)
        await provider.disconnect()

    asyncio.run(main())
"""


def peak(port: int, direction: str, size: int, file: Path) -> int:
    """Give the peak memory of a transfer, in bytes, measured in its own process."""
    config = {
        "bucket_name": "bkt",
        "endpoint_url": f"http://127.0.0.1:{port}",
        "server": "aws",
        "access_key_id": "a",
        "secret_access_key": "b",
    }
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), json.dumps(config), direction, str(size), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(300 if NIGHTLY else 60)
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("direction", ["download", "upload"])
def test_does_not_grow_with_the_object(
    direction: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The peak above idle is small, and the same for an object of eight times the size."""
    with swallow() as port:
        small, large = (peak(port, direction, size, tmp_path / "source") for size in (SMALL, LARGE))
    record_property("peaks", (small, large))
    assert abs(large - small) < LIKE, (small, large)
    assert max(small, large) < BOUND, (small, large)
