"""Makes a read, and makes it a second time if the first request takes unusually long; the first answer is used.

`bucketry._core.hedging` decides when; here are the clock, the tasks and the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar

from bucketry._core.frozen import dataclass
from bucketry._core.hedging import HedgingPolicy
from bucketry.errors import StorageError

T = TypeVar("T")
_log = logging.getLogger("bucketry")


class _Ended(Generic[T]):
    """How a request ended: with a result or with an error.

    Attributes:
        is_last: Whether another request would not have a better end: the result is complete, or the error is an answer
            that does not change, such as "no such key".
    """

    __slots__ = ("error", "is_last", "result")

    def __init__(self, result: T | None, error: Exception | None, *, is_last: bool) -> None:
        self.result = result
        self.error = error
        self.is_last = is_last


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """How a read is made.

    Attributes:
        request: Makes one request, without repeats.
        is_complete: Whether a result is complete, and not one whose body broke.
        drop: Releases a result that is not used.
        may_repeat: Asked before a second request is made.
        name: The name of the read in the log.
    """

    request: Callable[[], Coroutine[Any, Any, T]]
    is_complete: Callable[[T], bool]
    drop: Callable[[T], Awaitable[None]]
    may_repeat: Callable[[], bool]
    name: str

    async def ended(self) -> _Ended[T]:
        """Make a request, and return how it ended, because an error must not end the other request."""
        try:
            result = await self.request()
        except StorageError as error:
            return _Ended(None, error, is_last=error.status is not None and not error.retryable)
        except Exception as error:  # noqa: BLE001 - a fault of the program; raised by `run`, and not in a group
            return _Ended(None, error, is_last=True)
        return _Ended(result, None, is_last=self.is_complete(result))


class Hedger:
    """Makes reads of one endpoint in one event loop."""

    def __init__(self, policy: HedgingPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        """Store the arguments.

        Args:
            policy: Decides when a second request is made; all reads of the endpoint share it.
            clock: Returns the time.
        """
        self._policy = policy
        self._clock = clock

    async def run(self, read: Read[T]) -> T:
        """Make a request, and a second one if the first takes unusually long; return the first complete result.

        The other request is cancelled, and has ended when this method returns. An error that another request may avoid
        waits for the other request. If both fail, the first request's result or error is used.
        """
        begun = self._clock()
        delay = self._policy.delay
        by_second = False
        if delay is None:
            ended = await read.ended()
        else:
            ended, by_second = await _Race(self._policy, read, delay).run()
        if ended.is_last:
            self._policy.answered(self._clock() - begun, by_second=by_second)
        try:
            if ended.error is not None:
                raise ended.error
            assert ended.result is not None  # noqa: S101 - there is no error
            return ended.result
        finally:
            del ended  # the error's traceback has this frame, so they would keep each other in memory


class _Race(Generic[T]):
    """A read whose first request runs in the caller's task, and whose second request has a task of its own.

    Few reads need a second request, and a task for each first request would take more time than all the rest here.
    """

    def __init__(self, policy: HedgingPolicy, read: Read[T], delay: float) -> None:
        self._policy = policy
        self._read = read
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._group = asyncio.TaskGroup()
        self._first_request = asyncio.timeout(None)  # a good answer to the second request ends it
        self._second: asyncio.Task[_Ended[T]] | None = None
        self._next: asyncio.Handle | None = None  # the call that will begin the second request

    async def run(self) -> tuple[_Ended[T], bool]:
        """Return the end of the read, and whether it is that of the second request."""
        first: _Ended[T] | None = None
        used: _Ended[T] | None = None
        try:
            async with self._group:
                first = await self._first()
                second = self._second
                if second is None or (first is not None and first.is_last):
                    used = first
                else:
                    await asyncio.wait([second])
                    used = first if first is not None and not second.result().is_last else second.result()
                if second is not None:
                    second.cancel()
        except BaseException:
            used = None  # the caller gets no result, so all are released
            raise
        finally:
            async with AsyncExitStack() as unused:  # an error of one release does not keep the other from being made
                for ended in (first, _end_of(self._second)):
                    if ended is not None and ended is not used and ended.result is not None:
                        unused.push_async_callback(self._read.drop, ended.result)
        assert used is not None  # noqa: S101 - `first` is `None` only if the second request was answered
        return used, used is not first

    async def _first(self) -> _Ended[T] | None:
        """Make the first request; `None`: the second request was answered before."""
        self._next = self._loop.call_later(self._delay, self._late)
        try:
            async with self._first_request:
                return await self._read.ended()
        except TimeoutError:
            return None
        finally:
            self._next.cancel()
            self._next = None

    def _late(self) -> None:
        # Not at once: if the event loop was busy, the response may be there, and is read in this round of the loop.
        self._next = self._loop.call_soon(self._begin_second)

    def _begin_second(self) -> None:
        if not self._read.may_repeat() or not self._policy.allow():
            return
        count = self._policy.counts
        problem = f"no answer to {self._read.name} after {self._delay:.3f} s, so it is requested a second time"
        _log.debug("hedged: %s; %d in %d reads so far", problem, count.hedged, count.reads)
        self._second = self._group.create_task(self._read.ended())
        self._second.add_done_callback(self._end_first)

    def _end_first(self, second: asyncio.Task[_Ended[T]]) -> None:
        ended = _end_of(second)
        if self._next is not None and ended is not None and ended.is_last:
            self._first_request.reschedule(self._loop.time())


def _end_of(task: asyncio.Task[_Ended[T]] | None) -> _Ended[T] | None:
    """Return how a request ended; `None`: it was not made, or was cancelled."""
    return None if task is None or task.cancelled() or task.exception() is not None else task.result()
