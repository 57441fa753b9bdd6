"""ThreadBatcher: quick pieces share a thread, slow ones get one each, and no thread is left over."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bucketry._runtime.batcher import WORTH, ThreadBatcher
from tests.transfer.doubles import until


@pytest.fixture
async def trips(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Record each call of the loop to a thread."""
    loop = asyncio.get_running_loop()
    made: list[object] = []
    original = loop.run_in_executor

    def noted(executor: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        made.append(function)
        return original(executor, function, *args)

    monkeypatch.setattr(loop, "run_in_executor", noted)
    return made


def quick() -> ThreadBatcher:
    """Give a batcher that has measured one microsecond for its work."""
    hops = ThreadBatcher()
    hops._expected = 1e-6
    return hops


async def test_what_gathers_meanwhile_shares_a_hop(trips: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick pieces that come while a thread is busy wait for it, and are then done together in one batch."""
    monkeypatch.setattr("bucketry._runtime.batcher.WORTH", 3_600.0)  # for slow test machines
    hops, away, back = quick(), threading.Event(), threading.Event()

    def first() -> int:
        away.set()
        back.wait(5)
        return 0

    leading = asyncio.create_task(hops.run(first))
    await until(away.is_set)
    following = [asyncio.create_task(hops.run(int, str(number))) for number in range(1, 20)]
    await asyncio.sleep(0)
    back.set()
    assert await asyncio.gather(leading, *following) == list(range(20))
    assert len(trips) == 2


async def test_slow_work_goes_side_by_side(trips: list[object]) -> None:
    """If pieces take long, or were never measured, each gets its own thread at once."""
    hops, together = ThreadBatcher(), threading.Barrier(4)
    await asyncio.gather(*(hops.run(together.wait, 5) for _ in range(4)))
    assert len(trips) == 4


async def test_it_learns() -> None:
    """After quick work, the expected time of a piece is small."""
    hops = ThreadBatcher()
    for _ in range(30):
        await hops.run(int)
    assert hops._expected < WORTH


async def test_an_error_is_its_own_callers() -> None:
    """If one piece of a batch fails, the others succeed."""
    hops = quick()
    leading = asyncio.create_task(hops.run(int, "1"))
    found = await asyncio.gather(leading, hops.run(int, "x"), hops.run(int, "2"), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (1, ValueError, 2)


@pytest.mark.parametrize("fails", [True, False])
async def test_cancelled_while_the_thread_is_at_it(fails: bool) -> None:
    """A cancellation is raised only after the thread has ended the work, even if it comes twice or the work fails."""
    hops, away, back = ThreadBatcher(), threading.Event(), threading.Event()
    log = []

    def work() -> None:
        away.set()
        back.wait(5)
        log.append("left")
        if fails:
            raise ZeroDivisionError

    async def caller() -> None:
        try:
            await hops.run(work)
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
    hops, away, back = quick(), threading.Event(), threading.Event()
    begun = []

    def first() -> None:
        away.set()
        back.wait(5)

    leading = asyncio.create_task(hops.run(first))
    await until(away.is_set)
    waiting = asyncio.create_task(hops.run(begun.append, 1))
    following = asyncio.create_task(hops.run(begun.append, 2))
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
    hops, away, back = quick(), threading.Event(), threading.Event()

    def first() -> None:
        away.set()
        back.wait(5)

    leading = asyncio.create_task(hops.run(first))
    await until(away.is_set)
    waiting = [asyncio.create_task(hops.run(int)) for _ in range(3)]
    await asyncio.sleep(0)
    ending = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    await asyncio.sleep(0)
    back.set()
    found = await asyncio.wait_for(asyncio.gather(leading, *waiting, return_exceptions=True), 5)
    assert [type(one) for one in found] == [type(None), RuntimeError, RuntimeError, RuntimeError]
    await ending
    with pytest.raises(RuntimeError, match="shutdown"):
        await hops.run(int)
