"""Encryption by configuration, on moto: the server confirms the requested encryption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bucketry._core.options import WriteOptions
from tests.contract.conftest import PART_SIZE
from tests.contract.servers import S3Server
from tests.contract.writing import SmallCopies

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make = Callable[..., Any]
KEY = bytes(range(32))


async def fill(provider: Any, directory: Path) -> bytes:
    """Make four objects with the same bytes, by four methods, and give the bytes."""
    data = bytes(range(256)) * (2 * PART_SIZE // 256) + b"and a bit"
    (directory / "file").write_bytes(data)
    await provider.put("put", data)
    await provider.upload(directory / "file", "parts")
    await provider.copy("put", "copied")
    upload = await provider.create_multipart("own", WriteOptions())
    part = await provider.put_part(upload, 1, data)
    await provider.complete_multipart(upload, [part], WriteOptions())
    return data


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"server_side_encryption": "AES256"}, ("AES256", None, None)),
        (
            {"server_side_encryption": "aws:kms", "kms_key_id": "alias/mine", "bucket_key": True},
            ("aws:kms", "alias/mine", True),
        ),
        ({}, (None, None, None)),
    ],
    ids=["AES256", "aws:kms", "none"],
)
async def test_every_object_is_encrypted_as_configured(
    on_moto: Make, moto: S3Server, tmp_path: Path, entries: dict[str, Any], said: tuple[Any, ...]
) -> None:
    """A put, an upload in parts, and a copy (in one request or in parts) all request the encryption."""
    async with on_moto(**entries) as provider:
        data = await fill(SmallCopies(provider), tmp_path)
        bucket = provider.locate().split("/")[2]
        for key in ("put", "parts", "copied", "own"):
            head = moto.client.head_object(Bucket=bucket, Key=key)
            assert (head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")) == said[:2], key
            assert key != "put" or head.get("BucketKeyEnabled") == said[2]  # moto stores it only for a single put
            assert await provider.get(key) == data


async def test_transfers_with_a_customers_key(on_moto: Make, tmp_path: Path) -> None:
    """Every kind of write and read works with encryption, and downloads are verified by the stored checksum."""
    async with on_moto(sse_customer_key=KEY) as provider:
        data = await fill(SmallCopies(provider), tmp_path)
        for key in ("put", "parts", "copied", "own"):
            assert await provider.get(key) == data
        result = await provider.download("parts", tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == data
        assert result.verified == "crc32"
        assert await provider.get_ranges("put", [(0, 5), (100, 300)]) == [data[:5], data[100:300]]
        async with provider.stream("put") as chunks:
            assert b"".join([chunk async for chunk in chunks]) == data
