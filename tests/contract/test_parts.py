"""Multipart uploads, and bytes read from and written to open files."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, FileRange, MultipartUpload
from bucketry.errors import IntegrityError, InvalidRangeError, NotFoundError, StorageError, UploadNotFoundError
from bucketry.providers import StorageProvider
from tests.contract.conftest import OpenFile, Sink

pytestmark = pytest.mark.asyncio(loop_scope="session")

SINKS = pytest.mark.parametrize("needs_bytes", [True, False], ids=["summed", "copied"])


@pytest.fixture
def part(provider: StorageProvider) -> bytes:
    """Give the bytes of the smallest part that is not the last."""
    return os.urandom(max(provider.capabilities.min_part_size, 1000))


@pytest.mark.needs("multipart")
async def test_parts_in_any_order(provider: StorageProvider, part: bytes) -> None:
    """Parts may be put and completed in any order; the object has them in order of their numbers."""
    options = WriteOptions(metadata={"a": "1"}, content_type="text/plain")
    upload = await provider.create_multipart("dir/key", options)
    assert upload.key == "dir/key"
    third = await provider.put_part(upload, 3, b"tail")
    first = await provider.put_part(upload, 1, part)
    second = await provider.put_part(upload, 2, bytearray(part[::-1]))
    assert [one.size for one in (first, second, third)] == [len(part), len(part), 4]
    assert not await provider.exists("dir/key")
    info = await provider.complete_multipart(upload, [second, third, first], WriteOptions())
    assert (info.key, info.size) == ("dir/key", 2 * len(part) + 4)
    assert await provider.get("dir/key") == part + part[::-1] + b"tail"
    found = await provider.head("dir/key")
    assert (found.metadata, found.content_type) == ({"a": "1"}, "text/plain")
    if provider.capabilities.stable_multipart_etag:
        assert found.etag == info.etag


@pytest.mark.gap(rclone="rclone hands parts on as they come, and cannot take one back")
@pytest.mark.needs("multipart")
async def test_a_part_can_be_replaced(provider: StorageProvider, part: bytes) -> None:
    """A part put again replaces the earlier part of its number."""
    upload = await provider.create_multipart("key", WriteOptions())
    await provider.put_part(upload, 1, part)
    again = await provider.put_part(upload, 1, b"again")
    await provider.complete_multipart(upload, [again], WriteOptions())
    assert await provider.get("key") == b"again"


@pytest.mark.gap(rclone="rclone waits for the missing numbers")
@pytest.mark.needs("multipart")
async def test_numbers_may_have_gaps(provider: StorageProvider, part: bytes) -> None:
    """The object has only the parts given at its completion."""
    upload = await provider.create_multipart("key", WriteOptions())
    parts = [await provider.put_part(upload, number, data) for number, data in ((2, part), (7, b"end"), (5, part))]
    await provider.complete_multipart(upload, [parts[0], parts[1]], WriteOptions())
    assert await provider.get("key") == part + b"end"


@pytest.mark.needs("multipart")
async def test_an_upload_replaces_only_when_complete(provider: StorageProvider) -> None:
    """The old object stays until the upload is completed."""
    await provider.put("key", b"old")
    upload = await provider.create_multipart("key", WriteOptions())
    part = await provider.put_part(upload, 1, b"new")
    assert await provider.get("key") == b"old"
    await provider.complete_multipart(upload, [part], WriteOptions())
    assert await provider.get("key") == b"new"


@pytest.mark.needs("multipart")
async def test_abort(provider: StorageProvider) -> None:
    """An aborted upload is deleted, with its parts; aborting it again succeeds."""
    upload = await provider.create_multipart("key", WriteOptions())
    await provider.put_part(upload, 1, b"x")
    await provider.abort_multipart(upload)
    assert await provider.list_multiparts() == ()
    await provider.abort_multipart(upload)
    assert await provider.list_files() == []


@pytest.mark.gap(moto="moto answers 500 where an upload is gone")
@pytest.mark.needs("multipart")
async def test_after_the_abort(provider: StorageProvider) -> None:
    """An aborted upload accepts no parts, and cannot be completed."""
    upload = await provider.create_multipart("key", WriteOptions())
    part = await provider.put_part(upload, 1, b"x")
    await provider.abort_multipart(upload)
    with pytest.raises(UploadNotFoundError):
        await provider.put_part(upload, 2, b"x")
    with pytest.raises(UploadNotFoundError):
        await provider.complete_multipart(upload, [part], WriteOptions())
    assert await provider.list_files() == []


@pytest.mark.needs("multipart")
async def test_completing_twice(provider: StorageProvider) -> None:
    """A completed upload is not found, or answers as before; completing or aborting it again keeps the object."""
    upload = await provider.create_multipart("key", WriteOptions())
    part = await provider.put_part(upload, 1, b"x")
    await provider.complete_multipart(upload, [part], WriteOptions())
    with suppress(UploadNotFoundError):  # for some time, AWS gives a repeated request the first answer
        await provider.complete_multipart(upload, [part], WriteOptions())
    await provider.abort_multipart(upload)
    assert await provider.get("key") == b"x"


@pytest.mark.gap(moto="moto answers 500 where an upload is gone")
@pytest.mark.needs("multipart")
async def test_an_upload_that_never_was(provider: StorageProvider) -> None:
    """An unknown upload id is not found, for any text."""
    for upload_id in ("0" * 32, "12345678"):
        with pytest.raises(UploadNotFoundError):
            await provider.put_part(MultipartUpload(key="key", upload_id=upload_id), 1, b"x")


@pytest.mark.needs("multipart")
async def test_parts_that_are_not_stored(provider: StorageProvider) -> None:
    """Completing with a part that was never put fails, and nothing is published."""
    upload = await provider.create_multipart("key", WriteOptions())
    part = await provider.put_part(upload, 1, b"x")
    other = type(part)(part_number=2, size=1, etag=part.etag, checksum=part.checksum)
    with pytest.raises(StorageError):
        await provider.complete_multipart(upload, [part, other], WriteOptions())
    assert not await provider.exists("key")
    await provider.abort_multipart(upload)


@pytest.mark.needs("multipart")
async def test_open_uploads_are_listed(provider: StorageProvider) -> None:
    """Open uploads are listed by a literal prefix of their keys; completed and aborted ones are not."""
    keys = ("a/1", "a/2", "b")
    uploads = {key: await provider.create_multipart(key, WriteOptions()) for key in keys}
    listed = await provider.list_multiparts()
    assert {(one.key, one.upload_id) for one in listed} == {(key, one.upload_id) for key, one in uploads.items()}
    assert [one.key for one in await provider.list_multiparts("a/")] == ["a/1", "a/2"]
    for upload in listed:
        await provider.abort_multipart(upload)
    assert await provider.list_multiparts() == ()


@pytest.mark.needs("multipart")
async def test_a_checksum_of_the_whole(provider: StorageProvider) -> None:
    """If the row has one, completion accepts the correct checksum of the whole object, and stores it."""
    if not provider.capabilities.full_object_checksum:
        pytest.skip("the row says no")
    upload = await provider.create_multipart("key", WriteOptions())
    part = await provider.put_part(upload, 1, b"some bytes")
    assert part.checksum is not None
    await provider.complete_multipart(upload, [part], WriteOptions(), checksum=part.checksum)
    assert await provider.get("key") == b"some bytes"
    assert part.checksum in (await provider.head("key")).checksums.values()


@pytest.mark.gap(moto="moto stores whatever checksum it is told")
@pytest.mark.needs("multipart")
async def test_a_wrong_checksum_of_the_whole(provider: StorageProvider) -> None:
    """If the row has one, completion with a wrong checksum of the whole object fails, and publishes nothing."""
    if not provider.capabilities.full_object_checksum:
        pytest.skip("the row says no")
    upload = await provider.create_multipart("key", WriteOptions())
    part = await provider.put_part(upload, 1, b"some bytes")
    with pytest.raises(IntegrityError):
        await provider.complete_multipart(upload, [part], WriteOptions(), checksum="00000000")
    assert not await provider.exists("key")


async def test_put_from_a_file(provider: StorageProvider, open_file: OpenFile) -> None:
    """A body may be a range of an open file; the file's offset does not change."""
    fd = open_file(b"0123456789")
    os.lseek(fd, 5, os.SEEK_SET)
    info = await provider.put_object("key", FileRange(fd, 2, 8), WriteOptions())
    assert info.size == 6
    assert await provider.get("key") == b"234567"
    assert os.lseek(fd, 0, os.SEEK_CUR) == 5
    await provider.put_object("empty", FileRange(fd, 10, 10), WriteOptions())
    assert await provider.get("empty") == b""


@pytest.mark.needs("multipart")
async def test_parts_from_a_file(provider: StorageProvider, open_file: OpenFile, part: bytes) -> None:
    """Parts may be ranges of one open file."""
    fd = open_file(part + b"and the rest")
    upload = await provider.create_multipart("key", WriteOptions())
    size = len(part) + 12
    second = await provider.put_part(upload, 2, FileRange(fd, len(part), size))
    first = await provider.put_part(upload, 1, FileRange(fd, 0, len(part)))
    await provider.complete_multipart(upload, [first, second], WriteOptions())
    assert await provider.get("key") == part + b"and the rest"


async def test_a_file_that_ends_early_stores_nothing(provider: StorageProvider, open_file: OpenFile) -> None:
    """A body shorter than its length fails, and no object is stored."""
    with pytest.raises(StorageError):
        await provider.put_object("key", FileRange(open_file(b"short"), 0, 100), WriteOptions())
    assert await provider.list_files() == []


@SINKS
async def test_fetch_into_a_file(provider: StorageProvider, open_file: OpenFile, *, needs_bytes: bool) -> None:
    """A range is written at the sink's position, and no other byte of the file changes."""
    info = await provider.put("key", b"0123456789")
    fd = open_file(b"." * 12)
    sink = Sink(fd, 3, needs_bytes=needs_bytes)
    fetched = await provider.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(2, 6), if_match=info.etag))
    assert (fetched.key, fetched.size, sink.position) == ("key", 10, 7)
    assert [(at, told.size, told.etag) for at, told in sink.told] == [(3, 10, info.etag)]  # before the first byte
    assert os.pread(fd, 100, 0) == b"...2345....."


@SINKS
async def test_fetch_all_of_it(provider: StorageProvider, open_file: OpenFile, *, needs_bytes: bool) -> None:
    """Without a range, the whole object is written; for an empty object, nothing."""
    data = os.urandom(3_000_000)
    await provider.put("key", data)
    await provider.put("empty", b"")
    fd = open_file(b"")
    sink = Sink(fd, 0, needs_bytes=needs_bytes)
    await provider.fetch_range("key", sink)
    assert (sink.position, os.pread(fd, len(data) + 1, 0)) == (len(data), data)
    info = await provider.fetch_range("empty", sink)
    assert (info.size, sink.position) == (0, len(data))


@SINKS
async def test_fetch_beyond_the_end(provider: StorageProvider, open_file: OpenFile, *, needs_bytes: bool) -> None:
    """A range is cut at the object's end, and refused if it begins there."""
    await provider.put("key", b"0123456789")
    fd = open_file(b"")
    sink = Sink(fd, 0, needs_bytes=needs_bytes)
    await provider.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(8, 50)))
    assert os.pread(fd, 100, 0) == b"89"
    with pytest.raises(InvalidRangeError):
        await provider.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(10, 11)))
    with pytest.raises(NotFoundError):
        await provider.fetch_range("missing", sink)


@pytest.mark.gap(rclone="rclone takes UploadPartCopy for an UploadPart without bytes")
@pytest.mark.needs("multipart", "copy")
async def test_a_part_made_of_another_object(provider: StorageProvider, part: bytes) -> None:
    """A part may be copied from a range of an object, pinned to its version."""
    source = await provider.put("source", part + b"suffix")
    upload = await provider.create_multipart("key", WriteOptions())
    first = await provider.copy_part(upload, 1, "source", ByteRange(0, len(part)), if_match=source.etag)
    last = await provider.put_part(upload, 2, b"more")
    await provider.complete_multipart(upload, [first, last], WriteOptions())
    assert await provider.get("key") == part + b"more"


@pytest.mark.needs("multipart")
async def test_the_parts_of_an_open_upload(provider: StorageProvider) -> None:
    """Stored parts are listed in order of their numbers, as `put_part` gave them; also after a given number."""
    upload = await provider.create_multipart("k", WriteOptions())
    assert await provider.list_parts(upload) == ()
    stored = {number: await provider.put_part(upload, number, bytes(number)) for number in (3, 1, 2)}
    found = await provider.list_parts(upload)
    assert [(part.part_number, part.size, part.etag) for part in found] == [
        (number, number, stored[number].etag) for number in (1, 2, 3)
    ]
    assert [part.part_number for part in await provider.list_parts(upload, after=1)] == [2, 3]
    await provider.abort_multipart(upload)
    with pytest.raises(UploadNotFoundError):
        await provider.list_parts(upload)
