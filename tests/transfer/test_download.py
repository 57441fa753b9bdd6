"""Downloads: after any fault, the file is the old one or the complete new one, of one version, and verified."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucketry import MemoryProvider
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.requests import BodyReader
from bucketry._core.retry import GOOD_PROGRESS, MAX_ATTEMPTS
from bucketry._core.units import KiB, MiB
from bucketry._core.values import Body, ByteRange, ObjectInfo, Progress
from bucketry.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    DiskFullError,
    IncompleteBodyError,
    IntegrityError,
    LocalFileError,
    LocalIsADirectoryError,
    LocalNotADirectoryError,
    LocalPermissionError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import AT_ONCE, PART, Bench, Cutting, Scripted, noise

LARGE = MiB + 100  # larger than SMALL, so read in chunks
LENGTHS = [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7]


async def test_every_length_arrives(bench: Bench) -> None:
    """Objects of lengths around the part size arrive unchanged and verified, with the fewest possible requests."""
    for length in LENGTHS:
        memory = bench.memory()
        await memory.put("k", noise(length))
        provider = Scripted(memory)
        target = bench.target()
        result = await bench.manager(provider).download("k", target)
        assert target.read_bytes() == noise(length)
        assert (result.size, result.parts, result.verified) == (length, -(-length // PART), "crc32")
        assert provider.calls["head"] == 0
        asked = [byte_range for byte_range, _ in provider.ranges]
        if length:
            first, *others = (one for one in asked if one is not None)
            assert first == ByteRange(0, PART)
            assert sorted(others, key=lambda one: one.start) == [
                ByteRange(start, min(start + PART, length)) for start in range(PART, length, PART)
            ]
        else:
            assert asked == [ByteRange(0, PART), None]  # an empty object has no ranges


async def test_every_range_is_pinned(bench: Bench) -> None:
    """Each range but the first is requested with the etag from the first response."""
    memory = bench.memory()
    etag = (await memory.put("k", noise(4 * PART))).etag
    provider = Scripted(memory)
    await bench.manager(provider).download("k", bench.target())
    assert [if_match for _, if_match in provider.ranges] == [None, etag, etag, etag]


@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_range_that_fails_ends_it(bench: Bench, number: int) -> None:
    """If a range fails, its error is raised, not a group, and the target is the old file."""
    memory = bench.memory()
    await memory.put("k", noise(5 * PART))
    target = bench.target()
    target.write_bytes(b"old")
    error = AccessDeniedError("the n-th range is refused")
    provider = FaultyProvider(memory, (Fault(operation="fetch_range", nth=number, error=error),))
    with pytest.raises(AccessDeniedError) as caught:
        await bench.manager(provider).download("k", target)
    assert caught.value is error
    assert isinstance(caught.value.__cause__, BaseExceptionGroup)
    assert target.read_bytes() == b"old"
    assert bench.files() == ["target.bin"]


async def test_a_missing_object(bench: Bench) -> None:
    """A download of a missing object makes no target and no staged file."""
    with pytest.raises(NotFoundError):
        await bench.manager(bench.memory()).download("k", bench.target())
    assert bench.files() == []


class TestReplacedMeanwhile:
    """The object changes between the first response and the last range."""

    @pytest.mark.parametrize(
        "new", [noise(8 * PART, 8), noise(9 * PART, 8), noise(PART, 8)], ids=["same", "longer", "shorter"]
    )
    @pytest.mark.parametrize("number", [2, 4, 8])
    async def test_replaced(self, bench: Bench, new: bytes, number: int) -> None:
        """The file never has bytes of two versions, for any new size; the target is the old file."""
        memory = bench.memory()
        await memory.put("k", noise(8 * PART))
        target = bench.target()
        target.write_bytes(b"old")
        hook = Fault(operation="fetch_range", nth=number, hook=lambda: memory.put("k", new))
        with pytest.raises(PreconditionFailedError):
            await bench.manager(FaultyProvider(memory, (hook,)), max_concurrency=1).download("k", target)
        assert target.read_bytes() == b"old"

    async def test_deleted(self, bench: Bench) -> None:
        """If the object is deleted meanwhile, the download raises `NotFoundError`, and the target stays."""
        memory = bench.memory()
        await memory.put("k", noise(8 * PART))
        target = bench.target()
        target.write_bytes(b"old")
        hook = Fault(operation="fetch_range", nth=4, hook=lambda: memory.delete("k"))
        with pytest.raises(NotFoundError):
            await bench.manager(FaultyProvider(memory, (hook,))).download("k", target)
        assert target.read_bytes() == b"old"

    @pytest.mark.parametrize("size", [0, 1, PART // 2, PART // 2 + 1, 3 * PART])
    async def test_a_small_object_replaced_before_its_only_request(self, bench: Bench, size: int) -> None:
        """A download in one request reads one version: the target is the complete new object, or the old file."""
        memory = bench.memory()
        await memory.put("k", noise(PART // 2))
        target = bench.target()
        target.write_bytes(b"old")
        hook = Fault(operation="fetch_range", hook=lambda: memory.put("k", noise(size, 8)))
        try:
            result = await bench.manager(FaultyProvider(memory, (hook,))).download("k", target)
        except (IntegrityError, PreconditionFailedError):
            assert target.read_bytes() == b"old"
        else:
            assert target.read_bytes() == noise(size, 8)
            assert result.size == size

    async def test_replaced_between_the_pieces_of_one_body(self, bench: Bench) -> None:
        """After an incomplete body, the rest is requested from the version whose beginning is on the disk."""
        memory = bench.memory()
        await memory.put("k", noise(PART))

        class Swapping(Cutting):
            async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
                if self.ranges:
                    await memory.put("k", noise(PART, 8))
                return await super().fetch_range(key, sink, options)

        with pytest.raises(PreconditionFailedError):
            await bench.manager(Swapping(memory, [100])).download("k", bench.target())
        assert bench.files() == []


class TestBrokenBodies:
    """Bodies that end early."""

    async def test_resumed_from_the_first_missing_byte(self, bench: Bench) -> None:
        """After 5 bytes, and then 6 more, the next requests begin at byte 5 and at byte 11 of the same version."""
        memory = bench.memory()
        etag = (await memory.put("k", noise(PART))).etag
        provider = Cutting(memory, [5, 6])
        result = await bench.manager(provider).download("k", bench.target())
        assert bench.target().read_bytes() == noise(PART)
        assert provider.ranges == [
            (ByteRange(0, PART), None),
            (ByteRange(5, PART), etag),
            (ByteRange(11, PART), etag),
        ]
        assert result.retries == 2
        assert result.verified == "crc32"

    async def test_each_range_is_resumed_by_itself(self, bench: Bench) -> None:
        """In a download in parts, only the rest of the incomplete range is requested again."""
        memory = bench.memory()
        etag = (await memory.put("k", noise(3 * PART))).etag
        provider = Cutting(memory, [7, 0, PART])
        result = await bench.manager(provider, max_concurrency=1).download("k", bench.target())
        assert bench.target().read_bytes() == noise(3 * PART)
        assert provider.ranges == [
            (ByteRange(0, PART), None),
            (ByteRange(7, PART), etag),  # cut before its first byte
            (ByteRange(7, PART), etag),  # cut after its last byte
            (ByteRange(PART, 2 * PART), etag),
            (ByteRange(2 * PART, 3 * PART), etag),
        ]
        assert result.retries == 3

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(cuts=st.lists(st.integers(0, PART), max_size=12), size=st.integers(1, 4 * PART))
    def test_any_cuts_give_the_same_file(self, tmp_path: Path, cuts: list[int], size: int) -> None:
        """If bodies are cut at any byte, the file is identical to the object, and no byte is requested twice."""

        async def main() -> None:
            bench = Bench(tmp_path)
            memory = bench.memory()
            await memory.put("k", noise(size))
            provider = Cutting(memory, cuts)
            manager = bench.manager(provider, max_attempts=100)
            await manager.download("k", bench.target())
            assert bench.target().read_bytes() == noise(size)
            await bench.check()

        asyncio.run(main())

    @pytest.mark.parametrize("size", [PART, 3 * PART])
    async def test_the_attempts_are_bounded(self, bench: Bench, size: int) -> None:
        """If no body has a single byte, the download fails after `max_attempts` tries."""
        memory = bench.memory()
        await memory.put("k", noise(size))
        provider = Cutting(memory, [0] * 100)
        with pytest.raises(IncompleteBodyError):
            await bench.manager(provider, max_attempts=3, max_concurrency=1).download("k", bench.target())
        assert len(provider.ranges) == 3
        assert bench.files() == []

    async def test_a_trickle_does_not_go_on_for_ever(self, bench: Bench) -> None:
        """If each body has only one byte, the download fails after `max_attempts` tries."""
        memory = bench.memory()
        await memory.put("k", noise(PART))
        provider = Cutting(memory, [1] * 1_000)
        with pytest.raises(IncompleteBodyError):
            await bench.manager(provider, max_attempts=3).download("k", bench.target())
        assert len(provider.ranges) == 3

    async def test_a_long_transfer_over_a_bad_line_goes_on(self, bench: Bench) -> None:
        """If each body has enough bytes, there may be more incomplete bodies than `max_attempts`."""
        memory, size = bench.memory(), 16 * GOOD_PROGRESS
        await memory.put("k", noise(size))
        provider = Cutting(memory, [GOOD_PROGRESS] * 15)
        manager = bench.manager(provider, max_attempts=2, part_size=size, multipart_threshold=size)
        result = await manager.download("k", bench.target())
        assert bench.target().read_bytes() == noise(size)
        assert result.retries == 15

    async def test_no_second_attempt_where_none_is_wanted(self, bench: Bench) -> None:
        """With `max_attempts=1`, the first incomplete body ends the download."""
        memory = bench.memory()
        await memory.put("k", noise(PART))
        provider = Cutting(memory, [5])
        with pytest.raises(IncompleteBodyError):
            await bench.manager(provider, max_attempts=1).download("k", bench.target())
        assert len(provider.ranges) == 1

    async def test_other_errors_are_not_resumed(self, bench: Bench) -> None:
        """The transfer does not retry failed connections: the request layer has retried them already."""
        memory = bench.memory()
        await memory.put("k", noise(PART))
        provider = FaultyProvider(memory, (Fault(operation="fetch_range", error=ConnectionFailedError("gave up")),))
        with pytest.raises(ConnectionFailedError):
            await bench.manager(provider).download("k", bench.target())
        assert provider.calls["fetch_range"] == 1

    async def test_progress_counts_no_byte_twice(self, bench: Bench) -> None:
        """The progress reports of a download with incomplete bodies add up to its size."""
        memory = bench.memory()
        await memory.put("k", noise(3 * PART))
        reports: list[Progress] = []
        await bench.manager(Cutting(memory, [7, 0, 9])).download("k", bench.target(), progress=reports.append)
        assert sum(report.increment for report in reports) == 3 * PART
        assert (reports[-1].transferred, reports[-1].total) == (3 * PART, 3 * PART)
        assert all(report.increment >= 0 for report in reports)


class Breaking(MemoryProvider):
    """Incomplete bodies for `open_body`: each ends after its number of bytes."""

    def __init__(self, *cuts: int) -> None:
        super().__init__(transfer=AT_ONCE)
        self.cuts = list(cuts)
        self.opened: list[tuple[ByteRange | None, str | None]] = []

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Open, and cut the body after its number of bytes."""
        self.opened.append((options.byte_range, options.if_match))
        cut = self.cuts.pop(0) if self.cuts else None
        async with super().open_body(key, options) as body:
            yield body if cut is None else _Cut(body, cut)


class _Cut:
    verified = None

    def __init__(self, body: BodyReader, cut: int) -> None:
        self.info = body.info
        self._body = body
        self._cut = cut

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self])

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        data = b"".join([chunk async for chunk in self._body])
        yield data[: self._cut]
        raise IncompleteBodyError("the body ended early")


class TestStreams:
    """Bodies read chunk by chunk, not into a file."""

    async def test_get_is_resumed(self, bench: Bench) -> None:
        """`get` requests the rest of a large object from its first missing byte, of the same version."""
        memory = bench.watch(Breaking(5, 6))
        etag = (await memory.put("k", noise(LARGE))).etag
        assert await memory.get("k") == noise(LARGE)
        assert memory.opened == [(None, None), (ByteRange(5, LARGE), etag), (ByteRange(11, LARGE), etag)]

    async def test_a_range_is_resumed_within_itself(self, bench: Bench) -> None:
        """A large incomplete range is resumed up to its own end."""
        memory = bench.watch(Breaking(5))
        etag = (await memory.put("k", noise(2 * LARGE))).etag
        assert await memory.get_range("k", 10, LARGE + 50) == noise(2 * LARGE)[10 : LARGE + 50]
        assert memory.opened == [(ByteRange(10, LARGE + 50), None), (ByteRange(15, LARGE + 50), etag)]

    async def test_a_small_body_is_resumed(self, bench: Bench) -> None:
        """If a small incomplete body gives the bytes that arrived, only the rest is requested."""
        memory = bench.watch(Breaking(5, 6))
        etag = (await memory.put("k", noise(100))).etag
        assert await memory.get("k") == noise(100)
        assert memory.opened == [(None, None), (ByteRange(5, 100), etag), (ByteRange(11, 100), etag)]
        memory.cuts, memory.opened = [5], []
        assert await memory.get_range("k", 10, 500) == noise(100)[10:]
        assert memory.opened == [(ByteRange(10, 500), None), (ByteRange(15, 100), etag)]

    async def test_a_small_body_that_forgets_is_asked_for_again_whole(self, bench: Bench) -> None:
        """If a small incomplete body gives no bytes, all bytes are requested again, of the same version."""
        memory = bench.watch(Breaking(0, 0))
        etag = (await memory.put("k", noise(100))).etag
        assert await memory.get("k") == noise(100)
        assert memory.opened == [(None, None), (ByteRange(0, 100), etag), (ByteRange(0, 100), etag)]

    async def test_a_small_object_replaced_before_it_is_asked_for_again(self, bench: Bench) -> None:
        """`get` gives only bytes of the version that it read first."""
        memory = bench.watch(Breaking(5))
        await memory.put("k", noise(100))
        provider = FaultyProvider(
            memory, (Fault(operation="open_body", nth=2, hook=lambda: memory.put("k", noise(100, 8))),)
        )
        with pytest.raises(PreconditionFailedError):
            await provider.get("k")

    async def test_a_body_that_breaks_after_its_last_byte(self, bench: Bench) -> None:
        """If no byte is missing, no further request is made."""
        for size in (0, LARGE):
            memory = bench.watch(Breaking(size))
            await memory.put("k", noise(size))
            assert await memory.get("k") == noise(size)
            assert len(memory.opened) == 1

    async def test_the_attempts_are_bounded(self, bench: Bench) -> None:
        """If no body has a single byte, the read fails."""
        memory = bench.watch(Breaking(*[0] * 100))
        await memory.put("k", noise(100))
        with pytest.raises(IncompleteBodyError):
            await memory.get("k")
        assert len(memory.opened) == MAX_ATTEMPTS

    async def test_replaced_before_the_rest(self, bench: Bench) -> None:
        """A stream never resumes with another version."""
        memory = bench.watch(Breaking(5))
        await memory.put("k", noise(100))
        got: list[bytes] = []

        async def consume() -> None:
            async with memory.stream("k") as chunks:
                async for chunk in chunks:
                    got.append(chunk)
                    await memory.put("k", noise(100, 8))

        with pytest.raises(PreconditionFailedError):
            await consume()
        assert got == [noise(100)[:5]]

    async def test_ranges_are_of_one_version(self, bench: Bench) -> None:
        """`get_ranges` reads the version of its first request."""
        memory = bench.memory()
        await memory.put("k", noise(100))
        provider = FaultyProvider(
            memory, (Fault(operation="open_body", nth=2, hook=lambda: memory.put("k", noise(100, 8))),)
        )
        with pytest.raises(PreconditionFailedError):
            await provider.get_ranges("k", [(0, 10), (50, 60)], coalesce=0)


class TestVerified:
    """Downloads compare the bytes with the stored checksum."""

    @pytest.mark.parametrize("size", [1, PART, 3 * PART + 1])
    async def test_other_bytes_are_refused(self, bench: Bench, size: int) -> None:
        """A changed byte is detected, and the target stays the old file."""

        class Flipping(FaultyProvider):
            async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
                data = await memory.get("k")
                wanted = options.byte_range or ByteRange(0, len(data))
                wrong = bytearray(data)
                wrong[-1] ^= 1
                sink.write(wrong[wanted.start : wanted.end])
                return await memory.head("k")

        memory = bench.memory()
        await memory.put("k", noise(size))
        target = bench.target()
        target.write_bytes(b"old")
        with pytest.raises(IntegrityError, match="crc32"):
            await bench.manager(Flipping(memory)).download("k", target)
        assert target.read_bytes() == b"old"
        assert (await bench.manager(Flipping(memory), verify=False).download("k", target)).verified == "length"

    async def test_without_a_checksum_the_result_says_so(self, bench: Bench) -> None:
        """If the provider keeps no checksum that this machine can compute, `verified` is "length"."""

        class Foreign(MemoryProvider):
            async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
                info = await super().put_object(key, body, options)
                object.__setattr__(self._objects[key].info, "checksums", {"sha3": "00"})
                return info

        memory = bench.watch(Foreign())
        await memory.put("k", noise(3 * PART))
        assert (await bench.manager(memory).download("k", bench.target())).verified == "length"

    @pytest.mark.parametrize("size", [PART, 3 * PART])
    @pytest.mark.parametrize("kept", [10, PART - 1])
    async def test_a_short_answer_is_not_published(self, bench: Bench, size: int, kept: int) -> None:
        """If a provider ends a range early without an error, the length check detects it."""

        class Short(FaultyProvider):
            async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
                sink.write(bytes(kept))
                return await memory.head("k")

        memory = bench.memory()
        await memory.put("k", noise(size))
        with pytest.raises(IntegrityError):
            await bench.manager(Short(memory), verify=False).download("k", bench.target())
        assert bench.files() == []

    async def test_more_bytes_than_asked_for(self, bench: Bench) -> None:
        """A range never writes beyond its end, into the next range."""

        class Long(FaultyProvider):
            async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
                sink.write(bytes(PART + 1))
                return await memory.head("k")

        memory = bench.memory()
        await memory.put("k", noise(3 * PART))
        with pytest.raises(IntegrityError, match="more"):
            await bench.manager(Long(memory), verify=False).download("k", bench.target())
        assert bench.files() == []


class TestTarget:
    """Targets that exist already, or cannot be written."""

    async def test_a_directory(self, bench: Bench) -> None:
        """A directory as target is refused before any request, with and without a slash at its end."""
        provider = FaultyProvider(bench.memory())
        (bench.target("dir") / "inside").mkdir(parents=True)
        for path in (bench.target("dir"), f"{bench.target('dir')}/"):
            with pytest.raises(LocalIsADirectoryError):
                await bench.manager(provider).download("k", path)
        assert not provider.calls
        assert bench.files() == ["dir", "dir/inside"]

    async def test_a_fifo(self, bench: Bench) -> None:
        """A FIFO as target is refused at once, and stays a FIFO."""
        os.mkfifo(bench.target("fifo"))
        provider = FaultyProvider(bench.memory())
        with pytest.raises(LocalFileError, match="regular"):
            await bench.manager(provider).download("k", bench.target("fifo"))
        assert stat.S_ISFIFO(os.stat(bench.target("fifo")).st_mode)
        assert not provider.calls

    @pytest.mark.parametrize("dangling", [True, False])
    async def test_a_link_is_replaced(self, bench: Bench, dangling: bool) -> None:
        """A symbolic link is replaced by the file; the link's target does not change."""
        elsewhere = bench.directory / "elsewhere"
        if not dangling:
            elsewhere.write_bytes(b"precious")
        bench.target("link").symlink_to(elsewhere)
        memory = bench.memory()
        await memory.put("k", noise(3 * PART))
        await bench.manager(memory).download("k", bench.target("link"))
        assert not bench.target("link").is_symlink()
        assert bench.target("link").read_bytes() == noise(3 * PART)
        assert dangling or elsewhere.read_bytes() == b"precious"

    async def test_directories_are_made(self, bench: Bench) -> None:
        """Missing directories of the path are made."""
        memory = bench.memory()
        await memory.put("k", b"x")
        await bench.manager(memory).download("k", bench.target() / "a" / "b" / "c")
        assert (bench.target() / "a" / "b" / "c").read_bytes() == b"x"

    async def test_a_file_on_the_way(self, bench: Bench) -> None:
        """If a file is where the path needs a directory, the error says so."""
        memory = bench.memory()
        await memory.put("k", b"x")
        bench.target("file").write_bytes(b"")
        with pytest.raises((LocalNotADirectoryError, LocalFileError)):
            await bench.manager(memory).download("k", bench.target("file") / "below")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    async def test_a_read_only_directory(self, bench: Bench) -> None:
        """A directory without permission is a permission error."""
        memory = bench.memory()
        await memory.put("k", b"x")
        bench.target("ro").mkdir(mode=0o500)
        with pytest.raises(LocalPermissionError):
            await bench.manager(memory).download("k", bench.target("ro") / "f")

    async def test_a_path_that_cannot_be(self, bench: Bench) -> None:
        """A path with a NUL is a local file error, like every other path that cannot be written."""
        memory = bench.memory()
        await memory.put("k", b"x")
        with pytest.raises(StorageError):
            await bench.manager(memory).download("k", "a\0b")

    async def test_the_mode_follows_the_umask(self, bench: Bench) -> None:
        """A downloaded file has the permissions of any new file."""
        memory = bench.memory()
        await memory.put("k", b"x")
        old = os.umask(0o027)
        try:
            await bench.manager(memory, fsync=True).download("k", bench.target())
        finally:
            os.umask(old)
        assert stat.S_IMODE(bench.target().stat().st_mode) == 0o640

    @pytest.mark.slow
    @pytest.mark.parametrize("parts", [False, True])
    async def test_a_full_disk(self, bench: Bench, parts: bool) -> None:
        """If the file does not fit, the error says that the disk is full, and no staged file is left."""
        program = """
import asyncio, sys
from bucketry import MemoryProvider, TransferConfig, TransferManager
from bucketry.errors import DiskFullError

async def main(target, part_size):
    memory = MemoryProvider()
    await memory.put("k", bytes(1 << 20))
    try:
        await TransferManager(memory, TransferConfig(part_size=part_size)).download("k", target)
    except DiskFullError as error:
        print(error.errno, error.path)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
        target = bench.target()
        target.write_bytes(b"old")
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, str(target), str(64 * KiB if parts else 2 * MiB)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200 * KiB, 200 * KiB)),
        )
        assert str(target) in done.stdout, done.stderr
        assert target.read_bytes() == b"old"
        assert bench.files() == ["target.bin"]


async def test_a_disk_that_fills_while_it_is_written(bench: Bench) -> None:
    """A write that fails in the middle of a body ends the download as a local error that names the file."""

    class Full(FaultyProvider):
        async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
            if options.byte_range is not None and options.byte_range.start:
                raise DiskFullError("full", path="target")
            return await super().fetch_range(key, sink, options)

    memory = bench.memory()
    await memory.put("k", noise(5 * PART))
    with pytest.raises(DiskFullError):
        await bench.manager(Full(memory)).download("k", bench.target())
    assert bench.files() == []
