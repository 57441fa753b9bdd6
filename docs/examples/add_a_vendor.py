"""One more cloud that speaks S3: its row, its configuration, its class; run against the embedded server."""

from __future__ import annotations

import asyncio

# --8<-- [start:row]
from dataclasses import dataclass, field

from bucketry._core.capabilities import Capabilities
from bucketry._core.s3_config import S3FamilyConfig
from bucketry._vendors.row import Vendor
from bucketry.providers import S3FamilyProvider
from bucketry.testing import embedded_s3

VENDOR = Vendor(
    name="example",
    title="Example Cloud",
    scheme="example",
    capabilities=Capabilities(
        put_if_none_match=True,  # tested on the live service: the second of two writers was refused (2026-10)
        put_checksum="md5",
        multipart_checksum="md5",
        presign_methods=("GET", "PUT"),
    ),
    endpoint_template="https://s3.{region}.example.com",
    endpoint_host=r"s3\.(?P<region>[a-z0-9-]+)\.example\.com",
    regions=("north-1", "south-1"),
    sources={"limits": "https://example.com/docs/limits"},
)
# --8<-- [end:row]


# --8<-- [start:class]
@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleConfig(S3FamilyConfig):
    """Example Cloud."""

    provider = "example"
    credentials = ("access_key_id", "secret_access_key")
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("EXAMPLE_BUCKET",),
        "access_key_id": ("EXAMPLE_KEY_ID",),
        "secret_access_key": ("EXAMPLE_SECRET",),
        "region": ("EXAMPLE_REGION",),
    }

    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    region: str = "north-1"


class ExampleProvider(S3FamilyProvider):
    """An Example Cloud bucket; see `ExampleConfig`."""

    config_class = ExampleConfig
    vendor = VENDOR


# --8<-- [end:class]


async def main() -> None:
    ExampleProvider({"bucket_name": "my-bucket", "access_key_id": "a", "secret_access_key": "b"})
    with embedded_s3() as server:
        entries = {name: value for name, value in server.config.items() if name != "server"}
        async with ExampleProvider(entries) as storage:
            await storage.put("a.txt", b"It works.\n", if_none_match="*")
            print(storage.locate("a.txt"), await storage.get("a.txt"))


if __name__ == "__main__":
    asyncio.run(main())
