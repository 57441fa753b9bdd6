"""Results of many objects in the order they finish: each is given once, and an early end leaves nothing behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from bucketry import MemoryProvider
from bucketry._core.values import BatchResult, TransferResult
from bucketry.errors import (
    AccessDeniedError,
    InvalidKeyError,
    LocalFileNotFoundError,
    NotFoundError,
    StorageError,
    TransientError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, RowOf, noise, until

WIDTH = 4
"""How many transfers the bench's managers make at once."""


class Counted:
    """An endless iterable of keys, which counts those that were taken."""

    def __init__(self) -> None:
        self.drawn = 0

    def __iter__(self) -> Iterator[str]:
        """Give k0, k1, …."""
        for number in itertools.count():
            self.drawn += 1
            yield f"k{number}"


async def turns(count: int = 300) -> None:
    """Let all other tasks run until they wait."""
    for _ in range(count):
        await asyncio.sleep(0)


async def take(each: AsyncGenerator[tuple[str, object], None], keys: list[str]) -> None:
    """Take all results, and collect the keys."""
    async for key, _ in each:
        keys.append(key)


class TestUploads:
    """`TransferManager.upload_each`."""

    async def test_a_failure_among_successes(self, bench: Bench) -> None:
        """Each pair gives its key once, with its result or its error."""
        memory = bench.memory()
        pairs = [(bench.file(noise(number * PART), f"f{number}"), f"k{number}") for number in range(4)]
        pairs.insert(1, (bench.directory / "missing", "lost"))
        found = {key: outcome async for key, outcome in bench.manager(memory).upload_each(pairs)}
        error = found.pop("lost")
        assert isinstance(error, LocalFileNotFoundError)
        assert (error.provider, error.operation, error.key) == ("memory", "upload", "lost")
        assert {key: one.size for key, one in found.items() if isinstance(one, TransferResult)} == {
            f"k{number}": number * PART for number in range(4)
        }

    async def test_as_they_finish(self, bench: Bench) -> None:
        """A slow upload does not delay the results of the others."""
        release = asyncio.Event()
        provider = FaultyProvider(bench.memory(), (Fault(operation="put_object", nth=1, hook=release.wait),))
        path = bench.file(b"x")
        order: list[str] = []
        async with asyncio.timeout(5):
            async for key, _ in bench.manager(provider).upload_each((path, f"k{number}") for number in range(10)):
                order.append(key)
                if len(order) == 9:
                    release.set()
        assert sorted(order) == [f"k{number}" for number in range(10)]

    async def test_an_endless_iterable(self, bench: Bench) -> None:
        """Pairs are read as they are needed, and the work pauses if the consumer does."""
        memory, keys = bench.memory(), Counted()
        path = bench.file(b"x")
        async with (
            asyncio.timeout(10),
            aclosing(bench.manager(memory).upload_each((path, key) for key in keys)) as each,
        ):
            for taken in range(1, 51):
                await anext(each)
                assert keys.drawn <= taken + 2 * WIDTH
            await until(lambda: keys.drawn == 50 + 2 * WIDTH)  # the maximum number of results waits
            await turns()
            assert keys.drawn == 50 + 2 * WIDTH
            assert len(asyncio.all_tasks()) <= WIDTH + 2  # the workers, the task that runs them, and the test
        assert len(await memory.list_files()) <= 50 + 2 * WIDTH

    async def test_leaving_early_stops_the_work(self, bench: Bench) -> None:
        """Leaving after one result stops the unfinished uploads; only the given object is stored."""
        faults = tuple(Fault(operation="put_object", nth=number, hang=True) for number in range(2, 20))
        provider = FaultyProvider(bench.memory(), faults)
        path = bench.file(b"x")
        pairs = ((path, key) for key in Counted())
        async with asyncio.timeout(5), aclosing(bench.manager(provider).upload_each(pairs)) as each:
            key, _ = await anext(each)
            await until(lambda: provider.running == WIDTH)
        assert provider.running == 0
        assert await provider.list_files() == [key]

    async def test_a_cancelled_consumer(self, bench: Bench) -> None:
        """If the consumer is cancelled while it waits for a result, all uploads stop, and none stays open."""
        provider = FaultyProvider(
            bench.memory(), tuple(Fault(operation="put_part", nth=number, hang=True) for number in range(1, 20))
        )
        path = bench.file(noise(5 * PART))
        each = bench.manager(provider).upload_each((path, key) for key in Counted())
        task = asyncio.create_task(take(each, []))
        await until(lambda: provider.running == WIDTH)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert provider.running == 0
        assert await provider.list_files() == []

    async def test_an_iterable_that_raises(self, bench: Bench) -> None:
        """An error of the iterable ends the iteration, after the results that were ready before it."""
        path = bench.file(b"x")

        def pairs() -> Iterator[tuple[Path, str]]:
            yield path, "k"
            raise ZeroDivisionError

        memory = bench.memory()
        found: list[str] = []
        with pytest.raises(ZeroDivisionError):
            await take(bench.manager(memory, max_concurrency=1).upload_each(pairs()), found)
        assert found == ["k"]

    async def test_something_else_than_a_storage_error_stops_all(self, bench: Bench) -> None:
        """An error in the caller's own code ends the iteration; it is not the result of a key."""

        def broken(report: object) -> None:
            raise ZeroDivisionError(report)

        path = bench.file(b"x")
        with pytest.raises(ZeroDivisionError):
            await take(bench.manager(bench.memory()).upload_each([(path, "k")], progress=broken), [])

    async def test_nothing_is_begun_before_it_is_asked_for(self, bench: Bench) -> None:
        """An iteration that is never started reads no pair."""
        keys = Counted()
        each = bench.manager(bench.memory()).upload_each((Path("nowhere"), key) for key in keys)
        await turns(10)
        await each.aclose()
        assert keys.drawn == 0


class TestDownloads:
    """`TransferManager.download_each`."""

    async def test_a_failure_among_successes(self, bench: Bench) -> None:
        """Each pair gives its key once, with its result or its error."""
        memory = bench.memory()
        for number in range(4):
            await memory.put(f"k{number}", noise(number * PART))
        pairs = [(key, bench.target(key)) for key in ("k0", "gone", "k1", "k2", "k3")]
        found = {key: outcome async for key, outcome in bench.manager(memory).download_each(pairs)}
        error = found.pop("gone")
        assert isinstance(error, NotFoundError)
        assert (error.provider, error.operation, error.key) == ("memory", "get", "gone")
        assert {key: one.size for key, one in found.items() if isinstance(one, TransferResult)} == {
            f"k{number}": number * PART for number in range(4)
        }
        assert bench.files() == ["k0", "k1", "k2", "k3"]

    async def test_leaving_early_stops_the_work(self, bench: Bench) -> None:
        """With an endless iterable, only the requested files exist afterwards, complete, and no staged file."""
        memory = bench.memory()
        await memory.put("k", noise(3 * PART))
        numbers = itertools.count()
        pairs = (("k", bench.target(f"t{number}")) for number in numbers)
        async with asyncio.timeout(5), aclosing(bench.manager(memory).download_each(pairs)) as each:
            for _ in range(3):
                await anext(each)
        assert next(numbers) <= 3 + 2 * WIDTH
        assert all(bench.target(name).read_bytes() == noise(3 * PART) for name in bench.files())


class PartlyDeleting(RowOf):
    """A memory with batches of three keys: one key always fails, another fails once with a transient error."""

    def __init__(self) -> None:
        super().__init__(max_delete_keys=3)
        self.batches: list[tuple[str, ...]] = []

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """Delete, with the errors of these keys."""
        failed: dict[str, StorageError] = {}
        if "k1" in keys:
            failed["k1"] = AccessDeniedError("no")
        if "k2" in keys and not any("k2" in batch for batch in self.batches):
            failed["k2"] = TransientError("later")
        self.batches.append(tuple(keys))
        done = await super().delete_batch([key for key in keys if key not in failed])
        return BatchResult(succeeded=done.succeeded, failed=failed)


class TestDeletions:
    """`StorageProvider.delete_each`."""

    async def test_a_failure_among_successes(self) -> None:
        """Each key is given once; a transient error is retried, a permanent one is not."""
        store = PartlyDeleting()
        found = [pair async for pair in store.delete_each(f"k{number}" for number in range(5))]
        errors = dict(found)
        error = errors["k1"]
        assert sorted(key for key, _ in found) == ["k0", "k1", "k2", "k3", "k4"]
        assert [key for key, one in found if one is not None] == ["k1"]
        assert isinstance(error, AccessDeniedError)
        assert (error.provider, error.operation, error.key) == ("memory", "delete_many", "k1")
        assert store.batches == [("k0", "k1", "k2"), ("k2",), ("k3", "k4")]

    async def test_leaving_early_spares_the_later_requests(self) -> None:
        """An endless iterable is read one batch at a time, and no batch is read after the consumer leaves."""
        store, keys = PartlyDeleting(), Counted()
        async with aclosing(store.delete_each(keys)) as each:
            for _ in range(4):
                await anext(each)
        assert (keys.drawn, len(store.batches)) == (6, 3)

    async def test_a_request_that_fails_as_a_whole(self) -> None:
        """If a whole request fails, the error ends the iteration, and names provider and operation."""
        provider = FaultyProvider(
            RowOf(max_delete_keys=2), (Fault(operation="delete_batch", nth=2, error=AccessDeniedError("no")),)
        )
        found: list[str] = []
        with pytest.raises(AccessDeniedError) as caught:
            await take(provider.delete_each(["a", "b", "c"]), found)
        assert found == ["a", "b"]
        assert (caught.value.provider, caught.value.operation) == ("memory", "delete_many")

    async def test_one_key_is_no_list_of_keys(self) -> None:
        """One string is refused before anything is deleted: each of its letters would be a key."""
        with pytest.raises(InvalidKeyError, match="give a list of keys"):
            MemoryProvider().delete_each("abc")
