"""The body of one response that came through aiobotocore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aiobotocore.httpchecksum import StreamingChecksumBody
from aiobotocore.response import StreamingBody

from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._providers.s3.bucket import BodyTimeout, S3Bucket
from bucketry._session.botocore_errors import BORDER, exception_class
from bucketry._session.frames import without_frames
from bucketry._wire.slots import Slots
from bucketry.errors import (
    ChecksumMismatchError,
    IncompleteBodyError,
    IntegrityError,
    RequestTimeoutError,
    StorageError,
)

CHUNK = MiB  # a download to a file writes each chunk in a worker thread, and a switch to a thread takes time


def unchecked(stream: Any, length: int) -> Any:  # noqa: ANN401 - botocore border
    """Return the stream of a range without botocore's comparison with a checksum.

    With a range, the checksum may be that of the whole object, or COMPOSITE without the suffix that botocore looks for:
    https://github.com/boto/botocore/issues/3346
    """
    if not isinstance(stream, StreamingChecksumBody):
        return stream
    raw = stream.raw_stream if hasattr(stream, "raw_stream") else stream.__wrapped__  # before aiobotocore 3, a proxy
    return StreamingBody(raw, length)


class BotoBody:
    """The body of one response; its length is checked."""

    def __init__(self, info: ObjectInfo, stream: Any, length: int, bucket: S3Bucket, slots: Slots) -> None:  # noqa: ANN401 - botocore border
        self.info = info
        self._stream = stream
        self._length = length
        self._bucket = bucket
        self._slots = slots
        self._read: list[bytes] = []

    @property
    def verified(self) -> str | None:
        """The algorithm of the stored checksum that botocore compares the bytes with; `None`: it compares none."""
        compared = isinstance(self._stream, StreamingChecksumBody) and len(self.info.checksums) == 1
        return next(iter(self.info.checksums)) if compared else None

    async def read(self) -> bytes:
        """Return all bytes in one piece.

        After an error, iterating yields the bytes that arrived, then raises the error again.
        """
        chunks: list[bytes] = []
        try:
            async with aclosing(self.__aiter__()) as each:
                async for chunk in each:
                    chunks.append(chunk)  # noqa: PERF401 - kept when the body breaks
        except IncompleteBodyError:
            self._read = chunks
            raise
        return b"".join(chunks)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        done = 0
        timeout = BodyTimeout(self._bucket, self.info.key)
        for kept in self._read:
            done += len(kept)
            yield kept
        while True:
            try:
                chunk: bytes = await timeout.wait(self._stream.read(CHUNK))
            except RequestTimeoutError as exc:
                raise self._broken("took longer than total_timeout", done) from without_frames(exc)
            except BORDER as exc:
                without_frames(exc)
                if exception_class(exc) is IntegrityError:
                    problem = f"the bytes are not those that were stored: {exc}"
                    raise self._bucket.error(ChecksumMismatchError, self.info.key, "get", problem) from exc
                raise self._broken("stalled" if isinstance(exc, asyncio.TimeoutError) else "broke", done) from exc
            if not chunk:
                break
            self._slots.note()
            done += len(chunk)
            if done > self._length:
                problem = f"the body is longer than its Content-Length, {self._length} bytes"
                raise self._bucket.error(IntegrityError, self.info.key, "get", problem)
            yield chunk
        if done < self._length:
            raise self._broken("ended", done)

    def _broken(self, how: str, done: int) -> StorageError:
        """Return the error for an incomplete body, after which the caller can request the rest."""
        problem = f"the body {how} after {done} of {self._length} bytes"
        return self._bucket.error(IncompleteBodyError, self.info.key, "get", problem)
