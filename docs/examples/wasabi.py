"""Wasabi: the provider, and the condition that Wasabi would ignore; run against the embedded server."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import os

from bucketry import WasabiProvider
from bucketry.errors import UnsupportedError


def make_provider(**overrides: str | None) -> WasabiProvider:
    config = {
        "bucket_name": "my-bucket",
        "region": "eu-central-1",
        "access_key_id": os.environ["WASABI_ACCESS_KEY"],
        "secret_access_key": os.environ["WASABI_SECRET_KEY"],
    }
    return WasabiProvider(config | overrides)


# --8<-- [end:provider]


# --8<-- [start:conditions]
async def create_once(storage: WasabiProvider) -> None:
    try:
        await storage.put("leases/job-7", b"worker 1", if_none_match="*")
    except UnsupportedError as error:  # raised before anything is sent
        print(error)


# --8<-- [end:conditions]


async def main() -> None:
    from bucketry.testing import embedded_s3  # noqa: PLC0415 - the page does not show it

    os.environ |= {"WASABI_ACCESS_KEY": "EXAMPLE", "WASABI_SECRET_KEY": "example"}
    assert make_provider().locate("key") == "wasabi://my-bucket/key"
    with embedded_s3(bucket="my-bucket") as server:
        async with make_provider(endpoint_url=server.endpoint_url) as storage:
            await create_once(storage)
            assert not await storage.exists("leases/job-7")
            await storage.put("leases/job-7", b"worker 1")


if __name__ == "__main__":
    asyncio.run(main())
