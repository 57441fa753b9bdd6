"""Transfers make fewer requests at once if the server asks for that; all providers of an endpoint share the number."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from bucketry import (
    CloudflareR2Provider,
    MemoryProvider,
    S3Provider,
    SessionPool,
    TransferConfig,
    TransferManager,
    WasabiProvider,
)
from bucketry.providers import PrefixedProvider
from bucketry.testing import FaultyProvider
from tests.wire.conftest import ACCESS, SECRET, Provide
from tests.wire.scripted import Answer, Request, content, error, serving

DATA = b"some bytes"
KEYS: dict[str, Any] = {"bucket_name": "bkt", "access_key_id": ACCESS, "secret_access_key": SECRET}


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (S3Provider, error("SlowDown", 503)),
        (CloudflareR2Provider, Answer(429)),
        (WasabiProvider, error("RequestRateLimitExceeded", 400)),
    ],
    ids=["SlowDown", "429", "RequestRateLimitExceeded"],
)
async def test_refused_requests_halve_the_number(
    provide: Provide, kind: Any, refusal: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """Several refusals of requests in flight together halve the number once; all objects arrive."""
    refused = {f"k{number}" for number in range(3)}  # once each, so that no repeat is refused

    def answer(request: Request) -> Answer:
        key = request.path.rpartition("/")[2]
        if key in refused:
            refused.remove(key)
            return refusal
        return content(DATA, request)

    async with serving(answer) as server:
        manager = TransferManager(provide(server, kind), TransferConfig(retry_delay=0))
        with caplog.at_level(logging.DEBUG, "bucketry"):
            got = [data async for _, data in manager.get_many(f"k{number}" for number in range(64))]
    assert got == [DATA] * 64
    changes = [record.getMessage() for record in caplog.records if "in flight" in record.getMessage()]
    asked = [line for line in changes if line.endswith("the server asked for fewer requests")]
    assert asked == ["small requests: at most 16 in flight, before 32: the server asked for fewer requests"]


async def test_providers_of_an_endpoint_share_the_number() -> None:
    """Providers with one pool and one endpoint share it, with any bucket; other endpoints and pools have their own."""
    pool = SessionPool()
    one = S3Provider(KEYS, pool=pool)
    other = S3Provider(KEYS | {"bucket_name": "other"}, pool=pool)
    assert one.gates is other.gates
    assert PrefixedProvider(FaultyProvider(one), "a/").gates is one.gates
    assert S3Provider(KEYS).gates is not one.gates
    assert S3Provider(KEYS | {"region": "eu-west-1"}, pool=pool).gates is not one.gates
    assert FaultyProvider(MemoryProvider()).gates is None


def test_each_event_loop_has_its_own_number() -> None:
    """An event loop begins anew."""
    provider = S3Provider(KEYS)

    async def found() -> object:
        return provider.gates

    assert asyncio.run(found()) is not asyncio.run(found())


async def test_the_result_says_how_many(provide: Provide, tmp_path: Any) -> None:
    """`TransferResult.concurrency` is the number for bodies of the object's size."""
    async with serving(lambda request: content(DATA, request)) as server:
        provider = provide(server)
        found = await TransferManager(provider, TransferConfig(max_concurrency=5)).download("k", tmp_path / "a")
        assert found.concurrency == 5
        found = await TransferManager(provider).download("k", tmp_path / "b")
        assert found.concurrency == 32
    memory = MemoryProvider()
    (tmp_path / "a").write_bytes(DATA)
    assert (await TransferManager(memory).upload(tmp_path / "a", "k")).concurrency == 16
