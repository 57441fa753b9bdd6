"""With `max_bandwidth`, large objects are sent in several bodies, and each body waits until the rate allows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, TransferConfig, TransferManager
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.units import MiB
from bucketry._core.values import Body, MultipartUpload, ObjectInfo, Part, body_size
from bucketry.providers import StorageProvider
from bucketry.testing import FaultyProvider
from tests.transfer.doubles import PART, FakeLoop, noise

UNLIMITED = 10**12
"""Bytes per second: a bound that nothing here reaches, so that nothing waits."""


class Counted(LocalProvider):
    """A local disk that records the length of each body."""

    def __init__(self, base: Path) -> None:
        super().__init__({"base_path": base})
        self.bodies: list[int] = []

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """Note the body."""
        self.bodies.append(body_size(body))
        return await super().put_object(key, body, options)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """Note the body."""
        self.bodies.append(body_size(body))
        return await super().put_part(upload, part_number, body)

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Note the range."""
        self.bodies.append(sink.end - sink.position)  # type: ignore[attr-defined]  # the transfer's own sink has it
        return await super().fetch_range(key, sink, options)


def file_of(directory: Path, size: int) -> Path:
    """Make a file."""
    path = directory / f"file-{size}"
    path.write_bytes(noise(size))
    return path


@pytest.mark.parametrize("part_size", [None, PART])
async def test_a_large_file_goes_in_parts_on_the_disk(tmp_path: Path, part_size: int | None) -> None:
    """With `max_bandwidth`, no body to or from the disk is longer than two parts; without it, a file is one body."""
    part = part_size or 8 * MiB
    provider = Counted(tmp_path / "base")
    source = file_of(tmp_path, 5 * part // 2)
    paced = TransferManager(provider, TransferConfig(max_bandwidth=UNLIMITED, part_size=part_size))
    assert (await paced.upload(source, "k")).parts == 3
    assert sorted(provider.bodies) == [part // 2, part, part]
    provider.bodies.clear()
    await paced.download("k", tmp_path / "target")
    assert sorted(provider.bodies) == [part // 2, part, part]
    assert (tmp_path / "target").read_bytes() == source.read_bytes() == await provider.get("k")
    provider.bodies.clear()
    await paced.upload(file_of(tmp_path, 2 * part), "k")
    await TransferManager(provider, TransferConfig(part_size=part_size)).upload(source, "k")
    assert provider.bodies == [2 * part, 5 * part // 2]


async def test_a_threshold_that_is_given_holds(tmp_path: Path) -> None:
    """If the user sets `multipart_threshold`, it decides how long a body may be."""
    provider = Counted(tmp_path / "base")
    config = TransferConfig(max_bandwidth=UNLIMITED, part_size=PART, multipart_threshold=10 * PART)
    await TransferManager(provider, config).upload(file_of(tmp_path, 9 * PART), "k")
    assert provider.bodies == [9 * PART]


class TimedParts(FaultyProvider):
    """Records the start time of each part."""

    def __init__(self, inner: StorageProvider) -> None:
        super().__init__(inner)
        self.begun: list[float] = []

    async def around(self, operation: str, request: Any) -> Any:
        """Record the time."""
        if operation == "put_part":
            self.begun.append(asyncio.get_running_loop().time())
        return await super().around(operation, request)


@pytest.mark.parametrize("kind", [LocalProvider, MemoryProvider])
def test_parts_begin_as_far_apart_as_the_bandwidth_says(tmp_path: Path, kind: type) -> None:
    """Five parts at one part a second start one second apart, also with parallel requests."""
    inner = kind({"base_path": tmp_path / "base"} if kind is LocalProvider else {})
    provider, source = TimedParts(inner), file_of(tmp_path, 5 * PART)
    config = TransferConfig(max_bandwidth=PART, part_size=PART, multipart_threshold=PART, max_concurrency=4)
    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        runner.run(TransferManager(provider, config).upload(source, "k"))
    first = provider.begun[0]
    assert [moment - first for moment in provider.begun] == pytest.approx([0, 1, 2, 3, 4])
