"""Uploads of files and streams: visible whole or not at all, after any fault."""

from __future__ import annotations

import asyncio
import os
import socket
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketry import MemoryProvider
from bucketry._core.options import WriteOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import MultipartUpload, ObjectInfo, Part, Progress
from bucketry.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConfigError,
    ConnectionFailedError,
    IntegrityError,
    InvalidKeyError,
    InvalidMetadataError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalIsADirectoryError,
    LocalPermissionError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    ThrottledError,
    TransientError,
    UnsupportedError,
    UploadNotFoundError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, Discarding, Scripted, chunked, noise, seen, until

LENGTHS = [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7]


async def test_every_length_arrives(bench: Bench) -> None:
    """Files of lengths around the part size arrive unchanged, in as many parts as needed."""
    memory = bench.memory()
    for length in LENGTHS:
        result = await bench.manager(memory).upload(bench.file(noise(length)), "k")
        assert await memory.get("k") == noise(length)
        assert (result.size, result.parts) == (length, max(1, -(-length // PART)))
        assert result.verified == "crc32"


@pytest.mark.parametrize("chunk", [1, 100, PART, 10 * PART])
async def test_every_stream_arrives(bench: Bench, chunk: int) -> None:
    """Streams of lengths around the part size arrive unchanged, in equal parts, for any chunk sizes."""
    for length in LENGTHS:
        memory = bench.memory()
        provider = Scripted(memory)
        result = await bench.manager(provider).upload_stream(chunked(noise(length), chunk), "k")
        assert await memory.get("k") == noise(length)
        assert result.size == length
        parts = [PART] * (length // PART) + [length % PART] * bool(length % PART)
        assert sorted(provider.bodies) == sorted(parts or [0])
        single = length <= PART
        assert seen(provider.calls, "put_object", "create_multipart") == {
            "put_object": int(single),
            "create_multipart": int(not single),
        }


@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_part_that_fails_ends_it(bench: Bench, number: int) -> None:
    """If a part fails, its error is raised, not a group; the upload is aborted and the old object stays."""
    memory = bench.memory()
    await memory.put("k", b"old")
    error = AccessDeniedError("the n-th part is refused")
    provider = FaultyProvider(memory, (Fault(operation="put_part", nth=number, error=error),))
    for transfer in (
        bench.manager(provider).upload(bench.file(noise(5 * PART)), "k"),
        bench.manager(FaultyProvider(memory, provider.faults)).upload_stream(chunked(noise(5 * PART)), "k"),
    ):
        with pytest.raises(AccessDeniedError) as caught:
            await transfer
        assert caught.value is error
        assert isinstance(caught.value.__cause__, BaseExceptionGroup)
        assert await memory.get("k") == b"old"
        assert await memory.list_multiparts() == ()
    assert provider.calls["abort_multipart"] >= 1


async def test_the_first_error_is_the_one_raised(bench: Bench) -> None:
    """Of several parts that fail, the caller sees the one that failed first."""
    first, second = ThrottledError("first"), AccessDeniedError("second")

    async def later() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    faults = (
        Fault(operation="put_part", nth=1, hook=later, error=second),
        Fault(operation="put_part", nth=2, error=first),
    )
    provider = FaultyProvider(bench.memory(), faults)
    with pytest.raises(ThrottledError) as caught:
        await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
    assert caught.value is first


@pytest.mark.parametrize("operation", ["create_multipart", "complete_multipart", "put_object"])
async def test_other_requests_that_fail(bench: Bench, operation: str) -> None:
    """A refused create, complete or put leaves no object and no open upload."""
    memory = bench.memory()
    provider = FaultyProvider(memory, (Fault(operation=operation, error=AccessDeniedError("no")),))
    size = PART if operation == "put_object" else 3 * PART
    with pytest.raises(AccessDeniedError):
        await bench.manager(provider).upload(bench.file(noise(size)), "k")
    assert not await memory.exists("k")


async def test_an_abort_that_fails_does_not_hide_the_error(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """If the abort fails too, the first error is raised, and a warning has the upload's id."""
    memory = MemoryProvider()
    error = AccessDeniedError("part")
    provider = FaultyProvider(
        memory,
        (
            Fault(operation="put_part", nth=2, error=error),
            Fault(operation="abort_multipart", error=ConnectionFailedError("abort")),
        ),
    )
    with pytest.raises(AccessDeniedError, match="part"):
        await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
    (left,) = await memory.list_multiparts()
    assert left.upload_id in caplog.text


class Resurrecting(MemoryProvider):
    """A provider on which an aborted upload stays open several times, as after a late part."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.aborts = 0

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """Abort, and keep the upload open."""
        self.aborts += 1
        kept = self._uploads[upload.upload_id]
        await super().abort_multipart(upload)
        if self.aborts <= self.times:
            self._uploads[upload.upload_id] = kept


@pytest.mark.parametrize("times", [1, 2])
async def test_an_abort_is_confirmed_by_listing(bench: Bench, times: int) -> None:
    """If an aborted upload is still listed, it is aborted again."""
    memory = bench.watch(Resurrecting(times))
    provider = FaultyProvider(memory, (Fault(operation="put_part", nth=2, error=AccessDeniedError("no")),))
    with pytest.raises(AccessDeniedError):
        await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
    assert memory.aborts == times + 1


async def test_an_upload_that_will_not_go_away_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """If the upload stays open after several aborts, a warning has the upload's id."""
    memory = Resurrecting(1_000)
    provider = FaultyProvider(memory, (Fault(operation="put_part", nth=2, error=AccessDeniedError("no")),))
    with pytest.raises(AccessDeniedError):
        await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
    assert memory.aborts <= 5
    (left,) = await memory.list_multiparts()
    assert left.upload_id in caplog.text


async def test_other_uploads_of_the_key_are_left_alone(bench: Bench) -> None:
    """Aborting our upload does not abort another upload to the same key."""
    memory = MemoryProvider()
    foreign = await memory.create_multipart("k", WriteOptions())
    provider = FaultyProvider(memory, (Fault(operation="put_part", nth=2, error=AccessDeniedError("no")),))
    with pytest.raises(AccessDeniedError):
        await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
    assert await memory.list_multiparts() == (foreign,)


class TestSource:
    """Files that change while they are read, and files that cannot be read."""

    @pytest.mark.parametrize(
        ("size", "config"),
        [(5 * PART, {}), (2 * MiB, {"multipart_threshold": 4 * MiB, "memory_budget": 16 * MiB})],
        ids=["parts", "single"],
    )
    @pytest.mark.parametrize("change", ["grown", "truncated", "rewritten"])
    async def test_changed_while_it_waits(self, bench: Bench, change: str, size: int, config: dict[str, int]) -> None:
        """If a file changes after it was opened, the upload fails before anything is published."""
        path = bench.file(noise(size))
        memory = bench.memory()
        await memory.put("k", b"old")
        release = asyncio.Event()
        provider = FaultyProvider(memory, (Fault(operation="put_object", hook=release.wait),))
        manager = bench.manager(provider, max_concurrency=1, **config)
        first = asyncio.create_task(manager.upload(bench.file(b"first", "first"), "first"))
        await until(lambda: provider.calls["put_object"])
        second = asyncio.create_task(manager.upload(path, "k"))
        limits = manager._limits.get()
        await until(lambda: limits.slots._waiting)
        if change == "truncated":
            os.truncate(path, size // 3)
        else:
            path.write_bytes(noise(size, seed=8) + (b"more" if change == "grown" else b""))
        os.utime(path, ns=(1, 1))
        release.set()
        await first
        with pytest.raises(IntegrityError):
            await second
        assert await memory.get("k") == b"old"

    @pytest.mark.parametrize("size", [5 * PART, PART // 2], ids=["parts", "single"])
    @pytest.mark.parametrize("change", ["grown", "truncated", "rewritten"])
    async def test_changed_while_it_is_sent(self, bench: Bench, change: str, size: int) -> None:
        """If a file changes meanwhile, the upload fails, or stores the complete old content."""
        path = bench.file(noise(size))

        async def tamper() -> None:
            if change == "truncated":
                os.truncate(path, size // 3)
            else:
                path.write_bytes(noise(size, seed=8) + (b"more" if change == "grown" else b""))
                os.utime(path, ns=(1, 1))

        memory = bench.memory()
        await memory.put("k", b"old")
        operation = "put_object" if size < PART else "put_part"
        provider = FaultyProvider(memory, (Fault(operation=operation, nth=1, hook=tamper),))
        try:
            await bench.manager(provider).upload(path, "k")
        except IntegrityError:
            assert await memory.get("k") == b"old"
        else:
            assert size < PART
            assert await memory.get("k") == noise(size)

    @pytest.mark.parametrize("change", ["rewritten", "truncated"])
    async def test_changed_after_the_last_part(self, bench: Bench, change: str) -> None:
        """A change between the last part and completion is detected too."""
        path = bench.file(noise(3 * PART))

        async def tamper() -> None:
            if change == "truncated":
                os.truncate(path, 10)
            else:
                path.write_bytes(noise(3 * PART, seed=8))
            os.utime(path, ns=(1, 1))

        class Late(FaultyProvider):
            async def put_part(self, upload: MultipartUpload, part_number: int, body: object) -> Part:
                part = await super().put_part(upload, part_number, body)
                await tamper()
                return part

        memory = bench.memory()
        with pytest.raises(IntegrityError):
            await bench.manager(Late(memory), max_concurrency=1).upload(path, "k")
        assert not await memory.exists("k")

    async def test_not_a_regular_file(self, bench: Bench) -> None:
        """A directory, a FIFO, a socket and a missing path each have their error, and nothing blocks or is sent."""
        memory = bench.memory()
        manager = bench.manager(provider := FaultyProvider(memory))
        fifo, directory = bench.directory / "fifo", bench.directory / "dir"
        os.mkfifo(fifo)
        directory.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(bench.directory / "sock"))
            for path, kind in (
                (fifo, LocalFileError),
                (directory, LocalIsADirectoryError),
                (bench.directory / "sock", LocalFileError),
                (bench.directory / "missing", LocalFileNotFoundError),
                (bench.file(b"x") / "below", LocalFileError),
            ):
                with pytest.raises(kind) as caught:
                    await manager.upload(path, "k")
                assert caught.value.path == str(path)
        assert not provider.calls

    async def test_a_path_that_cannot_be(self, bench: Bench) -> None:
        """A path with a NUL is a local file error, like every other path that cannot be opened."""
        with pytest.raises(StorageError):
            await bench.manager(bench.memory()).upload("a\0b", "k")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    async def test_unreadable(self, bench: Bench) -> None:
        """A file without permission is a permission error that names it."""
        path = bench.file(b"x")
        path.chmod(0)
        with pytest.raises(LocalPermissionError):
            await bench.manager(bench.memory()).upload(path, "k")

    async def test_a_link_is_followed(self, bench: Bench) -> None:
        """A symbolic link to a file uploads the file."""
        link = bench.directory / "link"
        link.symlink_to(bench.file(b"through"))
        memory = bench.memory()
        await bench.manager(memory).upload(link, "k")
        assert await memory.get("k") == b"through"


class TestStreams:
    """Faulty iterables, and the memory that streams need."""

    @pytest.mark.parametrize("after", [0, 100, PART + 1, 4 * PART])
    async def test_an_iterator_that_raises(self, bench: Bench, after: int) -> None:
        """An error of the iterator is raised unchanged, and nothing is published."""

        async def broken() -> AsyncIterator[bytes]:
            async for chunk in chunked(noise(after)):
                yield chunk
            raise ZeroDivisionError("in the caller's iterator")

        memory = bench.memory()
        with pytest.raises(ZeroDivisionError, match="caller's"):
            await bench.manager(memory).upload_stream(broken(), "k")
        assert not await memory.exists("k")

    @pytest.mark.parametrize("before", [0, 3 * PART])
    @pytest.mark.parametrize("wrong", ["text", 7, None])
    async def test_something_else_than_bytes(self, bench: Bench, before: int, wrong: object) -> None:
        """A chunk that is not bytes is a TypeError, and nothing is published."""

        async def mixed() -> AsyncIterator[bytes]:
            async for chunk in chunked(noise(before)):
                yield chunk
            yield wrong  # type: ignore[misc]  # the fault

        memory = bench.memory()
        with pytest.raises(TypeError, match="bytes"):
            await bench.manager(memory).upload_stream(mixed(), "k")
        assert not await memory.exists("k")

    async def test_the_iterator_is_not_run_ahead(self, bench: Bench) -> None:
        """While all slots are busy, the stream is read only as far as the parts in flight and the next one."""
        drawn = 0
        release = asyncio.Event()

        async def source() -> AsyncIterator[bytes]:
            nonlocal drawn
            for _ in range(50):
                drawn += PART
                yield bytes(PART)

        memory = bench.memory()
        provider = FaultyProvider(memory, tuple(Fault(operation="put_part", nth=n, hook=release.wait) for n in (1, 2)))
        manager = bench.manager(provider, max_concurrency=2, memory_budget=4 * PART)  # each part counts twice
        task = asyncio.create_task(manager.upload_stream(source(), "k"))
        for _ in range(200):
            await asyncio.sleep(0)
        assert provider.calls["put_part"] == 2
        assert drawn <= 4 * PART
        release.set()
        await task
        assert (await memory.head("k")).size == 50 * PART

    @pytest.mark.slow
    async def test_memory_is_bounded(self, bench: Bench) -> None:
        """A stream of 200 MiB through a budget of 4 MiB never holds more than the budget and 1 MiB for each body."""
        size, budget, chunk = 200 * MiB, 4 * MiB, 256 * KiB
        piece = bytes(chunk)

        async def source() -> AsyncIterator[bytes]:
            for _ in range(size // chunk):
                yield piece

        memory = bench.watch(Discarding())
        manager = bench.manager(memory, part_size=MiB, memory_budget=budget, max_concurrency=4)
        await manager.upload_stream(source(), "warm", metadata={})
        memory.received.clear()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await manager.upload_stream(source(), "k")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert memory.received.total() == size
        assert peak - before <= budget + 4 * MiB

    @pytest.mark.slow
    async def test_several_streams_share_the_budget(self, bench: Bench) -> None:
        """Eight parallel streams share one memory budget and the slots of one manager."""
        memory = bench.memory()
        provider = Scripted(memory)
        manager = bench.manager(provider, memory_budget=4 * PART, max_concurrency=3)
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(manager.upload_stream(chunked(noise(6 * PART, number)), f"k{number}"))
        assert provider.most_moving <= 4 * PART
        assert provider.most_running <= 3 + 8  # completing and creating take no slot: one for each stream at most
        for number in range(8):
            assert await memory.get(f"k{number}") == noise(6 * PART, number)

    async def test_too_many_parts(self, bench: Bench) -> None:
        """If a stream needs too many parts, the error says what to change, and no upload stays open."""
        memory = bench.memory(max_parts=3, equal_part_sizes=True)
        with pytest.raises(UnsupportedError, match="part_size"):
            await bench.manager(memory).upload_stream(chunked(noise(3 * PART + 1)), "k")
        assert not await memory.exists("k")
        await bench.manager(memory).upload_stream(chunked(noise(3 * PART)), "k")
        assert await memory.get("k") == noise(3 * PART)


class TestLimits:
    """Limits that all transfers of a manager share."""

    async def test_concurrency_is_bounded_over_all_transfers(self, bench: Bench) -> None:
        """Ten uploads and downloads at once make no more body requests at once than `max_concurrency`."""
        memory = bench.memory()
        for number in range(5):
            await memory.put(f"down{number}", noise(6 * PART, number))
        now = most = 0

        class Counting(FaultyProvider):
            async def around(self, operation: str, request):  # noqa: ANN001, ANN202 - as the base
                nonlocal now, most
                body = operation in {"put_part", "put_object", "fetch_range"}
                now += body
                most = max(most, now)
                try:
                    await asyncio.sleep(0)
                    return await super().around(operation, request)
                finally:
                    now -= body

        manager = bench.manager(Counting(memory), max_concurrency=3)
        path = bench.file(noise(6 * PART))
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(manager.upload(path, f"up{number}"))
                group.create_task(manager.download(f"down{number}", bench.target(f"t{number}")))
        assert most == 3
        assert all([await memory.get(f"up{number}") == noise(6 * PART) for number in range(5)])

    async def test_a_budget_smaller_than_a_part(self, bench: Bench) -> None:
        """If the vendor's parts are larger than the budget, they are sent one at a time."""
        memory = bench.memory(min_part_size=4 * PART)
        provider = Scripted(memory)
        manager = bench.manager(provider, part_size=None, memory_budget=PART, max_concurrency=4)
        await manager.upload(bench.file(noise(10 * PART)), "k")
        assert await memory.get("k") == noise(10 * PART)

    async def test_part_size_outside_the_vendors_limits(self, bench: Bench) -> None:
        """A part size that the vendor refuses is refused before any request."""
        provider = FaultyProvider(bench.memory(min_part_size=4 * PART))
        with pytest.raises(ConfigError, match="part_size"):
            await bench.manager(provider).upload(bench.file(noise(10 * PART)), "k")
        assert not provider.calls

    @pytest.mark.parametrize("key", ["", "x" * 1_025, "\ud800"])
    async def test_a_key_nobody_can_store(self, bench: Bench, key: str) -> None:
        """Such a key is refused before any request."""
        provider = FaultyProvider(bench.memory())
        manager = bench.manager(provider)
        with pytest.raises(InvalidKeyError):
            await manager.upload(bench.file(b"x"), key)
        with pytest.raises(InvalidKeyError):
            await manager.upload_stream(chunked(b"x"), key)
        assert not provider.calls

    async def test_metadata_no_header_can_carry(self, bench: Bench) -> None:
        """Such metadata is refused before any request."""
        provider = FaultyProvider(bench.memory())
        with pytest.raises(InvalidMetadataError):
            await bench.manager(provider).upload(bench.file(b"x"), "k", metadata={"a": "b\r\nc: d"})
        assert not provider.calls


class TestConditions:
    """Conditional writes of any size."""

    @pytest.mark.parametrize("size", [0, PART, 3 * PART])
    async def test_create_only(self, bench: Bench, size: int) -> None:
        """`if_none_match="*"` creates once; the second finds the object and leaves it."""
        memory = bench.memory()
        manager = bench.manager(memory)
        first, second = bench.file(noise(size)), bench.file(noise(size, 8), "second")
        await manager.upload(first, "k", if_none_match="*")
        for again in (
            manager.upload(second, "k", if_none_match="*"),
            manager.upload_stream(chunked(noise(size, 8)), "k", if_none_match="*"),
        ):
            with pytest.raises(AlreadyExistsError):
                await again
        assert await memory.get("k") == noise(size)

    @pytest.mark.parametrize("size", [0, PART, 3 * PART])
    async def test_compare_and_swap(self, bench: Bench, size: int) -> None:
        """`if_match` replaces the version it names and no other."""
        memory = bench.memory()
        manager = bench.manager(memory)
        path = bench.file(noise(size))
        old = await memory.put("k", b"old")
        await manager.upload(path, "k", if_match=old.etag)
        with pytest.raises(PreconditionFailedError):
            await manager.upload_stream(chunked(b"newer"), "k", if_match=old.etag)
        assert await memory.get("k") == noise(size)

    @pytest.mark.parametrize("name", ["if_none_match", "if_match"])
    async def test_refused_where_it_would_be_ignored(self, bench: Bench, name: str) -> None:
        """If the row does not promise the condition for this size, nothing is sent; else the write is made."""
        value = {name: "*" if name == "if_none_match" else '"e"'}
        provider = FaultyProvider(bench.memory(**{f"complete_{name}": False}))
        manager = bench.manager(provider)
        with pytest.raises(UnsupportedError):
            await manager.upload(bench.file(noise(3 * PART)), "k", **value)
        with pytest.raises(UnsupportedError):
            await manager.upload_stream(chunked(b"x"), "k", **value)  # its length is not known beforehand
        assert not provider.calls
        provider = FaultyProvider(bench.memory(**{f"put_{name}": False}))
        with pytest.raises(UnsupportedError):
            await bench.manager(provider).upload(bench.file(b"x"), "k", **value)
        assert not provider.calls

    @pytest.mark.parametrize("size", [PART, 3 * PART])
    async def test_two_creators_race(self, bench: Bench, size: int) -> None:
        """Of several parallel uploads with `if_none_match="*"`, exactly one succeeds, and its bytes are stored."""
        memory = bench.memory()
        manager = bench.manager(memory, max_concurrency=8)
        paths = [bench.file(noise(size, number), f"f{number}") for number in range(6)]
        ends = await asyncio.gather(
            *(manager.upload(path, "k", if_none_match="*") for path in paths), return_exceptions=True
        )
        won = [number for number, end in enumerate(ends) if not isinstance(end, BaseException)]
        assert len(won) == 1
        assert {type(end) for end in ends if isinstance(end, BaseException)} == {AlreadyExistsError}
        assert await memory.get("k") == noise(size, won[0])


class TestLostAnswers:
    """Writes whose answer was lost."""

    LOST = ConnectionFailedError("the answer was lost")

    async def test_a_conditional_put_that_landed(self, bench: Bench) -> None:
        """If the answer of a create-only put was lost, the object is recognized, and not sent again."""
        memory = bench.memory()
        provider = FaultyProvider(memory, (Fault(operation="put_object", error=self.LOST, after=True),))
        result = await bench.manager(provider).upload(bench.file(noise(PART)), "k", if_none_match="*")
        assert await memory.get("k") == noise(PART)
        assert result.etag == (await memory.head("k")).etag
        assert result.retries == 1
        assert provider.calls["put_object"] == 1

    async def test_a_conditional_put_that_did_not_land(self, bench: Bench) -> None:
        """A create-only put that never arrived is sent again, with the same condition."""
        memory = bench.memory()
        provider = FaultyProvider(memory, (Fault(operation="put_object", error=self.LOST),))
        await bench.manager(provider).upload(bench.file(noise(PART)), "k", if_none_match="*")
        assert await memory.get("k") == noise(PART)
        assert provider.calls["put_object"] == 2

    async def test_a_compare_and_swap_that_landed(self, bench: Bench) -> None:
        """The same for `if_match`, although the first try has changed the etag."""
        memory = bench.memory()
        old = await memory.put("k", b"old")
        provider = FaultyProvider(memory, (Fault(operation="put_object", error=self.LOST, after=True),))
        await bench.manager(provider).upload(bench.file(noise(PART)), "k", if_match=old.etag)
        assert await memory.get("k") == noise(PART)

    @pytest.mark.parametrize("size", [PART, 3 * PART])
    async def test_somebody_else_was_first(self, bench: Bench, size: int) -> None:
        """Another writer's object of the same size is not taken for ours: the retry raises `AlreadyExistsError`."""
        memory = bench.memory()

        async def other() -> None:
            await memory.put("k", noise(size, 9))

        operation = "put_object" if size == PART else "complete_multipart"
        provider = FaultyProvider(memory, (Fault(operation=operation, hook=other, error=self.LOST),))
        with pytest.raises(AlreadyExistsError):
            await bench.manager(provider).upload(bench.file(noise(size)), "k", if_none_match="*")
        assert await memory.get("k") == noise(size, 9)

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_completion_that_landed(self, bench: Bench, stream: bool) -> None:
        """A completed upload whose answer was lost is a success: one object, no second upload."""
        memory = bench.memory()
        provider = FaultyProvider(memory, (Fault(operation="complete_multipart", error=self.LOST, after=True),))
        manager = bench.manager(provider)
        data = noise(3 * PART)
        result = await (manager.upload_stream(chunked(data), "k") if stream else manager.upload(bench.file(data), "k"))
        assert await memory.get("k") == data
        assert result.retries == 1
        assert seen(provider.calls, "create_multipart", "complete_multipart", "abort_multipart") == {
            "create_multipart": 1,
            "complete_multipart": 1,
            "abort_multipart": 0,
        }

    async def test_a_completion_that_did_not_land(self, bench: Bench) -> None:
        """A completion that never arrived is sent again for the same upload."""
        memory = bench.memory()
        provider = FaultyProvider(memory, (Fault(operation="complete_multipart", error=self.LOST),))
        await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
        assert await memory.get("k") == noise(3 * PART)
        assert seen(provider.calls, "create_multipart", "complete_multipart") == {
            "create_multipart": 1,
            "complete_multipart": 2,
        }

    async def test_completed_then_no_such_upload(self, bench: Bench) -> None:
        """500 and then NoSuchUpload, when the object becomes visible in between, is a success."""
        memory = bench.memory()

        class Late(FaultyProvider):
            """The completion takes effect only after the check that follows its lost answer."""

            async def complete_multipart(self, *args: object, **options: object) -> ObjectInfo:
                if self.calls["complete_multipart"]:
                    self.calls["complete_multipart"] += 1
                    await memory.complete_multipart(*args, **options)
                    raise UploadNotFoundError("no such upload")
                self.calls["complete_multipart"] += 1
                raise TransientError("internal error", status=500)

        await bench.manager(Late(memory)).upload(bench.file(noise(3 * PART)), "k")
        assert await memory.get("k") == noise(3 * PART)

    @pytest.mark.parametrize("operation", ["put_object", "complete_multipart"])
    async def test_the_tries_are_bounded(self, bench: Bench, operation: str) -> None:
        """A write that never gets an answer ends with the error after `max_attempts` tries."""
        memory = bench.memory()
        faults = tuple(Fault(operation=operation, nth=number, error=self.LOST) for number in range(1, 50))
        provider = FaultyProvider(memory, faults)
        size = PART if operation == "put_object" else 3 * PART
        with pytest.raises(ConnectionFailedError, match="lost"):
            await bench.manager(provider, max_attempts=3).upload(bench.file(noise(size)), "k", if_none_match="*")
        assert provider.calls[operation] == 3
        assert not await memory.exists("k")

    @pytest.mark.parametrize("operation", ["put_object", "complete_multipart"])
    async def test_a_refusal_at_first_is_final(self, bench: Bench, operation: str) -> None:
        """A failed precondition is raised after one check, which finds another writer's object."""
        memory = bench.memory()
        await memory.put("k", b"there")
        provider = FaultyProvider(memory)
        size = PART if operation == "put_object" else 3 * PART
        with pytest.raises(AlreadyExistsError):
            await bench.manager(provider).upload(bench.file(noise(size)), "k", if_none_match="*")
        assert seen(provider.calls, operation, "head") == {operation: 1, "head": 1}

    @pytest.mark.parametrize("refused", [AccessDeniedError("no HEAD"), NotFoundError("gone")], ids=["403", "404"])
    async def test_a_finished_upload_is_not_undone_by_its_check(self, bench: Bench, refused: StorageError) -> None:
        """If the HEAD after a successful completion is refused, the upload still succeeds."""
        memory = bench.memory()
        provider = FaultyProvider(memory, (Fault(operation="head", error=refused),))
        result = await bench.manager(provider).upload(bench.file(noise(3 * PART)), "k")
        assert await memory.get("k") == noise(3 * PART)
        assert result.size == 3 * PART

    async def test_the_mark_of_a_write_is_not_metadata(self, bench: Bench) -> None:
        """Readers never see the write token."""
        memory = bench.memory()
        await bench.manager(memory).upload(bench.file(noise(3 * PART)), "k", metadata={"mine": "1"})
        assert (await memory.get_metadata("k"))["metadata"] == {"mine": "1"}


class TestProgress:
    """Progress reports to the caller's callback."""

    @pytest.mark.parametrize("size", [0, 1, PART, 7 * PART + 3])
    async def test_the_increments_make_up_the_file(self, bench: Bench, size: int) -> None:
        """Every byte is reported once, and the last report has all bytes, for files and streams."""
        manager = bench.manager(bench.memory())
        for total, transfer in (
            (size, lambda report: manager.upload(bench.file(noise(size)), "k", progress=report)),
            (None, lambda report: manager.upload_stream(chunked(noise(size)), "k", progress=report)),
        ):
            reports: list[Progress] = []
            await transfer(reports.append)
            assert sum(report.increment for report in reports) == size
            assert reports[-1].transferred == size
            assert {(report.total, report.key) for report in reports} == {(total, "k")}

    async def test_a_callback_that_raises(self, bench: Bench) -> None:
        """An error of the callback ends the transfer, and nothing is published or left open."""

        def broken(report: Progress) -> None:
            raise ZeroDivisionError(report.key)

        memory = bench.memory()
        with pytest.raises(ZeroDivisionError):
            await bench.manager(memory).upload(bench.file(noise(3 * PART)), "k", progress=broken)
        assert not await memory.exists("k")


async def test_a_path_object_and_a_string(bench: Bench) -> None:
    """A path may be a `str` or a `Path`."""
    memory = bench.memory()
    manager = bench.manager(memory)
    path = bench.file(b"data")
    await manager.upload(str(path), "a")
    await manager.upload(Path(path), "b")
    assert await memory.get("a") == await memory.get("b") == b"data"
