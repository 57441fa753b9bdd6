"""A provider class of your own, for your company's server; run against the embedded server."""

from __future__ import annotations

# --8<-- [start:house]
import asyncio
import pickle
from collections.abc import Mapping
from typing import Any

from bucketry import IStorageProvider, S3Provider, SessionPool, StorageProviderFactory, TransferConfig
from bucketry.testing import embedded_s3

DEFAULTS = {"endpoint_url": "https://objects.house.example", "server": "aws"}


class HouseProvider(S3Provider):
    """The company's own S3 server: its endpoint is known, and tests have shown that it does what AWS does."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> None:
        if isinstance(config, Mapping):  # an unpickled copy gets a checked configuration instead
            config = DEFAULTS | dict(config)
        super().__init__(config, pool=pool, transfer=transfer)


# --8<-- [end:house]


# --8<-- [start:register]
def make_one(**entries: str) -> IStorageProvider:
    StorageProviderFactory.register("house", HouseProvider)
    return StorageProviderFactory.create({"provider_type": "house", **entries})


# --8<-- [end:register]


async def main() -> None:
    with embedded_s3() as server:
        house = make_one(**server.config)
        async with pickle.loads(pickle.dumps(house)) as storage:  # noqa: S301 - our own bytes
            await storage.put("a.txt", b"It works.\n", if_none_match="*")
            print(storage, await storage.list_files())


if __name__ == "__main__":
    asyncio.run(main())
