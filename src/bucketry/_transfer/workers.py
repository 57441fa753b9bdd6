"""A fixed number of workers that share one iterator, so each item is taken once, and needs no task of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import aclosing
from typing import Any, TypeVar

from bucketry._runtime.finish import until_done

T = TypeVar("T")
R = TypeVar("R")


async def run_workers(worker: Callable[[], Coroutine[Any, Any, None]], width: int) -> None:
    """Run `width` workers; each takes items of one shared iterator until no item is left.

    An error in one worker stops the others and is raised, not wrapped in a group. If several workers fail, the first
    error is raised, with the group as its cause, so that callers write `except NotFoundError`, not `except*`.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(width):
                group.create_task(worker())
    except BaseExceptionGroup as group_of_errors:
        raise _first(group_of_errors) from group_of_errors


async def fan_out(
    items: AsyncGenerator[T, None] | Iterable[T], act: Callable[[T], Awaitable[object]], *, width: int
) -> None:
    """Call `act` for every item, at most `width` at once; errors are raised as by `run_workers`.

    If `items` is a generator, it is closed at the end, also after an error.
    """
    if not isinstance(items, AsyncGenerator):
        return await run_workers(_from_iterator(items, act), width)
    async with aclosing(items):
        return await run_workers(_from_async(items, act), width)


async def fan_out_each(
    items: AsyncGenerator[T, None] | Iterable[T], act: Callable[[T], Awaitable[R]], *, width: int
) -> AsyncGenerator[R, None]:
    """Call `act` for every item, at most `width` at once, and yield each result as soon as it is ready.

    If the consumer is slow, the work pauses when two times `width` results are waiting. An error is
    raised as by `fan_out`, after the earlier results. The work has stopped when the iteration has
    ended, also when the consumer leaves it early.
    """
    results: deque[R] = deque()
    room = asyncio.Event()
    changed = asyncio.Event()

    async def one(item: T) -> None:
        results.append(await act(item))
        changed.set()
        while len(results) > width:
            room.clear()
            await room.wait()

    # A plain task, because an async generator must not yield inside a task group. `finally` ends the task.
    work = asyncio.get_running_loop().create_task(fan_out(items, one, width=width))
    work.add_done_callback(lambda _: changed.set())
    try:
        while not work.done() or results:
            while results:
                result = results.popleft()
                room.set()
                yield result
                del result  # frees its memory before a long wait for the next result
            if not work.done():
                changed.clear()
                await changed.wait()
        work.result()
    finally:
        await stop([work])


async def stop(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until all have ended; a cancellation of the caller takes effect only after that."""
    for task in tasks:
        task.cancel()
    cancelled = None
    for task in tasks:
        cancelled = await until_done(task) or cancelled
        if not task.cancelled():
            task.exception()  # retrieved, so that the event loop does not log it
    if cancelled is not None:
        raise cancelled


def _from_iterator(
    items: Iterable[T], act: Callable[[T], Awaitable[object]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    source = iter(items)

    async def worker() -> None:
        for item in source:
            await act(item)

    return worker


def _from_async(
    source: AsyncGenerator[T, None], act: Callable[[T], Awaitable[object]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    turn = asyncio.Lock()  # only one task at a time can await an asynchronous generator

    async def worker() -> None:
        while True:
            async with turn:
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
            await act(item)
            del item  # frees a part's bytes before waiting for the next one

    return worker


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
