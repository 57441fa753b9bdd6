"""Providers that break the contract: no wrong bytes are returned, and no call runs for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, TransferConfig, TransferManager
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.requests import BodyReader
from bucketry._core.units import MiB
from bucketry._core.values import MultipartUpload, ObjectInfo, Part, VersionPage
from bucketry._transfer.workers import fan_out_each
from bucketry.errors import (
    AccessDeniedError,
    ChecksumMismatchError,
    IncompleteBodyError,
    IntegrityError,
    InvalidKeyError,
    InvalidRequestError,
    PreconditionFailedError,
    TransientError,
    UnsupportedError,
)
from bucketry.providers import PrefixedProvider
from tests.transfer.doubles import PART

FAST = TransferConfig(retry_delay=0)


class Body:
    """A body with given bytes, which may be incomplete; it compares no checksum."""

    verified = None

    def __init__(self, info: ObjectInfo, data: bytes, *, breaks: bool = False) -> None:
        self.info = info
        self._data = data
        self._breaks = breaks

    async def read(self) -> bytes:
        """Give all bytes, or raise `IncompleteBodyError`."""
        if self._breaks:
            message = "it broke"
            raise IncompleteBodyError(message)
        return self._data

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give all bytes, and perhaps raise `IncompleteBodyError`."""
        yield self._data
        if self._breaks:
            message = "it broke"
            raise IncompleteBodyError(message)


class Damaging(MemoryProvider):
    """A memory whose first bodies are incomplete and have wrong bytes."""

    def __init__(self, times: int) -> None:
        super().__init__(transfer=FAST)
        self.times = times

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Open the body."""
        async with super().open_body(key, options) as body:
            if options.byte_range is None and self.times:
                self.times -= 1
                yield Body(body.info, b"?" * (MiB // 2), breaks=True)
            else:
                yield body


@pytest.mark.parametrize("size", [MiB, 3 * MiB])
async def test_a_resumed_body_is_compared_too(size: int) -> None:
    """The bytes of a resumed read are compared with the stored checksum: one wrong read is repeated, two fail."""
    provider = Damaging(1)
    await provider.put("k", b"x" * size)
    assert await provider.get("k") == b"x" * size
    provider.times = 2
    with pytest.raises(ChecksumMismatchError):
        await provider.get("k")


class Careless(MemoryProvider):
    """A memory that ignores the conditions of reads, and may replace an object between two ranges."""

    replaced_by = b""

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Open the current version."""
        async with super().open_body(key, replace(options, if_match=None, if_none_match=None)) as body:
            yield body

    async def fetch_range(self, key: str, sink: Any, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Fetch from the current version."""
        found = await super().fetch_range(key, sink, replace(options, if_match=None))
        if self.replaced_by:
            await self.put(key, self.replaced_by)
        return found


async def test_a_condition_that_a_provider_ignores_is_checked_here(tmp_path: Path) -> None:
    """Conditional reads, and the ranges of one download, never give another version than requested."""
    provider = Careless()
    old = await provider.put("k", b"1" * 3 * PART)
    with pytest.raises(PreconditionFailedError):
        await provider.get("k", if_match='"other"')
    with pytest.raises(PreconditionFailedError):
        await provider.get("k", if_none_match=old.etag)
    provider.replaced_by = b"2" * 3 * PART
    config = TransferConfig(part_size=PART, multipart_threshold=PART, max_concurrency=1)
    with pytest.raises(PreconditionFailedError):
        await TransferManager(provider, config).download("k", tmp_path / "t")
    assert not (tmp_path / "t").exists()


class Short(MemoryProvider):
    """A memory that leaves out the last byte of every body."""

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Open the body."""
        async with super().open_body(key, options) as body:
            yield Body(body.info, (await body.read())[:-1])


@pytest.mark.parametrize("size", [10, 2 * MiB])
async def test_a_body_that_is_too_short_is_refused(size: int) -> None:
    """A body with fewer bytes than the object or the range is an error."""
    provider = Short()
    await provider.put("k", b"x" * size)
    with pytest.raises(IntegrityError):
        await provider.get("k")
    with pytest.raises(IntegrityError):
        await provider.get_ranges("k", [(0, 5)])
    async with provider.stream("k") as chunks:
        with pytest.raises(IntegrityError):
            async for _ in chunks:
                pass


@pytest.mark.parametrize("size", [10, 4 * MiB])
async def test_a_stream_is_read_once(size: int) -> None:
    """A second iteration is refused, because its result would depend on the provider."""
    provider = MemoryProvider()
    await provider.put("k", b"x" * size)
    async with provider.stream("k") as chunks:
        async for _ in chunks:
            break
        with pytest.raises(InvalidRequestError, match="was read already"):
            async for _ in chunks:
                pass


class Circling(MemoryProvider):
    """A memory whose listings repeat their first page."""

    def __init__(self) -> None:
        super().__init__()
        self._vendor = replace(self._vendor, capabilities=replace(self._vendor.capabilities, versions=True))

    async def list_versions_page(self, prefix: str = "", *, token: str | None = None) -> VersionPage:
        """Give an empty page with a token for the next page."""
        return VersionPage((), "more")

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        """Ignore `after`."""
        return await super().list_parts(upload)


async def test_a_listing_in_a_circle_ends() -> None:
    """If a server ignores the markers of a listing, the listing is an error, not an endless loop."""
    provider = Circling()
    with pytest.raises(TransientError, match="never ends"):
        [found async for found in provider.list_versions()]
    upload = await provider.start_upload("k")
    await upload.put_part(1, b"x")
    with pytest.raises(TransientError, match="never ends"):
        [found async for found in upload.list_parts()]


class Unruly(MemoryProvider):
    """A memory that refuses parts, and whose abort raises an error that is not a `StorageError`."""

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Any) -> Part:
        """Refuse."""
        message = "you may not"
        raise AccessDeniedError(message)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """Fail."""
        raise ZeroDivisionError


async def test_a_failed_abort_does_not_replace_the_first_error() -> None:
    """The caller gets the upload's error, not that of the abort."""
    config = TransferConfig(part_size=PART, multipart_threshold=PART)

    async def chunks() -> AsyncGenerator[bytes, None]:
        for _ in range(3):
            yield b"x" * PART

    with pytest.raises(AccessDeniedError):
        await TransferManager(Unruly(), config).upload_stream(chunks(), "k")


async def test_an_empty_key_below_a_prefix_is_no_object() -> None:
    """An object whose key is the prefix itself is neither listed nor deleted by a prefixed provider."""
    inner = MemoryProvider()
    for key in ("p/", "p/a"):
        await inner.put(key, b"x")
    below = PrefixedProvider(inner, "p/")
    assert await below.list_files() == ["a"]
    result = await below.delete_many(["", "a"])
    assert result.succeeded == ("a",)
    assert isinstance(result.failed[""], InvalidKeyError)
    assert await inner.list_files() == ["p/"]


async def test_wrong_arguments_are_errors_of_ours() -> None:
    """Keys and ids of the wrong type are refused, and the error names them."""
    provider = MemoryProvider()
    with pytest.raises(InvalidKeyError):
        await provider.put(5, b"x", metadata={"a": "b"})  # type: ignore[arg-type]
    for wrong in ("", None):
        with pytest.raises(InvalidRequestError, match="upload_id"):
            await provider.adopt_upload("k", wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidKeyError):
        [found async for found in provider.transfer.get_many([None, "k"])]  # type: ignore[list-item]


class Noting(MemoryProvider):
    """A memory that records whether reads request a checksum comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bool] = []

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Record `verify`, and open the body."""
        self.asked.append(options.verify)
        async with super().open_body(key, options) as body:
            yield body


@pytest.mark.parametrize("size", [10, 2 * MiB])
async def test_without_verification_no_transfer_asks_for_it(size: int) -> None:
    """`TransferConfig(verify=False)` also holds for `get_many` and `copy_to`."""
    provider = Noting()
    await provider.put("k", b"x" * size)
    manager = TransferManager(provider, TransferConfig(verify=False))
    async with aclosing(manager.get_many(["k"])) as found:
        assert [len(data) async for _, data in found] == [size]
    await manager.copy_to(MemoryProvider(), "k", "k")
    assert provider.asked
    assert not any(provider.asked)


async def test_tags_are_refused_by_every_request() -> None:
    """If the row does not promise tags, every single request refuses them."""
    provider = MemoryProvider()
    provider._vendor = replace(provider._vendor, capabilities=replace(provider.capabilities, tags=False))
    options = WriteOptions(tags={"a": "b"})
    await provider.put("k", b"x")
    for request in (
        provider.put_object("k", b"x", options),
        provider.create_multipart("k", options),
        provider.copy_object("k", "other", options=options),
    ):
        with pytest.raises(UnsupportedError, match=r"capabilities\.tags is False"):
            await request


async def test_results_before_an_error_are_given() -> None:
    """Results that were ready before an error are given before it is raised."""
    together = asyncio.Event()

    async def act(number: int) -> int:
        if number == 3:
            await together.wait()
            raise ZeroDivisionError
        return number

    found: list[int] = []

    async def consume() -> None:
        async for number in fan_out_each(range(4), act, width=4):
            found.append(number)
            if len(found) == 3:
                together.set()

    with pytest.raises(ZeroDivisionError):
        await consume()
    assert sorted(found) == [0, 1, 2]
