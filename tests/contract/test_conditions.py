"""Preconditions: enforced if the row promises it, else refused before any byte is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange
from bucketry.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnsupportedError,
)
from bucketry.providers import StorageProvider
from tests.contract.conftest import OpenFile, Sink, open_uploads
from tests.contract.writing import KEY, large_upload, put, stream, upload
from tests.contract.writing import Write as PublicWrite

pytestmark = pytest.mark.asyncio(loop_scope="session")

Write = Callable[[StorageProvider, str, bytes, WriteOptions], Awaitable[None]]
WRONG = '"0123456789abcdef0123456789abcdef"'


async def put_whole(provider: StorageProvider, key: str, data: bytes, options: WriteOptions) -> None:
    """Write in one request."""
    await provider.put_object(key, data, options)


async def put_in_parts(provider: StorageProvider, key: str, data: bytes, options: WriteOptions) -> None:
    """Write as a multipart upload, which is aborted if it cannot be completed."""
    upload = await provider.create_multipart(key, WriteOptions())
    try:
        part = await provider.put_part(upload, 1, data)
        await provider.complete_multipart(upload, [part], options)
    finally:
        await provider.abort_multipart(upload)


MOTO = pytest.mark.gap(moto="moto ignores If-Match of CompleteMultipartUpload; AWS does not")
WRITES = pytest.mark.parametrize(
    ("write", "row"),
    [
        pytest.param(put_whole, "put", id="put"),
        pytest.param(put_in_parts, "complete", id="parts", marks=pytest.mark.needs("multipart")),
    ],
)
SWAPS = pytest.mark.parametrize(
    ("write", "row"),
    [
        pytest.param(put_whole, "put", id="put"),
        pytest.param(
            put_in_parts,
            "complete",
            id="parts",
            marks=(MOTO, pytest.mark.needs("multipart")),
        ),
    ],
)
PUBLIC = pytest.mark.parametrize(
    ("write", "rows"),
    [
        pytest.param(put, ("put",), id="put"),
        pytest.param(upload, ("put",), id="upload"),
        pytest.param(stream, ("put", "complete"), id="stream"),
        pytest.param(large_upload, ("complete",), id="large upload"),
    ],
)
PUBLIC_SWAPS = pytest.mark.parametrize(
    ("write", "rows"),
    [
        pytest.param(put, ("put",), id="put"),
        pytest.param(upload, ("put",), id="upload"),
        pytest.param(stream, ("put", "complete"), id="stream", marks=MOTO),
        pytest.param(large_upload, ("complete",), id="large upload", marks=MOTO),
    ],
)
"""Methods that write, each with the requests whose conditions it needs: a stream needs both."""


def enforced(provider: StorageProvider, rows: tuple[str, ...], condition: str) -> bool:
    """Tell whether the row promises the condition for all these requests; without multipart uploads, for a put."""
    if not provider.capabilities.multipart:
        rows = ("put",)
    return all(getattr(provider.capabilities, f"{row}_{condition}") for row in rows)


@WRITES
async def test_create_only(provider: StorageProvider, write: Write, row: str) -> None:
    """`if_none_match="*"` creates, and never replaces; or is refused."""
    options = WriteOptions(if_none_match="*")
    if not getattr(provider.capabilities, f"{row}_if_none_match"):
        with pytest.raises(UnsupportedError):
            await write(provider, "key", b"first", options)
        assert await provider.list_files() == []
        return
    await write(provider, "key", b"first", options)
    with pytest.raises(AlreadyExistsError):
        await write(provider, "key", b"second", options)
    assert await provider.get("key") == b"first"
    assert await open_uploads(provider) == ()


@SWAPS
async def test_compare_and_swap(provider: StorageProvider, write: Write, row: str) -> None:
    """`if_match` replaces exactly the given version; or is refused."""
    first = await provider.put("key", b"first")
    if not getattr(provider.capabilities, f"{row}_if_match"):
        with pytest.raises(UnsupportedError):
            await write(provider, "key", b"second", WriteOptions(if_match=first.etag))
        assert await provider.get("key") == b"first"
        return
    with pytest.raises(PreconditionFailedError):
        await write(provider, "key", b"second", WriteOptions(if_match=WRONG))
    assert await provider.get("key") == b"first"
    await write(provider, "key", b"second", WriteOptions(if_match=first.etag))
    assert await provider.get("key") == b"second"
    with pytest.raises(PreconditionFailedError):
        await write(provider, "key", b"third", WriteOptions(if_match=first.etag))
    assert await provider.get("key") == b"second"


@SWAPS
async def test_compare_and_swap_of_nothing(provider: StorageProvider, write: Write, row: str) -> None:
    """`if_match` on a missing object fails, and creates nothing."""
    if not getattr(provider.capabilities, f"{row}_if_match"):
        pytest.skip("the row says no")
    with pytest.raises((PreconditionFailedError, NotFoundError)):
        await write(provider, "key", b"x", WriteOptions(if_match=WRONG))
    assert await provider.list_files() == []


async def test_put_if_match_of_a_missing_object(provider: StorageProvider) -> None:
    """`put` with `if_match` for a missing object is `PreconditionFailedError` everywhere, and creates nothing."""
    if not provider.capabilities.put_if_match:
        pytest.skip("the row says no")
    with pytest.raises(PreconditionFailedError):
        await provider.put("key", b"x", if_match=WRONG)
    assert await provider.list_files() == []


@WRITES
async def test_a_write_needs_an_etag(provider: StorageProvider, write: Write, row: str) -> None:
    """`if_match="*"` is refused for a write before anything is sent, and the error says what to give."""
    del row
    await provider.put("key", b"first")
    with pytest.raises(InvalidRequestError, match="etag"):
        await write(provider, "key", b"second", WriteOptions(if_match="*"))
    assert await provider.get("key") == b"first"
    assert await open_uploads(provider) == ()


@PUBLIC
async def test_public_writes_create_only(
    provider: StorageProvider, tmp_path: Path, write: PublicWrite, rows: tuple[str, ...]
) -> None:
    """`put` and `upload` enforce or refuse `if_none_match` as their requests do; the write token is not visible."""
    if not enforced(provider, rows, "if_none_match"):
        with pytest.raises(UnsupportedError, match="if_none_match"):
            await write(provider, tmp_path, if_none_match="*")
        assert await provider.list_files() == []
        return
    await write(provider, tmp_path, if_none_match="*", metadata={"a": "1"})
    first = await provider.head(KEY)
    assert first.metadata == {"a": "1"}
    assert (await provider.get_metadata(KEY))["metadata"] == {"a": "1"}
    with pytest.raises(AlreadyExistsError):
        await write(provider, tmp_path, if_none_match="*", metadata={"a": "2"})
    assert (await provider.head(KEY)).metadata == {"a": "1"}
    assert await open_uploads(provider) == ()


@PUBLIC_SWAPS
async def test_public_writes_replace_the_version_named(
    provider: StorageProvider, tmp_path: Path, write: PublicWrite, rows: tuple[str, ...]
) -> None:
    """`put` and `upload` enforce or refuse `if_match` as their requests do."""
    first = await provider.put(KEY, b"first")
    if not enforced(provider, rows, "if_match"):
        with pytest.raises(UnsupportedError, match="if_match"):
            await write(provider, tmp_path, if_match=first.etag)
        assert await provider.get(KEY) == b"first"
        return
    with pytest.raises(PreconditionFailedError):
        await write(provider, tmp_path, if_match=WRONG)
    assert await provider.get(KEY) == b"first"
    await write(provider, tmp_path, if_match=first.etag, metadata={"a": "1"})
    second = await provider.head(KEY)
    assert second.etag != first.etag
    assert second.metadata == {"a": "1"}
    with pytest.raises(PreconditionFailedError):
        await write(provider, tmp_path, if_match=first.etag)
    assert (await provider.head(KEY)).metadata == {"a": "1"}
    assert await open_uploads(provider) == ()


async def test_the_answer_to_a_put_does_not_show_the_write_token(provider: StorageProvider) -> None:
    """A conditional `put` returns the given metadata and no other."""
    if not provider.capabilities.put_if_none_match:
        pytest.skip("the row says no")
    info = await provider.put("key", b"1", if_none_match="*", metadata={"a": "1"})
    assert info.metadata == {"a": "1"}


async def test_one_of_many_creators_wins(provider: StorageProvider) -> None:
    """Of writers that race to create an object exactly one succeeds, and its bytes stay."""
    if not provider.capabilities.put_if_none_match:
        pytest.skip("the row says no")

    async def create(number: int) -> int | None:
        try:
            await provider.put_object("key", bytes([number]), WriteOptions(if_none_match="*"))
        except (AlreadyExistsError, PreconditionFailedError):
            return None
        return number

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(create(number)) for number in range(8)]
    winners = [task.result() for task in tasks if task.result() is not None]
    assert len(winners) == 1
    assert await provider.get("key") == bytes(winners)


@pytest.mark.parametrize("options", [{"if_none_match": '"etag"'}, {"if_none_match": "*", "if_match": WRONG}])
async def test_conditions_that_mean_nothing(provider: StorageProvider, options: dict[str, str]) -> None:
    """A write accepts `if_none_match` only as `"*"`, and only one condition."""
    with pytest.raises((InvalidRequestError, UnsupportedError)):
        await provider.put_object("key", b"x", WriteOptions(**options))
    assert await provider.list_files() == []


async def test_reads_with_conditions(provider: StorageProvider) -> None:
    """A read with `if_match` reads this version; a read with `if_none_match` reads any other version."""
    info = await provider.put("key", b"data")
    assert await provider.get("key", if_match=info.etag) == b"data"
    assert await provider.get("key", if_none_match=WRONG) == b"data"
    assert await provider.get_range("key", 1, 3, if_match=info.etag) == b"at"
    with pytest.raises(PreconditionFailedError):
        await provider.get("key", if_match=WRONG)
    with pytest.raises(PreconditionFailedError):
        await provider.get("key", if_none_match=info.etag)
    with pytest.raises(PreconditionFailedError):
        await provider.get_ranges("key", [(0, 2)], if_match=WRONG)


@pytest.mark.parametrize("needs_bytes", [True, False])
async def test_fetch_range_is_pinned(provider: StorageProvider, open_file: OpenFile, *, needs_bytes: bool) -> None:
    """After the object was replaced, a read pinned to the old version fails, and the file does not change."""
    old = await provider.put("key", b"old data")
    await provider.put("key", b"new data")
    sink = Sink(open_file(b"before"), 0, needs_bytes=needs_bytes)
    with pytest.raises(PreconditionFailedError):
        await provider.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(0, 4), if_match=old.etag))
    assert sink.position == 0


@pytest.mark.gap(moto="moto ignores x-amz-copy-source-if-match; AWS does not")
@pytest.mark.needs("copy")
async def test_a_copy_is_of_the_version_named(provider: StorageProvider) -> None:
    """A copy pinned to another version than the source's fails, if the row promises it."""
    info = await provider.put("source", b"data")
    await provider.copy_object("source", "copy", if_match=info.etag)
    assert await provider.get("copy") == b"data"
    if provider.capabilities.copy_source_if_match:
        with pytest.raises(PreconditionFailedError):
            await provider.copy_object("source", "other", if_match=WRONG)
        assert not await provider.exists("other")


async def test_versions_that_are_not_kept_are_refused(provider: StorageProvider) -> None:
    """A version id is refused, or not found, if there are no versions."""
    await provider.put("key", b"data")
    with pytest.raises(StorageError):
        await provider.get("key", version_id="no-such-version")


READS: dict[str, Callable[[StorageProvider, Any], Awaitable[object]]] = {
    "get": lambda p, etag: p.get("key", if_match=etag),
    "get another": lambda p, etag: p.get("key", if_none_match=etag),
    "range": lambda p, etag: p.get_range("key", 0, 2, if_match=etag),
    "empty range": lambda p, etag: p.get_range("key", 0, 0, if_match=etag),
    "ranges": lambda p, etag: p.get_ranges("key", [(0, 1)], if_match=etag),
    "fetch": lambda p, etag: p.fetch_range("key", Sink(-1, 0, needs_bytes=False), ReadOptions(if_match=etag)),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("etag", ["a\nb", "ä", "", 3], ids=repr)
async def test_a_malformed_etag_is_refused(provider: StorageProvider, read: str, etag: object) -> None:
    """A condition of a read that a header cannot carry is refused before anything is sent."""
    await provider.put("key", b"data")
    with pytest.raises(InvalidRequestError, match="cannot stand in a header"):
        await READS[read](provider, etag)
