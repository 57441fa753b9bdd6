"""The local cache of whole objects: `get_many` with it, `TransferManager.cached`, and the files of `ObjectCache`."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, TransferManager
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import BodyReader
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_steps
from bucketry._transfer.cache.object_cache import ObjectCache
from bucketry.errors import (
    ConfigError,
    InvalidRequestError,
    LocalFileError,
    NotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)
from bucketry.providers import PrefixedProvider
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, noise, until

SIZE = 100
HOUR = 3_600.0
ONE_PART = {"part_size": 2 * MiB, "multipart_threshold": 2 * MiB, "memory_budget": 4 * MiB}
LARGE = MiB + 5
"""More than one small body."""


class Recording(FaultyProvider):
    """Records the etags that reads ask about, and the number of bytes that they give."""

    def __init__(self, inner: Any, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(inner, faults)
        self.asked: list[str | None] = []
        self.bodies = 0

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Note the etag, and the body if there is one."""
        self.asked.append(options.if_none_match)
        async with super().open_body(key, options) as body:
            self.bodies += 1
            yield body


class Ignoring(MemoryProvider):
    """A store that ignores `if_none_match`, and counts open bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.open = 0
        self.openings: list[Any] = []  # kept, so that the garbage collection does not close a forgotten body

    def open_body(self, key: str, options: ReadOptions = WHOLE) -> Any:
        """Open the body without the condition."""
        self.openings.append(self._open_body(key, replace(options, if_none_match=None)))
        return self.openings[-1]

    @asynccontextmanager
    async def _open_body(self, key: str, options: ReadOptions) -> AsyncIterator[BodyReader]:
        async with super().open_body(key, options) as body:
            self.open += 1
            try:
                yield body
            finally:
                self.open -= 1


class Unnamed(MemoryProvider):
    """A store without etags."""

    async def head(self, key: str, **options: Any) -> ObjectInfo:
        """Give no etag."""
        return replace(await super().head(key, **options), etag="")

    def _get(self, key: str) -> Any:
        found = super()._get(key)
        return replace(found, info=replace(found.info, etag=""))


def cache_in(bench: Bench, max_bytes: int = 10 * MiB, **options: Any) -> ObjectCache:
    """Make a cache in the test's directory."""
    return ObjectCache(bench.directory / "cache", max_bytes, **options)


def kept(cache: ObjectCache) -> list[Path]:
    """Give the files of the copies."""
    return [path for path in Path(cache.directory, "objects").rglob("*") if path.is_file()]


def unfinished(cache: ObjectCache) -> list[str]:
    """Give the names of the files that are being written."""
    return sorted(path.name for path in Path(cache.directory).glob("incoming/*"))


async def memory_of(bench: Bench, *names: str, size: int = SIZE) -> MemoryProvider:
    """Make a memory with an object of each name."""
    memory = bench.memory()
    for name in names:
        await memory.put(name, noise(size, sum(name.encode())))
    return memory


async def read_all(manager: TransferManager, keys: Iterable[str], cache: ObjectCache) -> dict[str, bytes]:
    """Read objects one after the other, so that the order of their uses is known."""
    got: dict[str, bytes] = {}
    for key in keys:
        got |= {name: data async for name, data in manager.get_many([key], cache=cache)}
    return got


class TestConfiguration:
    """The values of an `ObjectCache`."""

    @pytest.mark.parametrize(
        ("directory", "max_bytes", "max_age", "name"),
        [
            ("", 1, None, "directory"),
            (5, 1, None, "directory"),
            ("d", 0, None, "max_bytes"),
            ("d", True, None, "max_bytes"),
            ("d", 1.5, None, "max_bytes"),
            ("d", 1, -1, "max_age"),
            ("d", 1, float("nan"), "max_age"),
            ("d", 1, "1", "max_age"),
            ("d", 1, True, "max_age"),
        ],
    )
    def test_bad_values(self, directory: Any, max_bytes: Any, max_age: Any, name: str) -> None:
        """A value that makes no sense is refused at construction; the error names it."""
        with pytest.raises(ConfigError, match=f"ObjectCache: {name}"):
            ObjectCache(directory, max_bytes, max_age)

    def test_pickles(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The path becomes absolute, so that a process with another directory uses the same cache."""
        monkeypatch.chdir(tmp_path)
        cache = ObjectCache("below", 5, max_age=1.5)
        monkeypatch.chdir("/")
        assert pickle.loads(pickle.dumps(cache)) == ObjectCache(tmp_path / "below", 5, 1.5)


class TestGetMany:
    """`get_many` with a cache."""

    @pytest.mark.parametrize("size", [0, SIZE, LARGE])
    async def test_a_current_copy_costs_one_request_without_a_body(self, bench: Bench, size: int) -> None:
        """The first read fetches and keeps the object; the second asks with its etag and gets no body."""
        memory = await memory_of(bench, "k", size=size)
        provider = Recording(memory)
        manager, cache = bench.manager(provider), cache_in(bench)
        first = await read_all(manager, ["k"], cache)
        fetched = provider.bodies
        assert provider.asked == [None] * fetched
        assert fetched == (2 if size > MiB else 1)
        assert await read_all(manager, ["k"], cache) == first == {"k": await memory.get("k")}
        assert provider.asked[fetched:] == [(await memory.head("k")).etag]
        assert provider.bodies == fetched

    async def test_max_age(self, bench: Bench) -> None:
        """Within `max_age` a copy costs no request; with 0, and with a copy from the future, each read asks."""
        provider = Recording(await memory_of(bench, "k"))
        manager = bench.manager(provider)
        for age, requests in ((HOUR, 1), (HOUR, 1), (0, 2), (HOUR, 2)):
            await read_all(manager, ["k"], cache_in(bench, max_age=age))
            assert len(provider.asked) == requests
        [copy] = kept(cache_in(bench))
        future = time.time_ns() + 10 * int(HOUR) * 10**9
        os.utime(copy, ns=(future, future))
        await read_all(manager, ["k"], cache_in(bench, max_age=HOUR))
        assert len(provider.asked) == 3

    @pytest.mark.parametrize("size", [SIZE, LARGE])
    async def test_a_changed_object_is_seen(self, bench: Bench, size: int) -> None:
        """A replaced object has another etag: it is fetched with the request that asked, and kept."""
        memory = await memory_of(bench, "k")
        provider = Recording(memory)
        manager, cache = bench.manager(provider), cache_in(bench)
        await read_all(manager, ["k"], cache)
        await memory.put("k", noise(size, 99))
        for requests in (2 if size == SIZE else 3, 3 if size == SIZE else 4):
            assert await read_all(manager, ["k"], cache) == {"k": noise(size, 99)}
            assert len(provider.asked) == requests

    async def test_a_deleted_object(self, bench: Bench) -> None:
        """A deleted object is an error as without a cache, its copy is removed, and the other objects are given."""
        memory = await memory_of(bench, "a", "b")
        manager, cache = bench.manager(memory), cache_in(bench)
        await read_all(manager, ["a", "b"], cache)
        await memory.delete("a")
        found = dict([pair async for pair in manager.get_many(["a", "b"], on_error="yield", cache=cache)])
        assert isinstance(found["a"], NotFoundError)
        assert found["b"] == await memory.get("b")
        assert len(kept(cache)) == 1
        with pytest.raises(NotFoundError):
            await read_all(manager, ["a"], cache)

    @pytest.mark.parametrize("again", ["ab", "bc", "ca"])
    async def test_the_least_recently_used_leaves_first(self, bench: Bench, again: str) -> None:
        """Copies that were read again stay, the one that was not read for the longest time leaves."""
        memory = await memory_of(bench, *"abcd")
        provider = Recording(memory)
        manager, cache = bench.manager(provider), cache_in(bench, 3 * SIZE, max_age=HOUR)
        await read_all(manager, "abc", cache)
        await read_all(manager, again, cache)
        await read_all(manager, "d", cache)
        assert len(provider.asked) == 4
        await read_all(manager, again + "d", cache)
        assert len(provider.asked) == 4
        [oldest] = set("abc") - set(again)
        assert await read_all(manager, oldest, cache) == {oldest: await memory.get(oldest)}
        assert len(provider.asked) == 5

    async def test_never_above_the_limit(self, bench: Bench) -> None:
        """After each read the copies take at most `max_bytes`, and the cache still holds most of what fits."""
        memory = bench.memory()
        cache = cache_in(bench, 1_000)
        manager = bench.manager(memory)
        for number in range(60):
            await memory.put(f"k{number}", noise(37 * (number % 9), number))
            await read_all(manager, [f"k{number}"], cache)
            assert sum(path.stat().st_size for path in kept(cache)) <= 1_000
        assert sum(path.stat().st_size for path in kept(cache)) > 500

    async def test_an_object_larger_than_the_cache(self, bench: Bench) -> None:
        """It is given and not kept, and no other copy leaves for it."""
        memory = await memory_of(bench, "small", "k")
        await memory.put("k", noise(3 * SIZE))
        manager, cache = bench.manager(memory), cache_in(bench, 2 * SIZE)
        await read_all(manager, ["small"], cache)
        assert await read_all(manager, ["k"], cache) == {"k": noise(3 * SIZE)}
        assert [path.stat().st_size for path in kept(cache)] == [SIZE]

    async def test_objects_without_an_etag(self, bench: Bench) -> None:
        """They cannot be compared, so they are fetched each time and not kept."""
        memory = bench.watch(Unnamed())
        await memory.put("k", b"bytes")
        provider = Recording(memory)
        cache = cache_in(bench, max_age=HOUR)
        for requests in (1, 2):
            assert await read_all(bench.manager(provider), ["k"], cache) == {"k": b"bytes"}
            assert provider.bodies == requests
        assert kept(cache) == []

    @pytest.mark.parametrize("damage", [b"", b"short", noise(SIZE + 1)])
    @pytest.mark.parametrize("max_age", [None, HOUR])
    async def test_a_copy_of_another_length_is_fetched_again(
        self, bench: Bench, damage: bytes, max_age: float | None
    ) -> None:
        """A truncated or lengthened file is not used: the object is fetched, and the copy is whole again."""
        memory = await memory_of(bench, "k")
        cache = cache_in(bench, max_age=max_age)
        manager = bench.manager(memory)
        await read_all(manager, ["k"], cache)
        [copy] = kept(cache)
        copy.chmod(0o600)
        copy.write_bytes(damage)
        assert await read_all(manager, ["k"], cache) == {"k": await memory.get("k")}
        assert copy.read_bytes() == await memory.get("k")

    @pytest.mark.parametrize("size", [SIZE, LARGE])
    async def test_a_copy_that_another_process_removes_meanwhile(self, bench: Bench, size: int) -> None:
        """If the copy leaves the cache while the provider is asked, the object is fetched."""
        memory = await memory_of(bench, "k", size=size)
        cache = cache_in(bench)

        async def remove() -> None:
            for path in kept(cache):
                path.unlink()

        requests = 2 if size > MiB else 1
        provider = Recording(memory, (Fault(operation="open_body", nth=requests + 1, hook=remove),))
        manager = bench.manager(provider)
        await read_all(manager, ["k"], cache)
        assert await read_all(manager, ["k"], cache) == {"k": await memory.get("k")}
        assert len(provider.asked) == 2 * requests + 1

    async def test_order_and_memory_with_large_copies(self, bench: Bench) -> None:
        """Copies larger than the memory budget come in order, one after the other, between small ones."""
        memory = bench.memory()
        sizes = [3 * MiB, 10, 2 * MiB, 0, 3 * MiB, MiB + 1]
        keys = [f"k{number}" for number in range(len(sizes))]
        for key, size in zip(keys, sizes, strict=True):
            await memory.put(key, noise(size, size))
        manager, cache = bench.manager(memory, memory_budget=2 * MiB), cache_in(bench, 20 * MiB)
        for _ in range(2):
            async with asyncio.timeout(10):
                got = [(key, len(data)) async for key, data in manager.get_many(keys, cache=cache)]
            assert got == list(zip(keys, sizes, strict=True))

    async def test_a_provider_that_ignores_the_condition(self, bench: Bench) -> None:
        """The etag of the answer is compared, so the copy is used, and the answer's body is released."""
        memory = bench.watch(Ignoring())
        await memory.put("k", b"bytes")
        cache, manager = cache_in(bench), bench.manager(memory)
        for _ in range(2):
            assert await read_all(manager, ["k"], cache) == {"k": b"bytes"}
            assert memory.open == 0

    @pytest.mark.parametrize("size", [SIZE, LARGE])
    async def test_a_vendor_without_conditional_reads(self, bench: Bench, size: int) -> None:
        """Where a GET would send the body in any case, a HEAD compares the etag; a changed object costs both."""
        memory = bench.memory(get_if_match=False)
        await memory.put("k", noise(size))
        provider = Recording(memory)
        manager, cache = bench.manager(provider), cache_in(bench)
        await read_all(manager, ["k"], cache)
        fetched = len(provider.asked)
        assert await read_all(manager, ["k"], cache) == {"k": noise(size)}
        assert (provider.calls["head"], len(provider.asked)) == (1, fetched)
        await memory.put("k", noise(size, 2))
        assert await read_all(manager, ["k"], cache) == {"k": noise(size, 2)}
        assert (provider.calls["head"], len(provider.asked)) == (2, 2 * fetched)
        assert set(provider.asked) == {None}
        await memory.delete("k")
        with pytest.raises(NotFoundError):
            await read_all(manager, ["k"], cache)

    async def test_the_same_key_in_two_places(self, bench: Bench) -> None:
        """Objects are kept by URL: equal keys below two prefixes do not replace each other."""
        memory = bench.memory()
        places = [PrefixedProvider(memory, prefix) for prefix in ("one/", "two/")]
        cache = cache_in(bench, max_age=HOUR)
        for number, place in enumerate(places):
            await place.put("k", noise(SIZE, number))
        for _ in range(2):
            for number, place in enumerate(places):
                assert await read_all(bench.manager(place), ["k"], cache) == {"k": noise(SIZE, number)}
        assert len(kept(cache)) == 2

    async def test_a_full_disk(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """A copy that does not fit the disk is not kept: the bytes are given, one warning says why, nothing is left."""
        memory = await memory_of(bench, "a", "b", size=64 * KiB)
        cache = cache_in(bench)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (32 * KiB, limits[1]))
        try:
            with caplog.at_level(logging.WARNING, "bucketry"):
                got = dict([pair async for pair in bench.manager(memory).get_many(["a", "b"], cache=cache)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert got == {key: await memory.get(key) for key in "ab"}
        assert len(caplog.records) == 1
        assert "cache" in caplog.text
        assert kept(cache) == []
        assert unfinished(cache) == []

    async def test_a_directory_that_is_a_file(self, bench: Bench) -> None:
        """A cache that cannot be written is an error that names the path, not a silent read without a cache."""
        (bench.directory / "cache").write_bytes(b"")
        with pytest.raises(LocalFileError, match="cache"):
            await read_all(bench.manager(await memory_of(bench, "k")), ["k"], cache_in(bench))

    async def test_leaving_early(self, bench: Bench) -> None:
        """A consumer that leaves the iteration leaves no unfinished file."""
        memory = await memory_of(bench, *"abcdefgh")
        cache = cache_in(bench)
        found = bench.manager(memory, memory_budget=16 * MiB).get_many([*"abcdefgh"], cache=cache)
        await anext(found)
        await found.aclose()
        assert unfinished(cache) == []
        assert all(path.stat().st_size == SIZE for path in kept(cache))


class TestCached:
    """`TransferManager.cached`."""

    @pytest.mark.parametrize("size", [0, SIZE, PART + 1, LARGE])
    async def test_requests(self, bench: Bench, size: int) -> None:
        """A current copy costs one HEAD and no body; an object of one part costs one request more."""
        memory = await memory_of(bench, "k", size=size)
        provider = Recording(memory)
        manager, cache = bench.manager(provider), cache_in(bench)
        path = await manager.cached("k", cache)
        assert path.read_bytes() == await memory.get("k")
        if size <= PART:
            assert provider.calls == {"head": 1, "open_body": 1}
        before = provider.calls.copy()
        assert await manager.cached("k", cache) == path
        assert provider.calls - before == {"head": 1}
        assert await manager.cached("k", cache_in(bench, max_age=HOUR)) == path
        assert provider.calls - before == {"head": 1}
        assert unfinished(cache) == []

    async def test_shares_its_copies_with_get_many(self, bench: Bench) -> None:
        """What one of the two has fetched, the other finds."""
        provider = Recording(await memory_of(bench, "a", "b"))
        manager, cache = bench.manager(provider), cache_in(bench)
        path = await manager.cached("a", cache)
        assert await read_all(manager, ["a", "b"], cache) == {
            "a": path.read_bytes(),
            "b": await provider.inner.get("b"),
        }
        await manager.cached("b", cache)
        assert provider.bodies == 2

    @pytest.mark.parametrize("size", [SIZE, LARGE])
    async def test_one_task_fetches_and_the_others_wait(self, bench: Bench, size: int) -> None:
        """Tasks that miss the same object at once get the same path, and its bytes are transferred once."""
        memory = await memory_of(bench, "k", size=size)
        provider = Recording(memory)
        manager, cache = bench.manager(provider, **ONE_PART), cache_in(bench)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(manager.cached("k", cache)) for _ in range(6)]
        assert len({task.result() for task in tasks}) == 1
        assert tasks[0].result().read_bytes() == await memory.get("k")
        assert provider.calls["open_body"] + provider.calls["fetch_range"] == 1

    async def test_a_cancelled_fetch_lets_the_next_task_fetch(self, bench: Bench) -> None:
        """If the task that fetches is cancelled, nothing is left of it, and a waiting task fetches the object."""
        memory = await memory_of(bench, "k", size=LARGE)
        provider = Recording(memory, (Fault(operation="fetch_range", nth=1, hang=True),))
        manager, cache = bench.manager(provider, **ONE_PART), cache_in(bench)
        first = asyncio.create_task(manager.cached("k", cache))
        await until(lambda: provider.calls["fetch_range"])
        second = asyncio.create_task(manager.cached("k", cache))
        await until(lambda: provider.calls["head"] >= 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await second).read_bytes() == await memory.get("k")
        assert unfinished(cache) == []

    async def test_a_cancelled_wait(self, bench: Bench) -> None:
        """A task can be cancelled while it waits for another one, which is not disturbed."""
        memory = await memory_of(bench, "k")
        release = asyncio.Event()
        provider = Recording(memory, (Fault(operation="open_body", nth=1, hook=release.wait),))
        manager, cache = bench.manager(provider), cache_in(bench)
        first = asyncio.create_task(manager.cached("k", cache))
        await until(lambda: provider.calls["open_body"])
        second = asyncio.create_task(manager.cached("k", cache))
        await until(lambda: provider.calls["head"] == 2)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        release.set()
        assert (await first).read_bytes() == await memory.get("k")

    async def test_an_object_larger_than_the_cache(self, bench: Bench) -> None:
        """No path could be promised for it: the error says so before a byte is fetched."""
        provider = Recording(await memory_of(bench, "k"))
        with pytest.raises(InvalidRequestError, match=r"100 bytes.*at most 99.*max_bytes"):
            await bench.manager(provider).cached("k", cache_in(bench, 99))
        assert provider.calls == {"head": 1}

    async def test_an_object_without_an_etag(self, bench: Bench) -> None:
        """A copy could not be compared with it: the error says so before a byte is fetched."""
        memory = bench.watch(Unnamed())
        await memory.put("k", b"bytes")
        with pytest.raises(UnsupportedError, match="etag"):
            await bench.manager(memory).cached("k", cache_in(bench))

    async def test_changes_and_deletion_are_seen(self, bench: Bench) -> None:
        """A replaced object gives another path, and the old file stays; a deleted object is an error."""
        memory = await memory_of(bench, "k")
        manager, cache = bench.manager(memory), cache_in(bench)
        old = await manager.cached("k", cache)
        await memory.put("k", b"new")
        new = await manager.cached("k", cache)
        assert new.read_bytes() == b"new"
        assert old.read_bytes() == noise(SIZE, ord("k"))
        await memory.delete("k")
        with pytest.raises(NotFoundError):
            await manager.cached("k", cache)
        assert kept(cache) == []

    @pytest.mark.parametrize("damage", [b"", b"short", noise(SIZE + 1)])
    async def test_a_copy_of_another_length(self, bench: Bench, damage: bytes) -> None:
        """A file that was truncated or lengthened is fetched again."""
        memory = await memory_of(bench, "k")
        manager, cache = bench.manager(memory), cache_in(bench, max_age=HOUR)
        path = await manager.cached("k", cache)
        path.chmod(0o600)
        path.write_bytes(damage)
        assert (await manager.cached("k", cache)).read_bytes() == await memory.get("k")

    async def test_replaced_while_it_is_fetched(self, bench: Bench) -> None:
        """The copy is of one version: an object that is replaced meanwhile is an error, and nothing is kept."""
        memory = await memory_of(bench, "k", size=3 * PART)

        async def replaced() -> None:
            await memory.put("k", noise(3 * PART, 5))

        provider = Recording(memory, (Fault(operation="fetch_range", nth=2, hook=replaced),))
        cache = cache_in(bench)
        with pytest.raises(PreconditionFailedError):
            await bench.manager(provider).cached("k", cache)
        assert kept(cache) == []
        assert unfinished(cache) == []

    async def test_the_file_cannot_be_changed_by_mistake(self, bench: Bench) -> None:
        """The copy is read-only, and other users cannot look into the cache."""
        cache = cache_in(bench)
        path = await bench.manager(await memory_of(bench, "k")).cached("k", cache)
        assert path.stat().st_mode & 0o222 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


HOLD = """
import sys
from bucketry._transfer.cache.object_cache import ObjectCache
cache = ObjectCache(sys.argv[1], 1000)
if sys.argv[2] == "keep":
    steps = cache.keep("url", '"e"', b"x" * 100, 1)
    next(steps)
else:
    fetch = cache.fetch("url")
    assert fetch.try_begin()
    open(fetch.path, "wb").write(b"x" * 50)
    open(fetch.path.removesuffix(".data") + ".part", "wb").write(b"x" * 50)
print("holds", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of a file, as another process does."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def writing(directory: Path, what: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that holds an unfinished copy until it is killed."""
    command = [sys.executable, "-c", HOLD, str(directory), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"holds\n"
        try:
            yield writer
        finally:
            writer.kill()


def leave(directory: Path, *names: str) -> None:
    """Make the files that a killed process leaves."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_bytes(b"unfinished")


class TestFiles:
    """The files of the cache, used by several processes."""

    @pytest.mark.slow
    @pytest.mark.parametrize("what", ["keep", "fetch"])
    async def test_a_killed_writer(self, tmp_path: Path, what: str) -> None:
        """A process that is killed while it writes leaves no copy; its unfinished files stay until it is dead."""
        cache = ObjectCache(tmp_path, 1_000)
        await in_steps(cache.keep("other", '"e"', b"other", 1))
        with held(tmp_path / "total"), writing(tmp_path, what):
            before = unfinished(cache)
            assert before
            cache.sweep()
            assert unfinished(cache) == before
        cache.sweep()
        assert unfinished(cache) == []
        assert cache.find("url") is None
        await in_steps(cache.keep("url", '"e"', b"y" * 100, 1))
        found = cache.find("url")
        assert found is not None
        assert cache.read(found) == b"y" * 100

    @pytest.mark.parametrize("stored", [b"", b"no number", b"%20d" % 10**9, b"%20d" % -(10**9), b"9" * 40])
    async def test_a_wrong_total(self, tmp_path: Path, stored: bytes) -> None:
        """A wrong total is counted again: no copy leaves while there is room, and the copies do not pass the limit."""
        cache = ObjectCache(tmp_path, 1_000)
        for name, size in (("a", 310), ("b", 310), ("c", 310), ("d", 50)):
            await in_steps(cache.keep(name, '"e"', b"x" * size, 1))
            (tmp_path / "total").write_bytes(stored)
        assert all(cache.find(name) for name in "abcd")
        await in_steps(cache.keep("e", '"e"', b"x" * 500, 1))
        size = sum(path.stat().st_size for path in kept(cache))
        assert size <= 1_000
        assert (tmp_path / "total").read_bytes() == b"%20d" % size

    async def test_leftovers_are_removed_at_the_next_use(self, bench: Bench) -> None:
        """`get_many` and `cached` remove the unfinished files that killed processes left, also those of other keys."""
        manager, cache = bench.manager(await memory_of(bench, "a", "b")), cache_in(bench)
        incoming = Path(cache.directory, "incoming")
        for use in (read_all(manager, ["a"], cache), manager.cached("b", cache)):
            leave(incoming, "one.bytes", "two.lock", "two.data", "two.part")
            await use
            assert unfinished(cache) == []

    async def test_other_files_are_left_alone(self, tmp_path: Path) -> None:
        """Files that are not copies are neither used nor removed."""
        cache = ObjectCache(tmp_path, 100)
        await in_steps(cache.keep("url", '"e"', b"x" * 90, 1))
        [copy] = kept(cache)
        strangers = [copy.with_name("notes.txt"), tmp_path / "objects" / "README", tmp_path / "mine"]
        for path in strangers:
            path.write_bytes(b"mine")
        await in_steps(cache.keep("other", '"e"', b"x" * 90, 1))
        assert [path.read_bytes() for path in strangers] == [b"mine"] * 3
        assert cache.find("url") is None

    async def test_the_wait_for_the_lock_can_be_cancelled(self, tmp_path: Path) -> None:
        """While another process holds the lock, a cancelled writer ends and removes its file."""
        cache = ObjectCache(tmp_path, 100)
        await in_steps(cache.keep("url", '"e"', b"x", 1))
        with held(tmp_path / "total"):
            task = asyncio.create_task(in_steps(cache.keep("other", '"e"', b"x", 1)))
            await until(lambda: unfinished(cache))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert unfinished(cache) == []
        assert cache.find("other") is None
