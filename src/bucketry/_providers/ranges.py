"""Writes a body into an open file: `fetch_range` for providers without a faster one of their own."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing

from bucketry._core.optional import RangeSink
from bucketry._core.requests import BodyReader
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry.errors import IncompleteBodyError

CHUNK = MiB  # bytes collected before each write: a switch to a worker thread costs about 50 µs


async def fill_sink(opening: AbstractAsyncContextManager[BodyReader], sink: RangeSink) -> ObjectInfo:
    """Open a body, write it to the sink in worker threads, and return the facts of its object.

    If the body breaks, the bytes that arrived are written before the error is raised.

    Raises:
        IncompleteBodyError: The body ended or stalled before its length.
        LocalFileError: The file cannot be written.
    """
    async with opening as body:
        pending = bytearray()
        try:
            async with aclosing(body.__aiter__()) as chunks:
                async for chunk in chunks:
                    pending += chunk
                    if len(pending) >= CHUNK:
                        await in_thread(sink.write, pending)
                        pending = bytearray()
        except IncompleteBodyError:
            await in_thread(sink.write, pending)  # so that the caller need not request them again
            raise
        await in_thread(sink.write, pending)
        return body.info
