"""Copies to another provider, and between two Unicode forms of a key."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool, TransferConfig, TransferManager
from bucketry._core.units import KiB, MiB
from bucketry.errors import (
    InvalidRequestError,
)
from bucketry.testing import FaultyProvider, embedded_s3
from tests.transfer.doubles import PART, Bench, RowOf, noise


@pytest.mark.slow
@pytest.mark.parametrize("size", [100 * KiB, 12 * MiB])
async def test_copies_between_buckets_do_not_wait_for_their_own_connections(size: int) -> None:
    """Several parallel copies over a pool with one connection end, small and large ones."""
    with embedded_s3("from") as server:
        pool = SessionPool(max_connections=1)
        transfer = TransferConfig(max_concurrency=1, part_size=5 * MiB)
        source = S3Provider(server.config, pool=pool, transfer=transfer)
        target = S3Provider(server.config, pool=pool, transfer=transfer)
        data = noise(size)
        await source.put("k", data, metadata={"run": "7"}, content_type="text/x")
        managers = [TransferManager(source, transfer) for _ in range(3)]  # with separate limits
        async with asyncio.timeout(15):
            await asyncio.gather(
                *(manager.copy_to(target, "k", f"copy-{number}") for number, manager in enumerate(managers))
            )
        for number in range(3):
            assert await target.get(f"copy-{number}") == data
        facts = await target.get_metadata("copy-0")
        assert (facts["metadata"], facts["content_type"]) == ({"run": "7"}, "text/x")
        await pool.close()


class CountingParts(FaultyProvider):
    """Counts how many parts are sent in parallel."""

    parts = most_parts = 0

    async def around(self, operation: str, request: Any) -> Any:
        """Count a part while it is sent."""
        if operation != "put_part":
            return await super().around(operation, request)
        self.parts += 1
        self.most_parts = max(self.most_parts, self.parts)
        try:
            await asyncio.sleep(0)
            return await super().around(operation, request)
        finally:
            self.parts -= 1


async def test_a_copy_to_another_provider_keeps_to_the_slots(bench: Bench) -> None:
    """Parallel copies share the manager's slots, as all its transfers do."""
    memory, other = bench.memory(), CountingParts(bench.memory())
    for number in range(4):
        await memory.put(f"k{number}", noise(5 * PART, seed=number))
    manager = bench.manager(memory, max_concurrency=2)
    await asyncio.gather(*(manager.copy_to(other, f"k{number}", f"to-{number}") for number in range(4)))
    assert other.calls["put_part"] == 20
    assert other.most_parts == 2
    for number in range(4):
        assert await other.get(f"to-{number}") == await memory.get(f"k{number}")


class Normalizing(RowOf):
    """A store that keeps keys in NFC, as R2 does."""

    def __init__(self) -> None:
        super().__init__(key_normalization="NFC")

    async def head(self, key: str, **options: Any) -> Any:
        """Find the object by either form of its key."""
        return await super().head(unicodedata.normalize("NFC", key), **options)

    async def delete(self, remote_path: str) -> None:
        """Delete the object by either form of its key."""
        await super().delete(unicodedata.normalize("NFC", remote_path))

    async def copy_object(self, source: str, destination: str, **options: Any) -> Any:
        """Copy between the forms that are stored."""
        names = (unicodedata.normalize("NFC", name) for name in (source, destination))
        return await super().copy_object(*names, **options)


async def test_moving_between_two_spellings_of_a_key_deletes_nothing() -> None:
    """If a vendor normalizes keys, both forms are one object, and a move between them is refused."""
    store = Normalizing()
    await store.put("caf\u00e9", b"kept")
    with pytest.raises(InvalidRequestError, match="same key"):
        await store.move("cafe\u0301", "caf\u00e9")
    assert await store.list_files() == ["caf\u00e9"]
