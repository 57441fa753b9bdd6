"""One pool of clients for each module, because building the first client takes longer than all the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from bucketry import S3Provider, SessionPool, TransferConfig
from bucketry._core.units import MiB
from tests.wire.scripted import Scripted

ACCESS, SECRET, TOKEN = "AKIACANARYCANARY", "canary/secret+key/0123456789", "canary-session-token"
ACCOUNT = "0123456789abcdef0123456789abcdef"
HALVES = {
    "S3Provider": {"access_key_id": ACCESS, "secret_access_key": SECRET},
    "DigitalOceanProvider": {"access_key_id": ACCESS, "secret_access_key": SECRET},
    "WasabiProvider": {"access_key_id": ACCESS, "secret_access_key": SECRET},
    "BackblazeProvider": {"key_id": ACCESS, "application_key": SECRET, "region": "us-west-004"},
    "CloudflareR2Provider": {"access_key_id": ACCESS, "secret_access_key": SECRET, "account_id": ACCOUNT},
}

TRANSPORTS = ("auto", "aiobotocore")

Provide = Callable[..., Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[SessionPool]:
    """Clients that all tests of the module share."""
    async with SessionPool() as pool:
        yield pool


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Run the test with each transport; a test for one transport only parametrizes this fixture."""
    return str(request.param)


@pytest.fixture
def provide(pool: SessionPool, transport: str) -> Provide:
    """Make a provider for a scripted server, by default `S3Provider` with AWS's row; retries do not wait."""

    def make(server: Scripted | str, kind: Any = S3Provider, /, **config: Any) -> Any:
        url = server if isinstance(server, str) else server.url
        given = {"bucket_name": "bkt", "endpoint_url": url, "max_attempts": 3, "retry_delay": 0, "transport": transport}
        given |= {**HALVES.get(kind.__name__, HALVES["S3Provider"]), **config}
        if kind is S3Provider:
            given.setdefault("server", "aws")
        transfer = TransferConfig(
            max_concurrency=2,
            memory_budget=32 * MiB,
            max_attempts=3,
            retry_delay=0,
            part_size=5 * MiB,
            multipart_threshold=5 * MiB,
        )
        return kind(given, pool=pool, transfer=transfer)

    return make
