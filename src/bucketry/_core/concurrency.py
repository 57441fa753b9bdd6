"""Decides from measurements how many requests are in flight at once; no I/O, no clock.

`Controller` is given one sample for each request that succeeded, and each refusal of a server that asks for fewer
requests. It answers with the number of requests that may be in flight now. It compares the throughput with one number
and with another, and keeps the better one. Latency needs no rule of its own: as many requests as allowed are in flight,
so if more of them do not raise the throughput, they only wait longer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

GROWTH = 0.3  # twice the number is kept if the throughput grows by this share; less may be noise, and costs memory
LOSS = 0.04  # half the number is kept if the throughput falls by less than this share of the best one
SATURATED = 0.9  # share of the usable CPU time above which more requests in flight cannot help
FULL = 0.9  # a round ends without a result if less than this share of the number is in flight
ROUND_REQUESTS = 8  # the fewest requests in a round; fewer say little about the throughput
ROUND_SECONDS = 0.03  # the shortest round; garbage collection and a busy disk disturb shorter ones
LEAST = 4  # fewer are not tried: one connection that stalls would stop much of the transfer
LEAST_SATURATED = 2  # with a saturated CPU, two bodies can be faster than more, because threads disturb each other
HOLD = 2.0  # seconds until the next trial after the numbers were compared; doubles with each trial that fails
MAX_HOLD = 64.0
BELOW_REFUSED = 8  # after a refusal, the number stays below the refused one by this part of it
QUIET_REQUESTS = 200  # requests without a refusal before the number is raised to one that the server refused earlier


class _Phase(Enum):
    UP = "more"
    DOWN = "fewer"
    HOLD = "hold"
    RECOVER = "recover"


class Controller:
    """Chooses the number of requests in flight to one endpoint; see the module.

    It begins with `start`, and doubles the number while each doubling raises the throughput, unless the CPU is
    saturated. If the first doubling does not help, or threads saturate the CPU, it halves the number while that costs
    no throughput. Then it holds, and rarely tries half as many again. A refusal halves the number at once; then each
    round adds one, up to the number below the one that was refused.

    Attributes:
        limit: The number of requests that may be in flight now.
        bound: The largest number.
        reason: Why the number is what it is, for logs.
    """

    def __init__(self, *, start: int, bound: int, cores: float, crowded: bool = True) -> None:
        """Begin with `start`, or with `bound` if it is less.

        Args:
            start: The number to begin with.
            bound: The largest number.
            cores: The number of cores that requests of this kind can use.
            crowded: Whether fewer requests can be faster with a saturated CPU, because they run in threads that disturb
                each other.
        """
        self.bound = bound
        self.limit = min(start, bound)
        self.reason = "the number to begin with"
        self._start = start
        self._cores = cores
        self._crowded = crowded
        self._phase = _Phase.UP
        self._best: tuple[int, float] | None = None  # the number to return to, and the throughput with it
        self._lowest = False  # whether fewer requests in flight are known to be worse
        self._refused: int | None = None  # the number with which the server refused requests
        self._surplus = 0.0  # when more than the number were in flight, because it was lowered
        self._halved = False  # whether the number was halved after that, and not held yet
        self._quiet = 0  # requests since the last refusal
        self._hold = HOLD
        self._hold_until = 0.0
        self._changed = 0.0  # when the number changed
        self._settling = self.limit  # requests that are not measured, because new connections open while they run
        self._since = self._cpu = self._amount = 0.0  # of the present round
        self._count = 0

    def raise_bound(self, bound: int) -> None:
        """Allow more requests in flight than before."""
        if bound > self.bound:
            fresh = self._best is None and self.limit == min(self._start, self.bound)
            self.bound = bound
            if fresh:
                self.limit = min(self._start, bound)
                self._settling = self.limit

    def done(self, now: float, begun: float, amount: float, in_flight: int, cpu: Callable[[], float]) -> int:
        """Take the sample of a request that succeeded, and return the number that may be in flight now.

        Args:
            now: The time in seconds, of any clock.
            begun: When the request began.
            amount: What counts as throughput: bytes, or 1 for each request.
            in_flight: The number of requests in flight, this one included.
            cpu: Returns the CPU seconds that the process has used so far; called twice a round, because it takes 1 µs.
        """
        self._quiet += 1
        if in_flight > self.limit:
            self._surplus = now
        if begun < self._changed:  # made with another number in flight
            return self.limit
        if in_flight < FULL * self.limit:  # the caller is the limit, so a round begins when there are enough again
            self._settling = self._settling or 1
        elif self._settling:
            self._settling -= 1
            if not self._settling:
                self._start_round(now, cpu())
        else:
            self._count += 1
            self._amount += amount
            seconds = now - self._since
            if self._count >= max(self.limit, ROUND_REQUESTS) and seconds >= ROUND_SECONDS:
                used = cpu()
                share, rate = (used - self._cpu) / seconds / self._cores, self._amount / seconds
                self._start_round(now, used)
                self._judge(now, rate, saturated=share >= SATURATED)
        return self.limit

    def refused(self, now: float, begun: float, in_flight: int) -> int:
        """Take a refusal of a server that asks for fewer requests, and return the number that may be in flight now.

        Requests that are in flight together are refused together, so they lower the number once. With less than half
        of the number in flight, the number is not the reason: some vendors refuse two writes to one key in a second.

        Args:
            now: The time.
            begun: When the attempt that was refused began.
            in_flight: The number of requests in flight, this one included.
        """
        self._quiet = 0
        if in_flight > self.limit:
            self._surplus = now
        if begun <= self._surplus or 2 * in_flight < self.limit:
            return self.limit
        self._surplus = now
        if not self._halved:  # refusals soon after each other are one event
            self._back_off()
        self._refused = self.limit
        if self._best is not None and self._phase is _Phase.RECOVER and self._best[0] == self.limit - 1:
            self._keep(now, *self._best, "the server refused one more")
            return self.limit
        self._best = None
        self._halved = True
        self._phase = _Phase.RECOVER
        self._change(now, max(1, self.limit // 2), "the server asked for fewer requests")
        return self.limit

    def _judge(self, now: float, rate: float, *, saturated: bool) -> None:
        """Decide at the end of a round, in which `limit` requests were in flight."""
        if self._phase is _Phase.RECOVER:
            self._recover(now, rate)
        elif self._phase is _Phase.UP:
            self._judge_more(now, rate, saturated=saturated)
        elif self._phase is _Phase.DOWN:
            self._judge_fewer(now, rate, saturated=saturated)
        else:
            self._judge_held(now, rate, saturated=saturated)

    def _judge_more(self, now: float, rate: float, *, saturated: bool) -> None:
        """Keep the number and try more, or return to the number before."""
        if self._best is not None:
            number, best = self._best
            if rate < best * (1 + GROWTH * (self.limit / number - 1)):
                self._back_off()
                if self._lowest or (saturated and not self._crowded):
                    self._keep(now, number, best, "more did not raise the throughput")
                else:
                    self._fewer(now, number, best, saturated=saturated)
                return
            self._lowest = True
            self._hold = HOLD
        if saturated and not self._crowded:
            self._keep(now, self.limit, rate, "the CPU is saturated")
        elif saturated:
            self._fewer(now, self.limit, rate, saturated=saturated)
        elif self.limit >= self.bound:
            self._keep(now, self.limit, rate, "the largest number allowed")
        else:
            self._best = self.limit, rate
            self._change(now, min(self.bound, 2 * self.limit), "more raised the throughput")

    def _fewer(self, now: float, number: int, rate: float, *, saturated: bool) -> None:
        """Try a smaller number: half of it, or three quarters if half of it is known to be worse."""
        lower = number - max(1, number // (4 if self._lowest else 2))
        if lower < (LEAST_SATURATED if saturated and self._crowded else LEAST):
            self._keep(now, number, rate, "the least number that is tried")
            return
        self._best = number, rate
        self._phase = _Phase.DOWN
        self._change(now, lower, "fewer may be as fast")

    def _judge_fewer(self, now: float, rate: float, *, saturated: bool) -> None:
        """Keep the smaller number and try fewer, or return to the number before."""
        assert self._best is not None  # noqa: S101 - set by `_fewer`
        number, best = self._best
        if rate < best * (1 - LOSS):
            self._lowest = True
            self._keep(now, number, best, "fewer lowered the throughput")
        elif saturated and not self._crowded:
            self._keep(now, number, best, "the CPU is saturated")
        else:
            self._fewer(now, self.limit, max(rate, best), saturated=saturated)

    def _judge_held(self, now: float, rate: float, *, saturated: bool) -> None:
        """Renew the throughput of the number, and try another number when the hold is over."""
        assert self._best is not None  # noqa: S101 - set by `_keep`
        number, best = self._best
        self._best = number, best + (rate - best) / 4
        if now < self._hold_until:
            return
        if self._refused is not None:
            if self._quiet >= QUIET_REQUESTS:
                self._halved = False
                self._phase = _Phase.RECOVER
                self._change(now, number + 1, "the server may accept more now")
        elif saturated and self._crowded:
            self._back_off()
            self._fewer(now, *self._best, saturated=saturated)
        elif number < self.bound and not saturated:
            self._phase = _Phase.UP
            self._change(now, min(self.bound, number + max(1, number // 2)), "more may be faster")
        else:
            self._hold_until = now + self._hold

    def _recover(self, now: float, rate: float) -> None:
        """Add one after each round without a refusal.

        After the number was halved, stop a little below the number that was refused: a server that limits requests per
        second accepts a number for a while before it refuses it. After a hold, go on until the number is accepted.
        """
        if self._refused is None or self.limit >= self._refused:
            self._refused = self._best = None
            self._lowest = False
            self._phase = _Phase.UP
            self._begin(now)
        elif self._halved and self.limit >= self._refused - max(1, self._refused // BELOW_REFUSED):
            self._keep(now, self.limit, rate, "the server refused more")
        else:
            self._best = self.limit, rate
            self.limit += 1
            self.reason = "no refusal in the last round"

    def _back_off(self) -> None:
        self._hold = min(MAX_HOLD, 2 * self._hold)

    def _keep(self, now: float, number: int, rate: float, reason: str) -> None:
        self._best = number, rate
        self._halved = False
        self._phase = _Phase.HOLD
        self._hold_until = now + self._hold
        if number != self.limit:
            self._change(now, number, reason)

    def _change(self, now: float, number: int, reason: str) -> None:
        self.limit = number
        self.reason = reason
        self._begin(now)

    def _begin(self, now: float) -> None:
        """Wait for the first requests of a new number, and then begin a round."""
        self._changed = now
        self._settling = self.limit

    def _start_round(self, now: float, cpu: float) -> None:
        self._since, self._cpu = now, cpu
        self._count = 0
        self._amount = 0.0
