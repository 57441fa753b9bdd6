"""`StorageManager.cached` on several providers, and one cache that several processes use at once."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider, TransferConfig, TransferManager
from bucketry._core.units import KiB
from bucketry._manage.cache_methods import CacheMethods
from bucketry._transfer.cache.object_cache import ObjectCache
from bucketry.errors import InvalidRequestError, NotFoundError
from bucketry.providers import StorageProvider
from bucketry.testing import FaultyProvider
from tests.contract import servers
from tests.transfer.doubles import noise

HOUR = 3_600.0


@pytest.fixture(scope="module")
def moto() -> Iterator[servers.S3Server]:
    """Run moto for the module."""
    with servers.moto() as server:
        yield server


@pytest.fixture(params=["memory", "local", "moto"])
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageProvider]:
    """Give an open provider of each kind."""
    made: StorageProvider
    match request.param:
        case "memory":
            made = MemoryProvider()
        case "local":
            made = LocalProvider({"base_path": tmp_path / "base"})
        case _:
            made = S3Provider(request.getfixturevalue("moto").new_bucket())
    async with made:
        yield made


async def test_on_every_provider(provider: StorageProvider, tmp_path: Path) -> None:
    """A copy is fetched once, a change and a deletion are seen, and each look costs one request."""
    counting = FaultyProvider(provider)
    manager = CacheMethods(counting)
    place = {"cache_dir": tmp_path / "cache", "max_bytes": 10 * KiB}
    await provider.put("a/k", noise(3 * KiB))
    path = await manager.cached("a/k", **place)
    assert path.read_bytes() == noise(3 * KiB)
    assert counting.calls == {"head": 1, "open_body": 1}
    assert await manager.cached("a/k", **place) == path
    assert await manager.cached("a/k", **place, max_age=HOUR) == path
    assert counting.calls == {"head": 2, "open_body": 1}
    await provider.put("a/k", noise(4 * KiB, 2))
    assert (await manager.cached("a/k", **place)).read_bytes() == noise(4 * KiB, 2)
    assert counting.calls == {"head": 3, "open_body": 2}
    await provider.put("large", noise(11 * KiB))
    with pytest.raises(InvalidRequestError, match="max_bytes"):
        await manager.cached("large", **place)
    await provider.delete("a/k")
    with pytest.raises(NotFoundError):
        await manager.cached("a/k", **place)


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("m/model.pt", ".pt"),
        ("t.csv.gz", ".csv.gz"),
        ("v1.2/net.2024.tar.gz", ".tar.gz"),
        ("a.b/c", ""),
        ("a/.hidden", ""),
        ("x.safetensors", ".safetensors"),
        ("x." + "y" * 40, ""),
        ("x.p t", ""),
        ("x.", ""),
    ],
)
async def test_the_path_has_the_suffix_of_the_key(
    provider: StorageProvider, tmp_path: Path, key: str, suffix: str
) -> None:
    """Libraries that choose a format by the suffix can open the path; the second call finds the same copy."""
    counting = FaultyProvider(provider)
    manager = CacheMethods(counting)
    await provider.put(key, b"data")
    for _ in range(2):
        path = await manager.cached(key, cache_dir=tmp_path / "cache", max_bytes=KiB)
        assert "".join(path.suffixes) == suffix
    assert counting.calls["open_body"] == 1


async def test_a_copy_of_an_earlier_release_is_fetched_again(tmp_path: Path) -> None:
    """A copy without the suffix is not returned, but counts, and is removed when its space is needed."""
    provider = MemoryProvider()
    manager = CacheMethods(provider)
    await provider.put("m.pt", b"1234")
    path = await manager.cached("m.pt", cache_dir=tmp_path / "cache", max_bytes=10)
    old = path.rename(path.with_suffix(""))
    assert (await manager.cached("m.pt", cache_dir=tmp_path / "cache", max_bytes=10)).suffix == ".pt"
    await provider.put("n.pt", b"1234")
    await manager.cached("n.pt", cache_dir=tmp_path / "cache", max_bytes=10)
    assert not old.exists()


async def test_only_this_user_can_read_a_new_cache(tmp_path: Path) -> None:
    """The directory of the cache and those in it are readable by this user only."""
    provider = MemoryProvider()
    await provider.put("k", b"1")
    await CacheMethods(provider).cached("k", cache_dir=tmp_path / "new/cache", max_bytes=10)
    assert stat.S_IMODE((tmp_path / "new/cache").stat().st_mode) == 0o700


def files(directory: Path) -> dict[Path, int]:
    """Give the copies of the cache below a directory, and their numbers in the file system."""
    return {path: path.stat().st_ino for path in directory.glob("cache/objects/*/*/*-*")}


async def test_get_many_on_every_provider(provider: StorageProvider, tmp_path: Path) -> None:
    """A second pass over the objects makes one request for each and reads nothing; a changed object is read."""
    counting = FaultyProvider(provider)
    cache = ObjectCache(tmp_path / "cache", 100 * KiB)
    keys = [f"k{number}" for number in range(10)]
    for number, key in enumerate(keys):
        await provider.put(key, noise(KiB, number))
    manager = TransferManager(counting)
    first = dict([pair async for pair in manager.get_many(keys, cache=cache)])
    assert first == {key: noise(KiB, number) for number, key in enumerate(keys)}
    copies = files(tmp_path)
    assert len(copies) == 10
    assert dict([pair async for pair in manager.get_many(keys, cache=cache)]) == first
    assert counting.calls == {"open_body": 20}
    assert files(tmp_path) == copies
    await provider.put("k3", noise(KiB, 99))
    assert dict([pair async for pair in manager.get_many(keys, cache=cache)]) == first | {"k3": noise(KiB, 99)}
    assert counting.calls == {"open_body": 30}


async def test_the_same_key_in_two_buckets(moto: servers.S3Server, tmp_path: Path) -> None:
    """Equal keys of two buckets are two objects of the cache, also within `max_age`."""
    buckets = [S3Provider(moto.new_bucket()) for _ in range(2)]
    for _ in range(2):
        for number, bucket in enumerate(buckets):
            async with bucket:
                await bucket.put("k", noise(KiB, number))
                path = await CacheMethods(bucket).cached("k", cache_dir=tmp_path, max_bytes=10 * KiB, max_age=HOUR)
                assert path.read_bytes() == noise(KiB, number)


READER = """
import asyncio, hashlib, sys
from bucketry import LocalProvider, TransferConfig, TransferManager
from bucketry._manage.cache_methods import CacheMethods
from bucketry._transfer.cache.object_cache import ObjectCache
from bucketry.testing import FaultyProvider

base, cache_dir, what = sys.argv[1:]

class Halting(LocalProvider):
    async def fetch_range(self, key, sink, options):
        sink.write(b"half of it")
        print("halted", flush=True)
        await asyncio.get_running_loop().create_future()

async def main():
    local = (Halting if what == "halt" else LocalProvider)({"base_path": base})
    counting = FaultyProvider(local)
    config = TransferConfig(part_size=1024 * 1024, memory_budget=4 * 1024 * 1024)
    manager = CacheMethods(counting, transfer=config)
    print("ready", flush=True)
    sys.stdin.readline()
    digest = hashlib.sha256()
    if what == "get_many":
        keys = [f"small/{number}" for number in range(50)]
        async for key, data in manager.transfers.get_many(keys, cache=ObjectCache(cache_dir, 20_000)):
            digest.update(data)
    else:
        path = await manager.cached("k", cache_dir=cache_dir, max_bytes=10_000_000)
        digest.update(path.read_bytes())
    print(digest.hexdigest(), counting.calls["open_body"] + counting.calls["fetch_range"])

asyncio.run(main())
"""


def start(directory: Path, what: str) -> subprocess.Popen[bytes]:
    """Run a process that reads through the cache, and wait until it is ready."""
    command = [sys.executable, "-c", READER, str(directory / "base"), str(directory / "cache"), what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def at_once(directory: Path, what: str, count: int) -> list[list[bytes]]:
    """Let processes begin at the same time, and give the words that each prints."""
    with ExitStack() as stack:
        processes = [stack.enter_context(start(directory, what)) for _ in range(count)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
        outputs = [process.communicate()[0].split() for process in processes]
        assert [process.returncode for process in processes] == [0] * count
    return outputs


@pytest.mark.slow
class TestProcesses:
    """Several processes, one cache."""

    async def test_one_process_fetches(self, tmp_path: Path) -> None:
        """Processes that ask for one object of a cold cache all get it whole, and one of them fetches it."""
        async with LocalProvider({"base_path": tmp_path / "base"}) as local:
            await local.put("k", noise(3_500_000))
        outputs = at_once(tmp_path, "cached", 3)
        assert len({digest for digest, _ in outputs}) == 1
        assert sorted(int(requests) for _, requests in outputs) == [0, 0, 4]
        assert [path.stat().st_size for path in (tmp_path / "cache" / "objects").rglob("*-*")] == [3_500_000]

    async def test_many_small_objects(self, tmp_path: Path) -> None:
        """Processes that read and evict the same objects at once get all bytes, and the limit holds."""
        async with LocalProvider({"base_path": tmp_path / "base"}) as local:
            for number in range(50):
                await local.put(f"small/{number}", noise(1_000, number))
        outputs = at_once(tmp_path, "get_many", 3)
        assert len({digest for digest, _ in outputs}) == 1
        assert sum(path.stat().st_size for path in (tmp_path / "cache" / "objects").rglob("*-*")) <= 20_000
        assert list((tmp_path / "cache" / "incoming").iterdir()) == []

    async def test_a_killed_process(self, tmp_path: Path) -> None:
        """A process that is killed while it fetches leaves no copy; the next one fetches and removes the leftovers."""
        provider = LocalProvider({"base_path": tmp_path / "base"})
        await provider.put("k", noise(3_500_000))
        kill_halfway(tmp_path)
        assert list((tmp_path / "cache").rglob("*-*")) == []
        assert list((tmp_path / "cache" / "incoming").iterdir()) != []
        manager = CacheMethods(provider, transfer=TransferConfig())
        path = await manager.cached("k", cache_dir=tmp_path / "cache", max_bytes=10_000_000)
        assert path.read_bytes() == noise(3_500_000)
        assert list((tmp_path / "cache" / "incoming").iterdir()) == []


def kill_halfway(directory: Path) -> None:
    """Kill a process by SIGKILL after it has fetched a part of the object."""
    with start(directory, "halt") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"halted\n"
        process.kill()
