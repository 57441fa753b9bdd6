"""The body of a response to a GET on the data plane."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from bucketry._core import checksums
from bucketry._providers.s3.bucket import BodyTimeout
from bucketry._providers.s3.wire.calls import Get, WireCalls
from bucketry._runtime.loading import load_checksum
from bucketry._wire.errors import WireError
from bucketry._wire.http1 import AnswerHead
from bucketry._wire.unary import Connection
from bucketry.errors import ChecksumMismatchError, IncompleteBodyError, RequestTimeoutError, StorageError


class WireBody:
    """The body of one response. `async with` makes the request on entry, and returns the connection on exit."""

    __slots__ = ("_calls", "_connection", "_get", "info")

    def __init__(self, calls: WireCalls, get: Get) -> None:
        self._calls = calls
        self._get = get
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        """Make the request, and repeat it if the server refused it and a repeat may help."""
        calls, get = self._calls, self._get
        attempts = calls.bucket.attempts("get", get.key)
        while True:
            async with attempts:
                self._connection = await calls.opened("get", get.call, get.key, self._begin)
                return self

    def _begin(self, head: AnswerHead) -> None:
        """Read the response's head."""
        self.info = self._calls.begun(self._get, head)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Return the connection; it is used again if the body was read to its end."""
        if self._connection is not None:
            self._calls.client.done(self._connection)
            self._connection = None

    async def read(self) -> bytes:
        """Return all bytes in one piece.

        After an error, iterating yields the bytes that arrived, then raises the error again.
        """
        connection, bucket = self._opened, self._calls.bucket
        try:
            coming = connection.body()
            timed = bucket.endpoint.timeouts.total is not None
            data = await (BodyTimeout(bucket, self._get.key).wait(coming) if timed else coming)
        except (WireError, RequestTimeoutError) as exc:
            raise self._broken(exc, connection) from exc
        if (algorithm := self.verified) is not None:
            await load_checksum(algorithm)
            self._compare(algorithm, checksums.of(algorithm, data))
        return data

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes as they arrive; the checksum is compared before the last bytes are yielded."""
        connection, algorithm = self._opened, self.verified
        if algorithm is not None:
            await load_checksum(algorithm)
        digest = checksums.new(algorithm) if algorithm is not None else None
        timeout = BodyTimeout(self._calls.bucket, self._get.key)
        left = self.info.size
        while True:
            if self._connection is not connection:  # another request may use the connection now
                raise self._closed()
            try:
                piece = await timeout.wait(connection.piece())
            except (WireError, RequestTimeoutError) as exc:
                raise self._broken(exc, connection) from exc
            if not piece:
                return
            left -= len(piece)
            if algorithm is not None and digest is not None:
                digest.update(piece)
                if not left:
                    self._compare(algorithm, digest.hexdigest())
            yield piece

    def _broken(self, exc: WireError | RequestTimeoutError, connection: Connection) -> StorageError:
        """Return the error for an incomplete body, after which the caller can request the rest."""
        if isinstance(exc, WireError):
            return self._calls.failed(exc, "get", self._get.key)
        bucket = self._calls.bucket
        connection.expire(bucket.endpoint.timeouts.total or 0.0)  # so that iterating raises an error, too
        return bucket.with_facts(IncompleteBodyError(str(exc)), "get", self._get.key)

    @property
    def verified(self) -> str | None:
        """The algorithm of the stored checksum that the bytes are compared with; `None` for a range."""
        stored, options = self.info.checksums, self._get.options
        if not stored or not options.verify or options.byte_range is not None:
            return None
        return checksums.first_usable(self._calls.bucket.vendor.capabilities.stored_checksums, stored)

    def _compare(self, algorithm: str, computed: str) -> None:
        stored = self.info.checksums[algorithm]
        if computed != stored:
            problem = f"the bytes are not those that were stored: their {algorithm} is {computed}, not {stored}"
            raise self._calls.bucket.error(ChecksumMismatchError, self.info.key, "get", problem)

    @property
    def _opened(self) -> Connection:
        if self._connection is None:
            raise self._closed()
        return self._connection

    def _closed(self) -> StorageError:
        return self._calls.bucket.error(IncompleteBodyError, self._get.key, "get", "the body was closed")
