"""The embedded S3 server of `bucketry.testing`."""

from __future__ import annotations

from bucketry import S3Provider
from bucketry.testing import embedded_s3


async def test_each_server_begins_empty() -> None:
    """What one server kept is gone with it, also for the next one in the same process."""
    for _ in range(2):
        with embedded_s3("again") as server:
            provider = S3Provider(server.config)
            assert await provider.list_files() == []
            await provider.put("left", b"behind")
            await provider.disconnect()
