"""A server that fails for long: a busy one gives all objects in the end, a dead one gets few retries."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bucketry import S3Provider
from bucketry._core.retry import MAX_ATTEMPTS
from bucketry.errors import StorageError, ThrottledError
from tests.wire.conftest import ACCESS, SECRET
from tests.wire.scripted import Answer, Request, Scripted, content, error, serving

GETS = 10_000
SHARE = 0.25  # the share of requests that are refused
DATA = b"a small object"


class Busy:
    """Refuses a share of the requests, but never all requests for one object.

    With pure chance, one run in 100 would have an object for which all attempts are refused.
    """

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._refused: Counter[str] = Counter()

    def __call__(self, request: Request) -> Answer:
        """Answer with the object, or at random with SlowDown."""
        if self._refused[request.path] < MAX_ATTEMPTS - 1 and self._random.random() < SHARE:
            self._refused[request.path] += 1
            return error("SlowDown", 503)
        return content(DATA, request)


@asynccontextmanager
async def provider_of(server: Scripted) -> AsyncIterator[S3Provider]:
    """Give a provider with default settings, except that it does not wait before a retry."""
    config = {"bucket_name": "bkt", "endpoint_url": server.url, "access_key_id": ACCESS, "secret_access_key": SECRET}
    provider = S3Provider(config | {"retry_delay": 0})
    try:
        yield provider
    finally:
        await provider.disconnect()


async def get_all(provider: S3Provider, count: int, *, at_once: int) -> list[StorageError]:
    """Get so many objects; give the errors."""
    keys = iter(range(count))
    errors: list[StorageError] = []

    async def worker() -> None:
        for key in keys:
            try:
                assert await provider.get(f"k{key}") == DATA
            except StorageError as failed:
                errors.append(failed)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [32, 1_000])
async def test_a_busy_server(at_once: int) -> None:
    """If a server refuses every fourth request, all of 10,000 reads succeed, for any number of parallel reads."""
    async with serving(Busy()) as server, provider_of(server) as provider:
        errors = await get_all(provider, GETS, at_once=at_once)
    assert not errors, f"{len(errors)} failed, the first one: {errors[0]}"
    assert len(server.requests) > GETS * (1 + SHARE)


@pytest.mark.slow
async def test_a_dead_server() -> None:
    """If a server refuses all requests, 1,000 parallel reads fail, with few more requests than one for each."""
    async with serving(lambda _: error("SlowDown", 503)) as server, provider_of(server) as provider:
        errors = await get_all(provider, 1_000, at_once=1_000)
    assert [type(failed) for failed in errors] == [ThrottledError] * 1_000
    assert 1_000 <= len(server.requests) <= 1_100  # a budget of 500 tokens pays for 50 repeats, at 10 each
