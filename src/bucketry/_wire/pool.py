"""Which connections to an endpoint are open, and how long a silence may last.

One pool serves both drivers: a slot is one request under way, and sockets, idle ones included, are never
more than slots. What a connection is (a protocol of the loop, a socket of a thread) the drivers know.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bucketry._core.units import KiB
from bucketry._wire.errors import WireError
from bucketry._wire.slots import Slots
from bucketry.errors import ConnectionFailedError

KEEP_ALIVE = 12.0  # below the 15 s after which R2 drops an idle connection
BUFFER = 256 * KiB
_TICK = 1.0  # how late a silence or an idle connection may be noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; `None`: no limit.

    Attributes:
        connect: From the first packet to the end of the TLS handshake.
        read: The longest silence of a server that has a request.
        pool: Waiting for a slot while nothing moves; see `Slots`.
    """

    connect: float
    read: float
    pool: float | None = None


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

    def idle(self, now: float) -> float:
        """Give the seconds for which the other side has been silent although it is its turn."""

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

    def __init__(self, limit: int, timeouts: Timeouts, drained: Callable[[], None] = lambda: None) -> None:
        """Begin empty; no I/O.

        Args:
            limit: Of slots.
            timeouts: Of waiting and silence.
            drained: Called when the pool is closed and no request is under way.
        """
        Slots.__init__(self, limit, timeouts.pool, lambda: sum(each.moved() for each in self._watched))
        self.timeouts = timeouts
        self._drained = drained
        self.closed = False
        self.buffer = memoryview(bytearray(BUFFER))
        self._idle: deque[tuple[float, object, Pooled]] = deque()  # least recently used first
        self._watched: set[Pooled] = set()
        self._loop = asyncio.get_running_loop()
        self._ticker: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> int:
        """How many connections wait to be used again."""
        return len(self._idle)

    def take(self, kind: object) -> Pooled | None:
        """Give an idle connection of a kind, the last one used; `None`: connect, there is room for it.

        The caller holds a slot. A kind is whatever object its driver takes for it.
        """
        for at in range(len(self._idle) - 1, -1, -1):
            _, found, connection = self._idle[at]
            if found is kind:
                del self._idle[at]
                if connection.usable():
                    return connection
                connection.close()
        while len(self._idle) + self.busy > self.limit:  # another kind's
            self._idle.popleft()[2].close()
        return None

    def release(self, kind: object, connection: Pooled) -> None:
        """Give the slot back, and keep the connection for the next request."""
        if self.closed:
            self.discard(connection)
            return
        self._watched.discard(connection)
        self._idle.append((time.monotonic(), kind, connection))
        self.give_slot()

    def discard(self, connection: Pooled | None) -> None:
        """Give the slot back, and close the connection, if there is one."""
        if connection is not None:
            self.drop(connection)
        self.give_slot()

    def drop(self, connection: Pooled) -> None:
        """Close a connection, and keep the slot."""
        self._watched.discard(connection)
        connection.close()

    def forget(self, connection: Pooled) -> None:
        """Drop an idle connection that the server closed."""
        for entry in self._idle:
            if entry[2] is connection:
                self._idle.remove(entry)
                return

    def watch(self, connection: Pooled) -> None:
        """Begin to look after a connection that is being used."""
        self._watched.add(connection)
        if self._ticker is None:
            self._ticker = self._loop.call_later(min(_TICK, self.timeouts.read / 4), self._tick)

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

    def _tick(self) -> None:
        now = time.monotonic()
        while self._idle and now - self._idle[0][0] > KEEP_ALIVE:
            self._idle.popleft()[2].close()
        for connection in [*self._watched]:
            idle = connection.idle(now)
            if idle > self.timeouts.read:
                connection.expire(idle)
        self._ticker = None
        if self._idle or self._watched:
            self._ticker = self._loop.call_later(min(_TICK, self.timeouts.read / 4), self._tick)
