"""Multipart uploads that the caller controls: from several processes, committed once, and listed completely."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys

import pytest

from bucketry._core.options import WriteOptions
from bucketry._core.values import MultipartUpload
from bucketry.errors import AlreadyExistsError, InvalidRequestError, StorageError, UploadNotFoundError
from bucketry.providers import StorageProvider
from tests.contract.conftest import bucket_of, open_uploads
from tests.contract.servers import Moto

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("multipart")]

PUTS = """
import asyncio, pickle, sys

async def main():
    provider, key, upload_id, number, data = pickle.load(sys.stdin.buffer)
    async with provider, await provider.adopt_upload(key, upload_id) as upload:
        await upload.put_part(number, data)

asyncio.run(main())
"""
COMMITS = """
import asyncio, pickle, sys

async def main():
    provider, key, upload_id = pickle.load(sys.stdin.buffer)
    async with provider, await provider.adopt_upload(key, upload_id) as upload:
        info = await upload.commit()
    print(info.size)

asyncio.run(main())
"""


@pytest.fixture
def part(provider: StorageProvider) -> bytes:
    """Give the bytes of the smallest part that is not the last."""
    return os.urandom(max(provider.capabilities.min_part_size, 1000))


async def process(program: str, *values: object) -> str:
    """Run a program in its own process, with values on its standard input, and give its output."""
    command = [sys.executable, "-c", program]
    done = await asyncio.to_thread(
        subprocess.run, command, input=pickle.dumps(values), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def test_parts_are_put_and_committed(provider: StorageProvider, part: bytes) -> None:
    """Parts put in any order make the object at the commit, with the upload's metadata and headers."""
    async with await provider.start_upload("dir/key", metadata={"a": "1"}, content_type="text/plain") as upload:
        assert upload.key == "dir/key"
        stored = await upload.put_part(2, bytearray(b"tail"))
        assert (stored.part_number, stored.size) == (2, 4)
        await upload.put_part(1, part)
        assert [found.part_number async for found in upload.list_parts()] == [1, 2]
        assert not await provider.exists("dir/key")
        info = await upload.commit()
    assert (info.key, info.size) == ("dir/key", len(part) + 4)
    assert await provider.get("dir/key") == part + b"tail"
    found = await provider.head("dir/key")
    assert (found.metadata, found.content_type) == ({"a": "1"}, "text/plain")
    assert await open_uploads(provider) == ()


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_two_processes_put_and_a_third_commits(provider: StorageProvider, part: bytes) -> None:
    """Several parallel processes put parts of one object, and another process commits it."""
    try:
        pickle.dumps(provider)
    except StorageError:
        pytest.skip("the objects are in this process alone")
    upload = await provider.start_upload("key", content_type="text/plain")
    name = (upload.key, upload.upload_id)
    await asyncio.gather(
        process(PUTS, provider, *name, 1, part),
        process(PUTS, provider, *name, 2, part[::-1]),
    )
    assert not await provider.exists("key")
    assert await process(COMMITS, provider, *name) == f"{2 * len(part)}\n"
    assert await provider.get("key") == part + part[::-1]
    assert (await provider.head("key")).content_type == "text/plain"
    assert await open_uploads(provider) == ()


async def test_an_adopted_upload_commits_what_is_stored(provider: StorageProvider, part: bytes) -> None:
    """The commit of an adopted upload has all parts, its own and those of others."""
    first = await provider.start_upload("key")
    await first.put_part(1, part)
    second = await provider.adopt_upload("key", first.upload_id)
    await second.put_part(2, b"end")
    await second.commit()
    assert await provider.get("key") == part + b"end"


async def test_an_error_aborts(provider: StorageProvider) -> None:
    """An error in the block is raised unchanged, and the upload is aborted."""

    async def work() -> None:
        async with await provider.start_upload("key") as upload:
            await upload.put_part(1, b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await open_uploads(provider) == ()
    assert not await provider.exists("key")


async def test_a_cancellation_aborts(provider: StorageProvider) -> None:
    """A cancellation in the block aborts the upload, and the block's task is cancelled."""
    reached = asyncio.Event()

    async def work() -> None:
        async with await provider.start_upload("key") as upload:
            await upload.put_part(1, b"x")
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await open_uploads(provider) == ()


async def test_a_block_that_ends_well_leaves_it_open(provider: StorageProvider) -> None:
    """Without a commit nothing is published, and another `Upload` can continue or abort."""
    async with await provider.start_upload("key") as upload:
        await upload.put_part(1, b"x")
    assert not await provider.exists("key")
    (found,) = await open_uploads(provider)
    assert (found.key, found.upload_id) == (upload.key, upload.upload_id)
    await (await provider.adopt_upload(found.key, found.upload_id)).abort()
    assert await open_uploads(provider) == ()


async def test_an_error_after_the_commit_leaves_the_object(provider: StorageProvider) -> None:
    """A committed object stays, also if the block ends with an error."""

    async def work() -> None:
        async with await provider.start_upload("key") as upload:
            await upload.put_part(1, b"x")
            await upload.commit()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await provider.get("key") == b"x"


async def test_conditions_hold_at_the_commit(provider: StorageProvider) -> None:
    """A condition is checked at the commit; if it fails, the block aborts the upload."""
    if not provider.capabilities.complete_if_none_match:
        pytest.skip("the row says no")

    async def work() -> None:
        async with await provider.start_upload("key", if_none_match="*") as upload:
            await upload.put_part(1, b"x")
            await provider.put("key", b"faster")
            await upload.commit()

    with pytest.raises(AlreadyExistsError):
        await work()
    assert await provider.get("key") == b"faster"
    assert await open_uploads(provider) == ()


async def test_what_makes_no_object(provider: StorageProvider) -> None:
    """A commit without parts, a part number out of range, and an upload that does not exist are refused."""
    upload = await provider.start_upload("key")
    with pytest.raises(InvalidRequestError, match="no part"):
        await upload.commit()
    for number in (0, provider.capabilities.max_parts + 1):
        with pytest.raises(InvalidRequestError, match="part number"):
            await upload.put_part(number, b"x")
    await upload.abort()
    await upload.abort()
    with pytest.raises(UploadNotFoundError):
        await (await provider.adopt_upload("key", upload.upload_id)).commit()
    assert await provider.list_files() == []


async def test_uploads_are_listed_by_prefix(provider: StorageProvider) -> None:
    """`list_uploads` gives the open uploads of a literal prefix; moto lists them in the order of opening."""
    made = [await provider.start_upload(key) for key in ("b", "a/2", "a/1")]
    assert sorted([found.key async for found in provider.list_uploads()]) == ["a/1", "a/2", "b"]
    assert sorted([found.key async for found in provider.list_uploads("a/")]) == ["a/1", "a/2"]
    assert [found.key async for found in provider.list_uploads("c")] == []
    for upload in made:
        await upload.abort()


@pytest.mark.gap(rclone="rclone finds nothing behind an upload that is gone")
async def test_more_uploads_behind_one(provider: StorageProvider) -> None:
    """`list_multiparts` continues after the given upload, which need not be open any more."""
    made = [await provider.create_multipart(key, WriteOptions()) for key in ("a", "b", "b", "c")]
    listed = await provider.list_multiparts()
    assert len(listed) == 4
    assert [found.key for found in await provider.list_multiparts(after=listed[2])] == ["c"]
    assert await provider.list_multiparts(after=listed[3]) == ()
    await provider.abort_multipart(listed[0])
    assert [found.key for found in await provider.list_multiparts(after=listed[0])][-1] == "c"
    for upload in made:
        await provider.abort_multipart(upload)


@pytest.mark.slow
@pytest.mark.gap(rclone="rclone takes a few open uploads at once, and answers SlowDown then")
async def test_more_uploads_than_an_answer_holds(provider: StorageProvider, on_server: Moto | None) -> None:
    """`list_uploads` pages to the end, and gives each upload once."""
    keys = [f"k{number:04}" for number in range(1_005)]
    made: list[MultipartUpload] = []
    gate = asyncio.Semaphore(16)

    async def one(key: str) -> None:
        async with gate:
            made.append(await provider.create_multipart(key, WriteOptions()))

    try:
        if on_server is None:
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    group.create_task(one(key))
        else:
            on_server.open_uploads(bucket_of(provider), keys)
        assert sorted([found.key async for found in provider.list_uploads()]) == keys
    finally:
        for upload in made:  # rclone refuses the uploads of later tests otherwise
            await provider.abort_multipart(upload)
