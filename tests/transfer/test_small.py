"""Small objects: one request, one call in a thread, and the same promises as for large ones."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import BodyReader
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ByteRange
from bucketry._transfer.limits import COPIES
from bucketry._transfer.workers import fan_out
from bucketry.errors import (
    AccessDeniedError,
    IncompleteBodyError,
    IntegrityError,
    LocalFileError,
    LocalIsADirectoryError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, counted_threads, noise, until


async def turns(count: int = 20) -> None:
    """Let the event loop run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def filled(bench: Bench, count: int, size: int = 100, **row: Any) -> MemoryProvider:
    """Make a memory with objects k00, k01, …, each with different bytes."""
    memory = bench.memory(**row)
    for number in range(count):
        await memory.put(f"k{number:02}", noise(size, number))
    return memory


@pytest.mark.parametrize("size", [0, 1, MiB, 3 * MiB + 1])
@pytest.mark.parametrize("local", [True, False])
async def test_a_body_can_be_read_in_one_piece(tmp_path: Path, size: int, local: bool) -> None:
    """A body's `read` gives all its bytes or its range, for any size, also from a wrapped provider."""
    provider = LocalProvider({"base_path": str(tmp_path)}) if local else MemoryProvider()
    await provider.put("k", noise(size))
    async with FaultyProvider(provider).open_body("k") as body:
        assert await body.read() == noise(size)
    if size:
        async with provider.open_body("k", ReadOptions(byte_range=ByteRange(size // 2, size))) as body:
            assert await body.read() == noise(size)[size // 2 :]


class TestListing:
    """Listings request one page early."""

    async def test_the_next_page_is_asked_for_ahead(self, bench: Bench) -> None:
        """The next page is requested when the second entry of a page is taken, and only one page early."""
        provider = FaultyProvider(await filled(bench, 10, max_list_keys=3))
        calls, taken = [], []
        async for entry in provider.list():
            await turns()
            taken.append(entry.key)
            calls.append(provider.calls["list_page"])
        assert taken == [f"k{number:02}" for number in range(10)]
        assert calls == [1, 2, 2, 2, 3, 3, 3, 4, 4, 4]

    async def test_it_is_asked_for_though_nobody_waits(self, bench: Bench) -> None:
        """The next page is requested early even if the consumer never awaits anything else."""
        provider = FaultyProvider(await filled(bench, 10, max_list_keys=3))
        calls = [provider.calls["list_page"] async for _ in provider.list()]
        assert calls == [1, 2, 2, 2, 3, 3, 3, 4, 4, 4]

    async def test_a_look_at_the_first_entry_costs_one_request(self, bench: Bench) -> None:
        """A caller that takes only the first entry causes no request for a second page."""
        provider = FaultyProvider(await filled(bench, 10, max_list_keys=3))
        async with aclosing(provider.list()) as found:
            assert (await anext(found)).key == "k00"
            await turns()
        assert provider.calls["list_page"] == 1

    @pytest.mark.parametrize("explicit", [True, False])
    async def test_stopping_early_leaves_nothing(self, bench: Bench, explicit: bool) -> None:
        """Leaving a listing ends the request of the next page."""
        memory = await filled(bench, 10, max_list_keys=3)
        provider = FaultyProvider(memory, (Fault(operation="list_page", nth=2, hang=True),))
        found = provider.list()
        for _ in range(2):
            await anext(found)
        await until(lambda: provider.running)
        if explicit:
            await found.aclose()
            assert provider.running == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}
        del found
        await until(lambda: not provider.running)

    async def test_an_error_of_a_page_waits_for_its_turn(self, bench: Bench) -> None:
        """Entries before a failed page are given before its error."""
        memory = await filled(bench, 10, max_list_keys=3)
        provider = FaultyProvider(memory, (Fault(operation="list_page", nth=3, error=AccessDeniedError("no")),))
        taken = []

        async def consume() -> None:
            async for entry in provider.list():
                await turns()
                taken.append(entry.key)

        with pytest.raises(AccessDeniedError):
            await consume()
        assert taken == [f"k{number:02}" for number in range(6)]
        assert provider.calls["list_page"] == 3

    async def test_an_error_that_is_never_reached(self, bench: Bench) -> None:
        """If a listing ends before a failed page is needed, its error is not raised or logged."""
        lost: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        memory = await filled(bench, 10, max_list_keys=3)
        provider = FaultyProvider(memory, (Fault(operation="list_page", nth=2, error=AccessDeniedError("no")),))
        async with aclosing(provider.list()) as found:
            for _ in range(3):
                await anext(found)
                await turns()
        assert provider.calls["list_page"] == 2
        gc.collect()
        assert lost == []

    async def test_cancelled_while_a_page_is_waited_for(self, bench: Bench) -> None:
        """Cancelling a consumer that waits for a page ends its request."""
        memory = await filled(bench, 10, max_list_keys=3)
        provider = FaultyProvider(memory, (Fault(operation="list_page", nth=2, hang=True),))
        task = asyncio.create_task(provider.list_files())
        await until(lambda: provider.calls["list_page"] == 2)
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert provider.running == 0

    async def test_a_fan_out_closes_its_generator(self) -> None:
        """If the work on an item fails, the items' generator is closed before the error is raised."""
        ended = []

        async def items() -> AsyncGenerator[int, None]:
            try:
                for number in range(10):
                    yield number
            finally:
                await asyncio.sleep(0)
                ended.append(True)

        async def act(number: int) -> None:
            raise ZeroDivisionError(number)

        with pytest.raises(ZeroDivisionError):
            await fan_out(items(), act, width=2)
        assert ended == [True]


class Other(MemoryProvider):
    """A memory whose bodies are replaced by changed ones."""

    def __init__(self, change: Callable[[bytes], bytes], count: int = 1_000) -> None:
        super().__init__()
        self.change = change
        self.count = count

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Give a changed body for a number of times."""
        self.count -= 1
        async with super().open_body(key, options) as body:
            yield _Changed(body, self.change) if self.count >= 0 else body


class _Changed:
    verified = None

    def __init__(self, body: BodyReader, change: Callable[[bytes], bytes]) -> None:
        self.info = body.info
        self._body = body
        self._change = change

    async def read(self) -> bytes:
        return self._change(await self._body.read())

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        yield await self.read()


def broken(data: bytes) -> bytes:
    """Make a body incomplete."""
    message = f"{len(data)} bytes are missing"
    raise IncompleteBodyError(message)


class TestDownloadTree:
    """Downloads of listed objects through memory."""

    async def test_one_hop_and_one_request_for_each(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A small object costs one request and at most one call in a thread; each directory is made once.

        The test counts calls of `os.makedirs`, because the disk does not show how often a directory was made.
        """
        memory = bench.memory()
        for number in range(30):
            await memory.put(f"d{number % 3}/{number:02}", noise(number * 10))
        provider = FaultyProvider(memory)
        threads, made, original = counted_threads(), Counter[str](), os.makedirs

        def noted(name: str, *arguments: Any, **options: Any) -> None:
            made[name] += 1
            original(name, *arguments, **options)

        monkeypatch.setattr(os, "makedirs", noted)
        tree = bench.target("tree")
        result = await bench.manager(provider, max_concurrency=1).download_tree("", tree)
        assert len(result.succeeded) == 30
        assert threads.submitted <= 30 + 1  # one more to resolve the directory
        assert dict(provider.calls) == {"list_page": 1, "open_body": 30}
        assert made == {str(tree): 1} | {str(tree / f"d{number}"): 1 for number in range(3)}

    async def test_memory_is_held_until_the_file_is_there(self, bench: Bench) -> None:
        """Only as many bytes are requested as fit the budget, even if there are more slots."""
        memory = await filled(bench, 20, size=KiB)
        most = now = 0

        async def enter() -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await turns()
            now -= 1

        faults = tuple(Fault(operation="open_body", nth=number, hook=enter) for number in range(1, 21))
        manager = bench.manager(FaultyProvider(memory, faults), memory_budget=3 * KiB, max_concurrency=16)
        result = await manager.download_tree("", bench.target("tree"))
        assert len(result.succeeded) == 20
        assert most == 3

    @pytest.mark.parametrize("size", [0, 99, 101, 3 * MiB])
    async def test_replaced_since_it_was_listed(self, bench: Bench, size: int) -> None:
        """If an object's size differs from the listing, its key fails, and none of its bytes are read."""
        memory = await filled(bench, 3)
        await memory.put("k01", noise(100, 1))
        reads = 0

        def reading(data: bytes) -> bytes:
            nonlocal reads
            reads += len(data)
            return data

        other = bench.watch(Other(reading))
        for key in await memory.list_files():
            await other.put(key, await memory.get(key))
        faults = (Fault(operation="open_body", nth=2, hook=lambda: other.put("k01", bytes(size))),)
        manager = bench.manager(FaultyProvider(other, faults), max_concurrency=1)
        result = await manager.download_tree("", bench.target("tree"))
        assert {key: type(error) for key, error in result.failed.items()} == {"k01": IntegrityError}
        assert sorted(bench.files()) == ["tree", "tree/k00", "tree/k02"]
        assert reads == 200

    @pytest.mark.parametrize(
        ("change", "message"), [(lambda data: data[:-1], "received 99"), (lambda data: data[:-1] + b"?", "crc32")]
    )
    async def test_other_bytes_are_refused(self, bench: Bench, change: Callable[[bytes], bytes], message: str) -> None:
        """Missing or changed bytes are detected, and the old file stays."""
        memory = bench.watch(Other(change))
        await memory.put("k", noise(100))
        bench.target("tree").mkdir()
        (bench.target("tree") / "k").write_bytes(b"old")
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert isinstance(result.failed["k"], IntegrityError)
        assert message in str(result.failed["k"])
        assert (bench.target("tree") / "k").read_bytes() == b"old"

    @pytest.mark.parametrize("verify", [True, False])
    async def test_a_broken_body_is_asked_for_again(self, bench: Bench, verify: bool) -> None:
        """An incomplete body is resumed, verified as a whole, and counted in `retries`."""
        memory = bench.watch(Other(broken, 2))
        await memory.put("k", noise(100))
        manager = bench.manager(memory, verify=verify)
        result = await manager.download_tree("", bench.target("tree"))
        assert (bench.target("tree") / "k").read_bytes() == noise(100)
        assert (result.results["k"].retries, result.results["k"].verified) == (2, "crc32" if verify else "length")

    async def test_the_attempts_are_bounded(self, bench: Bench) -> None:
        """If every body is incomplete, the download fails after `max_attempts` tries."""
        memory = bench.watch(Other(broken))
        await memory.put("k", noise(100))
        result = await bench.manager(memory, max_attempts=3).download_tree("", bench.target("tree"))
        assert isinstance(result.failed["k"], IncompleteBodyError)
        assert memory.count == 1_000 - 3

    async def test_what_cannot_land_is_not_asked_for(self, bench: Bench) -> None:
        """A key that is not a safe path is refused before any request."""
        memory = bench.memory()
        for key in ("../a", "b//c", "good"):
            await memory.put(key, b"x")
        provider = FaultyProvider(memory)
        result = await bench.manager(provider).download_tree("", bench.target("tree"))
        assert result.succeeded == ("good",)
        assert provider.calls["open_body"] == 1

    async def test_something_else_in_its_place(self, bench: Bench) -> None:
        """If the target is a directory or a FIFO, its key fails, and the target stays."""
        (bench.target("tree") / "k00" / "inside").mkdir(parents=True)
        os.mkfifo(bench.target("tree") / "k01")
        result = await bench.manager(await filled(bench, 3)).download_tree("", bench.target("tree"))
        found = {key: type(error) for key, error in result.failed.items()}
        assert found == {"k00": LocalIsADirectoryError, "k01": LocalFileError}
        assert result.succeeded == ("k02",)
        assert (bench.target("tree") / "k01").is_fifo()

    async def test_a_directory_that_goes_away_meanwhile(self, bench: Bench) -> None:
        """If a directory is removed between two of its files, it is made again."""
        memory = bench.memory()
        for number in range(2):
            await memory.put(f"d/{number}", b"x")

        async def remove() -> None:
            (bench.target("tree") / "d" / "0").unlink()
            (bench.target("tree") / "d").rmdir()

        provider = FaultyProvider(memory, (Fault(operation="open_body", nth=2, hook=remove),))
        result = await bench.manager(provider, max_concurrency=1).download_tree("", bench.target("tree"))
        assert not result.failed
        assert bench.files() == ["tree", "tree/d", "tree/d/1"]

    async def test_flushed_to_the_disk(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """With `fsync` each small file and its directory are flushed too.

        The test counts calls of `os.fsync`, because only a power cut shows what was flushed.
        """
        flushed = 0

        def fsync(fd: int) -> None:
            nonlocal flushed
            flushed += fd >= 0

        monkeypatch.setattr(os, "fsync", fsync)
        await bench.manager(await filled(bench, 3), fsync=True).download_tree("", bench.target("tree"))
        assert flushed == 6

    async def test_paced(self, bench: Bench) -> None:
        """Small objects count towards the bandwidth."""
        manager = bench.manager(await filled(bench, 4), max_bandwidth=1_000_000)
        began = asyncio.get_running_loop().time()
        await manager.download_tree("", bench.target("tree"))
        assert manager._limits.get().rate._free_at >= began + 100 / 1_000_000


class TestUploadTree:
    """Uploads of small files, read in one call."""

    async def test_one_hop_for_each(self, bench: Bench) -> None:
        """A small file costs at most one call in a thread, which opens, reads, checks and closes it."""
        for number in range(30):
            bench.file(noise(number * 10), f"tree/{number:02}")
        memory = bench.memory()
        threads = counted_threads()
        manager = bench.manager(memory, max_concurrency=1)
        descriptors = len(os.listdir("/dev/fd"))
        result = await manager.upload_tree(bench.directory / "in" / "tree", "")
        assert len(os.listdir("/dev/fd")) == descriptors
        assert len(result.succeeded) == 30
        assert threads.submitted <= 30 + 2  # the directory, and its end
        assert [await memory.get(f"{number:02}") for number in range(30)] == [noise(n * 10) for n in range(30)]

    async def test_a_file_that_changes_while_it_is_read(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """If a small file changes while it is read, it is refused, and nothing is sent.

        The test changes the file in a wrapper of `os.pread`: another process could not hit this moment.
        """
        path = bench.file(noise(100))
        original = os.pread

        def pread(*arguments: int) -> bytes:
            data = original(*arguments)
            path.write_bytes(noise(100, 8))
            os.utime(path, ns=(1, 1))
            return data

        monkeypatch.setattr(os, "pread", pread)
        provider = FaultyProvider(bench.memory())
        with pytest.raises(IntegrityError, match="changed"):
            await bench.manager(provider).upload(path, "k")
        assert not provider.calls

    async def test_a_change_after_it_was_read(self, bench: Bench) -> None:
        """A small file is sent as it was read, even if it changes while the upload waits for a slot."""
        path = bench.file(noise(100))
        memory = bench.memory()
        release = asyncio.Event()
        provider = FaultyProvider(memory, (Fault(operation="put_object", hook=release.wait),))
        manager = bench.manager(provider, max_concurrency=1)
        first = asyncio.create_task(manager.upload(bench.file(b"first", "first"), "first"))
        await until(lambda: provider.calls["put_object"])
        second = asyncio.create_task(manager.upload(path, "k"))
        limits = manager._limits.get()
        await until(lambda: limits.slots._waiting)
        path.write_bytes(noise(200))
        release.set()
        await asyncio.gather(first, second)
        assert await memory.get("k") == noise(100)

    async def test_it_holds_what_it_needs(self, bench: Bench) -> None:
        """While a small file is sent, the upload holds memory for its bytes and the request's copy only."""
        release = asyncio.Event()
        provider = FaultyProvider(bench.memory(), (Fault(operation="put_object", hook=release.wait),))
        manager = bench.manager(provider)
        task = asyncio.create_task(manager.upload(bench.file(noise(100)), "k"))
        await until(lambda: provider.calls["put_object"])
        memory = manager._limits.get().memory
        assert memory.limit - memory.free == COPIES * 100
        release.set()
        await task

    async def test_no_file_is_read_beyond_the_budget(self, bench: Bench) -> None:
        """With many parallel uploads, only as many files are in memory as fit the budget."""
        most = now = 0
        full = asyncio.Event()

        async def enter() -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            if now == 3:
                full.set()
            await full.wait()  # until the budget is used up; a budget with less room would never let this go on
            await turns()
            now -= 1

        faults = tuple(Fault(operation="put_object", nth=number, hook=enter) for number in range(1, 21))
        provider = FaultyProvider(bench.memory(), faults)
        manager = bench.manager(provider, memory_budget=3 * COPIES * PART, max_concurrency=16)
        paths = [(bench.file(noise(PART, number), f"{number}"), f"{number}") for number in range(20)]
        assert len((await manager.upload_many(paths)).succeeded) == 20
        assert most == 3


class TestGetMany:
    """Prefetching of large objects."""

    @pytest.mark.slow
    async def test_large_objects_run_side_by_side_within_the_budget(self, bench: Bench) -> None:
        """Large objects are prefetched in parallel as far as they fit the budget, in the order of their keys."""
        memory = await filled(bench, 6, size=5 * MiB)
        now, most = 0, 0
        opened: Counter[str] = Counter()

        class Counting(FaultyProvider):
            @asynccontextmanager
            async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
                nonlocal now, most
                opened[key] += 1
                whole = opened[key] == 2
                now += whole
                most = max(most, now)
                async with super().open_body(key, options) as body:
                    await turns(100 if key == "k00" and not whole else 1)  # the size of the first object is known last
                    yield body
                now -= whole

        manager = bench.manager(Counting(memory), memory_budget=16 * MiB)  # 4 MiB of it for small objects
        async with asyncio.timeout(10):
            got = [pair async for pair in manager.get_many(sorted(await memory.list_files()))]
        assert [key for key, _ in got] == [f"k{number:02}" for number in range(6)]
        assert all(data == noise(5 * MiB, number) for number, (_, data) in enumerate(got))
        assert most == 2

    async def test_the_attempts_are_the_managers(self, bench: Bench) -> None:
        """An incomplete body is requested `max_attempts` times."""
        memory = bench.watch(Other(broken))
        await memory.put("k", noise(100))
        with pytest.raises(IncompleteBodyError):
            [pair async for pair in bench.manager(memory, max_attempts=2).get_many(["k"])]
        assert memory.count == 1_000 - 2
