"""Every way to write an object, and copies in parts: for tests of what is stored with the bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import pytest

from bucketry import Capabilities
from bucketry._core.options import WriteKeywords, WriteOptions
from bucketry.providers import StorageProvider
from bucketry.testing import FaultyProvider
from tests.contract.conftest import PART_SIZE

KEY = "dir/k"
Write = Callable[..., Awaitable[None]]


async def put(provider: StorageProvider, _: Path, **given: Unpack[WriteKeywords]) -> None:
    """Write bytes, in one request."""
    await provider.put(KEY, b"data", **given)


async def stream(provider: StorageProvider, _: Path, **given: Unpack[WriteKeywords]) -> None:
    """Write a stream of two parts."""

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(PART_SIZE)
        yield bytes(PART_SIZE)

    await provider.put(KEY, chunks(), **given)


async def upload(provider: StorageProvider, directory: Path, **given: Unpack[WriteKeywords]) -> None:
    """Write a small file, in one request."""
    (directory / "file").write_bytes(b"data")
    await provider.transfer.upload(directory / "file", KEY, **given)


async def large_upload(provider: StorageProvider, directory: Path, **given: Unpack[WriteKeywords]) -> None:
    """Write a large file."""
    (directory / "file").write_bytes(bytes(2 * PART_SIZE + 1))
    await provider.transfer.upload(directory / "file", KEY, **given)


async def _started_upload(provider: StorageProvider, _: Path, **given: Unpack[WriteKeywords]) -> None:
    async with await provider.start_upload(KEY, **given) as started:
        await started.put_part(1, b"data")
        await started.commit()


async def _requests(provider: StorageProvider, _: Path, **given: Unpack[WriteKeywords]) -> None:
    opened = await provider.create_multipart(KEY, WriteOptions(**given))  # type: ignore[arg-type]  # no value is None
    part = await provider.put_part(opened, 1, b"data")
    await provider.complete_multipart(opened, [part], WriteOptions())


EVERY_WRITE = pytest.mark.parametrize(
    "write",
    [
        pytest.param(put, id="put"),
        pytest.param(stream, id="stream"),
        pytest.param(upload, id="upload"),
        pytest.param(large_upload, id="large upload"),
        pytest.param(_started_upload, id="started upload", marks=pytest.mark.needs("multipart")),
        pytest.param(_requests, id="requests", marks=pytest.mark.needs("multipart")),
    ],
)
"""Each stores an object at `KEY` with the given keywords; `stream` and `large_upload` in parts, if there are parts."""


class SmallCopies(FaultyProvider):
    """Another provider that copies objects above one part size in parts, and counts its requests."""

    @property
    def capabilities(self) -> Capabilities:
        """The provider's row, with a smaller limit of one copy."""
        return replace(self.inner.capabilities, max_copy_size=PART_SIZE)


BOTH_SIZES = pytest.mark.parametrize(
    "size",
    [
        pytest.param(10, id="one request"),
        pytest.param(
            PART_SIZE + 10,
            id="parts",
            marks=(
                pytest.mark.needs("multipart"),
                pytest.mark.gap(rclone="rclone takes UploadPartCopy for an UploadPart without bytes"),
            ),
        ),
    ],
)
"""Sizes of an object that `SmallCopies` copies in one request, and in parts."""
