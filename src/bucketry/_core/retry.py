"""Decides whether a failed request is retried, and after how long; it does not wait itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from bucketry._core.units import KiB
from bucketry.errors import RequestTimeoutError, StorageError, ThrottledError, UnreachableError

FIRST_DELAY = 0.1  # a short fault of a load balancer is over by then
MAX_DELAY = 5.0  # so ten attempts at a server that always fails end after 13 s, on average
MAX_ATTEMPTS = 10  # if each answer fails one time in four, one call in a million fails
MAX_SILENT = 5  # attempts at a server that cannot be reached or does not answer: each of them takes long
MAX_RETRY_AFTER = 60.0  # a vendor that asks for more is out of service: raise the error instead of waiting
GOOD_PROGRESS = 64 * KiB  # a slow line receives as much in a second or two
BUDGET = 500  # tokens that retries may spend, as in botocore's standard mode
COST = 5
COST_OF_THROTTLING = 10
GAIN = 5  # for each success: so one failure in four never uses up the budget, for any number of parallel requests
ONE_REPEAT = frozenset(
    {
        # A new signature may solve these.
        "RequestTimeTooSkewed",
        "ExpiredToken",
        # The body was damaged during the transfer: nothing was stored.
        "BadDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
"""Error codes that one immediate retry may solve, even for a write that must not be sent twice."""


class RetryEntries(Protocol):
    """The entries of a configuration about retries."""

    @property
    def max_attempts(self) -> int:
        """The largest number of attempts."""

    @property
    def retry_delay(self) -> float:
        """Average seconds before the first retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a request is attempted, and how long the wait before each retry is; the wait has full jitter.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    max_attempts: int = MAX_ATTEMPTS
    first_delay: float = FIRST_DELAY
    max_delay: float = MAX_DELAY
    uniform: Callable[[float, float], float] = random.uniform

    @classmethod
    def of(cls, config: RetryEntries) -> RetryPolicy:
        """Give the policy for a configuration."""
        first = config.retry_delay
        return cls(max_attempts=config.max_attempts, first_delay=first, max_delay=max(MAX_DELAY, 2 * first))

    def delay(self, error: StorageError, attempt: int, repeated: Collection[str | None] = ()) -> float | None:
        """Give the seconds to wait before the next attempt, or `None` to give up.

        Args:
            error: The error of the last attempt.
            attempt: The number of attempts so far, 1 after the first.
            repeated: The codes of `ONE_REPEAT` after which the request was already retried.
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
    """Decides, for one broken body, whether the rest is requested, and after how long.

    After good progress the count of attempts begins again. So a long transfer over a bad line continues, but a server
    that sends only a few bytes each time does not keep it busy for ever.

    Attributes:
        count: How often the rest was requested.
    """

    __slots__ = ("_attempt", "_policy", "count")

    def __init__(self, policy: RetryPolicy) -> None:
        """Begin before the first attempt."""
        self._policy = policy
        self._attempt = 0
        self.count = 0

    def delay(self, error: StorageError, progress: int) -> float:
        """Give the seconds to wait before the rest is requested.

        Args:
            error: The error that ended the body.
            progress: The bytes received in this attempt.

        Raises:
            StorageError: `error`, if there is to be no further attempt.
        """
        self._attempt = 1 if progress >= GOOD_PROGRESS else self._attempt + 1
        delay = self._policy.delay(error, self._attempt)
        if delay is None:
            raise error
        self.count += 1
        return delay


class RetryBudget:
    """Limits the retries of all requests to one endpoint, so that an outage does not cause a flood of retries.

    A retry spends tokens. A request that succeeds gets the tokens of its retries back, and adds a few. So retries
    continue for a server that fails some requests, and stop for a server that fails all.
    """

    def __init__(self, tokens: int = BUDGET) -> None:
        """Begin with a full budget."""
        self._limit = tokens
        self._tokens = tokens

    def spend(self, error: StorageError) -> int:
        """Spend the tokens of one retry, and give their number; 0: the budget is used up."""
        cost = COST_OF_THROTTLING if isinstance(error, ThrottledError) else COST
        if cost > self._tokens:
            return 0
        self._tokens -= cost
        return cost

    def succeed(self, spent: int) -> None:
        """Return the tokens of a successful request's retries, and add the gain of a success."""
        self._tokens = min(self._limit, self._tokens + spent + GAIN)
