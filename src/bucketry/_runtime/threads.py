"""Runs blocking work in worker threads, in one call or in steps; a cancelled task waits until the thread is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar, TypeVarTuple

from bucketry._runtime.finish import until_done

T = TypeVar("T")
Args = TypeVarTuple("Args")


async def in_thread(function: Callable[[*Args], T], *args: *Args) -> T:
    """Run a blocking function in a worker thread; when this coroutine returns or raises, the function has ended.

    A cancellation is raised only after the function has ended, because until then it may use descriptors and buffers
    that the caller is about to close. `asyncio.to_thread` does not wait for the function.

    Args:
        function: Called in a thread of the event loop's executor.
        *args: The arguments of `function`.

    Returns:
        What the function returns.

    Raises:
        Exception: What the function raises.

    Cost: about 50 µs for the switch to the thread and back.
    """
    # This waits for the executor's future, not for a task. When an event loop ends, it cancels its tasks, and a
    # cancelled task would be done while the thread still runs.
    future = asyncio.get_running_loop().run_in_executor(None, partial(function, *args))
    cancelled = await until_done(future)
    if cancelled is not None:
        future.exception()  # fetched, so that the loop does not report it as lost
        raise cancelled
    return future.result()


async def in_steps(steps: Generator[None, None, T]) -> T:
    """Run a generator in worker threads, one step from `yield` to `yield` at a time, and return its return value.

    The caller can be cancelled at each `yield`. The generator is then closed in a thread, and its `finally` clauses
    have run before the cancellation is raised.
    """
    try:
        while (ended := await in_thread(_step, steps)) is None:
            pass
    except BaseException:
        await in_thread(steps.close)
        raise
    return ended[0]


def run_steps(steps: Generator[None, None, T]) -> T:
    """Run a generator to its end without an event loop, and return its return value."""
    try:
        while (ended := _step(steps)) is None:
            pass
    finally:
        steps.close()
    return ended[0]


def _step(steps: Generator[None, None, T]) -> tuple[T] | None:
    try:
        next(steps)
    except StopIteration as stop:
        return (stop.value,)
    return None
