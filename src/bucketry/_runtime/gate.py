"""Limits how many requests to one endpoint are in flight, to a number that is found while they run.

All managers of an endpoint share its gates in one event loop. `bucketry._core.concurrency` decides; here are the
clocks, the waiting callers and the log.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from bucketry._core.concurrency import Controller
from bucketry._core.units import KiB, MiB
from bucketry._runtime.quota import Quota

_log = logging.getLogger("bucketry")

SMALL_BODY = MiB  # bodies up to this size are one message in memory, and cost mostly a round trip
REQUEST_BYTES = 64 * KiB
"""What a request without a body counts as throughput. With 50 MB/s and 1 ms for each request, this is what a connection
could receive meanwhile; so the throughput of many files of different sizes is even."""
SMALL_START = 32  # the fixed number that other clients use; 1,000 objects are 32 round trips even if it stays
LARGE_START = 8  # with the 80 MB/s that S3 gives a connection, 5 Gbit/s; more threads disturb each other
SMALL_CORES = 1.0  # the event loop has one thread


class Gate:
    """Limits the requests of one kind, small or large."""

    def __init__(
        self,
        name: str,
        controller: Controller,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin without requests.

        Args:
            name: What the log calls the requests.
            controller: Chooses the number.
            clock: Returns the time.
            cpu: Returns the CPU seconds that the process has used.
        """
        self._name = name
        self._controller = controller
        self._slots = Quota(controller.limit)
        self._clock = clock
        self._cpu = cpu

    @property
    def limit(self) -> int:
        """The number of requests that may be in flight now."""
        return self._slots.limit

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        return self._slots.limit - self._slots.free

    def raise_bound(self, bound: int) -> None:
        """Allow the number to grow to `bound`, if its bound is lower."""
        self._controller.raise_bound(bound)
        self._apply()

    async def enter(self) -> float:
        """Wait until one more request may be in flight; return the time, to pass to `leave` later."""
        if not self._slots.take_one():
            await self._slots.take(1)
        return self._clock()

    def leave(self, begun: float, size: int | None) -> None:
        """End a request.

        Args:
            begun: What `enter` returned.
            size: The bytes of its body; `None`: it failed, so its time says nothing.
        """
        if size is not None:
            amount = 1 + size / REQUEST_BYTES
            self._controller.done(self._clock(), begun, amount, self.in_flight, self._cpu)
        self._slots.give(1)
        self._apply()

    def refused(self, begun: float) -> None:
        """Take notice that the server asked for fewer requests, in the answer to an attempt that began at `begun`."""
        self._controller.refused(self._clock(), begun, self.in_flight)
        self._apply()

    def _apply(self) -> None:
        before, now = self._slots.limit, self._controller.limit
        if now != before:
            _log.debug("%s: at most %d in flight, before %d: %s", self._name, now, before, self._controller.reason)
            self._slots.resize(now)


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of one endpoint in one event loop. Each kind of request has its own number.

    Small requests wait for round trips, and one thread makes them. Large bodies need bandwidth, and several threads
    move them.
    """

    small: Gate
    large: Gate

    @classmethod
    def new(cls) -> Gates:
        """Make gates that allow one request of each kind, until a manager raises the bounds."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(
            Gate("small requests", Controller(start=SMALL_START, bound=1, cores=SMALL_CORES, crowded=False)),
            Gate("large bodies", Controller(start=LARGE_START, bound=1, cores=cores)),
        )

    def of(self, size: int) -> Gate:
        """Return the gate for a request with a body of `size` bytes."""
        return self.small if size <= SMALL_BODY else self.large

    def refused(self, begun: float) -> None:
        """Take notice that the server asked for fewer requests; see `Gate.refused`."""
        self.small.refused(begun)
        self.large.refused(begun)
