"""Limits how many requests to an endpoint are under way; further callers wait in a queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from bucketry._wire.errors import WireError
from bucketry.errors import PoolTimeoutError


class Slots:
    """Slots for requests under way; callers get them in the order in which they asked.

    A waiting caller gets an error if no slot was returned, and no byte moved on any request, for its longest wait. In
    this case the callers that have the slots do not read, perhaps because they wait for this caller. While slots are
    returned or bytes move, the wait has no limit.

    Attributes:
        limit: The number of slots; `resize` changes it.
        busy: The number of taken slots. If the limit was lowered, it can exceed the limit until slots are returned.
    """

    def __init__(self, limit: int, moved: Callable[[], int] = lambda: 0) -> None:
        """Begin with all slots free.

        Args:
            limit: The number of slots.
            moved: A function that returns a number, which changes when bytes move on a request under way.
        """
        self.limit = limit
        self.busy = 0
        self._moved = moved
        self._waiting: deque[tuple[asyncio.Future[None], float | None]] = deque()
        self._given = 0
        self._timed: set[float] = set()  # the longest waits with a timer, which callers with equal waits share

    @property
    def has_free(self) -> bool:
        """Whether a caller would get a slot at once."""
        return self.busy < self.limit and not self._waiting

    def take_slot(self) -> bool:
        """Take a slot if one is free and no caller waits; return whether it was taken. `give_slot` returns the slot."""
        free = self.busy < self.limit and not self._waiting
        self.busy += free
        return free

    async def wait_for_slot(self, longest_wait: float | None) -> None:
        """Wait until it is this caller's turn, and take a slot.

        Args:
            longest_wait: Seconds without a returned slot or a moved byte; `None`: no limit.

        Raises:
            WireError: No slot was returned and no byte moved for too long.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        waiter = turn, longest_wait
        self._waiting.append(waiter)
        if longest_wait is not None and longest_wait not in self._timed:
            self._schedule_check(loop, self._progress(), longest_wait)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_slot()
            else:
                turn.cancel()
                with suppress(ValueError):
                    self._waiting.remove(waiter)
            raise

    def give_slot(self) -> None:
        """Return a slot; the caller that has waited longest gets it."""
        self._given += 1
        self.busy -= 1
        self._pass_on()

    def resize(self, limit: int) -> None:
        """Change the limit. A higher limit gives waiting callers slots at once; a lower limit ends no request."""
        self.limit = limit
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting and self.busy < self.limit:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                self.busy += 1
                turn.set_result(None)

    def note(self) -> None:
        """Store that bytes moved on a request under way."""
        self._given += 1

    def _progress(self) -> tuple[int, int]:
        return self._given, self._moved()

    def _schedule_check(self, loop: asyncio.AbstractEventLoop, seen: tuple[int, int], longest_wait: float) -> None:
        self._timed.add(longest_wait)
        loop.call_later(longest_wait, self._check, loop, seen, longest_wait)

    def _check(self, loop: asyncio.AbstractEventLoop, seen: tuple[int, int], longest_wait: float) -> None:
        """Fail the callers with this longest wait if no slot was returned and no byte moved since `seen`."""
        self._timed.discard(longest_wait)
        late = [waiter for waiter in self._waiting if waiter[1] == longest_wait]
        if not late:
            return
        now = self._progress()
        if now != seen:
            self._schedule_check(loop, now, longest_wait)
            return
        problem = (
            f"none of the {self.limit} connections became free, and no byte moved on them for {longest_wait:g} s "
            "(pool_timeout): an open stream holds one until its context is left; leave it, or raise max_connections"
        )
        self._waiting = deque(waiter for waiter in self._waiting if waiter[1] != longest_wait)
        for turn, _ in late:
            if not turn.done():
                turn.set_exception(WireError(PoolTimeoutError, problem))
