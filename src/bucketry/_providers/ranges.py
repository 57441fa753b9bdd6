"""Writes a body into an open file. Providers without a faster way of their own use this for `fetch_range`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing

from bucketry._core.optional import RangeSink
from bucketry._core.requests import BodyReader
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry.errors import IncompleteBodyError

CHUNK = MiB  # so many bytes are collected before a write, because a switch to a worker thread takes about 50 µs


async def fill_sink(opening: AbstractAsyncContextManager[BodyReader], sink: RangeSink) -> ObjectInfo:
    """Open a body, write it to the sink in worker threads, and return the properties of its object.

    If the body breaks, the bytes that arrived are written before the error is raised.

    Raises:
        IncompleteBodyError: The body ended or stalled before its length.
        LocalFileError: The file cannot be written.
    """
    async with opening as body:
        await in_thread(sink.begin, body.info)
        pending = bytearray()
        try:
            async with aclosing(body.__aiter__()) as chunks:
                async for chunk in chunks:
                    pending += chunk
                    if len(pending) >= CHUNK:
                        await in_thread(sink.write, pending)
                        pending = bytearray()
        except IncompleteBodyError:
            await in_thread(sink.write, pending)  # so that the caller need not request these bytes again
            raise
        await in_thread(sink.write, pending)
        return body.info
