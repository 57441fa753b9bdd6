"""What both transports of the S3 family share: the bucket's facts, errors about it, and the one owner of repeats."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

from bucketry._core.checks import check_key, check_write
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
    UnsupportedError,
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
        self._budget = state.budget
        self._retry = retry
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
                self.clock.follow(moment)
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

    def check_write(self, operation: str, key: str, options: WriteOptions, *, multipart: bool) -> None:
        """Refuse a write whose precondition the vendor would not enforce."""
        try:
            check_write(options, self.vendor.capabilities, self.locate(key), multipart=multipart)
        except StorageError as error:
            raise self.with_facts(error, operation, key) from None

    def check_tags(self, operation: str, key: str, tags: Mapping[str, str]) -> None:
        """Refuse tags where objects have none, and what is no text."""
        self.expect("tags", operation, key)
        for name, value in tags.items():
            if not (isinstance(name, str) and isinstance(value, str) and _is_text(name + value)):
                raise self.error(InvalidRequestError, key, operation, f"the tag {name!r} must map a str to a str")

    def expect(self, capability: Literal["versions", "tags"], operation: str, key: str | None) -> None:
        """Refuse what the vendor's row does not say that its servers have, before anything is sent."""
        if not getattr(self.vendor.capabilities, capability):
            problem = f"{self.vendor.title} is not known to have {capability} of objects, so nothing was sent"
            raise self.error(UnsupportedError, key, operation, problem)

    def check(self, operation: str, key: str | None, **texts: str | None) -> None:
        """Refuse a key that no vendor could store, and parameters that are no text."""
        if key is not None:
            self.check_key(operation, key)
        for name, value in texts.items():
            if value is not None and not _is_text(value):
                raise self.error(InvalidRequestError, key, operation, f"{name} {value!r} is not valid Unicode")

    async def repeat(
        self,
        once: Callable[[], Awaitable[T]],
        operation: str,
        key: str | None,
        *,
        repeatable: bool = True,
        timed: bool = True,
    ) -> T:
        """Make a request, and make it again where that is safe and may help.

        Args:
            once: Makes it, and reads its answer: what cannot be read is asked for again, too.
            operation: The provider's method, for errors.
            key: The object concerned.
            repeatable: Whether a second try after a lost answer does the same as the first. Where not, the
                transfer looks what became of it; only what was surely refused is made again here.
            timed: Whether the endpoint's `total_timeout` ends each try; else `once` sees to it.
        """
        budget = self._budget
        if timed and self.endpoint.total_timeout is not None:
            once = partial(self._timed, once, operation, key)
        attempt = spent = 0
        repeated: set[str | None] = set()
        while True:
            attempt += 1
            ahead = self.clock.ahead
            try:
                answer = await once()
            except StorageError as error:
                self.with_facts(error, operation, key)
                if error.status == _FORBIDDEN and error.code is None and self.clock.ahead != ahead:
                    error.code = _SKEWED  # signed before another request's refusal corrected the clock
                may_repeat = repeatable or error.code in ONE_REPEAT
                delay = self._retry.delay(error, attempt, repeated) if may_repeat else None
                if delay is None or not (cost := budget.spend(error)):
                    raise
                repeated.add(error.code)
                spent += cost
                _log.debug("attempt %d failed, the next one in %.1f s: %s", attempt, delay, error)
                await asyncio.sleep(delay)
            else:
                budget.succeed(spent)
                return answer

    def in_time(self, operation: str, key: str | None) -> AbstractAsyncContextManager[None]:
        """End what is inside after `total_timeout`, if there is one.

        Raises:
            RequestTimeoutError: It took longer.
        """
        seconds = self.endpoint.total_timeout
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
            problem = f"{operation} at {at} took longer than total_timeout, {self.endpoint.total_timeout:g} s"
            raise self.error(RequestTimeoutError, key, operation, problem) from exc

    async def _timed(self, once: Callable[[], Awaitable[T]], operation: str, key: str | None) -> T:
        async with self.in_time(operation, key):
            return await once()


class BodyTimeout:
    """What is left of an endpoint's `total_timeout` for one body.

    Only the waiting for its bytes counts, not what is done with them meanwhile.
    """

    __slots__ = ("_bucket", "_key", "_left")

    def __init__(self, bucket: S3Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._left = bucket.endpoint.total_timeout

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
