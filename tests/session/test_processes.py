"""Providers in other processes: pickled, spawned, forked before and during use."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import sys
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider, SessionPool, TransferConfig
from bucketry.errors import StorageError, UnsupportedError
from bucketry.testing import EmbeddedS3

pytestmark = pytest.mark.slow


def read_object(provider: Any) -> tuple[int, bytes]:
    """Read an object in the present process."""

    async def read() -> bytes:
        data: bytes = await provider.get("object")
        await provider.disconnect()
        return data

    return os.getpid(), asyncio.run(read())


INHERITED: list[S3Provider] = []


def read_inherited(_: int) -> tuple[int, bytes]:
    """Read with the provider that was copied from the parent by the fork."""
    return read_object(INHERITED[0])


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_pickled_provider_reads_in_a_worker(server: EmbeddedS3, method: str) -> None:
    """A used provider can be pickled, and reads in worker processes."""
    provider = S3Provider(
        server.config, pool=SessionPool(max_connections=4), transfer=TransferConfig(max_concurrency=2)
    )
    asyncio.run(provider.put("object", b"across"))
    with multiprocessing.get_context(method).Pool(2) as workers:
        results = workers.map(read_object, [provider] * 4)
    assert [data for _, data in results] == [b"across"] * 4
    assert os.getpid() not in {pid for pid, _ in results}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_provider_forked_while_in_use_works_in_both_processes(server: EmbeddedS3) -> None:
    """After a fork during a running loop, the child does not hang, and the parent's connections work."""
    provider = S3Provider(server.config)
    INHERITED[:] = [provider]

    async def main() -> None:
        await provider.put("object", b"inherited")
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as workers:
            results = await asyncio.to_thread(workers.map, read_inherited, range(4))
        assert [data for _, data in results] == [b"inherited"] * 4
        for _ in range(4):
            assert await provider.get("object") == b"inherited"
        await provider.disconnect()

    asyncio.run(main())


def test_a_local_provider_pickles(tmp_path: Any) -> None:
    """A local provider is pickled as its configuration."""
    provider = LocalProvider({"base_path": tmp_path}, transfer=TransferConfig(max_concurrency=3))
    asyncio.run(provider.put("object", b"on disk"))
    twin = pickle.loads(pickle.dumps(provider))
    assert asyncio.run(twin.get("object")) == b"on disk"
    assert twin.transfer.config == provider.transfer.config


def test_a_memory_provider_refuses_to_pickle() -> None:
    """A memory provider cannot be pickled, because its bytes are in one process."""
    with pytest.raises(UnsupportedError, match="process"):
        pickle.dumps(MemoryProvider())


def test_a_pickle_holds_no_live_state(server: EmbeddedS3) -> None:
    """The pickle of a provider with open connections is small, and equal to that of a new one."""
    used, fresh = S3Provider(server.config), S3Provider(server.config)

    async def use() -> bytes:
        await used.put("object", b"1")
        return pickle.dumps(used)

    assert asyncio.run(use()) == pickle.dumps(fresh)


def test_errors_cross_a_process_pool(server: EmbeddedS3) -> None:
    """An error from a worker process keeps its class and attributes."""
    provider = S3Provider(server.config | {"bucket_name": "there-is-no-such-bucket"})
    with multiprocessing.get_context("spawn").Pool(1) as workers, pytest.raises(StorageError) as caught:
        workers.apply(read_object, (provider,))
    assert caught.value.bucket == "there-is-no-such-bucket"
    assert sys.exc_info() == (None, None, None)
