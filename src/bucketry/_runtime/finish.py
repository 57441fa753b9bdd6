"""Runs a step to its end even if the task is cancelled."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(step: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the step to its end; a cancellation during the step is raised afterwards.

    The step must be safe to run twice. An event loop that ends cancels all its tasks, including the step's own task,
    and this function then runs the step a second time. An error of the step is raised. If there was also a
    cancellation, the cancellation is raised instead, with the error as a note.
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
    """Wait for a future; return the cancellation that came during the wait, or `None`."""
    cancelled: asyncio.CancelledError | None = None
    with _shield():
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as exc:
                cancelled = exc
    return cancelled


def _shield() -> AbstractContextManager[object]:
    """Return a scope that an outer scope of anyio does not cancel; without it, anyio would cancel each wait inside.

    A program that has not imported anyio has no such scope. anyio is not imported for it, because that takes long.
    """
    anyio = sys.modules.get("anyio")
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
