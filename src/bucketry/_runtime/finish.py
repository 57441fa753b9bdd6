"""Steps that run to their end even when their task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def finish(step: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the step to its end; a cancellation that comes meanwhile is raised afterwards.

    The step must be one that may be run twice: when an ending event loop cancels all its tasks, the
    step's own too, it is run once more. The step's error is raised as well; where a cancellation
    came, that one is raised and the error is a note on it.
    """
    task = asyncio.get_running_loop().create_task(step())
    cancelled = await until_done(task)
    if task.cancelled():
        task = asyncio.get_running_loop().create_task(step())
        cancelled = await until_done(task) or cancelled
    if cancelled is not None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            cancelled.add_note(f"while finishing: {type(error).__name__}: {error}")
        raise cancelled
    return task.result()


async def until_done(future: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait for a future, and give the cancellation that came meanwhile, if one did."""
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):  # inside an anyio scope a cancellation would come again at each turn
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as exc:
                cancelled = exc
    return cancelled
