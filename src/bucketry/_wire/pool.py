"""Which connections to an endpoint are open, and how long a silence may last.

One pool serves both drivers: a slot is one request under way, and sockets, idle ones included, are never
more than slots. What a connection is (a protocol of the loop, a socket of a thread) the drivers know.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from bucketry._core.units import KiB
from bucketry._wire.errors import WireError
from bucketry._wire.slots import Slots
from bucketry.errors import ConnectionFailedError

KEEP_ALIVE = 12.0  # below the 15 s after which R2 drops an idle connection
BUFFER = 256 * KiB
_TICK = 1.0  # how late a silence or an idle connection may be noticed


class Pooled(Protocol):
    """A connection, as the pool sees it."""

    @property
    def sent(self) -> bool:
        """Whether the present request may have reached the server."""

    @property
    def heard(self) -> bool:
        """Whether any byte of the present answer has come."""

    def usable(self) -> bool:
        """Tell whether an idle connection still looks alive."""

    def close(self) -> None:
        """Close it at once; whoever uses it finds it broken."""

    def idle(self, now: float, limit: float) -> float:
        """Give the seconds for which the other side has been silent although it is its turn; `limit` is the most."""

    def expire(self, seconds: float) -> None:
        """End what waits on it, because the silence has lasted too long."""

    def moved(self) -> int:
        """Give a number that changes when bytes of the present request or answer move."""


def is_stale(connection: Pooled, error: WireError, *, repeatable: bool) -> bool:
    """Tell whether a request that failed on a kept connection is to be made on a new one.

    A server may close an idle connection at any moment. That is noticed at the first write, or only when no answer
    comes.

    Args:
        connection: It was idle before this request.
        error: How the request failed.
        repeatable: Whether sending the request twice does what sending it once does.
    """
    may_repeat = repeatable or not connection.sent
    return may_repeat and not connection.heard and error.kind is ConnectionFailedError


class IdleTimer:
    """Judges how long the other side has been silent, by what the kernel saw move."""

    def __init__(self) -> None:
        """Begin with no waiting."""
        self._since = self._alive = 0.0
        self._count: int | None = None

    def seconds(self, since: float, now: float, limit: float, count: Callable[[], int]) -> float:
        """Give the silence of a waiting that began at `since`; the kernel is asked only when half the limit is over."""
        if since != self._since:
            self._since, self._alive, self._count = since, since, None
        waited = now - self._alive
        if waited > limit / 2 and self._count is None:
            self._count = count()
            return min(waited, limit)
        if waited > limit and (found := count()) != self._count:
            self._count, self._alive = found, now
            return 0.0
        return waited


class Pool(Slots):
    """Slots and idle connections of one endpoint, in one event loop.

    Attributes:
        closed: Whether connections are kept no more.
        buffer: What connections of the loop receive into, one after the other.
    """

    def __init__(self, limit: int, drained: Callable[[], None] = lambda: None) -> None:
        """Begin empty; no I/O.

        Args:
            limit: Of slots.
            drained: Called when the pool is closed and no request is under way.
        """
        Slots.__init__(self, limit, lambda: sum(each.moved() for each in self._watched))
        self._drained = drained
        self.closed = False
        self.buffer = memoryview(bytearray(BUFFER))
        self._idle: deque[tuple[float, object, Pooled]] = deque()  # least recently used first
        self._watched: dict[Pooled, float] = {}  # and how many seconds of silence are too many
        self._loop = asyncio.get_running_loop()
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_every = _TICK

    def take(self, kind: object) -> Pooled | None:
        """Give an idle connection of a kind, the last one used; `None`: connect, there is room for it.

        The caller holds a slot. Connections of equal kinds are as good as each other.
        """
        for at in range(len(self._idle) - 1, -1, -1):
            _, found, connection = self._idle[at]
            if found == kind:
                del self._idle[at]
                if connection.usable():
                    return connection
                connection.close()
        self._close_surplus()  # another kind's
        return None

    def release(self, kind: object, connection: Pooled) -> None:
        """Give the slot back, and keep the connection for the next request, unless there are more than the limit."""
        if self.closed or self.busy > self.limit:
            self.discard(connection)
            return
        self._watched.pop(connection, None)
        self._idle.append((time.monotonic(), kind, connection))
        self.give_slot()

    def discard(self, connection: Pooled | None) -> None:
        """Give the slot back, and close the connection, if there is one."""
        if connection is not None:
            self.drop(connection)
        self.give_slot()

    def drop(self, connection: Pooled) -> None:
        """Close a connection, and keep the slot."""
        self._watched.pop(connection, None)
        connection.close()

    def forget(self, connection: Pooled) -> None:
        """Drop an idle connection that the server closed."""
        for entry in self._idle:
            if entry[2] is connection:
                self._idle.remove(entry)
                return

    def watch(self, connection: Pooled, read_timeout: float) -> None:
        """Begin to look after a connection that is being used: a silence that is longer than `read_timeout` ends it."""
        self._watched[connection] = read_timeout
        if read_timeout < 4 * self._tick_every:
            self._tick_every = read_timeout / 4
            if self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None
        if self._ticker is None:
            self._ticker = self._loop.call_later(self._tick_every, self._tick)

    def resize(self, limit: int) -> None:
        """Change the limit; idle connections beyond it are closed, and those in use when their requests are done."""
        Slots.resize(self, limit)
        self._close_surplus()

    def close(self, *, at_once: bool) -> None:
        """Close idle connections now, and the others when their requests are done, or `at_once`: those then fail."""
        self.closed = True
        for _, _, connection in self._idle:
            connection.close()
        self._idle.clear()
        if at_once:
            for connection in self._watched:
                connection.close()
            if self._ticker is not None:
                self._ticker.cancel()
        if not self.busy:
            self._drained()

    def give_slot(self) -> None:
        """Give a slot back, to whoever waits first; the last one of a closed pool ends it."""
        Slots.give_slot(self)
        if self.closed and not self.busy:
            self._drained()

    def _close_surplus(self) -> None:
        while self._idle and len(self._idle) + self.busy > self.limit:
            self._idle.popleft()[2].close()

    def _tick(self) -> None:
        now = time.monotonic()
        while self._idle and now - self._idle[0][0] > KEEP_ALIVE:
            self._idle.popleft()[2].close()
        for connection, read_timeout in [*self._watched.items()]:
            idle = connection.idle(now, read_timeout)
            if idle > read_timeout:
                connection.expire(idle)
        self._ticker = None
        if self._idle or self._watched:
            self._ticker = self._loop.call_later(self._tick_every, self._tick)
