"""Your own server: by URL, by variables, by a mapping; run against an S3 server on this machine."""

from __future__ import annotations

# --8<-- [start:url]
import asyncio
import os

from bucketry import S3Provider, open_storage, storage_provider_from_env


async def back_up(url: str) -> list[str]:
    async with open_storage(url) as storage:
        await storage.put("2026/notes.txt", b"It works.\n")
        return await storage.list_files()


# --8<-- [end:url]


# --8<-- [start:mapping]
def make_provider(endpoint_url: str) -> S3Provider:
    return S3Provider(
        {
            "bucket_name": "my-bucket",
            "endpoint_url": endpoint_url,  # such as http://minio:9000
            "allow_http": True,  # needed for http://; only in a network that you trust
            "region": "us-east-1",  # as the server is configured; "garage" for Garage
            "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        }
    )


# --8<-- [end:mapping]


async def main() -> None:
    from bucketry.testing import embedded_s3  # noqa: PLC0415 - the page does not show it

    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    with embedded_s3(bucket="my-bucket") as server:
        url = f"s3://my-bucket/backups?endpoint_url={server.endpoint_url}&allow_http=true"
        assert await back_up(url) == ["2026/notes.txt"]
        async with make_provider(server.endpoint_url) as storage:
            assert await storage.list_files() == ["backups/2026/notes.txt"]
        os.environ |= {
            "STORAGE_PROVIDER": "s3",
            "AWS_BUCKET_NAME": "my-bucket",
            "BUCKETRY_ENDPOINT_URL": server.endpoint_url,
            "BUCKETRY_SERVER": "aws",
        }
        async with storage_provider_from_env() as storage:
            print(await storage.get("backups/2026/notes.txt"), storage.capabilities.conditional_put)


if __name__ == "__main__":
    asyncio.run(main())
