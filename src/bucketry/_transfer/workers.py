"""A fixed number of workers on one shared iterator: each item is taken once, and never a task for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def fan_out(items: AsyncIterable[T] | Iterable[T], act: Callable[[T], Awaitable[object]], *, width: int) -> None:
    """Act on every item, on `width` of them at once; an error of `act` stops the others and is raised itself.

    Of several errors the first one is raised, with their group as its cause: callers write
    `except NotFoundError`, not `except*`.
    """
    worker = _from_async(items, act) if isinstance(items, AsyncIterable) else _from_iterator(items, act)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(width):
                group.create_task(worker())
    except BaseExceptionGroup as group_of_errors:
        raise _first(group_of_errors) from group_of_errors


def _from_iterator(
    items: Iterable[T], act: Callable[[T], Awaitable[object]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    source = iter(items)

    async def worker() -> None:
        for item in source:
            await act(item)

    return worker


def _from_async(
    items: AsyncIterable[T], act: Callable[[T], Awaitable[object]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    source = aiter(items)
    turn = asyncio.Lock()  # an asynchronous generator cannot be asked twice at once

    async def worker() -> None:
        while True:
            async with turn:
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
            await act(item)
            del item  # it may hold a part's bytes, and the next one is a while in coming

    return worker


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
