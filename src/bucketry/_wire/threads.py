"""The threads that lanes run in. A cancelled task waits until the work in its thread is done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ContextDecorator
from typing import Any, TypeVar

from bucketry._runtime.finish import until_done

T = TypeVar("T")


class LaneThreads:
    """The threads that lanes run in. Their number is the largest number of lanes that were in use at the same time.

    The event loop starts none of them, because `Thread.start` returns only when the thread runs, and that takes
    milliseconds while other lanes are busy. One executor with many threads would start some: it does not count a thread
    as idle before the thread has looked for more work, but the event loop has the next work before that. So each thread
    has its own executor.
    """

    def __init__(self) -> None:
        """Start no thread yet."""
        self._idle: list[ThreadPoolExecutor] = []
        self._starter = _Starter()

    async def run(self, work: Callable[[], T], stop: Callable[[], None]) -> T:
        """Do the work in a thread; when this method returns or raises, the thread has finished the work.

        Args:
            work: A blocking function.
            stop: A function that makes the work end soon; it is called on a cancellation.
        """
        idle = self._idle
        thread = idle.pop() if idle else None
        guard = _Guard()
        guarded = guard(work)
        used = thread or ThreadPoolExecutor(1, thread_name_prefix="bucketry-lane")
        kept = False
        try:
            begun = await self._starter.submit(used, guarded) if thread is None else used.submit(guarded)
            await asyncio.wait([_ended(begun)])
            kept = idle is self._idle
        except (asyncio.CancelledError, RuntimeError):  # RuntimeError: no thread can start
            stop()
            if not guard.ended.cancel():
                await until_done(_ended(guard.ended))
                kept = idle is self._idle
            raise
        finally:
            if kept:
                idle.append(used)
            else:
                used.shutdown(wait=False)
        return begun.result()

    def end(self) -> None:
        """Let the threads end after their work; later work starts new threads."""
        idle, self._idle = self._idle, []
        for thread in idle:
            thread.shutdown(wait=False)


class _Starter:
    """Starts threads in a worker thread, one after the other, while the event loop goes on."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[ThreadPoolExecutor, Callable[[], Any], Future[Future[Any]]]] = deque()
        self._busy = False

    async def submit(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> Future[T]:
        """Start the thread of an executor with its first work, and return the future of the work.

        Raises:
            RuntimeError: No thread can start.
        """
        begun: Future[Future[T]] = Future()
        self._waiting.append((thread, work, begun))
        self._start()
        await asyncio.wait([_ended(begun)])
        return begun.result()

    def _start(self) -> None:
        if self._busy or not self._waiting:
            return
        try:
            started = asyncio.get_running_loop().run_in_executor(None, _start_threads, self._waiting)
        except RuntimeError as error:
            while self._waiting:
                self._waiting.popleft()[2].set_exception(error)
        else:
            self._busy = True
            started.add_done_callback(self._started)

    def _started(self, _: asyncio.Future[None]) -> None:
        self._busy = False
        self._start()


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


def _start_threads(waiting: deque[tuple[ThreadPoolExecutor, Callable[[], Any], Future[Future[Any]]]]) -> None:
    while waiting:  # only this thread removes entries
        thread, work, begun = waiting.popleft()
        try:
            begun.set_result(thread.submit(work))
        except Exception as error:  # noqa: BLE001 - such as: no thread can start, or the work was given up
            begun.set_exception(error)


def _ended(begun: Future[Any]) -> asyncio.Future[None]:
    """Return a future of the event loop that is done when `begun` is done, with a result or with an error."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    begun.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set_result, None))
    return ended
