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
        self._executor: ThreadPoolExecutor | None = None
        self._running = 0
        self._started = 0

    async def run(self, work: Callable[[], T], stop: Callable[[], None]) -> T:
        """Do the work in a thread; when this method returns or raises, the thread has finished the work.

        A new thread is started from another thread, not from the event loop: starting one waits until it runs, and that
        takes milliseconds while other lanes are busy.

        Args:
            work: A blocking function.
            stop: Makes the work end soon; called on a cancellation.
        """
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._limit, thread_name_prefix="bucketry-lane")
        begun: list[Future[T]] = []
        self._running += 1
        try:
            if self._running <= self._started:
                begun.append(self._executor.submit(work))
            else:
                self._started = self._running
                await in_thread(_submit, self._executor, work, begun)
            await asyncio.wait([_ended(begun[0])])
        except asyncio.CancelledError:
            stop()
            for each in begun:
                await until_done(_ended(each))
            raise
        finally:
            self._running -= 1
        return begun[0].result()

    def end(self) -> None:
        """Let the threads end; later work starts new ones."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None
            self._started = 0


def _submit(executor: ThreadPoolExecutor, work: Callable[[], T], begun: list[Future[T]]) -> None:
    begun.append(executor.submit(work))


def _ended(begun: Future[T]) -> asyncio.Future[None]:
    """Give a future of the event loop that is done when `begun` is, with a result or an error."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    begun.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set_result, None))
    return ended
