"""The connections to an endpoint, and how long each may be idle.

One pool serves both kinds of connection: asyncio protocols in the event loop (`unary`) and blocking sockets in worker
threads (`lanes`). The pool does not know the difference. A slot stands for one request under way. There are never more
sockets than slots, idle sockets included.
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
_TICK = 1.0  # seconds between two checks for read timeouts and for idle connections


class Pooled(Protocol):
    """The part of a connection that the pool uses."""

    @property
    def sent(self) -> bool:
        """Whether the present request may have reached the server."""

    @property
    def answer_started(self) -> bool:
        """Whether any byte of the present response was received."""

    def usable(self) -> bool:
        """Return whether an idle connection still seems to be open."""

    def close(self) -> None:
        """Close the connection at once; its request fails."""

    def idle(self, now: float, limit: float) -> float:
        """Return the seconds for which the client has waited for the server while no byte moved.

        `limit` is the read timeout.
        """

    def expire(self, seconds: float) -> None:
        """Fail the connection's request, because the connection was idle for too long."""

    def moved(self) -> int:
        """Return a number that changes when bytes of the present request or response move."""


def is_stale(connection: Pooled, error: WireError, *, repeatable: bool) -> bool:
    """Return whether to send a failed request again on a new connection, because the server had closed the idle one.

    A server may close an idle connection at any time. The client notices this only at the first write, or when no
    response comes.

    Args:
        connection: The connection, which was idle before this request.
        error: The error of the request.
        repeatable: Whether sending the request twice has the same effect as sending it once.
    """
    may_repeat = repeatable or not connection.sent
    return may_repeat and not connection.answer_started and error.kind is ConnectionFailedError


class IdleTimer:
    """Measures how long a connection is idle, by the kernel's byte counters."""

    def __init__(self) -> None:
        """Begin without a wait."""
        self._since = self._alive = 0.0
        self._count: int | None = None

    def seconds(self, since: float, now: float, limit: float, count: Callable[[], int]) -> float:
        """Return for how many seconds no byte has moved in the wait that began at `since`.

        `count` returns the kernel's byte counter. It is a system call, so it is called only after half the limit.
        """
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
        buffer: The buffer into which the event loop's connections receive, one after the other.
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
        self._watched: dict[Pooled, float] = {}  # the connections in use, with their read timeouts
        self._loop = asyncio.get_running_loop()
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_every = _TICK

    def take(self, *kinds: object) -> Pooled | None:
        """Return the idle connection of a kind that was used last; `None`: there is none, and the caller may open one.

        The caller has taken a slot. Connections of equal kinds can replace each other. A later kind is used if there is
        no connection of those before it.
        """
        for kind in kinds:
            for at in range(len(self._idle) - 1, -1, -1):
                _, found, connection = self._idle[at]
                if found == kind:
                    del self._idle[at]
                    if connection.usable():
                        return connection
                    connection.close()
        self._close_surplus()  # closes an idle connection of another kind if there is no room for a new connection
        return None

    def release(self, kind: object, connection: Pooled) -> None:
        """Return the slot, and keep the connection for the next request; if it is surplus, close it."""
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
        """Begin to check a connection in use; its request fails if the connection is idle for over `read_timeout`."""
        self._watched[connection] = read_timeout
        if read_timeout < 4 * self._tick_every:
            self._tick_every = read_timeout / 4
            if self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None
        if self._ticker is None:
            self._ticker = self._loop.call_later(self._tick_every, self._tick)

    def resize(self, limit: int) -> None:
        """Change the limit; close surplus idle connections now, and surplus busy connections after their requests."""
        Slots.resize(self, limit)
        self._close_surplus()

    def close(self, *, at_once: bool) -> None:
        """Close idle connections now, and busy connections after their requests.

        With `at_once`, busy connections are closed now, too, and their requests fail.
        """
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
        """Return a slot; the caller that has waited longest gets it.

        The last slot of a closed pool calls `drained`.
        """
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
