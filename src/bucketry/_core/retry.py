"""When a failed request is made again, and after how long; decisions only, no waiting."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from bucketry._core.units import KiB
from bucketry.errors import RequestTimeoutError, StorageError, ThrottledError, UnreachableError

FIRST_DELAY = 0.1  # a blip of a load balancer is over by then
MAX_DELAY = 5.0  # so ten tries at a server that always fails end after 13 s, on average
MAX_ATTEMPTS = 10  # where each answer fails one time in four, one call in a million ends without success
MAX_SILENT = 5  # a server that cannot be reached, or says nothing, is asked no more often: each try takes long
MAX_RETRY_AFTER = 60.0  # a vendor that asks for more is out of service: say so instead of sleeping
GOOD_PROGRESS = 64 * KiB  # what a slow line brings in a second or two
BUDGET = 500  # tokens a client may have out in repeats, as in botocore's standard mode
COST = 5
COST_OF_THROTTLING = 10
GAIN = 5  # for each success: so one failure in four never uses the budget up, however many requests are under way
ONE_REPEAT = frozenset(
    {
        # A new signature may settle these.
        "RequestTimeTooSkewed",
        "ExpiredToken",
        # The body was damaged on its way: nothing was stored.
        "BadDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
"""Codes of refusals that one repeat, at once, may settle; also of a write that may not be sent twice."""


class RetryEntries(Protocol):
    """What a configuration says about retries."""

    @property
    def max_attempts(self) -> int:
        """How often at most."""

    @property
    def retry_delay(self) -> float:
        """Seconds before the first repeat, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a request is made at most; the wait before each repeat has full jitter.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    max_attempts: int = MAX_ATTEMPTS
    first_delay: float = FIRST_DELAY
    max_delay: float = MAX_DELAY
    uniform: Callable[[float, float], float] = random.uniform

    @classmethod
    def of(cls, config: RetryEntries) -> RetryPolicy:
        """Give the policy that a configuration asks for."""
        return cls(max_attempts=config.max_attempts, first_delay=config.retry_delay)

    def delay(self, error: StorageError, attempt: int, repeated: Collection[str | None] = ()) -> float | None:
        """Give the seconds to wait before the next attempt, or `None` to give up.

        Args:
            error: What the last attempt ended with.
            attempt: How many attempts were made, 1 after the first.
            repeated: Codes of `ONE_REPEAT` that were followed by another attempt already.
        """
        if error.code in ONE_REPEAT and error.code not in repeated and attempt < self.max_attempts:
            return 0.0
        silent = error.status is None and isinstance(error, (RequestTimeoutError, UnreachableError))
        if not error.retryable or attempt >= (min(self.max_attempts, MAX_SILENT) if silent else self.max_attempts):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= MAX_RETRY_AFTER else None
        return self.uniform(0, min(self.max_delay, self.first_delay * 2**attempt))


class BodyRetries:
    """Decides, for one body, whether the rest is asked for when it broke, and after how long.

    A body that came a good way begins the count of attempts anew. So a long transfer over a bad line goes on, and a
    server that sends a few bytes each time does not hold it for ever.

    Attributes:
        count: How often the rest was asked for.
    """

    __slots__ = ("_attempt", "_policy", "count")

    def __init__(self, policy: RetryPolicy) -> None:
        """Begin before the first attempt."""
        self._policy = policy
        self._attempt = 0
        self.count = 0

    def delay(self, error: StorageError, progress: int) -> float:
        """Give the seconds to wait before the rest is asked for.

        Args:
            error: What the body ended with.
            progress: The bytes that this body brought.

        Raises:
            StorageError: `error`, where no further attempt is made.
        """
        self._attempt = 1 if progress >= GOOD_PROGRESS else self._attempt + 1
        delay = self._policy.delay(error, self._attempt)
        if delay is None:
            raise error
        self.count += 1
        return delay


class RetryBudget:
    """A bound on repeats over all requests to one endpoint, so that an outage is not answered with a storm.

    A repeat that leads to a success costs nothing in the end, and each success earns a little. So a server that
    refuses some requests is asked again without end, and one that refuses all of them is not.
    """

    def __init__(self, tokens: int = BUDGET) -> None:
        """Begin with a full budget."""
        self._limit = tokens
        self._tokens = tokens

    def spend(self, error: StorageError) -> int:
        """Take the price of one repeat, and give it; 0 when the budget is used up."""
        cost = COST_OF_THROTTLING if isinstance(error, ThrottledError) else COST
        if cost > self._tokens:
            return 0
        self._tokens -= cost
        return cost

    def succeed(self, spent: int) -> None:
        """Give back what a request's repeats cost, now that it has succeeded, and what a success earns."""
        self._tokens = min(self._limit, self._tokens + spent + GAIN)
