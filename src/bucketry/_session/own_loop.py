"""Runs coroutines that block between their awaits, in an event loop of a worker thread."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from bucketry._runtime.finish import until_done

T = TypeVar("T")


async def in_own_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in an event loop of a worker thread; when this returns or raises, that loop has ended.

    A cancellation cancels the coroutine, and kills the processes that the coroutine has started.
    """
    stop: Future[None] = Future()
    running = asyncio.get_running_loop().run_in_executor(None, _run, work, stop)
    try:
        await asyncio.wait([running])
    except asyncio.CancelledError:
        stop.set_result(None)
        await until_done(running)
        running.exception()  # read, because asyncio logs an exception that nobody has read
        raise
    return running.result()


def _run(work: Callable[[], Coroutine[Any, Any, T]], stop: Future[None]) -> T:
    return asyncio.run(_stoppable(work, stop))


async def _stoppable(work: Callable[[], Coroutine[Any, Any, T]], stop: Future[None]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this coroutine runs in a task
    loop = asyncio.get_running_loop()
    started: list[tuple[Any, Any]] = []

    def cancel(_: Future[None]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(task.cancel)

    loop.subprocess_exec = partial(_recording_start, started, loop.subprocess_exec)  # type: ignore[method-assign]  # of this loop
    stop.add_done_callback(cancel)
    try:
        return await work()
    finally:
        for transport, protocol in started:
            if transport.get_returncode() is None:
                transport.kill()
            await Process(transport, protocol, loop).wait()
            transport.close()


async def _recording_start(
    started: list[tuple[Any, Any]],
    start: Callable[..., Coroutine[Any, Any, tuple[Any, Any]]],
    *args: Any,  # noqa: ANN401 - handed on as they come
    **options: Any,  # noqa: ANN401 - as above
) -> tuple[Any, Any]:
    made = await start(*args, **options)
    started.append(made)
    return made
