"""DigitalOcean Spaces: the provider, and which conditions it enforces; run against the embedded server."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import os
from collections.abc import AsyncIterator

from bucketry import DigitalOceanProvider
from bucketry.errors import UnsupportedError


def make_provider(**overrides: str | None) -> DigitalOceanProvider:
    config = {
        "bucket_name": "my-space",
        "region": "fra1",
        "access_key_id": os.environ["DO_SPACES_KEY"],
        "secret_access_key": os.environ["DO_SPACES_SECRET"],
    }
    return DigitalOceanProvider(config | overrides)


# --8<-- [end:provider]


# --8<-- [start:conditions]
async def chunks() -> AsyncIterator[bytes]:
    yield b"worker 1"


async def create_once(storage: DigitalOceanProvider) -> None:
    await storage.put("leases/job-7", b"worker 1", if_none_match="*")  # one PUT: enforced
    try:
        await storage.put("leases/job-8", chunks(), if_none_match="*")  # may need parts: refused
    except UnsupportedError as error:
        print(error)


# --8<-- [end:conditions]


async def main() -> None:
    from bucketry.testing import embedded_s3  # noqa: PLC0415 - the page does not show it

    os.environ |= {"DO_SPACES_KEY": "DO00EXAMPLE", "DO_SPACES_SECRET": "example"}
    assert make_provider().locate("key") == "spaces://my-space/key"
    with embedded_s3(bucket="my-space") as server:
        async with make_provider(endpoint_url=server.endpoint_url) as storage:
            await create_once(storage)
            assert await storage.list_files("leases/") == ["leases/job-7"]


if __name__ == "__main__":
    asyncio.run(main())
