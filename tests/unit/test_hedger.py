"""A read and its second request: the first good answer is used, and the other request leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bucketry._core.hedging import LEAST, HedgingPolicy
from bucketry._runtime.hedger import Hedger, Read
from bucketry.errors import ConnectionFailedError, NotFoundError, RequestTimeoutError, ThrottledError, TransientError
from tests.unit.test_limits import turns

MISSING = NotFoundError("no such key", status=404)
BROKEN = TransientError("an internal error", status=500)


def policy(delay: float | None = 0.0) -> HedgingPolicy:
    """Make a policy that allows second requests after the delay."""
    made = HedgingPolicy()
    for _ in range(LEAST):
        made.answered(1.0)
    made.delay = delay
    return made


class Requests:
    """Requests whose ends the test decides.

    Attributes:
        ends: The ends of the requests, in the order in which they began.
        dropped: The results that were not used.
        cancelled: The numbers of the requests that were cancelled.
    """

    def __init__(self, chosen: HedgingPolicy | None = None) -> None:
        self.policy = chosen or policy()
        self.ends: list[asyncio.Future[str]] = []
        self.dropped: list[str] = []
        self.cancelled: list[int] = []
        self.may_repeat = True
        self._both = asyncio.Event()

    async def _request(self) -> str:
        number = len(self.ends)
        self.ends.append(asyncio.get_running_loop().create_future())
        if number:
            self._both.set()
        try:
            return await self.ends[number]
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise

    async def _drop(self, result: str) -> None:
        self.dropped.append(result)

    async def run(self, request: Callable[[], Coroutine[Any, Any, str]] | None = None) -> str:
        """Make a read; results that begin with "cut" are incomplete."""
        return await Hedger(self.policy).run(
            Read(
                request or self._request,
                is_complete=lambda result: not result.startswith("cut"),
                drop=self._drop,
                may_repeat=lambda: self.may_repeat,
                name="get of s3://bkt/k",
            )
        )

    async def begun(self) -> asyncio.Task[str]:
        """Begin a read, and wait until both requests are under way."""
        task = asyncio.create_task(self.run())
        await self._both.wait()
        return task


async def test_the_second_request_wins(caplog: pytest.LogCaptureFixture) -> None:
    """The answer to the second request is used, the first request is cancelled, and both are counted and logged."""
    requests = Requests()
    with caplog.at_level(logging.DEBUG, "bucketry"):
        task = await requests.begun()
    requests.ends[1].set_result("second")
    assert await task == "second"
    assert (requests.cancelled, requests.dropped) == ([0], [])
    counts = requests.policy.counts
    assert (counts.reads, counts.hedged, counts.won) == (LEAST + 1, 1, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "hedged: no answer to get of s3://bkt/k after 0.000 s, so it is requested a second time; 1 in 100 reads so far"
    ]


async def test_the_first_request_wins() -> None:
    """The answer to the first request is used if it comes first, and the second request is cancelled."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[0].set_result("first")
    assert await task == "first"
    assert (requests.cancelled, requests.dropped) == ([1], [])
    assert (requests.policy.counts.hedged, requests.policy.counts.won) == (1, 0)


async def test_both_at_the_same_time() -> None:
    """If both answers come in the same moment, the first one is used, and the other one is released."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[1].set_result("second")
    requests.ends[0].set_result("first")
    assert await task == "first"
    assert (requests.cancelled, requests.dropped) == ([], ["second"])


@pytest.mark.parametrize("failing", [0, 1])
async def test_an_error_waits_for_the_other_request(failing: int) -> None:
    """An error that another request may avoid does not end the read while the other request is under way."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[failing].set_exception(ConnectionFailedError("reset"))
    await turns()
    assert not task.done()
    requests.ends[1 - failing].set_result("good")
    assert await task == "good"
    assert (requests.cancelled, requests.dropped) == ([], [])


@pytest.mark.parametrize("failing", [0, 1])
async def test_an_incomplete_body_waits_for_the_other_request(failing: int) -> None:
    """A result whose body broke is used only if the other request gives no complete one."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[failing].set_result("cut")
    await turns()
    assert not task.done()
    requests.ends[1 - failing].set_result("good")
    assert await task == "good"
    assert requests.dropped == ["cut"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_both_fail(order: tuple[int, int]) -> None:
    """If both requests fail, the first request's error is raised, whichever failed first; the read is no sample."""
    requests = Requests()
    task = await requests.begun()
    errors = [ConnectionFailedError("first"), RequestTimeoutError("second")]
    for number in order:
        requests.ends[number].set_exception(errors[number])
        await turns()
    with pytest.raises(ConnectionFailedError) as caught:
        await task
    assert caught.value is errors[0]
    assert requests.policy.counts.reads == LEAST


async def test_the_first_is_incomplete_and_the_second_fails() -> None:
    """An incomplete body of the first request is used if the second one fails, because its rest can be requested."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[1].set_exception(BROKEN)
    requests.ends[0].set_result("cut")
    assert await task == "cut"
    assert requests.dropped == []


@pytest.mark.parametrize("number", [0, 1])
async def test_an_answer_that_does_not_change_ends_the_read(number: int) -> None:
    """A refusal such as "no such key" is raised at once, and the other request is cancelled."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[number].set_exception(MISSING)
    with pytest.raises(NotFoundError) as caught:
        await task
    assert caught.value is MISSING
    assert requests.cancelled == [1 - number]
    assert requests.policy.counts.reads == LEAST + 1


@pytest.mark.parametrize("error", [BROKEN, MISSING, ThrottledError("slow down", status=503), KeyError("a fault")])
async def test_an_early_error_causes_no_second_request(error: Exception) -> None:
    """An error before the delay is raised as it is, and nothing is requested again here."""
    requests = Requests(policy(delay=60.0))
    task = asyncio.create_task(requests.run())
    await turns()
    requests.ends[0].set_exception(error)
    with pytest.raises(type(error)) as caught:
        await task
    assert caught.value is error
    assert len(requests.ends) == 1


@pytest.mark.parametrize("answered", [(), (0,), (1,), (0, 1)])
async def test_a_cancelled_read_leaves_nothing(answered: tuple[int, ...]) -> None:
    """A cancellation ends both requests, and releases the results of those that were just answered."""
    requests = Requests()
    task = await requests.begun()
    for number in answered:
        requests.ends[number].set_result(str(number))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted([*requests.dropped, *map(str, requests.cancelled)]) == ["0", "1"]
    assert len(asyncio.all_tasks()) == 1


async def test_a_read_that_is_cancelled_while_the_other_request_ends() -> None:
    """The result that would have been used is released, too, because the caller does not get it."""
    requests = Requests()
    task = await requests.begun()
    requests.ends[0].set_result("used")
    await turns(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert requests.dropped == ["used"]
    assert requests.cancelled == [1]


async def test_a_timeout_of_the_caller() -> None:
    """`asyncio.timeout` around a read ends both requests, and raises its own error."""
    requests = Requests()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(requests.run(), 0.01)
    assert sorted(requests.cancelled) == [0, 1]
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("reason", ["no room", "no credit", "no delay"])
async def test_no_second_request(reason: str) -> None:
    """Without a free connection, without credit, or before the delay is known, the read waits for its first request."""
    chosen = policy(None if reason == "no delay" else 0.0)
    if reason == "no credit":
        chosen.refused()
    requests = Requests(chosen)
    requests.may_repeat = reason != "no room"
    task = asyncio.create_task(requests.run())
    await turns(20)
    assert len(requests.ends) == 1
    assert chosen.counts.hedged == 0
    requests.ends[0].set_result("first")
    assert await task == "first"


async def test_an_answer_that_the_busy_loop_has_not_read_yet() -> None:
    """An answer one round of the loop after the delay causes no second request, because the loop may have been busy."""
    requests = Requests()

    async def two_rounds() -> str:
        await turns(2)
        return "first"

    assert await requests.run(two_rounds) == "first"
    assert requests.policy.counts.hedged == 0


async def test_the_time_of_a_read_is_a_sample() -> None:
    """The times of answered reads become the delay."""
    now = iter(number * 0.25 for number in range(1_000))
    new = HedgingPolicy()
    hedger = Hedger(new, lambda: next(now))

    async def read() -> str:
        return "data"

    async def drop(_: str) -> None:
        """Do nothing."""

    for _ in range(LEAST):
        assert await hedger.run(Read(read, lambda _: True, drop, lambda: True, "a read")) == "data"
    assert new.delay == 0.25
