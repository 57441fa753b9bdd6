"""ThreadBatcher: quick pieces share a thread, slow ones get one each, and no thread is left over."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from bucketry._runtime.batcher import WORTH, ThreadBatcher
from tests.transfer.doubles import counted_threads, until


async def quick() -> ThreadBatcher:
    """Give a batcher that has measured its work as a small part of one batch.

    A batch is an hour of work here, so that a slow test machine makes no difference.
    """
    batcher = ThreadBatcher(worth=3_600.0)
    for _ in range(30):
        await batcher.run(int)
    return batcher


async def test_what_gathers_meanwhile_shares_a_hop() -> None:
    """Quick pieces that come while a thread is busy wait for it, and are then done together in one batch."""
    batcher, away, back = await quick(), threading.Event(), threading.Event()

    def first() -> int:
        away.set()
        back.wait(5)
        return 0

    threads = counted_threads()
    leading = asyncio.create_task(batcher.run(first))
    await until(away.is_set)
    following = [asyncio.create_task(batcher.run(int, str(number))) for number in range(1, 20)]
    await asyncio.sleep(0)
    back.set()
    assert await asyncio.gather(leading, *following) == list(range(20))
    assert threads.submitted == 2


async def test_slow_work_goes_side_by_side() -> None:
    """If pieces take long, or were never measured, each gets its own thread at once."""
    threads, batcher, together = counted_threads(), ThreadBatcher(), threading.Barrier(4)
    await asyncio.gather(*(batcher.run(together.wait, 5) for _ in range(4)))
    assert threads.submitted == 4


async def test_it_learns() -> None:
    """After quick work, the expected time of a piece is small."""
    batcher = ThreadBatcher()
    for _ in range(30):
        await batcher.run(int)
    assert batcher._expected < WORTH


async def test_an_error_is_its_own_callers() -> None:
    """If one piece of a batch fails, the others succeed."""
    batcher = await quick()
    leading = asyncio.create_task(batcher.run(int, "1"))
    found = await asyncio.gather(leading, batcher.run(int, "x"), batcher.run(int, "2"), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (1, ValueError, 2)


@pytest.mark.parametrize("fails", [True, False])
async def test_cancelled_while_the_thread_is_at_it(fails: bool) -> None:
    """A cancellation is raised only after the thread has ended the work, even if it comes twice or the work fails."""
    batcher, away, back = ThreadBatcher(), threading.Event(), threading.Event()
    log = []

    def work() -> None:
        away.set()
        back.wait(5)
        log.append("left")
        if fails:
            raise ZeroDivisionError

    async def caller() -> None:
        try:
            await batcher.run(work)
        finally:
            log.append("raised")

    task = asyncio.create_task(caller())
    await until(away.is_set)
    for _ in range(2):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert log == []
    back.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["left", "raised"]


async def test_cancelled_before_its_turn() -> None:
    """A piece that is cancelled while it waits for a thread is never run."""
    batcher, away, back = await quick(), threading.Event(), threading.Event()
    begun = []

    def first() -> None:
        away.set()
        back.wait(5)

    leading = asyncio.create_task(batcher.run(first))
    await until(away.is_set)
    waiting = asyncio.create_task(batcher.run(begun.append, 1))
    following = asyncio.create_task(batcher.run(begun.append, 2))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    back.set()
    await asyncio.gather(leading, following)
    assert begun == [2]


async def test_cancelled_when_it_is_done_already() -> None:
    """A cancellation just after the work failed is raised, and the work's error is not reported as lost."""
    tasks: list[asyncio.Task[int]] = []

    class Cancelling(ThreadBatcher):
        def _back(self, *arguments: Any) -> None:
            super()._back(*arguments)
            tasks[0].cancel()

    lost: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    tasks.append(asyncio.create_task(Cancelling().run(int, "x")))
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    tasks.clear()
    gc.collect()
    assert lost == []


async def test_no_more_threads() -> None:
    """When the loop's threads are shut down, waiting and later callers get an error."""
    batcher, away, back = await quick(), threading.Event(), threading.Event()

    def first() -> None:
        away.set()
        back.wait(5)

    leading = asyncio.create_task(batcher.run(first))
    await until(away.is_set)
    waiting = [asyncio.create_task(batcher.run(int)) for _ in range(3)]
    await asyncio.sleep(0)
    ending = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    await asyncio.sleep(0)
    back.set()
    found = await asyncio.wait_for(asyncio.gather(leading, *waiting, return_exceptions=True), 5)
    assert [type(one) for one in found] == [type(None), RuntimeError, RuntimeError, RuntimeError]
    await ending
    with pytest.raises(RuntimeError, match="shutdown"):
        await batcher.run(int)
