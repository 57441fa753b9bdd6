"""The number of requests in flight: near the best fixed number on any network, and below what a server refuses."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product

import pytest

from bucketry._core.concurrency import HOLD, Controller
from bucketry._core.units import KiB, MiB
from tests.unit.concurrency_simulation import Fixed, Net, Run, best_fixed, simulate

SMALL_START, SMALL_BOUND, LARGE_START, LARGE_BOUND = 32, 64, 8, 32
REQUESTS = 2_000

SMALL = tuple(
    Net(round_trip=round_trip, link=link * MiB, cores=1, request_cpu=cpu)
    for round_trip, link, cpu in product((0.0005, 0.02, 0.1), (5, 100, 1_000), (0.000_1, 0.001))
)
LARGE = tuple(
    Net(size=8 * MiB, round_trip=trip, connection=one * MiB, link=link * MiB, byte_cpu=1e-9, contention=contention)
    for trip, one, link, contention in product((0.001, 0.05), (20, 200), (100, 2_000), (0.0, 0.1))
)
GRID = (*SMALL, *LARGE)
"""Round trips, bandwidths, CPU costs; with `contention`, fewer large bodies are faster."""


def controller(net: Net) -> Controller:
    """Give a controller as the gates make it for requests of this size."""
    if net.size <= MiB:
        return Controller(start=SMALL_START, bound=SMALL_BOUND, cores=net.cores, crowded=False)
    return Controller(start=LARGE_START, bound=LARGE_BOUND, cores=net.cores)


@cache
def adapted(net: Net) -> Run:
    """Run the controller from the start."""
    return simulate(net, controller(net), requests=REQUESTS if net.size <= MiB else REQUESTS // 3)


@cache
def share(net: Net) -> float:
    """Give the controller's rate as a share of the best fixed number's."""
    bound, requests = (SMALL_BOUND, REQUESTS // 2) if net.size <= MiB else (LARGE_BOUND, REQUESTS // 6)
    return adapted(net).rate() / best_fixed(net, bound, requests)


@pytest.mark.parametrize("net", GRID, ids=str)
def test_never_far_from_the_best_fixed_number(net: Net) -> None:
    """From the first request on, the throughput is at least 70 % of that of the best fixed number."""
    assert share(net) >= 0.7


def test_nearly_always_close_to_the_best_fixed_number() -> None:
    """On nine of ten networks, the throughput is at least 90 % of that of the best fixed number."""
    shares = {net: share(net) for net in GRID}
    assert sum(found >= 0.9 for found in shares.values()) >= 0.9 * len(GRID), shares


@pytest.mark.parametrize("net", GRID, ids=str)
def test_the_number_stays(net: Net) -> None:
    """In the second half of a run the number is the same most of the time, with a few trials of a near number."""
    run = adapted(net)
    half = run.done[-1] / 2
    assert run.changes(half) <= 6
    (number, most), *_ = Counter(run.number_at(moment) for moment in run.done if moment > half).most_common()
    assert most >= 0.6 * sum(moment > half for moment in run.done)
    tried = {found for moment, found in run.numbers if moment > half}
    assert all(number / 2 <= found <= 2 * number for found in tried)


@pytest.mark.parametrize("round_trip", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("most", [4, 12, 20, 40])
def test_few_requests_are_refused(most: int, round_trip: float) -> None:
    """A server that refuses more than some requests in flight refuses few after a second, and is well used."""
    net = Net(refused_above=most, round_trip=round_trip, cores=1)
    seconds = 3 + 130 * round_trip
    run = simulate(net, controller(net), requests=100_000, seconds=seconds)
    late = sum(moment > 1 for moment in run.refused)
    assert late < 0.02 * sum(moment > 1 for moment in run.done)
    assert run.rate(seconds / 2) >= 0.75 * simulate(net, Fixed(most), requests=1_000).rate()


@pytest.mark.parametrize(("rate", "round_trip"), [(500, 0.005), (500, 0.02), (1_500, 0.005), (1_500, 0.02)])
def test_a_limit_of_requests_per_second(rate: float, round_trip: float) -> None:
    """A server that refuses requests above a rate refuses few after a second, and its rate is used."""
    net = Net(refused_rate=rate, round_trip=round_trip, cores=1)
    run = simulate(net, controller(net), requests=100_000, seconds=6)
    late = sum(moment > 1 for moment in run.refused)
    assert late < 0.02 * sum(moment > 1 for moment in run.done)
    assert run.rate(2) >= 0.75 * rate


class Driver:
    """Feeds a controller with rounds of requests, at times that it chooses."""

    def __init__(self, chooser: Controller) -> None:
        """Begin at 100 s."""
        self.chooser = chooser
        self.now = 100.0
        self.cpu = 0.0

    def used(self) -> float:
        """Give the CPU seconds so far."""
        return self.cpu

    def round(self, rate: float, *, in_flight: int | None = None, cpu: float = 0.0) -> int:
        """End enough requests for a round without changes; `rate` of them a second, with a share `cpu` of a core."""
        begun = self.now
        limit = self.chooser.limit
        for _ in range(2 * max(limit, 16) + 1):
            self.now += 1 / rate
            self.cpu += cpu / rate
            self.chooser.done(self.now, begun, 1.0, limit if in_flight is None else in_flight, self.used)
            if self.chooser.limit != limit:
                break
        return self.chooser.limit


def test_more_while_the_throughput_grows() -> None:
    """The number doubles while each doubling helps, up to the bound; then it stays."""
    driver = Driver(Controller(start=8, bound=40, cores=1))
    assert [driver.round(100), driver.round(200), driver.round(400), driver.round(500)] == [16, 32, 40, 40]
    assert driver.round(500) == 40


def test_more_that_does_not_help_is_undone() -> None:
    """If the first doubling does not help, fewer are tried; if they are slower, the first number stays."""
    driver = Driver(Controller(start=16, bound=64, cores=1))
    assert [driver.round(100), driver.round(104), driver.round(60)] == [32, 8, 16]
    assert driver.round(100) == 16


def test_a_saturated_cpu_gets_no_more_requests() -> None:
    """With a saturated CPU fewer are tried, and kept while they are as fast; never less than two."""
    driver = Driver(Controller(start=16, bound=64, cores=1))
    assert [driver.round(100, cpu=0.99) for _ in range(4)] == [8, 4, 2, 2]


def test_a_saturated_loop_keeps_the_number() -> None:
    """Where fewer requests cannot be faster, a saturated CPU changes nothing, also after the hold."""
    driver = Driver(Controller(start=16, bound=64, cores=1, crowded=False))
    assert [driver.round(10, cpu=0.99) for _ in range(4)] == [16] * 4
    assert driver.now > 100 + 2 * HOLD


def test_a_saturated_loop_loses_no_time() -> None:
    """Small requests that saturate the event loop take no longer than with the number to begin with."""
    net = Net(size=16 * KiB, round_trip=0.02, cores=1, request_cpu=0.0008)
    fixed = simulate(net, Fixed(SMALL_START), requests=1_000).done[-1]
    assert simulate(net, controller(net), requests=1_000).done[-1] <= 1.02 * fixed


def test_a_saturated_loop_ends_a_trial_of_fewer() -> None:
    """Fewer requests are not faster for the event loop's one thread, so a trial of fewer ends when it is saturated."""
    driver = Driver(Controller(start=32, bound=64, cores=1, crowded=False))
    assert [driver.round(100), driver.round(100), driver.round(100, cpu=0.99)] == [64, 16, 32]


def test_two_cores_are_saturated_together() -> None:
    """One busy core of two leaves room for more."""
    assert Driver(Controller(start=16, bound=64, cores=2)).round(100, cpu=0.99) == 32


def test_a_caller_with_few_requests_proves_nothing() -> None:
    """If fewer requests are in flight than allowed, the caller is the limit, and the number stays."""
    driver = Driver(Controller(start=16, bound=64, cores=1))
    assert [driver.round(100, in_flight=8) for _ in range(4)] == [16] * 4


def test_a_pause_between_transfers_is_not_measured() -> None:
    """The end of a transfer and the time until the next one are in no round."""
    driver = Driver(Controller(start=16, bound=64, cores=1))
    assert driver.round(100) == 32
    for _ in range(40):
        driver.now += 1 / 200
        driver.chooser.done(driver.now, driver.now, 1.0, 32, driver.used)
    driver.chooser.done(driver.now, driver.now, 1.0, 1, driver.used)
    driver.now += 60
    assert driver.round(200) == 64


def test_a_trial_after_the_hold() -> None:
    """After the hold half as many again are tried; if the network has become faster, they stay."""
    driver = Driver(Controller(start=16, bound=64, cores=1))
    assert [driver.round(100), driver.round(104), driver.round(60)] == [32, 8, 16]
    driver.now += 3 * HOLD
    assert driver.round(100) == 24
    assert driver.round(150) == 48


def test_refusals_of_one_round_count_once() -> None:
    """Requests that were in flight together halve the number once; an attempt that began later halves it again."""
    chooser = Controller(start=16, bound=64, cores=1)
    assert [chooser.refused(101.0, 100.0, in_flight) for in_flight in (16, 15, 14)] == [8, 8, 8]
    assert chooser.refused(101.2, 101.1, 9) == 8  # surplus requests are still in flight
    assert chooser.refused(101.3, 101.1, 8) == 8  # sent while they were
    assert chooser.refused(101.4, 101.3, 8) == 4
    for moment in (102.0, 103.0, 104.0, 105.0):
        chooser.refused(moment + 0.5, moment, chooser.limit)
    assert chooser.limit == 1


def test_a_refusal_with_few_requests_in_flight_changes_nothing() -> None:
    """If the server refuses although few requests are in flight, their number is not the reason."""
    assert Controller(start=32, bound=64, cores=1).refused(101.0, 100.0, 3) == 32


def test_the_number_recovers_one_by_one() -> None:
    """After a refusal each round adds one, and stops below the number that was refused."""
    driver = Driver(Controller(start=32, bound=64, cores=1))
    assert driver.chooser.refused(driver.now, driver.now, 32) == 16
    driver.now += 1
    found = [driver.round(100) for _ in range(15)]
    assert found == [*range(17, 29), 28, 28, 28]


def test_a_higher_bound() -> None:
    """A manager with a higher bound raises the number to begin with, but no number that was found."""
    chooser = Controller(start=32, bound=1, cores=1)
    chooser.raise_bound(8)
    assert chooser.limit == 8
    chooser.raise_bound(4)
    assert (chooser.limit, chooser.bound) == (8, 8)
    chooser.raise_bound(64)
    assert chooser.limit == 32
    driver = Driver(chooser)
    assert [driver.round(100), driver.round(104), driver.round(60)] == [64, 16, 32]
    chooser.raise_bound(128)
    assert chooser.limit == 32
    assert chooser.bound == 128


def test_bodies_count_by_their_bytes() -> None:
    """Throughput is what the samples say, so twice the bytes in the same time are twice the throughput."""
    chooser = Controller(start=16, bound=64, cores=1)
    now = 100.0
    for amount in (KiB, 2 * KiB):
        begun, limit = now, chooser.limit
        while chooser.limit == limit:
            now += 0.01
            chooser.done(now, begun, amount, limit, lambda: 0.0)
    assert chooser.limit == 64
