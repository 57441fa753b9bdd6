"""Backblaze B2: the provider by its endpoint, and deletes that hide; run against the embedded server."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import os

from bucketry import BackblazeProvider


def make_provider(**overrides: str | None) -> BackblazeProvider:
    config = {
        "bucket_name": "my-bucket",
        "endpoint_url": "s3.us-west-004.backblazeb2.com",  # as the bucket's page shows it
        "key_id": os.environ["BACKBLAZE_KEY_ID"],
        "application_key": os.environ["BACKBLAZE_APPLICATION_KEY"],
    }
    return BackblazeProvider(config | overrides)


# --8<-- [end:provider]


# --8<-- [start:hidden]
async def remove(storage: BackblazeProvider, key: str) -> None:
    await storage.delete(key)
    if storage.capabilities.soft_delete:
        print(f"{key} is hidden; its bytes stay billed until a lifecycle rule removes them")


# --8<-- [end:hidden]


async def main() -> None:
    from bucketry.testing import embedded_s3  # noqa: PLC0415 - the page does not show it

    os.environ |= {"BACKBLAZE_KEY_ID": "0040000000000000000000001", "BACKBLAZE_APPLICATION_KEY": "example"}
    assert make_provider().locate("key") == "b2://my-bucket/key"
    with embedded_s3(bucket="my-bucket") as server:
        async with make_provider(endpoint_url=server.endpoint_url, region="us-west-004") as storage:
            await storage.put("old/report.txt", b"of 2019")
            await remove(storage, "old/report.txt")
            assert not await storage.exists("old/report.txt")


if __name__ == "__main__":
    asyncio.run(main())
