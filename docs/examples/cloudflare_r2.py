"""Cloudflare R2: the provider with a jurisdiction, and a stream in equal parts; run against the embedded server."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import os
from collections.abc import AsyncIterator

from bucketry import CloudflareR2Provider, TransferConfig, TransferManager

MiB = 1024 * 1024


def make_provider(**overrides: str | None) -> CloudflareR2Provider:
    config = {
        "bucket_name": "my-bucket",
        "account_id": os.environ["CLOUDFLARE_R2_ACCOUNT_ID"],
        "access_key_id": os.environ["CLOUDFLARE_R2_ACCESS_KEY"],
        "secret_access_key": os.environ["CLOUDFLARE_R2_SECRET_KEY"],
        "jurisdiction": "eu",  # only for a bucket in a jurisdiction
    }
    return CloudflareR2Provider(config | overrides)


# --8<-- [end:provider]


# --8<-- [start:stream]
async def chunks() -> AsyncIterator[bytes]:
    for number in range(40):
        yield bytes([number]) * MiB


async def put_a_long_stream(storage: CloudflareR2Provider) -> None:
    manager = TransferManager(storage, TransferConfig(part_size=16 * MiB))  # 10,000 parts: 156 GiB
    result = await manager.upload_stream(chunks(), "logs/today.bin")
    print(f"{result.size} bytes in {result.parts} parts")


# --8<-- [end:stream]


async def main() -> None:
    from bucketry.testing import embedded_s3  # noqa: PLC0415 - the page does not show it

    os.environ |= {
        "CLOUDFLARE_R2_ACCOUNT_ID": "0123456789abcdef0123456789abcdef",
        "CLOUDFLARE_R2_ACCESS_KEY": "example",
        "CLOUDFLARE_R2_SECRET_KEY": "example",
    }
    assert make_provider().locate("key") == "r2://my-bucket/key"
    with embedded_s3(bucket="my-bucket") as server:
        async with make_provider(endpoint_url=server.endpoint_url, jurisdiction=None) as storage:
            await put_a_long_stream(storage)
            assert await storage.get_file_size("logs/today.bin") == 40 * MiB


if __name__ == "__main__":
    asyncio.run(main())
