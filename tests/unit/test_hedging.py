"""When a slow read is requested a second time, and how often: decided by the times of the last reads."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest

from bucketry._core.hedging import LEAST, MIN_DELAY, PAUSE, READS_PER_HEDGE, SAVED, WINDOW, HedgingPolicy

READS = 20_000


def times_of(chance: random.Random, late: float) -> float:
    """Give the seconds of a read: about 20 ms, and much more for the share `late` of the reads."""
    return 0.02 * chance.lognormvariate(0, 0.3) + (chance.uniform(0.2, 1.0) if chance.random() < late else 0.0)


def percentile(times: list[float], thousandths: int) -> float:
    """Give a percentile, in thousandths."""
    return sorted(times)[len(times) * thousandths // 1_000]


def reads(policy: HedgingPolicy | None, late: float, seed: int) -> list[float]:
    """Make reads one after the other; return their times, which are shorter with second requests."""
    chance, found = random.Random(seed), []
    for _ in range(READS):
        seconds = first = times_of(chance, late)
        if policy is not None:
            if policy.delay is not None and first > policy.delay and policy.allow():
                seconds = min(first, policy.delay + times_of(chance, late))
            policy.answered(seconds, by_second=seconds < first)
        found.append(seconds)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("late", "factor", "most"),
    [(0.003, 6, 0.011), (0.01, 5, 0.016), (0.02, 4, 0.026)],
)
def test_the_slowest_reads_become_faster(late: float, factor: float, most: float, seed: int) -> None:
    """With few late answers, the 99.9th percentile falls by a factor, and the second requests are few."""
    policy = HedgingPolicy()
    without, hedged = reads(None, late, seed), reads(policy, late, seed)
    assert percentile(hedged, 999) * factor < percentile(without, 999)
    assert percentile(hedged, 500) == pytest.approx(percentile(without, 500), rel=0.02)
    assert policy.counts.hedged <= most * READS
    assert policy.counts.reads == READS
    assert policy.counts.won > 0.5 * late * READS


def test_a_server_without_late_answers_costs_one_in_a_hundred() -> None:
    """If no answer is late, about the slowest hundredth is requested again."""
    policy = HedgingPolicy()
    reads(policy, 0.0, 1)
    assert policy.counts.hedged <= 0.011 * READS


@dataclass
class Server:
    """A server that works on one request after the other, and a client with 64 reads in flight.

    Attributes:
        work: Seconds of work for a request; second requests are work, too.
        policy: Decides about second requests.
        sent: The requests, second ones included.
    """

    work: float
    policy: HedgingPolicy = field(default_factory=HedgingPolicy)
    sent: int = 0
    _now: float = 0.0
    _free_at: float = 0.0
    _under_way: int = 0
    _events: list[tuple[float, int, str, float]] = field(default_factory=list)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def run(self, count: int) -> None:
        """Make reads."""
        answered: set[float] = set()
        while self._under_way < 64:
            self._begin()
        end = self.policy.counts.reads + count
        while self.policy.counts.reads < end:
            self._now, _, kind, begun = heappop(self._events)
            if begun in answered:
                continue
            if kind == "late":
                if self.policy.allow():
                    self._send("second", begun)
                continue
            answered.add(begun)
            self.policy.answered(self._now - begun, by_second=kind == "second")
            self._begin()

    def _begin(self) -> None:
        self._under_way += 1
        begun = self._now + self._under_way * 1e-9  # each read is known by the time when it began
        self._send("first", begun)
        if self.policy.delay is not None:
            self._at(begun + self.policy.delay, "late", begun)

    def _send(self, kind: str, begun: float) -> None:
        self.sent += 1
        self._free_at = max(self._free_at, self._now) + self.work
        self._at(self._free_at + times_of(self._chance, 0.005), kind, begun)

    def _at(self, moment: float, kind: str, begun: float) -> None:
        heappush(self._events, (moment, len(self._events), kind, begun))


def test_a_server_that_becomes_slow_gets_few_second_requests() -> None:
    """If all answers become many times slower at once, the second requests stay below 5 % and the saved ones."""
    server = Server(work=0.0002)
    server.run(5_000)
    before = server.policy.counts
    server.work = 0.02
    server.run(100)
    at_once = server.policy.counts
    server.run(5_000)
    after = server.policy.counts
    assert 5 <= at_once.hedged - before.hedged <= 100 / READS_PER_HEDGE + SAVED
    assert after.hedged - before.hedged <= 0.02 * 5_000 + SAVED
    assert after.delay is not None
    assert before.delay is not None
    assert after.delay > 10 * before.delay
    assert server.sent == after.reads + after.hedged + 64


def test_no_delay_before_enough_reads() -> None:
    """The delay is known after 100 reads, and is then the largest time or twice the 95th percentile."""
    policy = HedgingPolicy()
    for number in range(LEAST):
        assert policy.delay is None
        policy.answered(0.1 + number * 0.001)
    assert policy.delay == pytest.approx(0.199)


@pytest.mark.parametrize(
    ("slow", "delay"),
    [(0, 0.1), (9, 0.1), (10, 0.2), (49, 0.2), (50, 1.0)],
)
def test_the_delay_is_a_percentile_of_the_last_reads(slow: int, delay: float) -> None:
    """The delay is the 99th percentile, or twice the 95th if that is less; reads before the last 1,000 do not count."""
    policy = HedgingPolicy()
    for seconds in [9.0] * WINDOW + [1.0] * slow + [0.1] * (WINDOW - slow):
        policy.answered(seconds)
    assert policy.delay == pytest.approx(delay)


def test_the_least_delay() -> None:
    """However fast the server is, the delay is at least 10 ms."""
    policy = HedgingPolicy()
    for _ in range(LEAST):
        policy.answered(0.001)
    assert policy.delay == MIN_DELAY == 0.01


def test_twenty_reads_earn_a_second_request() -> None:
    """A second request needs 20 answered reads; at most 10 second requests are saved."""
    policy = HedgingPolicy()
    for _ in range(READS_PER_HEDGE - 1):
        policy.answered(0.1)
    assert not policy.allow()
    policy.answered(0.1)
    assert [policy.allow(), policy.allow()] == [True, False]
    for _ in range(10 * READS_PER_HEDGE * SAVED):
        policy.answered(0.1)
    assert [policy.allow() for _ in range(SAVED + 1)] == [True] * SAVED + [False]
    assert policy.counts.hedged == SAVED + 1


def test_a_refusal_stops_second_requests_for_a_while() -> None:
    """After a server asked for fewer requests, 220 reads come before the next second request."""
    policy = HedgingPolicy()
    for _ in range(1_000):
        policy.answered(0.1)
    policy.refused()
    policy.refused()  # several requests in flight are refused together
    for _ in range(PAUSE + READS_PER_HEDGE):
        assert not policy.allow()
        policy.answered(0.1)
    assert policy.allow()
