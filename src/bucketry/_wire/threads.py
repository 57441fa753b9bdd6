"""The threads that lanes run in. A cancelled task waits until the work in its thread is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ContextDecorator
from typing import Any, TypeVar

from bucketry._runtime.finish import until_done
from bucketry._runtime.threads import in_thread

T = TypeVar("T")


class LaneThreads:
    """The threads that lanes run in. Their number is the largest number of lanes that were in use at the same time.

    Args:
        limit: The largest number of threads.
    """

    def __init__(self, limit: int) -> None:
        """Start no thread yet."""
        self._limit = limit
        self._now: _Threads | None = None

    async def run(self, work: Callable[[], T], stop: Callable[[], None]) -> T:
        """Do the work in a thread; when this method returns or raises, the thread has finished the work.

        The event loop does not start a new thread itself, because `Thread.start` returns only when the thread runs, and
        that takes milliseconds while other lanes are busy.

        Args:
            work: A blocking function.
            stop: A function that makes the work end soon; it is called on a cancellation.
        """
        threads = self._now = self._now or _Threads(self._limit)
        begun: list[Future[T]] = []
        guard = _Guard()
        guarded = guard(work)
        threads.running += 1
        try:
            if threads.running <= threads.started:
                begun.append(threads.executor.submit(guarded))
            else:
                threads.started = threads.running
                await in_thread(_submit, threads.executor, guarded, begun)
            await asyncio.wait([_ended(begun[0])])
        except (asyncio.CancelledError, RuntimeError):  # RuntimeError: no thread can start, but the work is queued
            stop()
            if not guard.ended.cancel():
                await until_done(_ended(guard.ended))
            raise
        finally:
            threads.running -= 1
            if threads is not self._now:
                threads.end_when_idle()
        return begun[0].result()

    def resize(self, limit: int) -> None:
        """Change the limit: present threads end after their work, and later work starts new threads."""
        self._limit = limit
        self.end()

    def end(self) -> None:
        """Let the threads end after their work; later work starts new threads."""
        threads, self._now = self._now, None
        if threads is not None:
            threads.end_when_idle()


class _Threads:
    """Worker threads that share one limit.

    Attributes:
        running: The number of threads that work now.
        started: The number of threads that were started.
    """

    def __init__(self, limit: int) -> None:
        self.executor = ThreadPoolExecutor(limit, thread_name_prefix="bucketry-lane")
        self.running = self.started = 0

    def end_when_idle(self) -> None:
        if not self.running:
            self.executor.shutdown(wait=False)


class _Guard(ContextDecorator):
    """Lets the work begin only if `ended` was not cancelled before; `ended` is done when the work is done.

    It is a `ContextDecorator`, because the standard library's wrapper adds no function of this package to the calls
    between a public method and the sending of a part.
    """

    def __init__(self) -> None:
        self.ended: Future[None] = Future()

    def __enter__(self) -> None:
        """Begin, or raise `CancelledError` if `ended` was cancelled."""
        if not self.ended.set_running_or_notify_cancel():
            raise CancelledError

    def __exit__(self, *_: object) -> None:
        """Store that the work has ended."""
        self.ended.set_result(None)


def _submit(executor: ThreadPoolExecutor, work: Callable[[], T], begun: list[Future[T]]) -> None:
    begun.append(executor.submit(work))


def _ended(begun: Future[Any]) -> asyncio.Future[None]:
    """Return a future of the event loop that is done when `begun` is done, with a result or with an error."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    begun.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set_result, None))
    return ended
