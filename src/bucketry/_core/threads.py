"""Blocking work in worker threads that a cancelled task waits for, in one call or step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


async def in_thread(function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Run a blocking function in a worker thread; when this returns or raises, the thread has left it.

    A cancellation is raised only after the function has ended: until then it may use the descriptors
    and buffers that the caller is about to close.
    """
    # anyio shields the thread from its own cancel scopes only; `Task.cancel` would abandon it.
    task = asyncio.ensure_future(anyio.to_thread.run_sync(function, *arguments))
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):  # else a cancelled scope would wake this task again and again
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            cancelled.add_note(f"while waiting for a thread: {type(failure).__name__}: {failure}")
        raise cancelled
    return task.result()


async def in_steps(steps: Generator[None, None, T]) -> T:
    """Run a generator in worker threads from `yield` to `yield`, and give what it returns.

    At each `yield` it can be cancelled: it is then closed, in a thread, so that its `finally`
    clauses have run when the cancellation goes on.
    """
    try:
        while (ended := await in_thread(_step, steps)) is None:
            pass
    except BaseException:
        await in_thread(steps.close)
        raise
    return ended[0]


def _step(steps: Generator[None, None, T]) -> tuple[T] | None:
    try:
        next(steps)
    except StopIteration as stop:
        return (stop.value,)
    return None
