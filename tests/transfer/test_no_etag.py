"""Objects without an etag: several requests may read different versions of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, TransferConfig, TransferManager
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.units import KiB, MiB
from bucketry.errors import (
    IncompleteBodyError,
    UnsupportedError,
)
from tests.transfer.doubles import PART


class Unnamed(MemoryProvider):
    """A store without etags: the first body is incomplete, and meanwhile the object is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = 1

    async def put_object(self, *arguments: Any) -> Any:
        """Store the object, and remove the etag."""
        made = await super().put_object(*arguments)
        object.__setattr__(self._objects[made.key].info, "etag", "")
        return made

    async def fetch_range(self, key: str, sink: Any, options: ReadOptions = WHOLE) -> Any:
        """Cut the first body, and replace the object."""
        if self.breaks:
            self.breaks -= 1
            sink.begin(await self.head(key))
            sink.write(b"1" * 10)
            await self.put(key, b"2" * 3 * PART)
            message = "cut"
            raise IncompleteBodyError(message)
        return await super().fetch_range(key, sink, options)


async def test_versions_without_etags_are_not_mixed(tmp_path: Path) -> None:
    """Without an etag, the whole body is read again, because the rest may be of another version."""
    store = Unnamed()
    await store.put("k", b"1" * 3 * PART)
    manager = TransferManager(store, TransferConfig(part_size=PART, multipart_threshold=PART))
    await manager.download("k", tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == b"2" * 3 * PART


class Bare(MemoryProvider):
    """A store whose objects have no etags."""

    async def put_object(self, *arguments: Any) -> Any:
        """Store the object, and remove the etag."""
        made = await super().put_object(*arguments)
        object.__setattr__(self._objects[made.key].info, "etag", "")
        return made


async def test_a_large_object_without_an_etag_is_not_copied_through_memory() -> None:
    """Without an etag, an object larger than the budget is not copied; a smaller one is."""
    store, other = Bare(), MemoryProvider()
    await store.put("small", b"1")
    await store.put("large", bytes(MiB))
    manager = TransferManager(store, TransferConfig(part_size=100 * KiB, memory_budget=MiB))
    assert (await manager.copy_to(other, "small", "small")).size == 1
    with pytest.raises(UnsupportedError, match="no etag"):
        await manager.copy_to(other, "large", "large")
    assert await other.list_files() == ["small"]


async def test_ranges_of_an_object_without_an_etag_are_refused() -> None:
    """Several ranges of an object without an etag are refused."""
    store = Bare()
    await store.put("k", bytes(10 * MiB))
    with pytest.raises(UnsupportedError, match="etag"):
        await store.get_ranges("k", [(0, 1), (9 * MiB, 9 * MiB + 1)])
