"""Multipart uploads that memory and disk refuse, as the clouds do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._core.options import WriteOptions
from bucketry._core.values import MultipartUpload, Part
from bucketry.errors import InvalidRequestError
from bucketry.providers import StorageProvider


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StorageProvider:
    """Give each of the package's own stores."""
    return MemoryProvider() if request.param == "memory" else LocalProvider({"base_path": tmp_path})


@pytest.fixture
async def upload(store: StorageProvider) -> MultipartUpload:
    """Open an upload."""
    return await store.create_multipart("key", WriteOptions())


@pytest.mark.parametrize("number", [0, -1, 10_001])
async def test_part_numbers_have_limits(store: StorageProvider, upload: MultipartUpload, number: int) -> None:
    """A part number outside 1 to the limit is refused."""
    with pytest.raises(InvalidRequestError, match=str(number)):
        await store.put_part(upload, number, b"x")


async def test_no_parts_are_no_object(store: StorageProvider, upload: MultipartUpload) -> None:
    """An upload without parts cannot be completed, and publishes nothing."""
    with pytest.raises(InvalidRequestError, match="at least one part"):
        await store.complete_multipart(upload, [], WriteOptions())
    assert not await store.exists("key")


async def test_a_number_names_one_part(store: StorageProvider, upload: MultipartUpload) -> None:
    """Naming a part twice is refused."""
    part = await store.put_part(upload, 1, b"x")
    with pytest.raises(InvalidRequestError, match="twice"):
        await store.complete_multipart(upload, [part, part], WriteOptions())


async def test_another_etag_is_another_part(store: StorageProvider, upload: MultipartUpload) -> None:
    """Completing with a part that was replaced meanwhile is refused."""
    part = await store.put_part(upload, 1, b"x")
    other = Part(part_number=1, size=1, etag='"other"', checksum=part.checksum)
    with pytest.raises(InvalidRequestError):
        await store.complete_multipart(upload, [other], WriteOptions())
    assert not await store.exists("key")
