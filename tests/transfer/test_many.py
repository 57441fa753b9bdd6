"""Many objects at once: batches with results by key, prefetching for a consumer, and copies."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from pathlib import Path

import pytest

from bucketry._core.units import MiB
from bucketry._core.values import MultipartUpload, Part
from bucketry.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    InvalidRequestError,
    LocalFileNotFoundError,
    NotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, Cutting, noise, seen, until


async def filled(bench: Bench, count: int, size: int = 100):  # noqa: ANN201 - a memory
    """Make a memory with objects k0, k1, …, each with different bytes."""
    memory = bench.memory()
    for number in range(count):
        await memory.put(f"k{number}", noise(size, number))
    return memory


AHEAD = {"memory_budget": 16 * MiB}
"""Room to read ahead with: 1 MiB is held for an object until its size is known."""


def keys(count: int) -> list[str]:
    """Name the objects of `filled`."""
    return [f"k{number}" for number in range(count)]


class TestBatches:
    """`upload_many` and `download_many`."""

    async def test_a_failure_does_not_stop_the_others(self, bench: Bench) -> None:
        """Each pair succeeds or fails independently: the batch has an error or a result for each."""
        memory = bench.memory()
        manager = bench.manager(memory)
        pairs = [(bench.file(noise(number * PART), f"f{number}"), f"k{number}") for number in range(4)]
        sent = await manager.upload_many([*pairs, (bench.directory / "missing", "lost")])
        assert sorted(sent.succeeded) == keys(4)
        assert {key: type(error) for key, error in sent.failed.items()} == {"lost": LocalFileNotFoundError}
        got = await manager.download_many(
            [*((key, bench.target(key)) for key in keys(4)), ("gone", bench.target("gone"))]
        )
        assert sorted(got.results) == keys(4)
        assert {key: type(error) for key, error in got.failed.items()} == {"gone": NotFoundError}
        for number in range(4):
            assert bench.target(f"k{number}").read_bytes() == noise(number * PART)
        with pytest.raises(NotFoundError) as caught:
            got.raise_for_failures()
        assert caught.value is got.failed["gone"]

    @pytest.mark.slow
    async def test_pairs_are_taken_as_they_are_needed(self, bench: Bench) -> None:
        """A long iterable of pairs is read only as far as transfers start."""
        memory = bench.memory()
        drawn = 0

        def pairs():  # noqa: ANN202 - a generator of pairs
            nonlocal drawn
            for number in range(1_000):
                drawn += 1
                yield path, f"k{number}"

        path = bench.file(b"x")
        release = asyncio.Event()
        faults = tuple(Fault(operation="put_object", nth=number, hook=release.wait) for number in range(1, 4))
        provider = FaultyProvider(memory, faults)
        task = asyncio.create_task(bench.manager(provider, max_concurrency=3).upload_many(pairs()))
        await until(lambda: provider.running == 3)
        for _ in range(50):
            await asyncio.sleep(0)
        assert drawn == 3
        assert len(asyncio.all_tasks()) < 15
        release.set()
        assert len((await task).succeeded) == 1_000

    async def test_nothing_to_do(self, bench: Bench) -> None:
        """An empty batch succeeds."""
        manager = bench.manager(bench.memory())
        assert (await manager.upload_many([])).succeeded == (await manager.download_many([])).succeeded == ()

    async def test_an_iterable_that_raises(self, bench: Bench) -> None:
        """An error of the iterable is raised, and started transfers are stopped."""

        def pairs():  # noqa: ANN202 - a generator of pairs
            yield bench.file(noise(5 * PART)), "k"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await bench.manager(bench.memory()).upload_many(pairs())

    async def test_something_else_than_a_storage_error_stops_all(self, bench: Bench) -> None:
        """An error in the caller's own code is raised, and not reported as the failure of a key."""

        def broken(report: object) -> None:
            raise ZeroDivisionError(report)

        with pytest.raises(ZeroDivisionError):
            await bench.manager(bench.memory()).upload_many([(bench.file(b"x"), "k")], progress=broken)


class TestGetMany:
    """`get_many` and its prefetching."""

    async def test_in_order(self, bench: Bench) -> None:
        """Objects come in the order of `keys`, not of the answers; a repeated key comes twice."""
        memory = await filled(bench, 20)

        async def slow() -> None:
            for _ in range(50):
                await asyncio.sleep(0)

        provider = FaultyProvider(memory, tuple(Fault(operation="open_body", nth=n, hook=slow) for n in (1, 5, 9)))
        wanted = [*keys(20), "k3"]
        got = [pair async for pair in bench.manager(provider, **AHEAD).get_many(wanted)]
        assert got == [(key, await memory.get(key)) for key in wanted]
        assert 1 < provider.most_running <= 4

    async def test_as_they_arrive(self, bench: Bench) -> None:
        """With `ordered=False`, a slow request does not delay the other objects, and no object is lost."""
        memory = await filled(bench, 20)
        release = asyncio.Event()
        provider = FaultyProvider(memory, (Fault(operation="open_body", nth=1, hook=release.wait),))
        got: dict[str, bytes] = {}
        async with (
            asyncio.timeout(5),
            aclosing(bench.manager(provider, **AHEAD).get_many(keys(20), ordered=False)) as found,
        ):
            async for key, data in found:
                got[key] = data
                if len(got) == 19:
                    release.set()
        assert list(got)[-1] == "k0"
        assert got == {key: await memory.get(key) for key in keys(20)}

    @pytest.mark.parametrize("ordered", [True, False])
    async def test_large_objects_go_one_by_one(self, bench: Bench, ordered: bool) -> None:
        """Objects larger than the budget are read one after the other, also with small objects between them."""
        memory = bench.memory()
        sizes = [3 * MiB, 10, 2 * MiB, 3 * MiB, 0, MiB, MiB + 1]
        for number, size in enumerate(sizes):
            await memory.put(f"k{number}", noise(size, number))
        manager = bench.manager(memory, memory_budget=2 * MiB)
        async with asyncio.timeout(10):
            got = [pair async for pair in manager.get_many(keys(len(sizes)), ordered=ordered)]
        assert sorted(key for key, _ in got) == keys(len(sizes))
        assert all(data == noise(sizes[int(key[1:])], int(key[1:])) for key, data in got)

    async def test_memory_is_bounded(self, bench: Bench) -> None:
        """Only as many objects are prefetched as fit the budget, even if there are more slots."""
        memory = await filled(bench, 30, size=MiB)
        opened = 0

        class Counting(FaultyProvider):
            async def around(self, operation: str, request):  # noqa: ANN001, ANN202 - as the base
                nonlocal opened
                opened += operation == "open_body"
                return await super().around(operation, request)

        manager = bench.manager(Counting(memory), memory_budget=4 * MiB, max_concurrency=16)
        given = 0
        async for _ in manager.get_many(keys(30)):
            given += 1
            for _ in range(20):
                await asyncio.sleep(0)
            assert opened - given <= 4
        assert given == 30

    @pytest.mark.parametrize("ordered", [True, False])
    async def test_requests_run_side_by_side(self, bench: Bench, ordered: bool) -> None:
        """The requests of prefetched objects are parallel: none waits for the answer to another."""
        memory = await filled(bench, 8)
        together = asyncio.Barrier(4)
        faults = tuple(Fault(operation="open_body", nth=number, hook=together.wait) for number in range(1, 9))
        provider = FaultyProvider(memory, faults)
        async with (
            asyncio.timeout(5),
            aclosing(bench.manager(provider, **AHEAD).get_many(keys(8), ordered=ordered)) as found,
        ):
            assert sorted([key async for key, _ in found]) == keys(8)
        assert provider.most_running == 4

    @pytest.mark.parametrize("ordered", [True, False])
    @pytest.mark.parametrize("explicit", [True, False])
    async def test_an_early_break(self, bench: Bench, ordered: bool, explicit: bool) -> None:
        """Leaving the loop early stops prefetching: no task is left, and all slots are free."""
        memory = await filled(bench, 20)
        manager = bench.manager(memory, **AHEAD)
        found = manager.get_many(keys(20), ordered=ordered)
        async for _ in found:
            break
        if explicit:
            await found.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}
        del found

    @pytest.mark.parametrize("ordered", [True, False])
    async def test_cancelled_while_it_waits(self, bench: Bench, ordered: bool) -> None:
        """If the consumer is cancelled while it waits for an object, all requests end."""
        memory = await filled(bench, 20)
        faults = tuple(Fault(operation="open_body", nth=number, hang=True) for number in range(1, 10))
        provider = FaultyProvider(memory, faults)
        manager = bench.manager(provider, **AHEAD)

        async def consume() -> None:
            async with aclosing(manager.get_many(keys(20), ordered=ordered)) as found:
                async for _ in found:
                    pass

        task = asyncio.create_task(consume())
        for _ in range(100):
            await asyncio.sleep(0)
        assert provider.running
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert provider.running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    @pytest.mark.parametrize("ordered", [True, False])
    async def test_a_missing_key_ends_it(self, bench: Bench, ordered: bool) -> None:
        """The objects before a missing key are given, then the error is raised, and the other requests stop."""
        memory = await filled(bench, 20)
        wanted = [*keys(5), "gone", *keys(20)]
        got = []

        async def consume() -> None:
            async for key, _ in bench.manager(memory).get_many(wanted, ordered=ordered):
                got.append(key)

        with pytest.raises(NotFoundError):
            await consume()
        if ordered:
            assert got == keys(5)

    async def test_endless_keys(self, bench: Bench) -> None:
        """An endless iterable of keys is read only as far as objects are prefetched."""
        memory = await filled(bench, 3)
        drawn = itertools.count()

        def endless():  # noqa: ANN202 - a generator of keys
            while True:
                yield f"k{next(drawn) % 3}"

        async with aclosing(bench.manager(memory, **AHEAD).get_many(endless())) as found:
            for _ in range(10):
                await anext(found)
        assert next(drawn) <= 14

    @pytest.mark.slow
    @pytest.mark.parametrize("ordered", [True, False])
    async def test_the_consumer_may_use_the_same_manager(self, bench: Bench, ordered: bool) -> None:
        """A consumer that uploads, downloads and iterates with the same manager meanwhile does not deadlock."""
        memory = await filled(bench, 8, size=MiB)
        manager = bench.manager(memory, max_concurrency=2, memory_budget=MiB)
        path = bench.file(noise(5 * PART))
        async with asyncio.timeout(15):
            async for key, _ in manager.get_many(keys(8), ordered=ordered):
                await manager.upload(path, f"copy-of-{key}")
                await manager.download(key, bench.target(key))
                assert [inner async for inner, _ in manager.get_many(["k0", "k1"])] == ["k0", "k1"]
        assert len(bench.files()) == 8

    async def test_replaced_between_its_two_requests(self, bench: Bench) -> None:
        """If a large object is replaced before its second request, the error is `PreconditionFailedError`."""
        memory = bench.memory()
        await memory.put("k", noise(3 * MiB))
        provider = FaultyProvider(
            memory, (Fault(operation="open_body", nth=2, hook=lambda: memory.put("k", noise(3 * MiB, 8))),)
        )
        with pytest.raises(PreconditionFailedError):
            [pair async for pair in bench.manager(provider).get_many(["k"])]


class TestCopy:
    """Copies on the server, in parts, and between servers."""

    async def large(self, bench: Bench, **row: object):  # noqa: ANN201 - a memory
        """Make a memory whose objects are too large for one copy request."""
        memory = bench.memory(max_copy_size=PART, max_part_size=PART, **row)
        await memory.put("source", noise(5 * PART + 1), metadata={"a": "b"}, content_type="text/x")
        return memory

    async def test_in_parts(self, bench: Bench) -> None:
        """An object above the vendor's limit is copied in parts on the server, with its metadata."""
        memory = await self.large(bench)
        provider = FaultyProvider(memory)
        info = await provider.copy("source", "target")
        assert await memory.get("target") == noise(5 * PART + 1)
        found = await memory.get_metadata("target")
        assert (found["metadata"], found["content_type"], found["etag"]) == ({"a": "b"}, "text/x", info.etag)
        assert dict(info.metadata) == {"a": "b"}
        assert seen(provider.calls, "copy_part", "fetch_range", "open_body") == {
            "copy_part": 6,
            "fetch_range": 0,
            "open_body": 0,
        }

    async def test_a_part_that_fails(self, bench: Bench) -> None:
        """If a part fails, its error is raised, the upload is aborted, and there is no copy."""
        memory = await self.large(bench)
        error = AccessDeniedError("no")
        with pytest.raises(AccessDeniedError) as caught:
            await FaultyProvider(memory, (Fault(operation="copy_part", nth=3, error=error),)).copy("source", "target")
        assert caught.value is error
        assert not await memory.exists("target")

    @pytest.mark.parametrize("pinned", [True, False])
    async def test_replaced_meanwhile(self, bench: Bench, pinned: bool) -> None:
        """A copy never has parts of two versions, also if the vendor ignores the condition."""
        memory = await self.large(bench, copy_source_if_match=pinned)

        class Ignoring(FaultyProvider):
            async def copy_part(
                self, upload: MultipartUpload, part_number: int, source: str, byte_range: object, *, if_match: str
            ) -> Part:
                etag = if_match if pinned else (await memory.head(source)).etag
                return await super().copy_part(upload, part_number, source, byte_range, if_match=etag)

        hook = Fault(operation="copy_part", nth=3, hook=lambda: memory.put("source", noise(5 * PART + 1, 8)))
        with pytest.raises(PreconditionFailedError):
            await Ignoring(memory, (hook,)).copy("source", "target")
        assert not await memory.exists("target")

    async def test_a_lost_answer(self, bench: Bench) -> None:
        """A completed copy whose answer was lost is a success."""
        memory = await self.large(bench)
        fault = Fault(operation="complete_multipart", error=ConnectionFailedError("lost"), after=True)
        provider = FaultyProvider(memory, (fault,))
        await provider.copy("source", "target")
        assert await memory.get("target") == noise(5 * PART + 1)
        assert provider.calls["complete_multipart"] == 1

    async def test_onto_itself_and_where_there_is_none(self, bench: Bench) -> None:
        """A copy to the same key, or on a vendor without copies, is refused before any request."""
        provider = FaultyProvider(bench.memory(copy=False))
        with pytest.raises(InvalidRequestError):
            await provider.copy("k", "k")
        with pytest.raises(UnsupportedError):
            await provider.copy("k", "l")
        assert not provider.calls

    @pytest.mark.parametrize("size", [0, PART, 3 * PART + 1])
    async def test_to_another_provider(self, bench: Bench, size: int) -> None:
        """Between providers, bytes, metadata and content type are copied through memory."""
        source, target = bench.memory(), bench.memory()
        await source.put("k", noise(size), metadata={"a": "b"}, content_type="text/x")
        result = await bench.manager(source).copy_to(target, "k", "l")
        assert await target.get("l") == noise(size)
        found = await target.get_metadata("l")
        assert (found["metadata"], found["content_type"]) == ({"a": "b"}, "text/x")
        assert result.size == size

    async def test_to_another_provider_that_fails(self, bench: Bench) -> None:
        """If the target refuses a part, the copy fails, and no upload stays open."""
        source, target = bench.memory(), bench.memory()
        await source.put("k", noise(5 * PART))
        faulty = FaultyProvider(target, (Fault(operation="put_part", nth=2, error=AccessDeniedError("no")),))
        with pytest.raises(AccessDeniedError):
            await bench.manager(source).copy_to(faulty, "k", "l")
        assert not await target.exists("l")

    async def test_within_one_provider_by_the_server(self, bench: Bench) -> None:
        """`copy_to` the same provider moves no bytes."""
        memory = bench.memory()
        await memory.put("k", b"x")
        provider = FaultyProvider(memory)
        await bench.manager(provider).copy_to(provider, "k", "l")
        assert await memory.get("l") == b"x"
        assert seen(provider.calls, "open_body", "put_object") == {"open_body": 0, "put_object": 0}

    async def test_move(self, bench: Bench) -> None:
        """`move` removes the source after the copy, and keeps it if the copy failed."""
        memory = await self.large(bench)
        broken = FaultyProvider(memory, (Fault(operation="copy_part", nth=2, error=AccessDeniedError("no")),))
        with pytest.raises(AccessDeniedError):
            await broken.move("source", "target")
        assert await memory.list_files() == ["source"]
        await memory.move("source", "target")
        assert await memory.list_files() == ["target"]


async def test_broken_bodies_of_a_batch(bench: Bench) -> None:
    """Incomplete bodies are resumed in a batch too, and each transfer counts its own attempts."""
    memory = await filled(bench, 6, size=PART)
    provider = Cutting(memory, [3, 0, 9, 1, 0, 7, 2])
    manager = bench.manager(provider, max_attempts=20)
    result = await manager.download_many((key, bench.target(key)) for key in keys(6))
    assert not result.failed
    assert all([bench.target(key).read_bytes() == await memory.get(key) for key in keys(6)])
    assert sum(one.retries for one in result.results.values()) == 7


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("large", [100, MiB + 1])
async def test_get_many_may_go_on_after_an_error(bench: Bench, ordered: bool, large: int) -> None:
    """With `on_error="yield"`, each key is given once, with its bytes or its error."""
    memory = bench.memory()
    for number in range(0, 10, 2):
        await memory.put(f"k{number}", noise(large, number))
    faults = (Fault(operation="open_body", nth=1, error=AccessDeniedError("k0: denied", key="k0")),)
    manager = bench.manager(FaultyProvider(memory, faults), memory_budget=6 * MiB)
    given = [pair async for pair in manager.get_many(keys(10), ordered=ordered, on_error="yield")]
    assert sorted(key for key, _ in given) == keys(10)
    if ordered:
        assert [key for key, _ in given] == keys(10)
    found = dict(given)
    assert isinstance(found["k0"], AccessDeniedError)
    for number in range(1, 10):
        expected = found[f"k{number}"]
        assert isinstance(expected, NotFoundError) if number % 2 else expected == noise(large, number)


async def test_get_many_ends_at_the_first_error_unless_told_otherwise(bench: Bench) -> None:
    """By default, the first missing key ends the iteration; a bug always does; an unknown `on_error` is refused."""
    memory = bench.memory()
    await memory.put("k0", b"0")
    manager = bench.manager(memory)
    given = manager.get_many(["k0", "k1", "k2"])
    assert await anext(given) == ("k0", b"0")
    with pytest.raises(NotFoundError):
        await anext(given)
    with pytest.raises(StopAsyncIteration):
        await anext(given)
    faults = (Fault(operation="open_body", error=ZeroDivisionError()),)
    with pytest.raises(ZeroDivisionError):
        _ = [key async for key, _ in bench.manager(FaultyProvider(memory, faults)).get_many(["k0"], on_error="yield")]
    with pytest.raises(InvalidRequestError, match="on_error='skip'"):
        manager.get_many(["k0"], on_error="skip")  # type: ignore[call-overload]  # what a user may write
    with pytest.raises(InvalidRequestError, match=r"cache must be an ObjectCache, not PosixPath"):
        manager.get_many(["k0"], cache=Path("cache"))  # type: ignore[call-overload]  # what a user may write
