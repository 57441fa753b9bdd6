"""Providers of your own: a class for a server of the house, and a row for one more cloud."""

from __future__ import annotations

# --8<-- [start:house]
import asyncio
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bucketry import S3Provider, SessionPool, StorageProviderFactory, TransferConfig
from bucketry.testing import embedded_s3

DEFAULTS = {"endpoint_url": "https://objects.house.example", "server": "aws"}


class HouseProvider(S3Provider):
    """The S3 server of the house: the endpoint is known, and it has been found to do as AWS does."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> None:
        if isinstance(config, Mapping):  # a copy made by pickle brings the checked configuration
            config = DEFAULTS | dict(config)
        super().__init__(config, pool=pool, transfer=transfer)


# --8<-- [end:house]


# --8<-- [start:register]
def make_one(**entries: str) -> S3Provider:
    StorageProviderFactory.register("house", HouseProvider)
    return StorageProviderFactory.create({"provider_type": "house", **entries})


# --8<-- [end:register]


# --8<-- [start:row]
from bucketry._core.capabilities import Capabilities
from bucketry._vendors.row import Vendor

VENDOR = Vendor(
    name="example",
    title="Example Cloud",
    scheme="example",
    capabilities=Capabilities(
        put_if_none_match=True,  # a live test saw the second of two writers refused (2026-10)
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
from bucketry._core.config import S3FamilyConfig
from bucketry.providers.s3 import _S3Family


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleConfig(S3FamilyConfig):
    """Example Cloud."""

    provider = "example"
    environment = {  # noqa: RUF012 - a ClassVar of the base
        "bucket_name": ("EXAMPLE_BUCKET",),
        "access_key_id": ("EXAMPLE_KEY_ID",),
        "secret_access_key": ("EXAMPLE_SECRET",),
        "region": ("EXAMPLE_REGION",),
    }

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    region: str = "north-1"


class ExampleProvider(_S3Family):
    """An Example Cloud bucket; see `ExampleConfig`."""

    config_class = ExampleConfig
    vendor = VENDOR


# --8<-- [end:class]


async def main() -> None:
    with embedded_s3() as server:
        house = make_one(**server.config)
        async with pickle.loads(pickle.dumps(house)) as storage:  # noqa: S301 - our own bytes
            await storage.put("a.txt", b"It works.\n", if_none_match="*")
            assert await storage.list_files() == ["a.txt"]
        entries = {name: value for name, value in server.config.items() if name != "server"}
        async with ExampleProvider(entries) as storage:
            print(storage.locate("a.txt"), await storage.get("a.txt"))


if __name__ == "__main__":
    asyncio.run(main())
