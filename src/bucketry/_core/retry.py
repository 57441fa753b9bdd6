"""When a failed request is made again, and after how long; decisions only, no waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bucketry._core.units import KiB
from bucketry.errors import StorageError, ThrottledError

FIRST_DELAY = 0.1  # a blip of a load balancer is over by then
MAX_DELAY = 20.0  # botocore's ceiling; long enough for a throttled prefix to scale
MAX_ATTEMPTS = 5  # 1 + 4 repeats: about 3 s of back-off in all on average
MAX_RETRY_AFTER = 60.0  # a vendor that asks for more is out of service: say so instead of sleeping
GOOD_PROGRESS = 64 * KiB  # what a slow line brings in a second or two
BUDGET = 500  # tokens a client may have out in repeats, as in botocore's standard mode
COST = 5
RESIGNED = frozenset({"RequestTimeTooSkewed", "ExpiredToken"})  # signing anew may settle these, once
COST_OF_THROTTLING = 10


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is made at most; the wait before each repeat has full jitter.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    max_attempts: int = MAX_ATTEMPTS
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, error: StorageError, attempt: int) -> float | None:
        """Give the seconds to wait before the next attempt, or `None` to give up.

        Args:
            error: What the last attempt ended with.
            attempt: How many attempts were made, 1 after the first.
        """
        if error.code in RESIGNED and attempt == 1 < self.max_attempts:
            return 0.0
        if not error.retryable or attempt >= self.max_attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= MAX_RETRY_AFTER else None
        return self.uniform(0, min(MAX_DELAY, FIRST_DELAY * 2**attempt))


def body_attempt(attempt: int, progress: int) -> int:
    """Count a body that broke after `progress` bytes: one that came a good way begins the count anew.

    So a long transfer over a bad line goes on, and a server that sends a few bytes each time does not hold it for ever.
    """
    return 1 if progress >= GOOD_PROGRESS else attempt + 1


class RetryBudget:
    """A bound on repeats over all requests of one client, so that an outage is not answered with a storm."""

    def __init__(self, tokens: int = BUDGET) -> None:
        """Begin with a full budget."""
        self._limit = tokens
        self._tokens = tokens

    def spend(self, error: StorageError) -> bool:
        """Take the price of one repeat; `False` when the budget is used up."""
        cost = COST_OF_THROTTLING if isinstance(error, ThrottledError) else COST
        if cost > self._tokens:
            return False
        self._tokens -= cost
        return True

    def refund(self) -> None:
        """Give a token back for a request that succeeded."""
        self._tokens = min(self._limit, self._tokens + 1)
