"""The gate of an endpoint: lets as many requests in as its controller allows, and tells what it changes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bucketry._core.concurrency import Controller
from bucketry._core.config import TransferConfig
from bucketry._core.units import KiB, MiB
from bucketry._runtime.gate import Gate, Gates
from bucketry._runtime.quota import Quota
from bucketry._transfer.limits import Limits
from tests.unit.test_limits import turns


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        """Begin at 100 s."""
        self.now = 100.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def gate(clock: Clock, start: int = 2, bound: int = 8) -> Gate:
    """Make a gate without CPU time."""
    return Gate("test requests", Controller(start=start, bound=bound, cores=1), clock, lambda: 0.0)


async def test_only_so_many_enter() -> None:
    """Requests above the number wait; the next one enters when one leaves."""
    clock = Clock()
    limited = gate(clock)
    begun = [await limited.enter(), await limited.enter()]
    waiting = asyncio.create_task(limited.enter())
    await turns()
    assert not waiting.done()
    assert limited.in_flight == limited.limit == 2
    limited.leave(begun[0], KiB)
    assert await waiting == 100.0
    limited.leave(begun[1], KiB)
    limited.leave(100.0, KiB)
    assert limited.in_flight == 0


async def test_the_number_grows_and_wakes(caplog: pytest.LogCaptureFixture) -> None:
    """When the number grows, a waiting request enters at once; the change and its reason are logged."""
    clock = Clock()
    limited = gate(clock)
    with caplog.at_level(logging.DEBUG, "bucketry"):
        begun = [await limited.enter(), await limited.enter()]
        for _ in range(20):
            waiting = asyncio.create_task(limited.enter())
            clock.now += 0.01
            limited.leave(begun.pop(0), KiB)
            begun.append(await waiting)
        assert limited.limit == 4
        await asyncio.gather(limited.enter(), limited.enter())
    assert [record.getMessage() for record in caplog.records] == [
        "test requests: at most 4 in flight, before 2: more raised the throughput"
    ]


async def test_failed_requests_say_nothing() -> None:
    """The time of a request that failed is no sample."""
    clock = Clock()
    limited = gate(clock)
    for _ in range(200):
        begun = [await limited.enter(), await limited.enter()]
        clock.now += 0.01
        for moment in begun:
            limited.leave(moment, None)
    assert (limited.limit, limited.in_flight) == (2, 0)


async def test_a_refusal_lowers_the_number_while_requests_are_in_flight() -> None:
    """After a refusal, no request enters until the surplus has left."""
    clock = Clock()
    limited = gate(clock, start=4)
    begun = [await limited.enter() for _ in range(4)]
    limited.refused(clock.now)
    assert (limited.limit, limited.in_flight) == (2, 4)
    waiting = asyncio.create_task(limited.enter())
    for moment in begun[:2]:
        limited.leave(moment, KiB)
    await turns()
    assert not waiting.done()
    limited.leave(begun[2], KiB)
    await waiting


def test_small_and_large_have_their_own_numbers() -> None:
    """Up to 1 MiB a body is small; two managers of one endpoint share both numbers, with the larger bound."""
    gates = Gates.new()
    assert gates.of(MiB) is gates.small
    assert gates.of(MiB + 1) is gates.large
    few = Limits.of(TransferConfig(max_concurrency=4), gates)
    assert (few.concurrency(0), few.concurrency(2 * MiB)) == (4, 4)
    many = Limits.of(TransferConfig(), gates)
    assert (many.concurrency(0), many.concurrency(2 * MiB)) == (32, 8)
    assert few.concurrency(0) == 4


@pytest.mark.parametrize(("most", "large"), [(1, 1), (16, 16), (64, 32), (65, 32), (100, 50), (1_000, 500)])
def test_the_bound_of_large_bodies(most: int, large: int) -> None:
    """At most 32 large bodies are in flight, or half of `max_concurrency` if that is more."""
    assert TransferConfig(max_concurrency=most).large_concurrency == large


async def test_a_slot_is_of_the_manager_and_of_the_endpoint() -> None:
    """A slot takes one of both; a cancelled wait for the endpoint leaves nothing behind."""
    gates = Gates.new()
    limits = Limits.of(TransferConfig(max_concurrency=2), gates)
    gates.small.refused(0.5)
    other = Limits.of(TransferConfig(max_concurrency=2), gates)
    async with other.slot(), limits.slot():
        waiting = asyncio.create_task(limits.slot().__aenter__())
        await turns()
        assert (limits.slots.free, gates.small.in_flight) == (0, 2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert limits.slots.free == 1
    assert (limits.slots.free, other.slots.free, gates.small.in_flight) == (2, 2, 0)


async def test_a_quota_that_shrinks() -> None:
    """Units that are taken stay taken; the next caller waits until fewer are taken than the new limit."""
    quota = Quota(3)
    held = [await quota.take(1) for _ in range(3)]
    quota.resize(1)
    waiting = asyncio.create_task(quota.take(1))
    for units in held[:2]:
        quota.give(units)
        await turns()
    assert not waiting.done()
    quota.resize(2)
    assert await waiting == 1
    assert quota.free == 0
