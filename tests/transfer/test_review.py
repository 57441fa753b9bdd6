"""Faults that once lost or mixed bytes, or hung: each has its test."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import textwrap
import tracemalloc
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, S3Provider, SessionPool, TransferConfig, TransferManager
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import BatchResult
from bucketry.errors import (
    AccessDeniedError,
    ConfigError,
    IncompleteBodyError,
    InvalidKeyError,
    InvalidRangeError,
    InvalidRequestError,
    TransientError,
    UnsupportedError,
)
from bucketry.testing import Fault, FaultyProvider, embedded_s3
from tests.transfer.doubles import PART, Bench, Discarding, RowOf, noise

KEYS = {"bucket_name": "my-bucket", "access_key_id": "key", "secret_access_key": "canary"}


def test_an_ending_loop_waits_for_threads_and_cleanup() -> None:
    """When `asyncio.run` cancels everything, a thread is still waited for, and a clean-up runs to its end."""
    script = """
        import asyncio, time
        from bucketry._runtime.finish import finish
        from bucketry._runtime.threads import in_thread
        log = []

        def block():
            time.sleep(0.3)
            log.append("thread ended")

        async def transfer():
            try:
                await in_thread(block)
            finally:
                log.append("file closed")

        async def clean_up():
            await asyncio.sleep(0.1)
            log.append("aborted")

        async def upload():
            try:
                await finish(clean_up)
            finally:
                log.append("upload left")

        async def main():
            tasks = [asyncio.create_task(transfer()), asyncio.create_task(upload())]
            await asyncio.sleep(0.05)

        asyncio.run(main())
        print(log.index("thread ended") < log.index("file closed"), log.index("aborted") < log.index("upload left"))
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True True\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("size", [100 * KiB, 12 * MiB])
async def test_copies_between_buckets_do_not_wait_for_their_own_connections(size: int) -> None:
    """Several copies at once over one pool of one connection end, whatever their size."""
    with embedded_s3("from") as server:
        pool = SessionPool(max_connections=1)
        transfer = TransferConfig(max_concurrency=1, part_size=5 * MiB)
        source = S3Provider(server.config, pool=pool, transfer=transfer)
        target = S3Provider(server.config, pool=pool, transfer=transfer)
        data = noise(size)
        await source.put("k", data, metadata={"run": "7"}, content_type="text/x")
        managers = [TransferManager(source, transfer) for _ in range(3)]  # none knows what the others do
        async with asyncio.timeout(15):
            await asyncio.gather(
                *(manager.copy_to(target, "k", f"copy-{number}") for number, manager in enumerate(managers))
            )
        for number in range(3):
            assert await target.get(f"copy-{number}") == data
        facts = await target.get_metadata("copy-0")
        assert (facts["metadata"], facts["content_type"]) == ({"run": "7"}, "text/x")
        await pool.close()


class CountingParts(FaultyProvider):
    """Counts how many parts are sent at once."""

    parts = most_parts = 0

    async def around(self, operation: str, request: Any) -> Any:
        """Count a part while it is sent."""
        if operation != "put_part":
            return await super().around(operation, request)
        self.parts += 1
        self.most_parts = max(self.most_parts, self.parts)
        try:
            await asyncio.sleep(0)
            return await super().around(operation, request)
        finally:
            self.parts -= 1


async def test_a_copy_to_another_provider_keeps_to_the_slots(bench: Bench) -> None:
    """Copies at once share the manager's slots, as all its transfers do."""
    memory, other = bench.memory(), CountingParts(bench.memory())
    for number in range(4):
        await memory.put(f"k{number}", noise(5 * PART, seed=number))
    manager = bench.manager(memory, max_concurrency=2)
    await asyncio.gather(*(manager.copy_to(other, f"k{number}", f"to-{number}") for number in range(4)))
    assert other.calls["put_part"] == 20
    assert other.most_parts == 2
    for number in range(4):
        assert await other.get(f"to-{number}") == await memory.get(f"k{number}")


class Normalizing(RowOf):
    """A store that keeps keys in NFC, as R2 does."""

    def __init__(self) -> None:
        super().__init__(key_normalization="NFC")

    async def head(self, key: str, **options: Any) -> Any:
        """Find it by either spelling."""
        return await super().head(unicodedata.normalize("NFC", key), **options)

    async def delete(self, remote_path: str) -> None:
        """Delete it by either spelling."""
        await super().delete(unicodedata.normalize("NFC", remote_path))

    async def copy_object(self, source: str, destination: str, **options: Any) -> Any:
        """Copy between the spellings that are kept."""
        names = (unicodedata.normalize("NFC", name) for name in (source, destination))
        return await super().copy_object(*names, **options)


async def test_moving_between_two_spellings_of_a_key_deletes_nothing() -> None:
    """Where a vendor normalizes keys, both spellings are one object, and a move between them is refused."""
    store = Normalizing()
    await store.put("caf\u00e9", b"kept")
    with pytest.raises(InvalidRequestError, match="same key"):
        await store.move("cafe\u0301", "caf\u00e9")
    assert await store.list_files() == ["caf\u00e9"]


class Unnamed(MemoryProvider):
    """A store without etags, whose bodies break once, and that another version replaces meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = 1

    async def head(self, key: str, **options: Any) -> Any:
        """Give no etag."""
        found = await super().head(key, **options)
        return type(found)(key=found.key, size=found.size, etag="", last_modified=found.last_modified)

    async def fetch_range(self, key: str, sink: Any, options: ReadOptions = WHOLE) -> Any:
        """Break once, while somebody replaces the object."""
        if self.breaks:
            self.breaks -= 1
            sink.write(b"1" * 10)
            await self.put(key, b"2" * 3 * PART)
            message = "cut"
            raise IncompleteBodyError(message)
        await super().fetch_range(key, sink, replace(options, if_match=None))
        return await self.head(key)


async def test_versions_without_etags_are_not_mixed(tmp_path: Path) -> None:
    """Without an etag nothing holds the rest to the version of the beginning: the body is begun anew."""
    store = Unnamed()
    await store.put("k", b"1" * 3 * PART)
    manager = TransferManager(store, TransferConfig(part_size=PART, multipart_threshold=PART))
    await manager.download("k", tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == b"2" * 3 * PART


@pytest.mark.parametrize(
    "provider",
    [
        S3Provider(KEYS | {"max_connections": 8}),
        S3Provider(KEYS, pool=SessionPool(max_connections=8)),
        S3Provider(KEYS, transfer=TransferConfig(max_concurrency=64)),
    ],
)
def test_what_constructs_unpickles(provider: S3Provider) -> None:
    """A provider that could be made can be made again in another process."""
    twin = pickle.loads(pickle.dumps(provider))
    assert twin.transfer.config == provider.transfer.config
    assert twin._bucket.endpoint == provider._bucket.endpoint


async def test_small_chunks_cost_no_memory() -> None:
    """A stream of lines holds about as much as one of blocks: parts, not objects for each chunk."""

    async def lines() -> AsyncIterator[bytes]:
        for _ in range(128 * KiB):
            yield bytes(8)

    manager = TransferManager(RowOf(min_part_size=1), TransferConfig(part_size=2 * MiB))
    tracemalloc.start()
    try:
        await manager.upload_stream(lines(), "k")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * MiB


async def test_many_streams_stay_within_the_budget() -> None:
    """The memory budget bounds all streams of a manager together, their first parts included."""

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0)
            yield bytes(MiB)

    config = TransferConfig(part_size=2 * MiB, memory_budget=8 * MiB, max_concurrency=2)
    manager = TransferManager(Discarding(), config)
    tracemalloc.start()
    try:
        await asyncio.gather(*(manager.upload_stream(blocks(), f"k{number}") for number in range(24)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MiB + 8 * MiB + 8 * MiB  # each stream's own block, the budget, and the rest


async def test_the_part_size_of_a_stream_is_checked_first() -> None:
    """A part size that the vendor refuses at the end is refused before the first byte is drawn."""
    drawn = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal drawn
        drawn += 1
        yield b"x"

    manager = TransferManager(RowOf(min_part_size=5 * MiB), TransferConfig(part_size=PART))
    with pytest.raises(ConfigError, match="part_size"):
        await manager.upload_stream(chunks(), "k")
    assert drawn == 0


async def test_a_stream_that_landed_is_not_failed_by_a_look(bench: Bench) -> None:
    """A token that may write and not read puts a stream all the same."""
    denied = AccessDeniedError("no")
    provider = FaultyProvider(bench.memory(), tuple(Fault(operation="head", nth=n, error=denied) for n in (1, 2)))

    async def chunks() -> AsyncIterator[bytes]:
        yield noise(100)

    assert (await provider.put("k", chunks())).size == 100


class PartlyDeleting(MemoryProvider):
    """A store whose bulk delete fails in passing for some keys, at first."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def delete_batch(self, keys: Any) -> BatchResult:
        """Fail every other key, the first time."""
        self.batches.append(list(keys))
        if len(self.batches) > 1:
            return await super().delete_batch(keys)
        done = await super().delete_batch(keys[::2])
        return BatchResult(succeeded=done.succeeded, failed={key: TransientError("later") for key in keys[1::2]})


async def test_a_bulk_delete_asks_again_for_what_failed_in_passing() -> None:
    """Keys that failed in passing are asked for again, and only those."""
    store = PartlyDeleting()
    for key in "abcd":
        await store.put(key, b"1")
    result = await store.delete_many(list("abcd"))
    assert (sorted(result.succeeded), dict(result.failed)) == (list("abcd"), {})
    assert store.batches == [list("abcd"), ["b", "d"]]


async def test_one_bad_key_does_not_stop_a_bulk_delete() -> None:
    """A key that cannot be, and one that XML cannot carry, are each dealt with by themselves."""
    with embedded_s3() as server:
        provider = S3Provider(server.config)
        await provider.put("a\x01b", b"1")
        await provider.put("c", b"1")
        result = await provider.delete_many(["a\x01b", "", "x" * 2_000, "c"])
        assert sorted(result.succeeded) == ["a\x01b", "c"]
        assert {type(error) for error in result.failed.values()} == {InvalidKeyError}
        assert await provider.list_files() == []
        await provider.disconnect()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_PROFILE", "nobody"), ("AWS_DEFAULTS_MODE", "bogus"), ("AWS_CONFIG_FILE", "broken")],
)
async def test_given_credentials_do_not_depend_on_aws_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str
) -> None:
    """With explicit credentials no profile, file or mode of an AWS environment is looked at."""
    if value == "broken":
        (tmp_path / "config").write_text("[this is no")
        value = str(tmp_path / "config")
    with embedded_s3() as server:
        monkeypatch.setenv(variable, value)
        provider = S3Provider(server.config)
        assert await provider.list_files() == []
        await provider.disconnect()


async def test_bad_headers_and_ranges_are_refused_before_anything_is_sent(bench: Bench) -> None:
    """What a header cannot carry, and a range that runs backwards, never reach a request."""
    provider = FaultyProvider(bench.memory())
    for options in ({"content_type": "a\r\nb"}, {"storage_class": "ä"}, {"if_match": "\ud800"}):
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            await provider.put("k", b"1", **options)
    with pytest.raises(InvalidRangeError, match="malformed"):
        provider.stream("k", start=2, end=1)
    assert not provider.calls


class Bare(MemoryProvider):
    """A store whose objects have no etags."""

    async def put_object(self, *arguments: Any) -> Any:
        """Store it, and take the etag off."""
        made = await super().put_object(*arguments)
        object.__setattr__(self._objects[made.key].info, "etag", "")
        return made


async def test_a_large_object_without_an_etag_is_not_copied_through_memory() -> None:
    """What could only be copied whole, beyond the budget, is refused; what fits is copied."""
    store, other = Bare(), MemoryProvider()
    await store.put("small", b"1")
    await store.put("large", bytes(MiB))
    manager = TransferManager(store, TransferConfig(part_size=100 * KiB, memory_budget=MiB))
    assert (await manager.copy_to(other, "small", "small")).size == 1
    with pytest.raises(UnsupportedError, match="no etag"):
        await manager.copy_to(other, "large", "large")
    assert await other.list_files() == ["small"]


async def test_ranges_of_an_object_without_an_etag_are_refused() -> None:
    """Several requests for one object need an etag that they are held to."""
    store = Bare()
    await store.put("k", bytes(10 * MiB))
    with pytest.raises(UnsupportedError, match="etag"):
        await store.get_ranges("k", [(0, 1), (9 * MiB, 9 * MiB + 1)])
