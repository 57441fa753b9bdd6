"""The threads of lanes, where the system starts no more of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bucketry._wire.threads import LaneThreads

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


async def test_work_that_was_given_up_is_not_done_later() -> None:
    """If no thread can be started, `run` fails, and a thread that becomes free does not do the work."""
    threads, go_on, done = LaneThreads(2), threading.Event(), list[str]()
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
    threads = LaneThreads(1)
    assert await threads.run(lambda: 7, nothing) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0, nothing)
    threads.end()
