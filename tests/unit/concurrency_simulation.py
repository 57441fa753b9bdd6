"""Simulates requests to a server, to compare a controller with fixed numbers of requests in flight."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from itertools import pairwise
from typing import Protocol

from bucketry._core.units import KiB, MiB

SETUP = 2  # round trips before the first request of a connection: TCP, TLS 1.3
FIXED = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
BURST = 0.1  # seconds of requests that a server with a limited rate accepts at once
BACKOFF = 0.2  # seconds, the average wait before a refused request is repeated


@dataclass(frozen=True)
class Net:
    """A client, a server and the network between them.

    Attributes:
        size: Bytes of each body.
        round_trip: Seconds.
        connection: Bytes per second of one connection.
        link: Bytes per second of all connections together.
        cores: Cores that the requests can use.
        request_cpu: CPU seconds of each request.
        byte_cpu: CPU seconds of each byte.
        contention: By which share each request in flight above the number of cores makes the CPU time of all longer.
        refused_above: The server refuses requests when more than this number are in flight; `None`: it never does.
        refused_rate: The server refuses requests above this number per second; `None`: it never does.
        jitter: The largest share by which a request takes longer; most take little longer.
    """

    size: int = 16 * KiB
    round_trip: float = 0.02
    connection: float = 50 * MiB
    link: float = 1_000 * MiB
    cores: int = 2
    request_cpu: float = 0.0001
    byte_cpu: float = 0.0
    contention: float = 0.0
    refused_above: int | None = None
    refused_rate: float | None = None
    jitter: float = 1.0


class Chooses(Protocol):
    """What chooses the number of requests in flight."""

    limit: int

    def done(self, now: float, begun: float, amount: float, in_flight: int, cpu: Callable[[], float]) -> int:
        """Take the sample of a request."""

    def refused(self, now: float, begun: float, in_flight: int) -> int:
        """Take a refusal."""


@dataclass
class Fixed:
    """Always the same number."""

    limit: int

    def done(self, now: float, begun: float, amount: float, in_flight: int, cpu: Callable[[], float]) -> int:
        """Return the number."""
        del now, begun, amount, in_flight, cpu
        return self.limit

    def refused(self, now: float, begun: float, in_flight: int) -> int:
        """Return the number."""
        del now, begun, in_flight
        return self.limit


@dataclass
class Run:
    """What was seen: when each request succeeded or was refused, and each change of the number."""

    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    numbers: list[tuple[float, int]] = field(default_factory=list)
    cpu: float = 0.0

    def rate(self, begin: float = 0.0) -> float:
        """Return the requests per second after `begin`."""
        return sum(1 for moment in self.done if moment > begin) / (self.done[-1] - begin)

    def number_at(self, moment: float) -> int:
        """Return the number in flight that was chosen at this moment."""
        return self.numbers[bisect(self.numbers, (moment, 1_000)) - 1][1]

    def changes(self, begin: float) -> int:
        """Count the changes of the number after `begin`."""
        return sum(1 for (_, old), (moment, new) in pairwise(self.numbers) if moment > begin and old != new)


class Simulation:
    """One run of a chooser on a network."""

    def __init__(self, net: Net, chooser: Chooses, seed: int) -> None:
        """Begin without requests."""
        self.net = net
        self.chooser = chooser
        self.run = Run(numbers=[(0.0, chooser.limit)])
        self.now = 0.0
        self._choose = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[float], None], float]] = []
        self._numbered = 0
        self._cores = [0.0] * net.cores  # when each core is free, and the link
        self._link = 0.0
        self._in_flight = self._at_server = self._connections = 0
        self._tokens = self._filled = 0.0

    def step(self) -> None:
        """Begin as many requests as the chooser allows, and go on to the next event."""
        while self._in_flight < self.chooser.limit:
            self._in_flight += 1
            self._send(self.now)
        self.now, _, event, begun = heappop(self._events)
        event(begun)
        if self.chooser.limit != self.run.numbers[-1][1]:
            self.run.numbers.append((self.now, self.chooser.limit))

    def _after(self, delay: float, event: Callable[[float], None], begun: float) -> None:
        self._numbered += 1  # events at the same time happen in the order in which they were made
        heappush(self._events, (self.now + delay, self._numbered, event, begun))

    def _longer(self, seconds: float) -> float:
        return seconds * (1 + self.net.jitter * self._choose.random() ** 4)

    def _send(self, begun: float) -> None:
        trip = self._longer(self.net.round_trip)
        if self._is_refused():
            self._after(trip, self._refused, begun)
            return
        self._at_server += 1
        if self._at_server > self._connections:
            self._connections = self._at_server
            trip += SETUP * self.net.round_trip
        self._after(trip, self._arrived, begun)

    def _is_refused(self) -> bool:
        net = self.net
        if net.refused_rate is not None:
            refill = (self.now - self._filled) * net.refused_rate
            self._tokens, self._filled = min(BURST * net.refused_rate, self._tokens + refill), self.now
            if self._tokens < 1:
                return True
            self._tokens -= 1
        return net.refused_above is not None and self._at_server >= net.refused_above

    def _arrived(self, begun: float) -> None:
        """Pass the body through the link and through a core; both take the bodies in order."""
        net, now = self.net, self.now
        self._link = max(self._link, now) + net.size / net.link
        cost = net.request_cpu + net.byte_cpu * net.size
        cost *= 1 + net.contention * max(0, self._in_flight - net.cores)
        core = self._cores.index(min(self._cores))
        self._cores[core] = max(self._cores[core], now) + cost
        self.run.cpu += cost
        slowest = self._longer(net.size / net.connection)
        self._after(max(self._link - now, self._cores[core] - now, slowest), self._done, begun)

    def _done(self, begun: float) -> None:
        self._at_server -= 1
        self.run.done.append(self.now)
        self.chooser.done(self.now, begun, 1.0, self._in_flight, self._used)
        self._in_flight -= 1

    def _used(self) -> float:
        return self.run.cpu - sum(max(0.0, free - self.now) for free in self._cores)

    def _refused(self, begun: float) -> None:
        """Wait before the request is sent again; it stays in flight meanwhile."""
        self.run.refused.append(self.now)
        self.chooser.refused(self.now, begun, self._in_flight)
        self._after(self._choose.uniform(0, 2 * BACKOFF), lambda _: self._send(self.now), begun)


def simulate(net: Net, chooser: Chooses, *, requests: int, seconds: float = 1e9, seed: int = 1) -> Run:
    """Run until so many requests succeeded or so much time passed."""
    simulation = Simulation(net, chooser, seed)
    while len(simulation.run.done) < requests and simulation.now < seconds:
        simulation.step()
    return simulation.run


@cache
def best_fixed(net: Net, bound: int, requests: int) -> float:
    """Return the highest rate of a fixed number."""
    numbers = [number for number in FIXED if number <= bound]
    return max(simulate(net, Fixed(number), requests=requests, seed=2).rate() for number in numbers)
