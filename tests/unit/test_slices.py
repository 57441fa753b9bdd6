"""Long work on bytes in slices."""

from __future__ import annotations

import asyncio

from bucketry._runtime.slices import in_slices


async def test_other_tasks_run_between_two_slices() -> None:
    """Each slice has the given size or less, and the loop runs other callbacks before the next one."""
    seen: list[bytes | str] = []

    def work(data: bytes) -> None:
        seen.append(data)
        asyncio.get_running_loop().call_soon(seen.append, "other")

    await in_slices(work, b"abcdefg", 3)
    assert seen == [b"abc", "other", b"def", "other", b"g"]


async def test_no_bytes() -> None:
    """Without bytes there is no work."""
    await in_slices(lambda _: 1 // 0, b"", 3)
