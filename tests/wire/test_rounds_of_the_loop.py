"""Work that would be long in one round of the event loop is spread over several rounds."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from bucketry import SessionPool
from bucketry._providers.s3.wire.plane import LISTING_SLICE
from bucketry._providers.s3.xml.listing import ListingParser
from tests.wire.raw import make
from tests.wire.swallow import swallow


@contextmanager
def calls_of(function: object) -> Iterator[list[FrameType]]:
    """Collect the frames of the calls of a function in this thread."""
    code: CodeType = function.__code__  # type: ignore[attr-defined]  # of any function
    frames: list[FrameType] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is code:
            frames.append(frame)

    sys.setprofile(note)
    try:
        yield frames
    finally:
        sys.setprofile(None)


async def test_a_page_is_parsed_in_slices() -> None:
    """A page of a listing that came at once is parsed in slices, between which the loop runs other tasks."""
    with swallow() as port:
        async with SessionPool() as pool:
            with calls_of(ListingParser.feed) as frames:
                found = [entry async for entry in make(port, pool).list("keys-1000/")]
    sizes = [len(frame.f_locals["data"]) for frame in frames]
    assert len(found) == 1_000
    assert max(sizes) <= LISTING_SLICE < sum(sizes)


async def test_connections_begin_in_different_rounds() -> None:
    """Connections that open together begin one in each round of the loop."""
    number, rounds, loop = 0, list[int](), asyncio.get_running_loop()

    def count() -> None:
        nonlocal number
        number += 1
        loop.call_soon(count)

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is socket.socket.__init__.__code__:
            rounds.append(number)

    with swallow() as port:
        async with SessionPool() as pool:
            provider = make(port, pool)
            loop.call_soon(count)
            sys.setprofile(note)
            try:
                await asyncio.gather(*(provider.put(f"k{each}", b"x") for each in range(4)))
            finally:
                sys.setprofile(None)
    assert len(rounds) == len(set(rounds)) == 4
