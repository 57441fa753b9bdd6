"""Decides whether a failed request is retried, and after which delay; the caller waits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from bucketry._core.frozen import dataclass
from bucketry._core.units import KiB
from bucketry.errors import RequestTimeoutError, StorageError, ThrottledError, UnreachableError

FIRST_DELAY = 0.1  # a short fault of a load balancer is usually over after this time
MAX_DELAY = 5.0  # with this limit, ten attempts at a server that always fails take 13 s, on average
MAX_ATTEMPTS = 10  # if one request in four fails, ten attempts fail for one call in a million
MAX_SILENT = 5  # fewer attempts at a server that cannot be reached or does not answer, because each takes long
MAX_RETRY_AFTER = 60.0  # a vendor that asks to wait longer is out of service, so the error is raised without a wait
GOOD_PROGRESS = 64 * KiB  # a slow connection receives this number of bytes in one or two seconds
BUDGET = 500  # tokens that retries may spend, as in botocore's standard mode
COST = 5
COST_OF_THROTTLING = 10
GAIN = 5  # tokens for each success, so that the budget lasts for ever if only one request in four fails
ONE_REPEAT = frozenset(
    {
        # A request with a new signature may succeed.
        "RequestTimeTooSkewed",
        "ExpiredToken",
        # The body was damaged during the transfer, and nothing was stored.
        "BadDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
"""Error codes after which a request is retried once, without a delay.

This is safe for every write, because the server has stored nothing.
"""


def _uniform(low: float, high: float) -> float:
    from random import uniform  # noqa: PLC0415 - only a retry needs it

    return uniform(low, high)  # noqa: S311 - a delay is no secret


class RetryEntries(Protocol):
    """The configuration entries about retries."""

    @property
    def max_attempts(self) -> int:
        """The largest number of attempts."""

    @property
    def retry_delay(self) -> float:
        """Average seconds before the first retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a request is attempted, and the delay before each retry: a random time up to a limit ("full jitter").

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    max_attempts: int = MAX_ATTEMPTS
    first_delay: float = FIRST_DELAY
    max_delay: float = MAX_DELAY
    uniform: Callable[[float, float], float] = _uniform

    @classmethod
    def of(cls, config: RetryEntries) -> RetryPolicy:
        """Return the policy for a configuration."""
        first = config.retry_delay
        return cls(max_attempts=config.max_attempts, first_delay=first, max_delay=max(MAX_DELAY, 2 * first))

    def delay(self, error: StorageError, attempt: int, repeated: Collection[str | None] = ()) -> float | None:
        """Return the seconds to wait before the next attempt; `None`: make no further attempt.

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
    """Decides for an incomplete body whether the missing bytes are requested, and after which delay.

    After an attempt that received at least `GOOD_PROGRESS` bytes, the count of attempts begins again. So a long
    transfer over a bad connection continues, but a transfer that receives only a few bytes in each attempt ends.

    Attributes:
        count: How often missing bytes were requested.
    """

    __slots__ = ("_attempt", "_policy", "count")

    def __init__(self, policy: RetryPolicy) -> None:
        """Begin before the first attempt."""
        self._policy = policy
        self._attempt = 0
        self.count = 0

    def delay(self, error: StorageError, progress: int) -> float:
        """Return the seconds to wait before the missing bytes are requested.

        Args:
            error: The error that ended the body.
            progress: The bytes received in this attempt.

        Raises:
            StorageError: `error` itself, if no further attempt is allowed.
        """
        self._attempt = 1 if progress >= GOOD_PROGRESS else self._attempt + 1
        delay = self._policy.delay(error, self._attempt)
        if delay is None:
            raise error
        self.count += 1
        return delay


class RetryBudget:
    """Limits the retries of all requests to one endpoint, so that an outage does not cause a flood of retries.

    A retry spends tokens. A request that succeeds adds the tokens that its retries have spent, and a few more. So the
    retries continue if the server fails some requests, and stop if it fails all requests.
    """

    def __init__(self, tokens: int = BUDGET) -> None:
        """Begin with a full budget."""
        self._limit = tokens
        self._tokens = tokens

    def spend(self, error: StorageError) -> int:
        """Spend the tokens of one retry, and return their number; 0: too few tokens are left, so do not retry."""
        cost = COST_OF_THROTTLING if isinstance(error, ThrottledError) else COST
        if cost > self._tokens:
            return 0
        self._tokens -= cost
        return cost

    def succeed(self, spent: int) -> None:
        """Add the tokens that a successful request has spent on retries, and the gain for its success."""
        self._tokens = min(self._limit, self._tokens + spent + GAIN)
