"""Transfers on a provider that has no multipart uploads: one request, or a refusal that says what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from bucketry import MemoryProvider
from bucketry._core.units import KiB, MiB
from bucketry.errors import UnsupportedError
from bucketry.testing import FaultyProvider
from tests.transfer.doubles import PART, Bench, Scripted, chunked, noise

WITHOUT = {"multipart": False, "min_part_size": MiB}
"""A row without parts: its limits for parts mean nothing."""


async def test_a_large_file_is_one_put(bench: Bench) -> None:
    """A large file is uploaded in one request, and downloaded in ranges by the default `fetch_range`."""
    provider = Scripted(bench.memory(**WITHOUT))
    manager = bench.manager(provider)
    data = noise(20 * PART + 1)
    result = await manager.upload(bench.file(data), "key")
    assert (result.size, result.parts) == (len(data), 1)
    assert (provider.calls["put_object"], provider.calls["create_multipart"]) == (1, 0)
    await manager.download("key", bench.target())
    assert bench.target().read_bytes() == data


async def test_a_file_beyond_the_limit_is_refused(bench: Bench) -> None:
    """A file too large for one request is refused before anything is sent."""
    provider = FaultyProvider(bench.memory(**WITHOUT, max_put_size=10 * KiB))
    manager = bench.manager(provider)
    await manager.upload(bench.file(noise(10 * KiB)), "key")
    with pytest.raises(UnsupportedError, match=r"10241 bytes .* 10240 .*capabilities\.multipart is False"):
        await manager.upload(bench.file(noise(10 * KiB + 1)), "other")
    assert provider.calls == {"put_object": 1}


async def test_a_file_beyond_the_budget_is_refused(bench: Bench) -> None:
    """A provider that holds the whole body in memory gets no file that is larger than half of the budget."""
    provider = FaultyProvider(bench.memory(**WITHOUT))
    manager = bench.manager(provider, memory_budget=MiB)
    await manager.upload(bench.file(noise(512 * KiB)), "key")
    with pytest.raises(UnsupportedError, match="give TransferConfig a larger memory_budget"):
        await manager.upload(bench.file(noise(512 * KiB + 1)), "other")
    assert provider.calls == {"put_object": 1}


@pytest.mark.parametrize("size", [0, 1, 100 * KiB, 512 * KiB])
async def test_a_stream_that_fits_the_budget(bench: Bench, size: int) -> None:
    """A stream is collected in memory, up to half of the memory budget, and sent in one request."""
    provider = FaultyProvider(bench.memory(**WITHOUT))
    manager = bench.manager(provider, memory_budget=MiB)
    data = noise(size)
    result = await manager.upload_stream(chunked(data, 50 * KiB), "key")
    assert (result.size, result.parts) == (size, 1)
    assert await provider.get("key") == data
    assert provider.calls["put_object"] == 1


@pytest.mark.parametrize("row", [{}, {"max_put_size": 10 * KiB}], ids=["the budget", "the row"])
async def test_a_stream_that_does_not_fit(bench: Bench, row: dict[str, int]) -> None:
    """A longer stream is refused, read no further than needed, and the error says what to do."""
    provider = FaultyProvider(bench.memory(**WITHOUT, **row))
    manager = bench.manager(provider, memory_budget=MiB)
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += KiB
            yield bytes(KiB)

    with pytest.raises(UnsupportedError, match="give TransferConfig a larger memory_budget"):
        await manager.upload_stream(endless(), "key")
    assert taken <= 513 * KiB
    assert not provider.calls


async def test_streams_at_once_share_the_budget(bench: Bench) -> None:
    """Several streams of unknown length wait for the memory budget, and all end."""
    provider = bench.memory(**WITHOUT)
    manager = bench.manager(provider, memory_budget=64 * KiB)

    async def one(number: int) -> None:
        await manager.upload_stream(chunked(noise(20 * KiB, number), 3 * KiB), f"{number}")

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(one(number))
    assert await provider.list_files() == ["0", "1", "2", "3"]


async def test_conditions_need_no_promise_for_parts(bench: Bench) -> None:
    """For a conditional stream, only the row's promise for a single put matters."""
    provider = bench.memory(**WITHOUT, complete_if_none_match=False)
    manager = bench.manager(provider)
    await manager.upload_stream(chunked(b"x"), "key", if_none_match="*")
    with pytest.raises(FileExistsError):
        await manager.upload_stream(chunked(b"y"), "key", if_none_match="*")


async def test_copies(bench: Bench) -> None:
    """A copy too large for one request is refused; without server-side copy, `copy_to` copies through memory."""
    provider = FaultyProvider(bench.memory(**WITHOUT, max_copy_size=KiB))
    manager = bench.manager(provider)
    await provider.put("small", noise(KiB))
    await provider.put("large", noise(KiB + 1))
    await manager.copy("small", "copy")
    with pytest.raises(UnsupportedError, match=r"1025 bytes .*capabilities\.multipart is False"):
        await manager.copy("large", "copy2")
    without = FaultyProvider(bench.memory(copy=False))
    manager = bench.manager(without)
    await without.put("key", noise(5 * PART))
    with pytest.raises(UnsupportedError, match=r"capabilities\.copy is False.*copy_to"):
        await manager.copy("key", "to")
    await manager.copy_to(without, "key", "to")
    assert await without.get("to") == noise(5 * PART)
    assert without.calls["copy_object"] == 0


async def test_copies_to_a_place_without_parts(bench: Bench) -> None:
    """A copy to such a provider is one request, and refused if it does not fit the memory budget."""
    source, target = MemoryProvider(), FaultyProvider(bench.memory(**WITHOUT))
    manager = bench.manager(source, memory_budget=64 * KiB)
    await source.put("fits", noise(32 * KiB))
    await source.put("large", noise(32 * KiB + 1))
    result = await manager.copy_to(target, "fits", "to")
    assert (result.size, target.calls["put_object"]) == (32 * KiB, 1)
    with pytest.raises(UnsupportedError, match="too many for memory_budget; give TransferConfig a larger one"):
        await manager.copy_to(target, "large", "to2")
    assert await target.list_files() == ["to"]


async def test_many_are_deleted_one_by_one(bench: Bench) -> None:
    """Without bulk deletes each key is one request, and each is reported."""
    provider = bench.memory(max_delete_keys=1)
    await provider.put("a", b"")
    await provider.put("b", b"")
    result = await provider.delete_many(["a", "b", "c", os.sep * 2000])
    assert result.succeeded == ("a", "b", "c")
    assert set(result.failed) == {os.sep * 2000}
