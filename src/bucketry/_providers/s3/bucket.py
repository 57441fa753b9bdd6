"""What both transports of the S3 family share: settings of the bucket, errors about it, and retries of requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from bucketry._core.checks import check_key
from bucketry._core.facts import filled
from bucketry._core.options import WriteOptions
from bucketry._core.retry import ONE_REPEAT, RetryBudget, RetryPolicy
from bucketry._providers.s3.configured import ConfiguredHeaders
from bucketry._providers.s3.dates import seconds_of
from bucketry._providers.s3.failures import refusal_error
from bucketry._session.endpoint import Endpoint
from bucketry._session.state import EndpointState
from bucketry._vendors.row import Vendor
from bucketry._wire.errors import Refusal
from bucketry.errors import (
    InvalidRequestError,
    RequestTimeoutError,
    StorageError,
    ThrottledError,
    TransientError,
)

_log = logging.getLogger("bucketry")

T = TypeVar("T")
_NO_LIMIT: AbstractAsyncContextManager[None] = nullcontext()
_FORBIDDEN = 403
_SKEWED = "RequestTimeTooSkewed"
_MALFORMED = (LookupError, TypeError, ValueError)


class S3Bucket:
    """One bucket.

    Args:
        vendor: The vendor's row, with limits and throttle codes.
        name: The bucket's name.
        endpoint: The URL, the credentials and the timeouts.
        state: The endpoint's clock, retry budget, gates and hedging policy.
        retry: How often and after which waits a request is repeated.
        headers: The headers that the configuration adds to requests.
    """

    def __init__(
        self,
        vendor: Vendor,
        name: str,
        endpoint: Endpoint,
        state: EndpointState,
        retry: RetryPolicy,
        headers: ConfiguredHeaders,
    ) -> None:
        """Store the arguments; no I/O."""
        self.headers = headers
        self.vendor = vendor
        self.name = name
        self.endpoint = endpoint
        self.clock = state.clock
        self.budget = state.budget
        self.gates = state.gates
        self.hedging = state.hedging
        self.retry = retry
        self._where = self.locate()

    def with_one_attempt(self) -> S3Bucket:
        """Return the bucket for callers that repeat requests themselves, and spend the retry budget themselves."""
        single = copy(self)
        single.retry = replace(self.retry, max_attempts=1)
        single.budget = RetryBudget()
        return single

    def locate(self, key: str = "") -> str:
        """Return `scheme://bucket/key`."""
        return f"{self.vendor.scheme}://{self.name}/{key}"

    def error(self, kind: type[StorageError], key: str | None, operation: str, problem: str) -> StorageError:
        """Return an error about an object, or about the bucket, with provider, bucket, key and operation."""
        message = f"{self.locate(key or '')}: {problem}"
        return kind(message, provider=self.vendor.name, bucket=self.name, key=key, operation=operation)

    def refused(
        self, refusal: Refusal, operation: str, key: str | None, options: WriteOptions | None = None
    ) -> StorageError:
        """Return the error for an error response; if it reports that this machine's clock is wrong, correct `clock`.

        Args:
            refusal: The error response.
            operation: The provider's method.
            key: The object; `None` if the request is about the bucket.
            options: The options of a write; its conditions decide what a refusal means.
        """
        moment = seconds_of(refusal.headers.get("date"))
        fields = refusal.fields
        if moment is not None and refusal.status == _FORBIDDEN:
            if not fields.get("Code") and self.clock.is_off(moment):  # a response to HEAD has no body, and so no code
                refusal = replace(refusal, fields={**fields, "Code": _SKEWED})
            if refusal.fields.get("Code") == _SKEWED:
                self.clock.set_from(moment)
        return refusal_error(
            refusal,
            self.vendor,
            self.locate(key or ""),
            operation=operation,
            bucket=self.name,
            key=key,
            creates=options is not None and options.if_none_match is not None,
            replaces=options is not None and options.if_match is not None,
        )

    @contextmanager
    def reading(
        self, operation: str, key: str | None, kinds: tuple[type[Exception], ...] = _MALFORMED
    ) -> Iterator[None]:
        """Translate an exception of the block, which reads a response, into an error of this package.

        Args:
            operation: The provider's method.
            key: The object.
            kinds: The exceptions to translate; by default those that a missing or malformed field causes.

        Raises:
            TransientError: A field is missing or malformed.
        """
        try:
            yield
        except kinds as exc:
            if isinstance(exc, StorageError):
                raise
            reason = str(exc) if isinstance(exc, ValueError) else f"{type(exc).__name__}: {exc}"
            raise self.unreadable(reason, operation, key) from exc

    def with_facts(self, error: StorageError, operation: str, key: str | None) -> StorageError:
        """Set bucket, provider, operation and key if the error does not have them yet, and return the error."""
        error.bucket = error.bucket or self.name
        return filled(error, self.vendor.name, operation, key)

    def unreadable(self, reason: str, operation: str, key: str | None) -> StorageError:
        """Return the error for a response that cannot be read."""
        problem = f"the answer to {operation} cannot be read: {reason}; perhaps the endpoint is not an S3 server"
        return self.error(TransientError, key, operation, problem)

    def check_key(self, operation: str, key: str) -> None:
        """Refuse a key that no vendor could store."""
        try:
            check_key(key, self.vendor.capabilities, self._where)
        except StorageError as error:
            raise self.with_facts(error, operation, key if isinstance(key, str) else None) from None

    def check(self, operation: str, key: str | None, **texts: str | None) -> None:
        """Refuse a key that no vendor could store, and parameters that are not `str` or not valid Unicode."""
        if key is not None:
            self.check_key(operation, key)
        for name, value in texts.items():
            if value is not None and not isinstance(value, str):
                problem = f"{name} must be a str, not {type(value).__name__}"
                raise self.error(InvalidRequestError, key, operation, problem)
            if value is not None and not _is_text(value):
                raise self.error(InvalidRequestError, key, operation, f"{name} {value!r} is not valid Unicode")

    def attempts(self, operation: str, key: str | None, *, repeatable: bool = True, timed: bool = True) -> Attempts:
        """Return the attempts of one request.

        Args:
            operation: The provider's method, for errors.
            key: The object.
            repeatable: Whether a repeat after a lost response has the same effect as one request. If not, a request is
                repeated here only after a few refusals (`ONE_REPEAT`), after which the server has stored nothing. After
                a lost response the transfer checks the result.
            timed: Whether the endpoint's `total_timeout` ends each attempt; if not, the caller limits the time.
        """
        limit = self.endpoint.timeouts.total if timed else None
        return Attempts(self, operation, key, repeatable=repeatable, limit=limit)

    def in_time(self, operation: str, key: str | None) -> AbstractAsyncContextManager[None]:
        """Cancel the block after `total_timeout`, if this timeout is set.

        Raises:
            RequestTimeoutError: The block took longer.
        """
        seconds = self.endpoint.timeouts.total
        return _NO_LIMIT if seconds is None else self.within(seconds, operation, key)

    @asynccontextmanager
    async def within(self, seconds: float, operation: str, key: str | None) -> AsyncIterator[None]:
        """Cancel the block after `seconds`, which are what is left of `total_timeout`.

        Raises:
            RequestTimeoutError: The block took longer.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                yield
        except TimeoutError as exc:
            if not limit.expired():
                raise
            at = self.endpoint.url or "AWS"
            problem = f"{operation} at {at} took longer than total_timeout, {self.endpoint.timeouts.total:g} s"
            raise self.error(RequestTimeoutError, key, operation, problem) from exc


class Attempts:
    """`while True: async with attempts:` makes a request, and repeats the request if this is safe and may help.

    The block makes the request, reads its response and returns. If the block raises an error that another attempt may
    avoid, leaving the block waits and drops the error, and the loop begins the next attempt. Any other error is raised.
    """

    __slots__ = (
        "_begun",
        "_bucket",
        "_count",
        "_key",
        "_limit",
        "_offset",
        "_operation",
        "_repeatable",
        "_repeated",
        "_spent",
        "_timeout",
    )

    def __init__(
        self, bucket: S3Bucket, operation: str, key: str | None, *, repeatable: bool, limit: float | None
    ) -> None:
        """Store the arguments; the first attempt begins later."""
        self._bucket = bucket
        self._operation = operation
        self._key = key
        self._repeatable = repeatable
        self._limit = limit
        self._timeout: AbstractAsyncContextManager[None] | None = None
        self._offset = self._begun = 0.0
        self._count = self._spent = 0
        self._repeated: tuple[str | None, ...] = ()

    async def __aenter__(self) -> None:
        """Begin an attempt."""
        self._count += 1
        self._offset = self._bucket.clock.offset
        self._begun = time.monotonic()
        if self._limit is not None:
            self._timeout = self._bucket.within(self._limit, self._operation, self._key)
            await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End an attempt: raise its error, or wait for the next attempt."""
        if self._timeout is not None:
            try:
                await self._timeout.__aexit__(kind, error, trace)
            except RequestTimeoutError as late:
                if not await self._wait(late):
                    raise
                return True
        if error is None:
            self._bucket.budget.succeed(self._spent)
        return isinstance(error, StorageError) and await self._wait(error)

    async def _wait(self, error: StorageError) -> bool:
        """Wait before the next attempt, and return `True`; return `False` at once if there is no next attempt."""
        bucket = self._bucket
        bucket.with_facts(error, self._operation, self._key)
        if isinstance(error, ThrottledError):
            if (gates := bucket.gates.peek()) is not None:
                gates.refused(self._begun)
            if (hedging := bucket.hedging.peek()) is not None:
                hedging.refused()
        if error.status == _FORBIDDEN and error.code is None and bucket.clock.offset != self._offset:
            error.code = _SKEWED  # the request was signed before another request's error corrected the clock
        if not self._repeatable and error.code not in ONE_REPEAT:
            return False
        delay = bucket.retry.delay(error, self._count, self._repeated)
        if delay is None or not (cost := bucket.budget.spend(error)):
            return False
        self._repeated += (error.code,)
        self._spent += cost
        _log.debug("attempt %d failed, the next one in %.1f s: %s", self._count, delay, error)
        await asyncio.sleep(delay)
        return True


class BodyTimeout:
    """Limits the time of reading one body to the endpoint's `total_timeout`.

    Only the time of waiting for bytes counts, not the time in which the caller uses the bytes.
    """

    __slots__ = ("_bucket", "_key", "_left")

    def __init__(self, bucket: S3Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._left = bucket.endpoint.timeouts.total

    async def wait(self, coming: Awaitable[T]) -> T:
        """Wait for the next bytes.

        Raises:
            RequestTimeoutError: The time is over.
        """
        if self._left is None:
            return await coming
        began = time.monotonic()
        try:
            async with self._bucket.within(self._left, "get", self._key):
                return await coming
        finally:
            self._left -= time.monotonic() - began


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
