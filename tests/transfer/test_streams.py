"""Uploads of streams of unknown length: bounded memory, and early errors."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from bucketry import TransferConfig, TransferManager
from bucketry._core.units import KiB, MiB
from bucketry.errors import (
    AccessDeniedError,
    ConfigError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, Discarding, RowOf, noise


async def test_small_chunks_cost_no_memory() -> None:
    """A stream of lines needs about as much memory as a stream of blocks: chunks are joined to parts."""

    async def lines() -> AsyncIterator[bytes]:
        for _ in range(128 * KiB):
            yield bytes(8)

    manager = TransferManager(RowOf(min_part_size=1), TransferConfig(part_size=2 * MiB))
    tracemalloc.start()
    try:
        await manager.upload_stream(lines(), "k")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * MiB


async def test_many_streams_stay_within_the_budget() -> None:
    """The memory budget bounds all streams of a manager together, their first parts included."""

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0)
            yield bytes(MiB)

    config = TransferConfig(part_size=2 * MiB, memory_budget=8 * MiB, max_concurrency=2)
    manager = TransferManager(Discarding(), config)
    tracemalloc.start()
    try:
        await asyncio.gather(*(manager.upload_stream(blocks(), f"k{number}") for number in range(24)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MiB + 8 * MiB + 8 * MiB  # each stream's own block, the budget, and some overhead


async def test_the_part_size_of_a_stream_is_checked_first() -> None:
    """A part size outside the vendor's limits is refused before the stream is read."""
    drawn = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal drawn
        drawn += 1
        yield b"x"

    manager = TransferManager(RowOf(min_part_size=5 * MiB), TransferConfig(part_size=PART))
    with pytest.raises(ConfigError, match="part_size"):
        await manager.upload_stream(chunks(), "k")
    assert drawn == 0


async def test_a_stream_that_landed_is_not_failed_by_a_look(bench: Bench) -> None:
    """Credentials without read permission can put a stream."""
    denied = AccessDeniedError("no")
    provider = FaultyProvider(bench.memory(), tuple(Fault(operation="head", nth=n, error=denied) for n in (1, 2)))

    async def chunks() -> AsyncIterator[bytes]:
        yield noise(100)

    assert (await provider.put("k", chunks())).size == 100
