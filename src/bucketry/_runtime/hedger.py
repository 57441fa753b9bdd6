"""Makes a read, and makes it a second time if the first request takes unusually long; the first answer is used.

`bucketry._core.hedging` decides when; here are the clock, the tasks and the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

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


class Hedger:
    """Makes the reads of one endpoint in one event loop.

    Attributes:
        policy: Decides when a second request is made.
    """

    def __init__(self, policy: HedgingPolicy | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without reads.

        Args:
            policy: Decides when a second request is made; `None`: a new one.
            clock: Returns the time.
        """
        self.policy = policy or HedgingPolicy()
        self._clock = clock

    async def run(
        self,
        request: Callable[[], Coroutine[Any, Any, T]],
        *,
        is_complete: Callable[[T], bool],
        drop: Callable[[T], Awaitable[None]],
        may_repeat: Callable[[], bool],
        what: str,
    ) -> T:
        """Make a request, and a second one if the first takes unusually long; return the first complete result.

        The other request is cancelled, and has ended when this method returns. An error that another request may avoid
        waits for the other request. If both fail, the first request's result or error is used.

        Args:
            request: Makes one request, without repeats.
            is_complete: Whether a result is complete, and not one whose body broke.
            drop: Releases a result that is not used.
            may_repeat: Asked before a second request is made.
            what: The name of the read in the log.
        """
        begun = self._clock()
        delay = self.policy.delay
        number = 0
        if delay is None:
            ended = await _end_of(request, is_complete)
        else:
            ended, number = await self._race(request, delay, is_complete, drop, may_repeat, what)
        if ended.is_last:
            self.policy.answered(self._clock() - begun, by_second=number > 0)
        try:
            if ended.error is not None:
                raise ended.error
            assert ended.result is not None  # noqa: S101 - there is no error
            return ended.result
        finally:
            del ended  # the error's traceback has this frame, so they would keep each other in memory

    async def _race(
        self,
        request: Callable[[], Coroutine[Any, Any, T]],
        delay: float,
        is_complete: Callable[[T], bool],
        drop: Callable[[T], Awaitable[None]],
        may_repeat: Callable[[], bool],
        what: str,
    ) -> tuple[_Ended[T], int]:
        """Return the end of the read, and the number of the request that is used: 0 or 1."""
        tasks: list[asyncio.Task[_Ended[T]]] = []
        used: int | None = None
        try:
            async with asyncio.TaskGroup() as group:
                tasks.append(group.create_task(_end_of(request, is_complete)))
                await asyncio.wait(tasks, timeout=delay)
                if not tasks[0].done():
                    await asyncio.sleep(0)  # if the event loop was busy, the response may be there and not read yet
                if not tasks[0].done() and may_repeat() and self.policy.allow():
                    tasks.append(group.create_task(_end_of(request, is_complete)))
                    count = self.policy.counts
                    problem = f"no answer to {what} after {delay:.3f} s, so it is requested a second time"
                    _log.debug("hedged: %s; %d in %d reads so far", problem, count.hedged, count.reads)
                used = await _first(tasks)
                for task in tasks:
                    task.cancel()
        finally:
            for number, task in enumerate(tasks):
                result = None if number == used or task.cancelled() or task.exception() else task.result().result
                if result is not None:
                    await drop(result)
        return tasks[used].result(), used


async def _end_of(request: Callable[[], Coroutine[Any, Any, T]], is_complete: Callable[[T], bool]) -> _Ended[T]:
    """Make a request, and return how it ended, because an error must not end the other request."""
    try:
        result = await request()
    except StorageError as error:
        return _Ended(None, error, is_last=error.status is not None and not error.retryable)
    except Exception as error:  # noqa: BLE001 - a fault of the program; raised by `run`, and not in a group
        return _Ended(None, error, is_last=True)
    return _Ended(result, None, is_last=is_complete(result))


async def _first(tasks: Sequence[asyncio.Task[_Ended[T]]]) -> int:
    """Wait for the requests, and return the number of the first one whose end is the last word, else 0."""
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for number, task in enumerate(tasks):
            if task in done and task.result().is_last:
                return number
    return 0
