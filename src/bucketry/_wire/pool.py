"""The connections to an endpoint, and how long each may be idle.

One pool serves both drivers. A slot stands for one request under way. There are never more sockets than slots, idle
sockets included. Only the drivers know what a connection is: a protocol of the loop or a socket of a thread.
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
_TICK = 1.0  # at most so late is a read timeout or an idle connection noticed


class Pooled(Protocol):
    """The part of a connection that the pool uses."""

    @property
    def sent(self) -> bool:
        """Whether the present request may have reached the server."""

    @property
    def heard(self) -> bool:
        """Whether any byte of the present answer was received."""

    def usable(self) -> bool:
        """Tell whether an idle connection still seems to be open."""

    def close(self) -> None:
        """Close it at once; a request on it fails."""

    def idle(self, now: float, limit: float) -> float:
        """Give the seconds for which the client has waited for the server, without a byte; `limit` is the timeout."""

    def expire(self, seconds: float) -> None:
        """Fail the request on it, because the connection was idle for too long."""

    def moved(self) -> int:
        """Give a number that changes when bytes of the present request or answer move."""


def is_stale(connection: Pooled, error: WireError, *, repeatable: bool) -> bool:
    """Tell whether a request that failed on a connection that was idle before should be sent on a new one.

    A server may close an idle connection at any time. This shows only at the first write, or when no answer comes.

    Args:
        connection: The connection, which was idle before this request.
        error: The error of the request.
        repeatable: Whether sending the request twice has the same effect as sending it once.
    """
    may_repeat = repeatable or not connection.sent
    return may_repeat and not connection.heard and error.kind is ConnectionFailedError


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

    def __init__(self, limit: int, drained: Callable[[], None] = lambda: None) -> None:
        """Begin empty; no I/O.

        Args:
            limit: The number of slots.
            drained: Called when the pool is closed and no request is under way.
        """
        Slots.__init__(self, limit, lambda: sum(each.moved() for each in self._watched))
        self._drained = drained
        self.closed = False
        self.buffer = memoryview(bytearray(BUFFER))
        self._idle: deque[tuple[float, object, Pooled]] = deque()  # least recently used first
        self._watched: dict[Pooled, float] = {}  # with their read timeouts
        self._loop = asyncio.get_running_loop()
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_every = _TICK

    def take(self, kind: object) -> Pooled | None:
        """Give an idle connection of a kind, the last one used; `None`: there is none, and room for a new one.

        The caller has taken a slot. Connections of equal kinds can replace each other.
        """
        for at in range(len(self._idle) - 1, -1, -1):
            _, found, connection = self._idle[at]
            if found == kind:
                del self._idle[at]
                if connection.usable():
                    return connection
                connection.close()
        self._close_surplus()  # connections of another kind
        return None

    def release(self, kind: object, connection: Pooled) -> None:
        """Return the slot; keep the connection for the next request, unless there are more than the limit."""
        if self.closed or self.busy > self.limit:
            self.discard(connection)
            return
        self._watched.pop(connection, None)
        self._idle.append((time.monotonic(), kind, connection))
        self.give_slot()

    def discard(self, connection: Pooled | None) -> None:
        """Return the slot, and close the connection if there is one."""
        if connection is not None:
            self.drop(connection)
        self.give_slot()

    def drop(self, connection: Pooled) -> None:
        """Close a connection, and keep the slot."""
        self._watched.pop(connection, None)
        connection.close()

    def forget(self, connection: Pooled) -> None:
        """Remove an idle connection that the server closed."""
        for entry in self._idle:
            if entry[2] is connection:
                self._idle.remove(entry)
                return

    def watch(self, connection: Pooled, read_timeout: float) -> None:
        """Begin to check a connection in use: if it is idle for longer than `read_timeout`, its request fails."""
        self._watched[connection] = read_timeout
        if read_timeout < 4 * self._tick_every:
            self._tick_every = read_timeout / 4
            if self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None
        if self._ticker is None:
            self._ticker = self._loop.call_later(self._tick_every, self._tick)

    def resize(self, limit: int) -> None:
        """Change the limit; surplus connections are closed: idle ones now, the others after their requests."""
        Slots.resize(self, limit)
        self._close_surplus()

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
