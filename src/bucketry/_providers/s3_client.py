"""Where the S3 family's requests are made: one owner of repeats, one place where errors are translated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from io import BytesIO
from typing import Any

from bucketry._core.checks import check_key
from bucketry._core.loop_local import LoopLocal
from bucketry._core.retry import RESIGNED, RetryBudget, RetryPolicy
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._providers.botocore_errors import BORDER, exception_class, translate
from bucketry._providers.s3_answers import reading
from bucketry._session.pool import SessionPool
from bucketry._vendors.endpoint import Endpoint
from bucketry._vendors.row import Vendor
from bucketry.errors import IncompleteBodyError, IntegrityError, InvalidRequestError, StorageError

CHUNK = MiB  # one hop to a worker thread for each


class S3Client:
    """Makes the requests of one bucket, through the pool's client for its endpoint.

    Args:
        vendor: The row: limits, and what throttling looks like.
        bucket: The bucket.
        endpoint: Where, and as whom.
        pool: Lends the client.
        max_attempts: How often one request is made at most.
    """

    def __init__(self, vendor: Vendor, bucket: str, endpoint: Endpoint, pool: SessionPool, max_attempts: int) -> None:
        """Remember where requests go; no I/O."""
        self.vendor = vendor
        self.bucket = bucket
        self.endpoint = endpoint
        self.pool = pool
        self._retry = RetryPolicy(max_attempts=max_attempts)
        self._budget = LoopLocal(RetryBudget)

    def locate(self, key: str = "") -> str:
        """Give `scheme://bucket/key`."""
        return f"{self.vendor.scheme}://{self.bucket}/{key}"

    def error(self, kind: type[StorageError], key: str, operation: str, problem: str) -> StorageError:
        """Give an error about an object, with its facts."""
        message = f"{self.locate(key)}: {problem}"
        return kind(message, provider=self.vendor.name, bucket=self.bucket, key=key, operation=operation)

    def lend(self) -> AbstractAsyncContextManager[Any]:
        """Keep the client open inside the context, as an open body needs it."""
        return self.pool.client(self.endpoint)

    async def send(
        self,
        doing: str,
        operation: str,
        *,
        key: str | None = None,
        repeatable: bool = True,
        **params: Any,  # noqa: ANN401 - botocore border
    ) -> dict[str, Any]:
        """Make a request, and make it again where that is safe and may help.

        Args:
            doing: The provider's method, for errors.
            operation: The client's method.
            key: The object concerned.
            repeatable: Whether a second try after a lost answer does the same as the first. Where not, the
                transfer looks what became of it; only a refused signature is made again here.
            params: The operation's parameters; `None` leaves one out.
        """
        arguments = {name: value for name, value in params.items() if value is not None} | {"Bucket": self.bucket}
        if key is not None:
            check_key(key, self.vendor.capabilities, self.locate())
            arguments["Key"] = key
        for name, value in arguments.items():
            if isinstance(value, str) and not _is_text(value):
                raise self.error(InvalidRequestError, key or "", doing, f"{name} {value!r} is not valid Unicode")
        creates = arguments.get("IfNoneMatch") == "*" and operation != "get_object"
        body = arguments.get("Body")
        budget = self._budget.get()
        attempt = 0
        while True:
            attempt += 1
            sent = BytesIO(body) if body is not None else None  # each attempt reads its own
            if sent is not None:
                arguments["Body"] = sent
            try:
                async with self._translating(doing, key, creates=creates), self.lend() as client:
                    with reading(self.locate(key or "")):
                        answer: dict[str, Any] = await getattr(client, operation)(**arguments)
            except StorageError as error:
                may_repeat = repeatable or error.code in RESIGNED
                delay = self._retry.delay(error, attempt) if may_repeat else None
                if delay is None or not budget.spend(error):
                    raise
                await asyncio.sleep(delay)
            else:
                budget.refund()
                return answer
            finally:
                if sent is not None:
                    with suppress(BufferError):
                        sent.close()  # the client's cycles would keep its bytes until they are collected

    async def sign(self, method: str, key: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - botocore border
        """Call one of the client's signers, which make no request."""
        async with self._translating("presign", key), self.lend() as client:
            return await getattr(client, method)(*args, **options)

    @asynccontextmanager
    async def _translating(self, doing: str, key: str | None, *, creates: bool = False) -> AsyncIterator[None]:
        try:
            yield
        except BORDER as exc:
            where = self.locate(key or "")
            raise translate(
                exc, self.vendor, where, operation=doing, bucket=self.bucket, key=key, creates=creates
            ) from exc


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


class S3Body:
    """The body of one answer, counted against its length."""

    def __init__(self, info: ObjectInfo, stream: Any, length: int, client: S3Client) -> None:  # noqa: ANN401 - botocore border
        self.info = info
        self._stream = stream
        self._length = length
        self._client = client

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        done = 0
        while True:
            try:
                chunk: bytes = await self._stream.read(CHUNK)
            except BORDER as exc:
                if exception_class(exc) is IntegrityError:
                    problem = f"the bytes are not those that were stored: {exc}"
                    raise self._client.error(IntegrityError, self.info.key, "get", problem) from exc
                raise self._broken("stalled" if isinstance(exc, asyncio.TimeoutError) else "broke", done) from exc
            if not chunk:
                break
            done += len(chunk)
            if done > self._length:
                problem = f"the body is longer than its {self._length} bytes"
                raise self._client.error(IntegrityError, self.info.key, "get", problem)
            yield chunk
        if done < self._length:
            raise self._broken("ended", done)

    def _broken(self, how: str, done: int) -> StorageError:
        """Give the error for a body that did not come whole: always one that resuming can mend."""
        problem = f"the body {how} after {done} of {self._length} bytes"
        return self._client.error(IncompleteBodyError, self.info.key, "get", problem)
