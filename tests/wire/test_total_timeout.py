"""`total_timeout` with bodies in pieces: each request ends in time, and the received bytes are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bucketry._core.units import MiB
from bucketry.errors import RequestTimeoutError
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, Request, content, serving

DATA = bytes(range(256)) * (3 * MiB // 256)
SIZE = MiB + 77  # bytes before the server stalls
LONG = 60


def stalling(request: Request) -> Answer:
    """Stall in the first answer; send the rest, requested as a range, completely."""
    answer = content(DATA, request)
    if "range" in request.headers:
        return answer
    return Answer(answer.status, answer.body, answer.headers, cut=SIZE, stall=True)


async def test_ends_a_body_that_is_read_whole(provide: Provide) -> None:
    """A large `get` requests the rest when the time of its first request is over."""
    async with serving(stalling) as server:
        provider = provide(server, total_timeout=0.3, read_timeout=LONG)
        async with asyncio.timeout(LONG / 2):
            assert await provider.get("key") == DATA
        assert len(server.requests) == 2
        await provider.disconnect()


async def test_ends_a_body_that_is_streamed(provide: Provide) -> None:
    """A stream does so, too; the time of its consumer does not count."""
    async with serving(stalling) as server:
        provider = provide(server, total_timeout=0.3, read_timeout=LONG)
        pieces = []
        async with asyncio.timeout(LONG / 2), provider.stream("key") as chunks:
            async for chunk in chunks:
                pieces.append(chunk)
                await asyncio.sleep(0.1)
        assert b"".join(pieces) == DATA
        assert len(server.requests) == 2


async def test_a_slow_consumer_loses_nothing(provide: Provide) -> None:
    """A body that a slow consumer reads is not requested again, for any length of time."""
    async with serving(lambda request: content(DATA, request)) as server:
        provider = provide(server, total_timeout=0.3)
        size = 0
        async with provider.stream("key", chunk_size=MiB // 2) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                await asyncio.sleep(0.1)
        assert size == len(DATA)
        assert len(server.requests) == 1


async def test_a_file_comes_whole(provide: Provide, tmp_path: Path) -> None:
    """A download requests the rest as a read does."""
    async with serving(stalling) as server:
        provider = provide(server, total_timeout=0.3, read_timeout=LONG)
        async with asyncio.timeout(LONG / 2):
            await provider.download("key", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == DATA


async def test_the_error_names_limit_and_server(provide: Provide) -> None:
    """If no answer begins, the error names the limit and the server."""
    async with serving(lambda _: Answer(drop=True, stall=True)) as server:
        provider = provide(server, total_timeout=0.2, max_attempts=1)
        with pytest.raises(RequestTimeoutError, match=r"total_timeout, 0\.2 s") as caught:
            await provider.head("key")
        assert server.url in str(caught.value)
        assert (caught.value.key, caught.value.operation) == ("key", "head")
