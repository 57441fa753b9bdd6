"""Retries: full jitter, `Retry-After`, and a budget for all requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry import MemoryProvider, S3Provider, TransferConfig, TransferManager, errors
from bucketry._core.retry import (
    BUDGET,
    COST,
    COST_OF_THROTTLING,
    FIRST_DELAY,
    GOOD_PROGRESS,
    MAX_DELAY,
    MAX_RETRY_AFTER,
    MAX_SILENT,
    BodyRetries,
    RetryBudget,
    RetryPolicy,
)
from bucketry.errors import (
    AuthenticationError,
    IncompleteBodyError,
    IntegrityError,
    RequestTimeoutError,
    StorageError,
    ThrottledError,
    TransientError,
    UnreachableError,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]
TRANSIENT = [kind for kind in CLASSES if issubclass(kind, TransientError)]


class TestPolicy:
    """The retries of one request."""

    @given(attempt=st.integers(1, 60))
    def test_the_delay_is_drawn_from_zero_to_a_growing_ceiling(self, attempt: int) -> None:
        """The jitter is full: the bounds are 0 and a ceiling, which doubles up to `MAX_DELAY`."""
        asked: list[tuple[float, float]] = []

        def uniform(low: float, high: float) -> float:
            asked.append((low, high))
            return high

        delay = RetryPolicy(max_attempts=100, uniform=uniform).delay(TransientError("x"), attempt)
        assert asked == [(0, min(MAX_DELAY, FIRST_DELAY * 2**attempt))]
        assert delay == asked[0][1] <= MAX_DELAY

    def test_a_long_first_wait_is_not_cut(self) -> None:
        """The longest wait is at least twice `retry_delay`, so that the average of the first wait is as configured."""
        policy = RetryPolicy.of(TransferConfig(retry_delay=60))
        assert replace(policy, uniform=lambda _, high: high).delay(TransientError("x"), 1) == 120
        assert RetryPolicy.of(TransferConfig(retry_delay=0.5)).max_delay == MAX_DELAY

    @pytest.mark.parametrize("kind", ["transfer", "provider"])
    def test_a_configuration_sets_attempts_and_the_first_wait(self, kind: str) -> None:
        """The first wait is `retry_delay` on average: it is random between zero and twice as much."""
        entries = {"max_attempts": 7, "retry_delay": 0.5}
        if kind == "transfer":
            policy = TransferManager(MemoryProvider(), TransferConfig(**entries)).policy
        else:
            policy = S3Provider({"bucket_name": "my-bucket", **entries})._bucket.retry
        asked: list[tuple[float, float]] = []
        replace(policy, uniform=lambda *bounds: asked.append(bounds) or 0.0).delay(TransientError("x"), 1)
        assert asked == [(0, 1.0)]
        assert policy.max_attempts == 7

    @given(attempt=st.integers(1, 20))
    def test_real_delays_stay_within_the_bounds(self, attempt: int) -> None:
        """With the real random generator, no delay is negative or above the ceiling."""
        delay = RetryPolicy(max_attempts=100).delay(TransientError("x"), attempt)
        assert delay is not None
        assert 0 <= delay <= min(MAX_DELAY, FIRST_DELAY * 2**attempt)

    @pytest.mark.parametrize("attempts", [1, 2, 5])
    def test_attempts_are_bounded(self, attempts: int) -> None:
        """After the last attempt there is no delay: the policy gives up."""
        policy = RetryPolicy(max_attempts=attempts)
        delays = [policy.delay(TransientError("x"), attempt) for attempt in range(1, attempts + 1)]
        assert None not in delays[:-1]
        assert delays[-1] is None

    @given(seconds=st.floats(0, MAX_RETRY_AFTER))
    def test_the_vendors_own_word_is_followed_exactly(self, seconds: float) -> None:
        """`Retry-After` replaces the jitter."""
        error = ThrottledError("slow down", retry_after=seconds)
        assert RetryPolicy(max_attempts=2).delay(error, 1) == seconds

    def test_a_word_beyond_the_cap_ends_it(self) -> None:
        """If a vendor asks for more than a minute, the request fails at once."""
        error = ThrottledError("slow down", retry_after=MAX_RETRY_AFTER + 0.1)
        assert RetryPolicy().delay(error, 1) is None

    @pytest.mark.parametrize("kind", CLASSES, ids=[kind.__name__ for kind in CLASSES])
    def test_only_transient_errors_are_repeated(self, kind: type[StorageError]) -> None:
        """Only the class of the error decides."""
        assert (RetryPolicy().delay(kind("x"), 1) is not None) == (kind in TRANSIENT) == kind.retryable

    @pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "ExpiredToken"])
    def test_signing_anew_is_tried_once(self, code: str) -> None:
        """After an error that a new signature may solve, there is one immediate retry, and no second one."""
        error = AuthenticationError("x", code=code)
        assert RetryPolicy().delay(error, 1) == RetryPolicy().delay(error, 3) == 0  # also after other errors
        assert RetryPolicy().delay(error, 2, {code}) is None
        assert RetryPolicy(max_attempts=1).delay(error, 1) is None

    @pytest.mark.parametrize("code", ["BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"])
    def test_a_damaged_body_is_sent_once_more(self, code: str) -> None:
        """A body that was damaged during the transfer is sent again at once; the second time it is an error."""
        error = IntegrityError("x", code=code)
        assert RetryPolicy().delay(error, 1) == 0
        assert RetryPolicy().delay(error, 2, {code}) is None

    @pytest.mark.parametrize("kind", [UnreachableError, RequestTimeoutError])
    def test_a_server_that_says_nothing_is_asked_less_often(self, kind: type[StorageError]) -> None:
        """A server that does not answer gets fewer attempts, as each takes long; after a 408 the number is as usual."""
        policy = RetryPolicy()
        assert policy.delay(kind("x"), MAX_SILENT - 1) is not None
        assert policy.delay(kind("x"), MAX_SILENT) is None
        assert policy.delay(kind("x", status=408), policy.max_attempts - 1) is not None
        assert RetryPolicy(max_attempts=2).delay(kind("x"), 2) is None

    def test_a_wrong_secret_is_not_repeated(self) -> None:
        """Other errors of the credentials are not retried."""
        assert RetryPolicy().delay(AuthenticationError("x", code="SignatureDoesNotMatch"), 1) is None


class TestBodies:
    """Bodies that break repeatedly."""

    def test_a_good_way_begins_the_count_anew(self) -> None:
        """After good progress the count of attempts begins again; after few or no bytes it goes up."""
        policy = RetryPolicy(max_attempts=3, uniform=lambda _, high: high)
        retries, error = BodyRetries(policy), IncompleteBodyError("it broke")
        first = retries.delay(error, GOOD_PROGRESS)
        second = retries.delay(error, GOOD_PROGRESS - 1)
        assert second == 2 * first
        assert retries.delay(error, GOOD_PROGRESS) == first
        retries.delay(error, 0)
        with pytest.raises(IncompleteBodyError):
            retries.delay(error, 0)
        assert retries.count == 4


class TestBudget:
    """The budget for all retries of one endpoint."""

    def test_an_outage_is_not_answered_with_a_storm(self) -> None:
        """Retries end when the budget is spent, for any number of requests."""
        budget = RetryBudget()
        granted = sum(budget.spend(TransientError("x")) > 0 for _ in range(10 * BUDGET))
        assert granted == BUDGET // COST

    def test_throttling_costs_more(self) -> None:
        """After throttling there are fewer retries."""
        budget = RetryBudget()
        granted = sum(budget.spend(ThrottledError("x")) > 0 for _ in range(10 * BUDGET))
        assert granted == BUDGET // COST_OF_THROTTLING < BUDGET // COST

    def test_successes_pay_back(self) -> None:
        """Successful requests add tokens, up to the full budget."""
        budget = RetryBudget(COST)
        assert budget.spend(TransientError("x"))
        assert not budget.spend(TransientError("x"))
        for _ in range(3 * COST):
            budget.succeed(0)
        assert budget.spend(TransientError("x"))
        assert not budget.spend(TransientError("x"))

    def test_a_repeat_that_leads_to_a_success_costs_nothing(self) -> None:
        """A request that succeeds gets the tokens of its retries back."""
        budget = RetryBudget(3 * COST_OF_THROTTLING)
        spent = sum(budget.spend(ThrottledError("x")) for _ in range(3))
        assert not budget.spend(TransientError("x"))
        budget.succeed(spent)
        assert sum(budget.spend(ThrottledError("x")) > 0 for _ in range(10)) == 3
