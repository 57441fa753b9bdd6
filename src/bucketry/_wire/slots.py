"""How many requests to an endpoint may be under way, and who waits for one to end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from bucketry._wire.errors import WireError
from bucketry.errors import PoolTimeoutError


class Slots:
    """Slots for requests under way, given out in the order they were asked for.

    Who waits is refused when for a while no slot was given back and no byte moved on any of them: then whoever holds
    them does not read, and perhaps waits for this very request. A queue that moves may take any time.

    Attributes:
        limit: Slots in all; `resize` changes it.
        busy: Slots taken; more than the limit while it was lowered and those above it are not given back yet.
    """

    def __init__(self, limit: int, moved: Callable[[], int] = lambda: 0) -> None:
        """Begin with all slots free.

        Args:
            limit: Slots in all.
            moved: Gives a number that changes when bytes move on a request under way.
        """
        self.limit = limit
        self.busy = 0
        self._moved = moved
        self._waiting: deque[tuple[asyncio.Future[None], float | None]] = deque()
        self._given = 0
        self._timed: set[float] = set()  # the waits for which a timer runs: one for all callers that wait as long

    def take_slot(self) -> bool:
        """Take a slot, if one is free and nobody waits for it; `give_slot` gives it back."""
        free = self.busy < self.limit and not self._waiting
        self.busy += free
        return free

    async def wait_for_slot(self, longest_wait: float | None) -> None:
        """Take a slot when it is this caller's turn.

        Args:
            longest_wait: Seconds in which nothing moves; `None`: wait for ever.

        Raises:
            WireError: Nothing moved for too long.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        waiter = turn, longest_wait
        self._waiting.append(waiter)
        if longest_wait is not None and longest_wait not in self._timed:
            self._look_later(loop, self._seen(), longest_wait)
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
        """Give a slot back, to whoever waits first."""
        self._given += 1
        self.busy -= 1
        self._pass_on()

    def resize(self, limit: int) -> None:
        """Change the limit: a higher one lets callers go on at once, for a lower one those under way end as they do."""
        self.limit = limit
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting and self.busy < self.limit:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                self.busy += 1
                turn.set_result(None)

    def note(self) -> None:
        """Note that bytes moved on one of the requests under way."""
        self._given += 1

    def _seen(self) -> tuple[int, int]:
        return self._given, self._moved()

    def _look_later(self, loop: asyncio.AbstractEventLoop, seen: tuple[int, int], longest_wait: float) -> None:
        self._timed.add(longest_wait)
        loop.call_later(longest_wait, self._look, loop, seen, longest_wait)

    def _look(self, loop: asyncio.AbstractEventLoop, seen: tuple[int, int], longest_wait: float) -> None:
        """Refuse all who wait so long at most if nothing has moved since `seen`."""
        self._timed.discard(longest_wait)
        late = [waiter for waiter in self._waiting if waiter[1] == longest_wait]
        if not late:
            return
        now = self._seen()
        if now != seen:
            self._look_later(loop, now, longest_wait)
            return
        problem = (
            f"none of the {self.limit} connections became free, and no byte moved on them for {longest_wait:g} s "
            "(pool_timeout): an open stream holds one until its context is left; leave it, or raise max_connections"
        )
        self._waiting = deque(waiter for waiter in self._waiting if waiter[1] != longest_wait)
        for turn, _ in late:
            if not turn.done():
                turn.set_exception(WireError(PoolTimeoutError, problem))
