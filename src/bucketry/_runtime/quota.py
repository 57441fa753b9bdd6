"""A limited number of units, such as slots or bytes, that callers wait for in order."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self


class Quota:
    """A limited number of units, given to callers in the order of their requests.

    A request for more units than the limit gets all units, so no request waits for ever.

    Attributes:
        limit: The number of units; `resize` changes it.
        free: The units that no caller has. It is negative if the limit was lowered while more units were taken.
    """

    def __init__(self, limit: int) -> None:
        """Begin with all units free."""
        self.limit = limit
        self.free = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def hold(self, units: int) -> Hold:
        """Hold `units` (at most the limit) inside the context."""
        return Hold(self, units)

    async def take(self, units: int) -> int:
        """Wait for `units` (at most the limit) and take them; return their number, to pass to `give` later."""
        units = min(units, self.limit)
        if units <= self.free and not self._waiting:
            self.free -= units
            return units
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (units, waiter)
        self._waiting.append(entry)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give(units)
            else:
                with suppress(ValueError):  # _wake() may have removed the cancelled entry already
                    self._waiting.remove(entry)
                self._wake()
            raise
        return units

    def take_one(self) -> bool:
        """Take a unit if one is free and no caller waits; return whether it was taken."""
        if self.free < 1 or self._waiting:
            return False
        self.free -= 1
        return True

    def give(self, units: int) -> None:
        """Take back units from a caller, and wake the callers that wait for units."""
        self.free += units
        if self._waiting:
            self._wake()

    def resize(self, limit: int) -> None:
        """Change the number of units. Only for quotas whose callers take one unit each.

        With a higher limit, waiting callers get units at once. With a lower one, no unit is taken back.
        """
        self.free += limit - self.limit
        self.limit = limit
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.free:
            units, waiter = self._waiting.popleft()
            if not waiter.done():
                self.free -= units
                waiter.set_result(None)


class Hold:
    """The context manager that `Quota.hold` returns.

    It is a class because `@asynccontextmanager` is slow: it takes as much time as signing a small request.
    """

    __slots__ = ("_quota", "_units")

    def __init__(self, quota: Quota, units: int) -> None:
        self._quota = quota
        self._units = units

    def keep(self, units: int) -> None:
        """Give back all units but `units` before the context ends."""
        spare = max(0, self._units - units)
        self._units -= spare
        self._quota.give(spare)

    async def __aenter__(self) -> Self:
        self._units = await self._quota.take(self._units)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quota.give(self._units)
