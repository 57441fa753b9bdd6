"""What both transports of the S3 family share: the bucket's facts, errors about it, and the one owner of repeats."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from bucketry._core.checks import check_key
from bucketry._core.facts import filled
from bucketry._core.options import WriteOptions
from bucketry._core.retry import ONE_REPEAT, RetryPolicy
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
        vendor: The row: limits, and what throttling looks like.
        name: The bucket's.
        endpoint: Where, and as whom.
        state: The endpoint's clock and retry budget.
        retry: How often one request is made at most.
        headers: What the configuration adds to requests.
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
        """Remember where requests go; no I/O."""
        self.headers = headers
        self.vendor = vendor
        self.name = name
        self.endpoint = endpoint
        self.clock = state.clock
        self.budget = state.budget
        self.retry = retry
        self._where = self.locate()

    def locate(self, key: str = "") -> str:
        """Give `scheme://bucket/key`."""
        return f"{self.vendor.scheme}://{self.name}/{key}"

    def error(self, kind: type[StorageError], key: str | None, operation: str, problem: str) -> StorageError:
        """Give an error about an object, or about the bucket, with its facts."""
        message = f"{self.locate(key or '')}: {problem}"
        return kind(message, provider=self.vendor.name, bucket=self.name, key=key, operation=operation)

    def refused(
        self, refusal: Refusal, operation: str, key: str | None, options: WriteOptions | None = None
    ) -> StorageError:
        """Give the error for an answer that is one; where it refuses this machine's clock, the server's is followed.

        Args:
            refusal: The answer.
            operation: The provider's method.
            key: The object concerned, if one is.
            options: Of a write: its conditions say what a refusal means.
        """
        moment = seconds_of(refusal.headers.get("date"))
        fields = refusal.fields
        if moment is not None and refusal.status == _FORBIDDEN:
            if not fields.get("Code") and self.clock.is_off(moment):  # an answer to HEAD cannot say so
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
        """Turn what an answer that is no S3 server's does to its reader into an error of ours.

        Args:
            operation: The provider's method.
            key: The object concerned.
            kinds: The errors to take for it; by default those that a missing or malformed field makes.

        Raises:
            TransientError: A field is missing or malformed.
        """
        try:
            yield
        except kinds as exc:
            if isinstance(exc, StorageError):
                raise
            said = str(exc) if isinstance(exc, ValueError) else f"{type(exc).__name__}: {exc}"
            raise self.unreadable(said, operation, key) from exc

    def with_facts(self, error: StorageError, operation: str, key: str | None) -> StorageError:
        """Fill in what an error of a check, or of a local file, does not know; and give it back."""
        error.bucket = error.bucket or self.name
        return filled(error, self.vendor.name, operation, key)

    def unreadable(self, said: str, operation: str, key: str | None) -> StorageError:
        """Give the error for an answer that cannot be read."""
        problem = f"the answer to {operation} cannot be read, it is perhaps no S3 server's: {said}"
        return self.error(TransientError, key, operation, problem)

    def check_key(self, operation: str, key: str) -> None:
        """Refuse a key that no vendor could store."""
        try:
            check_key(key, self.vendor.capabilities, self._where)
        except StorageError as error:
            raise self.with_facts(error, operation, key if isinstance(key, str) else None) from None

    def check(self, operation: str, key: str | None, **texts: str | None) -> None:
        """Refuse a key that no vendor could store, and parameters that are no text."""
        if key is not None:
            self.check_key(operation, key)
        for name, value in texts.items():
            if value is not None and not _is_text(value):
                raise self.error(InvalidRequestError, key, operation, f"{name} {value!r} is not valid Unicode")

    def attempts(self, operation: str, key: str | None, *, repeatable: bool = True, timed: bool = True) -> Attempts:
        """Give the attempts of one request.

        Args:
            operation: The provider's method, for errors.
            key: The object concerned.
            repeatable: Whether a second try after a lost answer does the same as the first. If not, the
                transfer looks what became of it; only what was surely refused is made again here.
            timed: Whether the endpoint's `total_timeout` ends each try; if not, the caller sees to it.
        """
        limit = self.endpoint.timeouts.total if timed else None
        return Attempts(self, operation, key, repeatable=repeatable, limit=limit)

    def in_time(self, operation: str, key: str | None) -> AbstractAsyncContextManager[None]:
        """End what is inside after `total_timeout`, if there is one.

        Raises:
            RequestTimeoutError: It took longer.
        """
        seconds = self.endpoint.timeouts.total
        return _NO_LIMIT if seconds is None else self.within(seconds, operation, key)

    @asynccontextmanager
    async def within(self, seconds: float, operation: str, key: str | None) -> AsyncIterator[None]:
        """End what is inside after so many seconds, which are what is left of `total_timeout`.

        Raises:
            RequestTimeoutError: It took longer.
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
    """`while True: async with attempts:` makes a request, and makes it again where that is safe and may help.

    The block makes the request and reads its answer, and returns. An error that another attempt may mend ends the
    block, not the loop: the wait before the next attempt is over then. Any other error is raised.
    """

    __slots__ = (
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
        """Begin before the first attempt."""
        self._bucket = bucket
        self._operation = operation
        self._key = key
        self._repeatable = repeatable
        self._limit = limit
        self._timeout: AbstractAsyncContextManager[None] | None = None
        self._offset = 0.0
        self._count = self._spent = 0
        self._repeated: tuple[str | None, ...] = ()

    async def __aenter__(self) -> None:
        """Begin an attempt."""
        self._count += 1
        self._offset = self._bucket.clock.offset
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
                if late is not error and not await self._wait(late):
                    raise
                if late is not error:
                    return True
        if error is None:
            self._bucket.budget.succeed(self._spent)
        return isinstance(error, StorageError) and await self._wait(error)

    async def _wait(self, error: StorageError) -> bool:
        """Wait until the request is made again; `False`: it is not."""
        bucket = self._bucket
        bucket.with_facts(error, self._operation, self._key)
        if error.status == _FORBIDDEN and error.code is None and bucket.clock.offset != self._offset:
            error.code = _SKEWED  # signed before another request's refusal corrected the clock
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
    """What is left of an endpoint's `total_timeout` for one body.

    Only the waiting for its bytes counts, not what is done with them meanwhile.
    """

    __slots__ = ("_bucket", "_key", "_left")

    def __init__(self, bucket: S3Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._left = bucket.endpoint.timeouts.total

    async def wait(self, coming: Awaitable[T]) -> T:
        """Wait for the next bytes.

        Raises:
            RequestTimeoutError: Nothing is left.
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
