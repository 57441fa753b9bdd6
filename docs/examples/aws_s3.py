"""AWS S3: the provider, a conditional write, a signed URL; run against the embedded server."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import os

from bucketry import S3Provider, storage_provider_from_env
from bucketry.errors import AlreadyExistsError


def make_provider(**entries: object) -> S3Provider:
    return S3Provider({"bucket_name": "my-bucket", "region": "eu-central-1", **entries})


# --8<-- [end:provider]


# --8<-- [start:profile]
def of_a_profile() -> S3Provider:
    return S3Provider({"bucket_name": "my-bucket", "region": "eu-central-1", "profile": "analytics"})


# --8<-- [end:profile]


# --8<-- [start:conditions]
async def create_once(storage: S3Provider) -> None:
    await storage.put("leases/job-7", b"worker 1", if_none_match="*")
    try:
        await storage.put("leases/job-7", b"worker 2", if_none_match="*")
    except AlreadyExistsError:
        print("worker 2: somebody was faster")


# --8<-- [end:conditions]


# --8<-- [start:presign]
async def share(storage: S3Provider) -> str:
    await storage.put("reports/2026.txt", b"for you", content_type="text/plain")
    return await storage.presign("reports/2026.txt", expires_in=600)


# --8<-- [end:presign]


# --8<-- [start:tags]
async def tag(storage: S3Provider) -> dict[str, str]:
    await storage.put("reports/2026.txt", b"for you", tags={"project": "atlas", "state": "draft"})
    await storage.put_tags("reports/2026.txt", {"project": "atlas", "state": "final"})
    return await storage.get_tags("reports/2026.txt")


# --8<-- [end:tags]


# --8<-- [start:versions]
async def keep_newest(storage: S3Provider, prefix: str) -> None:
    kept = ""
    async for version in storage.list_versions(prefix):  # the versions of one key come newest first
        if version.is_delete_marker and version.is_latest:
            continue  # the object was deleted, and stays so
        if not version.is_delete_marker and version.key != kept:
            kept = version.key  # the newest version that has bytes
            continue
        await storage.delete(version.key, version_id=version.version_id)


# --8<-- [end:versions]


# --8<-- [start:encryption]
def with_a_kms_key() -> S3Provider:
    return make_provider(server_side_encryption="aws:kms", kms_key_id="alias/datasets", bucket_key=True)


def with_a_key_of_your_own(key: bytes) -> S3Provider:  # 32 bytes
    return make_provider(sse_customer_key=key)


# --8<-- [end:encryption]


async def main() -> None:
    from bucketry.testing import embedded_s3  # noqa: PLC0415 - the page does not show it

    os.environ |= {"STORAGE_PROVIDER": "s3", "AWS_BUCKET_NAME": "my-bucket"}
    encrypting = (with_a_kms_key(), with_a_key_of_your_own(os.urandom(32)))
    for provider in (make_provider(), of_a_profile(), *encrypting, storage_provider_from_env()):
        assert provider.locate("key") == "s3://my-bucket/key"
    with embedded_s3(bucket="my-bucket", versioning=True) as server:
        async with make_provider(**server.config) as storage:
            await create_once(storage)
            url = await share(storage)
            assert await tag(storage) == {"project": "atlas", "state": "final"}
            await storage.put("reports/old.txt", b"first")
            await storage.put("reports/old.txt", b"second")
            await storage.delete("reports/old.txt")
            await keep_newest(storage, "reports/")
            old = [version async for version in storage.list_versions("reports/old.txt")]
            assert [version.is_delete_marker for version in old] == [True, False]
            assert await storage.get("reports/old.txt", version_id=old[1].version_id) == b"second"
            assert await storage.list_files() == ["leases/job-7", "reports/2026.txt"]
            print(url.partition("?")[0])


if __name__ == "__main__":
    asyncio.run(main())
