"""Steps that run to their end even when their task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def finish(step: Coroutine[Any, Any, T]) -> T:
    """Await the step to its end; a cancellation that comes meanwhile is raised afterwards.

    The step's own error is raised too; where a cancellation came as well, that one is raised and
    the error is a note on it.
    """
    task = asyncio.get_running_loop().create_task(step)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):  # inside an anyio scope a cancellation would come again at each turn
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as exc:
                cancelled = exc
    if cancelled is not None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            cancelled.add_note(f"while finishing: {type(error).__name__}: {error}")
        raise cancelled
    return task.result()
