"""Copies from one provider to another: on the server between buckets of one endpoint, else through memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from bucketry import SessionPool, TransferManager
from bucketry._core.config import TransferConfig
from bucketry._core.options import WriteKeywords, WriteOptions
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, Progress
from bucketry._providers.wrapped import WrappedRequests
from bucketry.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)
from bucketry.providers import MemoryProvider, PrefixedProvider, S3Provider
from tests.contract.servers import S3Server

T = TypeVar("T")
CONFIG = TransferConfig(part_size=5 * MiB, multipart_threshold=10 * MiB)
TRANSPORTS = ("auto", "aiobotocore")


class Counting(WrappedRequests):
    """Counts the requests of a provider."""

    def __init__(self, inner: Any, prefix: str = "") -> None:
        super().__init__(inner, prefix)
        self.calls: Counter[str] = Counter()

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Count one request."""
        self.calls[operation] += 1
        return await request()


def two(moto: S3Server, pool: SessionPool, transport: str, **second: Any) -> tuple[S3Provider, S3Provider]:
    """Return the providers of two new buckets of one server."""
    one, other = moto.new_bucket(), moto.new_bucket() | second
    return (
        S3Provider(one | {"transport": transport}, pool=pool, transfer=CONFIG),
        S3Provider(other | {"transport": transport}, pool=pool, transfer=CONFIG),
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_server_copies_between_its_buckets(moto: S3Server, pool: SessionPool, transport: str) -> None:
    """No byte comes to this machine, and the copy has the source's metadata, headers and prefix."""
    source, destination = two(moto, pool, transport)
    await source.put("dir/a", b"abc", metadata={"owner": "me"}, cache_control="no-cache")
    below = PrefixedProvider(source, "dir/")
    reads, writes = Counting(below), Counting(destination, "copies/")
    result = await TransferManager(reads).copy_to(writes, "a", "b")
    made = await destination.head("copies/b")
    assert (result.size, made.metadata, made.cache_control) == (3, {"owner": "me"}, "no-cache")
    assert await destination.get("copies/b") == b"abc"
    assert (reads.calls, writes.calls) == ({"head": 1}, {"copy_object_from": 1})


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_parts_are_copied_between_buckets(moto: S3Server, pool: SessionPool, transport: str) -> None:
    """A part of an upload can be a range of an object in another bucket."""
    source, destination = two(moto, pool, transport)
    data = os.urandom(11 * MiB)
    etag = (await source.put("a", data)).etag
    upload = await destination.create_multipart("b", WriteOptions(part_checksums=False))
    origin = source.copy_source("a")
    parts = [
        await destination.copy_part_from(upload, number, origin, byte_range, if_match=etag)
        for number, byte_range in enumerate((ByteRange(0, 6 * MiB), ByteRange(6 * MiB, 11 * MiB)), start=1)
    ]
    await destination.complete_multipart(upload, parts, WriteOptions(part_checksums=False))
    assert await destination.get("b") == data


async def test_a_missing_source_is_named(moto: S3Server, pool: SessionPool) -> None:
    """The error of a copy whose source is gone names the source's bucket, not the destination's."""
    source, destination = two(moto, pool, "auto")
    with pytest.raises(NotFoundError) as failed:
        await destination.copy_object_from(source.copy_source("missing"), "b")
    assert failed.value.key == "missing"
    assert source.locate("missing") in str(failed.value)


@pytest.mark.parametrize("second", [{"access_key_id": "other-access-key"}, {"server": "generic"}, {"max_attempts": 7}])
async def test_another_account_gets_the_bytes_through_memory(
    moto: S3Server, pool: SessionPool, second: dict[str, Any]
) -> None:
    """With other credentials, or another row or options, the server is not asked to copy."""
    source, other = two(moto, pool, "auto", **second)
    await source.put("a", b"abc")
    counting = Counting(other)
    await source.transfer.copy_to(counting, "a", "b")
    assert await other.get("b") == b"abc"
    assert counting.calls == {"put_object": 1}


async def test_a_listed_object_is_copied_in_two_requests() -> None:
    """A listed small object costs one GET, one PUT and the request for its tags; its metadata comes with the GET."""
    source, destination = MemoryProvider(), MemoryProvider()
    await source.put("a", b"abc", metadata={"owner": "me"})
    (listed,) = [entry async for entry in source.list()]
    reads, writes = Counting(source), Counting(destination)
    await TransferManager(reads).copy_to(writes, "a", "b", listed=listed, metadata={"mtime": "1.5"})
    assert (reads.calls, writes.calls) == ({"open_body": 1, "get_tags": 1}, {"put_object": 1})
    assert (await destination.head("b")).metadata == {"owner": "me", "mtime": "1.5"}


@pytest.mark.parametrize("size", [3, 11 * MiB])
async def test_only_the_listed_version_is_copied(size: int) -> None:
    """An object that was replaced since it was listed is not copied."""
    source, destination = MemoryProvider(transfer=CONFIG), MemoryProvider()
    await source.put("a", b"x" * size)
    (listed,) = [entry async for entry in source.list()]
    await source.put("a", b"y" * size)
    with pytest.raises(PreconditionFailedError):
        await source.transfer.copy_to(destination, "a", "b", listed=listed)
    assert await destination.list_files() == []


@pytest.mark.parametrize("size", [3, 11 * MiB])
async def test_the_destination_is_protected(size: int) -> None:
    """A condition on the destination holds for copies of any size."""
    source, destination = MemoryProvider(transfer=CONFIG), MemoryProvider()
    await source.put("a", b"x" * size)
    old = await destination.put("b", b"old")
    with pytest.raises(AlreadyExistsError):
        await source.transfer.copy_to(destination, "a", "b", if_none_match="*")
    with pytest.raises(PreconditionFailedError):
        await source.transfer.copy_to(destination, "a", "b", if_match='"other"')
    assert await destination.get("b") == b"old"
    await source.transfer.copy_to(destination, "a", "b", if_match=old.etag)
    assert (await destination.head("b")).size == size


CHANGES: WriteKeywords = {
    "metadata": {"stage": "done"},
    "cache_control": "no-store",
    "storage_class": "STANDARD_IA",
    "content_type": "text/csv",
}
CHANGED = ({"owner": "me", "stage": "done"}, "no-store", "STANDARD_IA", "text/csv", "de", {"t": "1"})


async def _properties(provider: Any, key: str) -> tuple[object, ...]:
    made = await provider.head(key)
    tags = await provider.get_tags(key)
    return (made.metadata, made.cache_control, made.storage_class, made.content_type, made.content_language, tags)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_server_changes_properties_of_the_copy(moto: S3Server, pool: SessionPool, transport: str) -> None:
    """Changed properties need no bytes: within a bucket and between buckets, the server makes the copy."""
    source, destination = two(moto, pool, transport)
    await source.put("a", b"abc", metadata={"owner": "me"}, content_language="de", tags={"t": "1"})
    reads, writes = Counting(source), Counting(destination)
    await TransferManager(reads).copy_to(writes, "a", "b", **CHANGES)
    assert (reads.calls, writes.calls) == ({"head": 1}, {"copy_object_from": 1})
    await source.transfer.copy_to(source, "a", "b", **CHANGES)
    assert await _properties(source, "b") == await _properties(destination, "b") == CHANGED
    with pytest.raises(UnsupportedError, match="no condition on its destination"):
        await destination.copy_object_from(source.copy_source("a"), "c", options=WriteOptions(if_none_match="*"))


async def test_an_object_is_not_copied_onto_itself_unless_it_changes() -> None:
    """The same key as source and destination is refused; with changes, the object gets new properties."""
    provider = MemoryProvider()
    await provider.put("a", b"abc", metadata={"owner": "me"}, content_language="de", tags={"t": "1"})
    (listed,) = [entry async for entry in provider.list()]
    for entry in (None, listed):
        with pytest.raises(InvalidRequestError, match="the same key"):
            await provider.transfer.copy_to(provider, "a", "a", listed=entry)
    await provider.transfer.copy_to(provider, "a", "a", **CHANGES)
    assert await _properties(provider, "a") == CHANGED


@pytest.mark.parametrize("size", [3, 11 * MiB])
async def test_a_copy_through_memory_has_the_changes(size: int) -> None:
    """A copy of any size through memory has the changed properties, and the others of its source."""
    source, destination = MemoryProvider(transfer=CONFIG), MemoryProvider()
    await source.put("a", bytes(size), metadata={"owner": "me"}, content_language="de", tags={"t": "1"})
    await source.transfer.copy_to(destination, "a", "b", **CHANGES)
    assert await _properties(destination, "b") == CHANGED


@pytest.mark.parametrize("way", ["on the server", "through memory"])
@pytest.mark.parametrize("size", [0, 3, 11 * MiB])
async def test_progress_of_a_copy(way: str, size: int) -> None:
    """The reports of a copy begin at zero, and their increments add up to the object's size."""
    source = MemoryProvider(transfer=CONFIG)
    destination = source if way == "on the server" else MemoryProvider()
    await source.put("a", bytes(size))
    reports: list[Progress] = []
    await source.transfer.copy_to(destination, "a", "b", progress=reports.append)
    assert (reports[0].transferred, reports[0].total, reports[0].key) == (0, size, "b")
    assert sum(report.increment for report in reports) == reports[-1].transferred == size
