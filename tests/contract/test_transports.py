"""Both transports of the S3 family give the same values and the same errors, on each server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
import pytest_asyncio

from bucketry import S3Provider, SessionPool
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, MultipartUpload, ObjectInfo
from bucketry.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    AuthenticationError,
    BucketNotFoundError,
    InvalidRangeError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UploadNotFoundError,
)
from tests.contract.conftest import OpenFile, Sink

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRANSPORTS = ("auto", "aiobotocore")
DATA = bytes(range(256)) * 8
WRONG = '"0123456789abcdef0123456789abcdef"'
LATER = ("last_modified",)  # after a write, it is the time of the answer, which differs
HOSTILE = (
    "a//b",
    "a/./b",
    "dir/",
    "ä+ %2F?#",
    "%2e%2e",
    "a%00b",
    "tab\tend",
    "a&amp;b<c>\"d'",
    "e\u0301 is not é",
    "k?versionId=1&x",
    " padded ",
    "nul\x01",
)
# rclone's server stores objects as files: with these keys it hangs, or changes them.
NO_FILES = ("../up", "a/../b", "..", ".", "/lead", "//lead", "a//b", "a/./b", "dir/")

Transports: TypeAlias = tuple[S3Provider, S3Provider]


class TransportPair(NamedTuple):
    """One bucket, with a provider for each transport."""

    server: str
    config: dict[str, Any]
    both: Transports
    make: Callable[..., Transports]


@pytest_asyncio.fixture(params=["moto", "rclone"], loop_scope="session")
async def pair(request: pytest.FixtureRequest, pool: SessionPool) -> AsyncIterator[TransportPair]:
    """Give an empty bucket of each server, with a provider for each transport."""
    config = request.getfixturevalue(request.param).new_bucket()

    def make(**other: Any) -> Transports:
        one, two = (S3Provider(config | other | {"transport": transport}, pool=pool) for transport in TRANSPORTS)
        return one, two

    yield TransportPair(request.param, config, make(), make)


def facts(info: ObjectInfo, *without: str) -> dict[str, Any]:
    """Give all properties of an object in an answer."""
    found = {name: getattr(info, name) for name in info.__slots__ if name not in without}
    return found | {"metadata": dict(info.metadata), "checksums": dict(info.checksums)}


async def error_of(request: Awaitable[object]) -> StorageError:
    """Give the error that a request ends with."""
    try:
        found = await request
    except StorageError as error:
        return error
    pytest.fail(f"no error but {found!r}")


def said(error: StorageError) -> tuple[Any, ...]:
    """Give the values that must be the same for both transports."""
    return type(error), error.code, error.status, error.operation, error.key, error.bucket, error.provider


async def same_error(both: Transports, request: Callable[[S3Provider], Awaitable[object]]) -> StorageError:
    """Make a request with both transports, check that the errors are the same, and give one."""
    first, second = [await error_of(request(provider)) for provider in both]
    assert said(first) == said(second), (first, second)
    return first


async def test_the_object_is_the_same(pair: TransportPair) -> None:
    """An object written by either transport is read the same by both, with head, get and list."""
    options = WriteOptions(metadata={"run": "7", "empty": ""}, content_type="text/csv")
    writes = [await provider.put_object("key", DATA, options) for provider in pair.both]
    assert facts(writes[0], *LATER) == facts(writes[1], *LATER)
    for writer in pair.both:
        await writer.put_object("key", DATA, options)
        found: list[dict[str, Any]] = []
        listed: list[dict[str, Any]] = []
        for reader in pair.both:
            found.append(facts(await reader.head("key")))
            async with reader.open_body("key") as body:
                assert await body.read() == DATA
                found.append(facts(body.info))
            async with reader.open_body("key", ReadOptions(byte_range=ByteRange(5, 10))) as body:
                assert await body.read() == DATA[5:10]
                # A checksum is only requested if it can be compared: with a whole body.
                found.append(facts(body.info) | {"checksums": found[0]["checksums"]})
            (entry,) = (await reader.list_page()).entries
            assert isinstance(entry, ObjectInfo)
            listed.append(facts(entry))
        assert all(one == found[0] for one in found)
        assert found[0]["metadata"] == {"run": "7", "empty": ""}
        assert listed[0] == listed[1]
        etag = found[0]["etag"].strip('"')  # rclone lists it without its quotes
        assert (listed[0]["key"], listed[0]["size"], listed[0]["etag"].strip('"')) == ("key", len(DATA), etag)


async def test_parts_are_the_same(pair: TransportPair, open_file: OpenFile) -> None:
    """An upload begun by one transport is continued and completed by the other, from memory and from a file."""
    part = os.urandom(max(pair.both[0].capabilities.min_part_size, 1000))
    fd = open_file(part)
    options = WriteOptions(metadata={"a": "1"}, content_type="text/plain")
    results = []
    for one, other in (pair.both, pair.both[::-1]):
        upload = await one.create_multipart("key", options)
        assert [found.upload_id for found in await other.list_multiparts()] == [upload.upload_id]
        parts = [await other.put_part(upload, 1, part), await one.put_part(upload, 2, b"tail")]
        results.append((parts, facts(await other.complete_multipart(upload, parts, WriteOptions()), *LATER)))
        assert await one.get("key") == part + b"tail"
        results[-1] += (facts(await one.head("key"), *LATER),)
        sink = Sink(fd, 0, needs_bytes=False)
        await other.fetch_range("key", sink)
        assert sink.position == len(part) + 4
        assert os.pread(fd, sink.position, 0) == part + b"tail"
    # A server may give objects of the same bytes different etags.
    assert [found.checksum for found in results[0][0]] == [found.checksum for found in results[1][0]]
    if pair.both[0].capabilities.stable_multipart_etag:
        assert results[0] == results[1]


@pytest.mark.parametrize("key", [*HOSTILE, *NO_FILES], ids=ascii)
async def test_hostile_keys(pair: TransportPair, key: str) -> None:
    """An object stored by one transport is found, listed and deleted by the other, under the same key."""
    if pair.server == "rclone" and (key in NO_FILES or not key.isprintable() or key != key.strip()):
        pytest.skip("rclone keeps objects as files")
    for one, other in (pair.both, pair.both[::-1]):
        await one.put(key, key.encode())
        assert await other.get(key) == key.encode()
        assert (await other.head(key)).key == key
        assert await one.list_files() == await other.list_files() == [key]
        assert await other.list_files(key[:1]) == [key]
        result = await other.delete_many([key])
        assert (result.succeeded, result.failed) == ((key,), {})
        assert await one.list_files() == []


async def test_a_missing_key(pair: TransportPair, open_file: OpenFile, tmp_path: Path) -> None:
    """Every method that reads a missing object raises the same NotFoundError."""
    sink = Sink(open_file(b""), 0, needs_bytes=False)
    requests: list[Callable[[S3Provider], Awaitable[object]]] = [
        lambda provider: provider.head("missing"),
        lambda provider: provider.get("missing"),
        lambda provider: provider.get_range("missing", 0, 5),
        lambda provider: provider.fetch_range("missing", sink),
        lambda provider: provider.download("missing", tmp_path / "target"),
    ]
    for request in requests:
        error = await same_error(pair.both, request)
        assert (type(error), error.status) == (NotFoundError, 404)
    assert not (tmp_path / "target").exists()


async def test_a_missing_bucket(pair: TransportPair) -> None:
    """Requests to a missing bucket raise the same BucketNotFoundError, except HEAD: its answer has no code."""
    both = pair.make(bucket_name="there-is-no-such-bucket")
    requests: list[Callable[[S3Provider], Awaitable[object]]] = [
        lambda provider: provider.connect(),
        lambda provider: provider.get("key"),
        lambda provider: provider.put("key", b"x"),
        lambda provider: provider.list_page(),
        lambda provider: provider.create_multipart("key", WriteOptions()),
    ]
    for request in requests:
        error = await same_error(both, request)
        assert (type(error), error.status) == (BucketNotFoundError, 404)
    assert (await same_error(both, lambda provider: provider.head("key"))).status == 404


async def test_a_wrong_secret(pair: TransportPair) -> None:
    """A wrong secret key is refused with the same message."""
    if pair.server == "moto":
        pytest.skip("moto takes any")
    both = pair.make(secret_access_key="not-the-one")
    requests: list[Callable[[S3Provider], Awaitable[object]]] = [
        lambda provider: provider.get("key"),
        lambda provider: provider.put("key", b"x"),
        lambda provider: provider.list_page(),
        lambda provider: provider.connect(),
    ]
    for request in requests:
        assert type(await same_error(both, request)) is AuthenticationError
    assert type(await same_error(both, lambda provider: provider.head("key"))) is AccessDeniedError


async def test_an_unknown_access_key(pair: TransportPair) -> None:
    """An unknown access key is refused with the same message."""
    if pair.server == "moto":
        pytest.skip("moto takes any")
    both = pair.make(access_key_id="nobody")
    for request in (lambda provider: provider.get("key"), lambda provider: provider.put("key", b"x")):
        assert type(await same_error(both, request)) is AuthenticationError


async def test_an_invalid_range(pair: TransportPair, open_file: OpenFile) -> None:
    """A range that begins at the object's end raises the same error, into memory and into a file."""
    await pair.both[0].put("key", DATA)
    sink = Sink(open_file(b""), 0, needs_bytes=False)
    beyond = ByteRange(len(DATA), len(DATA) + 5)
    for request in (
        lambda provider: provider.get_range("key", beyond.start, beyond.end),
        lambda provider: provider.fetch_range("key", sink, ReadOptions(byte_range=beyond)),
    ):
        error = await same_error(pair.both, request)
        assert (type(error), error.status) == (InvalidRangeError, 416)
    assert sink.position == 0


async def test_a_version_that_was_replaced(pair: TransportPair, open_file: OpenFile) -> None:
    """Reads pinned to a version that does not exist any more raise the same error."""
    await pair.both[0].put("key", DATA)
    sink = Sink(open_file(b""), 0, needs_bytes=False)
    for request in (
        lambda provider: provider.get("key", if_match=WRONG),
        lambda provider: provider.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(0, 5), if_match=WRONG)),
    ):
        assert type(await same_error(pair.both, request)) is PreconditionFailedError


async def test_what_is_known_already(pair: TransportPair) -> None:
    """A read with the current etag as `if_none_match` raises the same error."""
    info = await pair.both[0].put("key", DATA)
    error = await same_error(pair.both, lambda provider: provider.get("key", if_none_match=info.etag))
    assert type(error) is PreconditionFailedError


async def test_a_create_only_conflict(pair: TransportPair) -> None:
    """Creating an existing object, or replacing an old version, raises the same error."""
    if not pair.both[0].capabilities.put_if_none_match:
        pytest.skip("the row says no")
    await pair.both[0].put("key", DATA)
    error = await same_error(pair.both, lambda provider: provider.put("key", b"x", if_none_match="*"))
    assert (type(error), error.status) == (AlreadyExistsError, 412)
    error = await same_error(pair.both, lambda provider: provider.put("key", b"x", if_match=WRONG))
    assert (type(error), error.status) == (PreconditionFailedError, 412)
    assert await pair.both[1].get("key") == DATA


async def test_an_upload_that_is_gone(pair: TransportPair) -> None:
    """Parts and completion of an aborted upload raise the same errors; aborting it again succeeds."""
    if pair.server == "moto":
        pytest.skip("moto answers 500 where an upload is gone")
    upload = await pair.both[0].create_multipart("key", WriteOptions())
    part = await pair.both[0].put_part(upload, 1, b"x")
    await pair.both[1].abort_multipart(upload)
    gone = MultipartUpload(key="key", upload_id="12345678")
    for request in (
        lambda provider: provider.put_part(upload, 2, b"x"),
        lambda provider: provider.complete_multipart(upload, [part], WriteOptions()),
        lambda provider: provider.put_part(gone, 1, b"x"),
    ):
        error = await same_error(pair.both, request)
        assert (type(error), error.status) == (UploadNotFoundError, 404)
    for provider in pair.both:
        await provider.abort_multipart(upload)
