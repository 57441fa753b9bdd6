"""The limits of one manager's transfers: units are given out in order, to every caller, and never lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from bucketry._core.config import TransferConfig
from bucketry._core.units import KiB, MiB
from bucketry._runtime.quota import Quota
from bucketry._transfer.limits import Limits, RateLimiter
from bucketry._transfer.progress import Meter
from bucketry.errors import ConfigError
from tests.transfer.doubles import FakeLoop


async def turns(count: int = 5) -> None:
    """Let all ready tasks run a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


class TestQuota:
    """Slots and bytes."""

    async def test_units_are_handed_out_in_the_order_asked_for(self) -> None:
        """A small request does not overtake a waiting large one, so the large one gets its turn."""
        quota = Quota(10)
        held = await quota.take(6)
        order: list[str] = []

        async def one(name: str, units: int) -> None:
            async with quota.hold(units):
                order.append(name)

        tasks = [asyncio.create_task(one("large", 8)), asyncio.create_task(one("small", 1))]
        await turns()
        assert order == []
        quota.give(held)
        await asyncio.gather(*tasks)
        assert order == ["large", "small"]
        assert quota.free == 10

    async def test_a_newcomer_waits_behind_those_who_wait(self) -> None:
        """Free units are not given to a new request while an earlier one waits for more."""
        quota = Quota(2)
        await quota.take(1)
        waiting = asyncio.create_task(quota.take(2))
        await turns()
        newcomer = asyncio.create_task(quota.take(1))
        await turns()
        assert quota.free == 1
        assert not newcomer.done()
        quota.give(1)
        assert await waiting == 2
        quota.give(2)
        assert await newcomer == 1

    async def test_a_request_beyond_the_limit_gets_all_units(self) -> None:
        """A request for more than all units gets all of them, and must return the number it got."""
        quota = Quota(3)
        held = await asyncio.wait_for(quota.take(10), 1)
        assert (held, quota.free) == (3, 0)
        quota.give(held)
        assert quota.free == 3

    async def test_a_cancelled_waiter_leaves_the_queue(self) -> None:
        """A request that is cancelled while it waits takes no units, and the next one gets its turn."""
        quota = Quota(2)
        await quota.take(1)
        blocked = asyncio.create_task(quota.take(2))
        await turns()
        following = asyncio.create_task(quota.take(1))
        await turns()
        blocked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await blocked
        assert await asyncio.wait_for(following, 1) == 1
        quota.give(2)
        assert quota.free == 2

    async def test_cancelled_just_after_being_served(self) -> None:
        """Units for a task that is cancelled before it runs again are returned."""
        quota = Quota(1)
        await quota.take(1)
        waiting = asyncio.create_task(quota.take(1))
        await turns()
        quota.give(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert quota.free == 1

    async def test_cancelled_just_before_units_come_back(self) -> None:
        """A task that is cancelled in the same round in which units are returned ends as cancelled."""
        quota = Quota(1)
        await quota.take(1)
        waiting = asyncio.create_task(quota.take(1))
        await turns()
        waiting.cancel()
        quota.give(1)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert quota.free == 1
        assert await asyncio.wait_for(quota.take(1), 1) == 1

    async def test_an_error_inside_gives_the_units_back(self) -> None:
        """An error in the context returns the units."""
        quota = Quota(4)
        with pytest.raises(KeyError):
            async with quota.hold(3):
                raise KeyError
        assert quota.free == 4

    @pytest.mark.parametrize("seed", range(20))
    async def test_no_schedule_loses_units_or_waits_for_ever(self, seed: int) -> None:
        """For all requests and cancellations, at most the limit is taken, and at the end all units are free."""
        choose = random.Random(seed)
        quota = Quota(7)
        out = 0
        most: list[int] = []

        async def one(units: int) -> None:
            nonlocal out
            async with quota.hold(units):
                out += min(units, 7)
                most.append(out)
                try:
                    await turns(choose.randrange(4))
                finally:
                    out -= min(units, 7)

        tasks = [asyncio.create_task(one(choose.randrange(12))) for _ in range(40)]
        for task in choose.sample(tasks, 15):
            await turns(choose.randrange(3))
            task.cancel()
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert {type(end) for end in done} <= {type(None), asyncio.CancelledError}
        assert (quota.free, out) == (7, 0)
        assert max(most) <= 7


class TestBody:
    """The slot and the memory of one body."""

    async def test_slot_and_memory_are_held_together(self) -> None:
        """Inside the context, one slot and the body's memory are taken; afterwards, all are free."""
        limits = Limits.of(TransferConfig(max_concurrency=2, memory_budget=8 * KiB))
        async with limits.body(5, memory=3 * KiB):
            assert (limits.slots.free, limits.memory.free) == (1, 5 * KiB)
        assert (limits.slots.free, limits.memory.free) == (2, 8 * KiB)

    async def test_bodies_larger_than_the_budget_do_not_deadlock(self) -> None:
        """Bodies of several transfers that are larger than the budget are sent one after another."""
        limits = Limits.of(TransferConfig(max_concurrency=3, memory_budget=4 * KiB))
        passed = 0

        async def one() -> None:
            nonlocal passed
            async with limits.body(MiB, memory=MiB):
                await turns()
                passed += 1

        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(one())
        assert passed == 20
        assert (limits.slots.free, limits.memory.free) == (3, 4 * KiB)


class TestRateLimiter:
    """The limit of bytes per second, with a clock that jumps."""

    def run(self, rate: int | None, sizes: list[int]) -> list[float]:
        """Give the times at which bodies of these sizes may begin."""

        async def main() -> list[float]:
            limiter, loop = RateLimiter(rate), asyncio.get_running_loop()
            began = loop.time()

            async def one(size: int) -> float:
                await limiter.wait(size)
                return loop.time() - began

            return list(await asyncio.gather(*(one(size) for size in sizes)))

        with asyncio.Runner(loop_factory=FakeLoop) as runner:
            return runner.run(main())

    def test_each_body_waits_for_the_bytes_before_it(self) -> None:
        """At 1,000 bytes a second, bodies of 500 begin half a second apart, the first at once."""
        assert self.run(1_000, [500, 500, 500, 500]) == pytest.approx([0, 0.5, 1.0, 1.5], abs=0.01)

    def test_without_a_rate_nothing_waits(self) -> None:
        """Without a limit there is no wait."""
        assert self.run(None, [10**9, 10**9]) == [0, 0]

    def test_time_not_used_is_not_saved_up(self) -> None:
        """After a pause the rate is limited at once: the bytes not sent during the pause give no burst."""

        async def main() -> list[float]:
            limiter, loop = RateLimiter(1_000), asyncio.get_running_loop()
            await asyncio.sleep(100)
            began = loop.time()
            moments = []
            for _ in range(3):
                await limiter.wait(1_000)
                moments.append(loop.time() - began)
            return moments

        with asyncio.Runner(loop_factory=FakeLoop) as runner:
            assert runner.run(main()) == pytest.approx([0, 1, 2], abs=0.01)


class TestMeter:
    """Progress reports."""

    def test_reports_are_rare_and_complete(self) -> None:
        """Of 1,000 counts within a second about ten are reported, and the sum of the increments is the total."""
        now = 50.0
        reports = []
        meter = Meter(reports.append, "k", 5_000, clock=lambda: now)
        for _ in range(1_000):
            now += 0.001
            meter.add(5)
        meter.finish()
        assert sum(report.increment for report in reports) == 5_000
        assert len(reports) <= 12
        assert (reports[-1].transferred, reports[-1].total, reports[-1].key) == (5_000, 5_000, "k")
        assert [report.transferred for report in reports] == sorted({report.transferred for report in reports})

    def test_nothing_is_reported_twice(self) -> None:
        """The beginning is reported, then each count once; the end adds no empty report."""
        reports = []
        meter = Meter(reports.append, "k", 5, clock=lambda: 50.0)
        meter.add(5)
        meter.finish()
        meter.finish()
        assert [report.increment for report in reports] == [0, 5]

    def test_the_total_is_reported_at_the_end(self) -> None:
        """Before the object is complete, reports stay below its size, so that a progress bar does not show the end."""
        reports = []
        moments = iter((50.0, 51.0, 51.0, 52.0))
        meter = Meter(reports.append, "k", 5, clock=lambda: next(moments))
        meter.add(5)
        assert [report.transferred for report in reports] == [0, 4]
        meter.finish()
        assert [report.transferred for report in reports] == [0, 4, 5]

    def test_an_empty_object_is_reported(self) -> None:
        """A transfer of no bytes ends with one report, too."""
        reports = []
        Meter(reports.append, "k", 0).finish()
        assert [(report.transferred, report.total) for report in reports] == [(0, 0)]


class TestTransferConfig:
    """The configuration of transfers refuses wrong values."""

    @pytest.mark.parametrize(
        "entry",
        [
            {"part_size": 0},
            {"part_size": KiB - 1},
            {"part_size": 2.5},
            {"part_size": True},
            {"part_size": 2 * MiB, "memory_budget": MiB},
            {"multipart_threshold": -1},
            {"max_concurrency": 0},
            {"max_concurrency": 1_001},
            {"memory_budget": 0},
            {"max_bandwidth": 1},
            {"max_attempts": 0},
            {"verify": 1},
            {"resume": True},
            {"fsync": "yes"},
        ],
        ids=str,
    )
    def test_refused(self, entry: dict[str, object]) -> None:
        """The error names the wrong entry."""
        with pytest.raises(ConfigError, match=next(iter(entry))):
            TransferConfig(**entry)
