"""The connections to an endpoint, and how long each may be idle.

One pool serves both drivers. A slot stands for one request under way. There are never more sockets than slots, idle
sockets included. Only the drivers know what a connection is: a protocol of the loop or a socket of a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bucketry._core.units import KiB
from bucketry._wire.slots import Slots

KEEP_ALIVE = 12.0  # below the 15 s after which R2 drops an idle connection
BUFFER = 256 * KiB
_TICK = 1.0  # at most so late is a read timeout or an idle connection noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts in seconds; `None`: no limit.

    Attributes:
        connect: From the first packet to the end of the TLS handshake.
        read: The longest time without a byte from or to the server during a request.
        pool: The longest wait for a slot while no byte moves; see `Slots`.
    """

    connect: float
    read: float
    pool: float | None = None


class Pooled(Protocol):
    """The part of a connection that the pool uses."""

    def usable(self) -> bool:
        """Tell whether an idle connection still seems to be open."""

    def close(self) -> None:
        """Close it at once; a request on it fails."""

    def idle(self, now: float) -> float:
        """Give the seconds for which the client has waited for the server, without a byte."""

    def expire(self, seconds: float) -> None:
        """Fail the request on it, because the connection was idle for too long."""

    def moved(self) -> int:
        """Give a number that changes when bytes of the present request or answer move."""


class IdleTimer:
    """Measures how long a connection is idle, by the kernel's byte counters."""

    def __init__(self) -> None:
        """Begin while no request waits."""
        self._since = self._alive = 0.0
        self._count: int | None = None

    def seconds(self, since: float, now: float, limit: float, count: Callable[[], int]) -> float:
        """Give the idle seconds of a wait that began at `since`; `count` is called only after half the limit."""
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
        closed: Whether the pool is closed and keeps no connections.
        buffer: The event loop's connections receive into it, one after the other.
    """

    def __init__(self, limit: int, timeouts: Timeouts, drained: Callable[[], None] = lambda: None) -> None:
        """Begin empty; no I/O.

        Args:
            limit: The number of slots.
            timeouts: For waiting and for idle connections.
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
        """Give an idle connection of a kind, the last one used; `None`: there is none, and room for a new one.

        The caller has taken a slot. A kind is any object that the driver chose for its connections.
        """
        for at in range(len(self._idle) - 1, -1, -1):
            _, found, connection = self._idle[at]
            if found is kind:
                del self._idle[at]
                if connection.usable():
                    return connection
                connection.close()
        while len(self._idle) + self.busy > self.limit:  # close connections of another kind
            self._idle.popleft()[2].close()
        return None

    def release(self, kind: object, connection: Pooled) -> None:
        """Return the slot, and keep the connection for the next request."""
        if self.closed:
            self.discard(connection)
            return
        self._watched.discard(connection)
        self._idle.append((time.monotonic(), kind, connection))
        self.give_slot()

    def discard(self, connection: Pooled | None) -> None:
        """Return the slot, and close the connection if there is one."""
        if connection is not None:
            self.drop(connection)
        self.give_slot()

    def drop(self, connection: Pooled) -> None:
        """Close a connection, and keep the slot."""
        self._watched.discard(connection)
        connection.close()

    def forget(self, connection: Pooled) -> None:
        """Remove an idle connection that the server closed."""
        for entry in self._idle:
            if entry[2] is connection:
                self._idle.remove(entry)
                return

    def watch(self, connection: Pooled) -> None:
        """Begin to check the read timeout of a connection in use."""
        self._watched.add(connection)
        if self._ticker is None:
            self._ticker = self._loop.call_later(min(_TICK, self.timeouts.read / 4), self._tick)

    def close(self, *, at_once: bool) -> None:
        """Close idle connections now and the others when their requests are done; with `at_once`, requests fail now."""
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
        """Return a slot; the caller that has waited longest gets it. The last slot of a closed pool calls `drained`."""
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
