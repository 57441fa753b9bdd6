"""What `bucketry.providers` has for writing a provider: bodies in memory, kept properties, work in threads."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from bucketry import ObjectInfo
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange
from bucketry.providers import BodyReader, BytesBody, WriteOptions, in_thread

INFO = ObjectInfo(key="key", size=10, etag='"e"', last_modified=datetime(2026, 1, 1, tzinfo=UTC))
KEPT = {each.name for each in fields(ObjectInfo)} & {each.name for each in fields(WriteOptions)}


async def chunks_of(body: BodyReader) -> list[bytes]:
    """Give the chunks of a body."""
    return [chunk async for chunk in body]


async def test_a_body_gives_the_same_bytes_whole_and_in_chunks() -> None:
    """`read()` gives the very bytes that were given, and iterating gives them in chunks of 1 MiB."""
    data = bytes(range(256)) * (MiB // 128) + b"end"
    body = BytesBody(INFO, data)
    assert body.info is INFO
    assert body.verified is None
    assert await body.read() is data
    assert await chunks_of(body) == [data[:MiB], data[MiB : 2 * MiB], b"end"]


@pytest.mark.parametrize(("start", "end"), [(0, 10), (3, 7), (10, 10), (0, 0)])
async def test_a_body_gives_the_wanted_bytes_of_the_whole_object(start: int, end: int) -> None:
    """With a range, the body is that part of the bytes; an empty body has no chunk."""
    body = BytesBody(INFO, b"0123456789", ByteRange(start, end))
    assert await body.read() == b"0123456789"[start:end]
    assert await chunks_of(body) == [b"0123456789"[start:end]] * (start < end)


def test_the_properties_of_a_write_are_those_of_its_object() -> None:
    """`properties()` has every option that `ObjectInfo` shows, and survives JSON."""
    options = WriteOptions(**{name: {"a": "b"} if name == "metadata" else f"the {name}" for name in KEPT})  # type: ignore[arg-type]
    stored = json.loads(json.dumps(options.properties()))
    assert stored.keys() == KEPT
    assert WriteOptions.like(replace(INFO, **stored)) == options


async def test_a_cancelled_call_waits_for_its_thread() -> None:
    """The cancellation of `in_thread` is raised after the function has returned, not before."""
    started, may_end = threading.Event(), threading.Event()
    ended = []

    def work() -> None:
        started.set()
        may_end.wait()
        ended.append(True)

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(started.wait)
    task.cancel()
    try:
        for _ in range(5):
            await asyncio.to_thread(int)  # the loop delivers the cancellation meanwhile
        assert not task.done()
    finally:
        may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
