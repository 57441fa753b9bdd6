"""One pool for several providers: one session, and one set of connections for each endpoint."""

from __future__ import annotations

# --8<-- [start:pool]
import asyncio

from bucketry import S3Provider, SessionPool
from bucketry.testing import embedded_s3


async def main() -> None:
    with embedded_s3() as server:
        async with SessionPool(max_connections=64) as pool:
            first = S3Provider(server.config, pool=pool)
            second = S3Provider(server.config, pool=pool)  # the same endpoint: the same connections
            await first.put("a.txt", b"It works.\n")
            print(await second.get("a.txt"))


asyncio.run(main())
# --8<-- [end:pool]
