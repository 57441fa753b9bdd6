"""Does long work on bytes in several rounds of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def in_slices(work: Callable[[bytes], object], data: bytes, size: int) -> None:
    """Call `work` with slices of at most `size` bytes; between two of them, other tasks of the event loop run."""
    for at in range(0, len(data), size):
        if at:
            await asyncio.sleep(0)
        work(data[at : at + size])
