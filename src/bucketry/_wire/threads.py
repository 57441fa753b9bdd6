"""The threads that lanes run in: started outside the event loop; a cancelled task waits until its thread is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bucketry._runtime.finish import until_done
from bucketry._runtime.threads import in_thread

T = TypeVar("T")


class LaneThreads:
    """The threads that lanes run in; as many are started as lanes were at work at the same time.

    Args:
        limit: The largest number of threads.
    """

    def __init__(self, limit: int) -> None:
        """Start no thread yet."""
        self._limit = limit
        self._now: _Threads | None = None

    async def run(self, work: Callable[[], T], stop: Callable[[], None]) -> T:
        """Do the work in a thread; when this method returns or raises, the thread has finished the work.

        A new thread is started from another thread, not from the event loop: starting one waits until it runs, and that
        takes milliseconds while other lanes are busy.

        Args:
            work: A blocking function.
            stop: Makes the work end soon; called on a cancellation.
        """
        threads = self._now = self._now or _Threads(self._limit)
        done: Future[T] = Future()
        threads.running += 1
        try:
            if threads.running <= threads.started:
                _submit(threads.executor, work, done)
            else:
                threads.started = threads.running
                await in_thread(_submit, threads.executor, work, done)
            await asyncio.wait([_ended(done)])
        except asyncio.CancelledError:
            stop()
            if not done.cancel():
                await until_done(_ended(done))
            raise
        finally:
            threads.running -= 1
            if threads is not self._now:
                threads.end_when_idle()
        return done.result()

    def resize(self, limit: int) -> None:
        """Change the limit: present threads end after their work, and later work starts new ones."""
        self._limit = limit
        self.end()

    def end(self) -> None:
        """Let the threads end after their work; later work starts new ones."""
        threads, self._now = self._now, None
        if threads is not None:
            threads.end_when_idle()


class _Threads:
    """Threads that were started together with one limit.

    Attributes:
        running: The number of threads at work.
        started: The number of started threads.
    """

    def __init__(self, limit: int) -> None:
        self.executor = ThreadPoolExecutor(limit, thread_name_prefix="bucketry-lane")
        self.running = self.started = 0

    def end_when_idle(self) -> None:
        if not self.running:
            self.executor.shutdown(wait=False)


def _submit(executor: ThreadPoolExecutor, work: Callable[[], T], done: Future[T]) -> None:
    try:
        executor.submit(_work, work, done)
    except RuntimeError:  # no thread can be started; but the work is in the queue, and another thread may have begun it
        if done.cancel():
            raise


def _work(work: Callable[[], T], done: Future[T]) -> None:
    """Do the work, unless `run` gave it up meanwhile."""
    if not done.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as exc:  # noqa: BLE001 - `run` raises it
        done.set_exception(exc)
        del work, done  # the frame of this function, which the error refers to, would keep them
    else:
        done.set_result(result)


def _ended(done: Future[T]) -> asyncio.Future[None]:
    """Give a future of the event loop that is done when `done` is, with a result or an error."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    done.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set_result, None))
    return ended
