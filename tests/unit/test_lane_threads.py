"""The threads of lanes: who starts them, when they end, and what happens if the system starts no more of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from bucketry._runtime.threads import in_thread
from bucketry._wire.threads import LaneThreads, _start_threads

TOO_LARGE = 2**46  # bytes of a stack: the system cannot start such a thread


@contextmanager
def no_new_threads() -> Iterator[None]:
    """Let each start of a thread fail."""
    before = threading.stack_size(TOO_LARGE)
    try:
        yield
    finally:
        threading.stack_size(before)


def nothing() -> None:
    """Stop nothing."""


class NoMemory(ThreadPoolExecutor):
    """An executor without memory for its work."""

    def submit(self, *_: object, **__: object) -> Future[Any]:
        """Fail."""
        raise MemoryError


def test_a_thread_that_cannot_get_its_work_keeps_no_other_from_starting() -> None:
    """Whatever the error is, the caller that waits for the thread gets it, and the next thread starts."""
    failed: Future[Future[Any]] = Future()
    begun: Future[Future[Any]] = Future()
    with NoMemory(1) as full, ThreadPoolExecutor(1) as free:
        _start_threads(deque([(full, nothing, failed), (free, nothing, begun)]))
        assert begun.result(5).result(5) is None
    assert isinstance(failed.exception(5), MemoryError)


async def test_work_that_was_given_up_is_not_done_later() -> None:
    """If no thread can be started, `run` fails, and a thread that becomes free does not do the work."""
    threads, go_on, done = LaneThreads(), threading.Event(), list[str]()
    first = asyncio.create_task(threads.run(go_on.wait, nothing))
    await asyncio.sleep(0.05)
    with no_new_threads(), pytest.raises(RuntimeError, match="thread"):
        await threads.run(lambda: done.append("late"), nothing)
    go_on.set()
    assert await first
    await threads.run(lambda: done.append("next"), nothing)
    assert done == ["next"]
    threads.end()


async def test_a_result_and_an_error() -> None:
    """`run` gives the result of the work, or raises its error."""
    threads = LaneThreads()
    assert await threads.run(lambda: 7, nothing) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0, nothing)
    threads.end()


async def test_the_loop_starts_no_thread() -> None:
    """Many lanes that begin together get a thread each, and the event loop's thread starts none of them."""
    await in_thread(int)  # its thread starts those of the lanes
    threads, together = LaneThreads(), threading.Barrier(8)
    started: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is threading.Thread.start.__code__:
            started.append("thread")

    sys.setprofile(note)
    try:
        for _ in range(3):
            await asyncio.gather(*(threads.run(together.wait, together.abort) for _ in range(8)))
    finally:
        sys.setprofile(None)
        threads.end()
    assert started == []


async def test_threads_end_when_they_are_not_needed() -> None:
    """After `end`, idle threads end at once, and busy threads after their work; later work gets a new thread."""
    threads, go_on = LaneThreads(), threading.Event()

    def wait() -> threading.Thread:
        go_on.wait()
        return threading.current_thread()

    idle = await threads.run(threading.current_thread, nothing)
    busy = asyncio.create_task(threads.run(wait, nothing))
    await asyncio.sleep(0.02)
    threads.end()
    go_on.set()
    used = await busy
    await in_thread(used.join)
    await in_thread(idle.join)
    assert await threads.run(threading.current_thread, nothing) not in {idle, used}
    threads.end()
