"""Cancellation at any moment: afterwards no upload, staged file or task is left, and all slots are free."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, S3Provider, TransferConfig
from bucketry._core.units import MiB
from bucketry.errors import (
    AccessDeniedError,
    StorageError,
    ThrottledError,
)
from bucketry.testing import Fault, FaultyProvider, embedded_s3
from tests.amounts import examples
from tests.transfer.doubles import PART, Bench, CancelsAt, chunked, noise

SIZE = 5 * PART + 3
NEW, OLD = noise(SIZE), b"old"
COPY_ROW = {"max_copy_size": PART, "max_part_size": PART}

Act = Callable[[Bench, CancelsAt], Awaitable[object]]


async def upload(bench: Bench, provider: CancelsAt) -> object:
    """Upload a file in parts."""
    return await bench.manager(provider).upload(bench.file(NEW), "target")


async def upload_single(bench: Bench, provider: CancelsAt) -> object:
    """Upload a file in one request."""
    return await bench.manager(provider, multipart_threshold=MiB).upload(bench.file(NEW), "target", if_match=None)


async def upload_stream(bench: Bench, provider: CancelsAt) -> object:
    """Upload a stream in parts."""
    return await bench.manager(provider).upload_stream(chunked(NEW), "target")


async def download(bench: Bench, provider: CancelsAt) -> object:
    """Download in parts."""
    return await bench.manager(provider).download("source", bench.target())


async def copy(bench: Bench, provider: CancelsAt) -> object:
    """Copy in parts."""
    bench.manager(provider)
    return await provider.copy("source", "target")


async def copy_away(bench: Bench, provider: CancelsAt) -> object:
    """Copy to another provider."""
    manager = bench.manager(bench.memories[0])
    return await manager.copy_to(provider, "source", "target")


async def get_many(bench: Bench, provider: CancelsAt) -> object:
    """Read several objects in order."""
    keys = ["source", *(f"many/{number}" for number in range(6))]
    async with aclosing(bench.manager(provider, memory_budget=16 * MiB).get_many(keys)) as found:
        return [key async for key, _ in found]


async def get_many_unordered(bench: Bench, provider: CancelsAt) -> object:
    """Read several objects as they arrive."""
    keys = ["source", *(f"many/{number}" for number in range(6))]
    async with aclosing(bench.manager(provider, memory_budget=16 * MiB).get_many(keys, ordered=False)) as found:
        return [key async for key, _ in found]


async def upload_tree(bench: Bench, provider: CancelsAt) -> object:
    """Upload a directory."""
    for number in range(3):
        bench.file(NEW, f"tree/{number}/a")
        bench.file(b"small", f"tree/{number}/b")
    return await bench.manager(provider).upload_tree(bench.directory / "in" / "tree", "up")


async def download_tree(bench: Bench, provider: CancelsAt) -> object:
    """Download all of the bucket."""
    return await bench.manager(provider).download_tree("", bench.target("tree"))


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        upload,
        upload_single,
        upload_stream,
        download,
        copy,
        copy_away,
        get_many,
        get_many_unordered,
        upload_tree,
        download_tree,
    )
}


async def prepared(bench: Bench, at: int, faults: tuple[Fault, ...] = ()) -> CancelsAt:
    """Make a provider with objects to read, and with an old object and an old file at the targets."""
    memory = bench.memory(**COPY_ROW)
    for key in ["source", *(f"many/{number}" for number in range(6))]:
        await memory.put(key, NEW)
    await memory.put("target", OLD)
    bench.target().write_bytes(OLD)
    return CancelsAt(memory, at, faults)


async def run(act: Act, bench: Bench, provider: CancelsAt) -> BaseException | None:
    """Run the action to its end, and give the error that it raised."""
    provider.task = asyncio.ensure_future(act(bench, provider))
    await asyncio.wait([provider.task])
    return asyncio.CancelledError() if provider.task.cancelled() else provider.task.exception()


async def assert_whole(bench: Bench, provider: CancelsAt) -> None:
    """Check that object and file are the old or the complete new ones, and that nothing is left over."""
    assert await provider.inner.get("target") in (OLD, NEW)
    assert bench.target().read_bytes() in (OLD, NEW)
    for path in bench.target("tree").rglob("*"):
        assert path.is_dir() or path.read_bytes() in (OLD, NEW)
    for info in [entry async for entry in provider.inner.list("up/")]:
        assert await provider.inner.get(info.key) in (NEW, b"small")
    await bench.check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTS)
async def test_at_every_request(tmp_path: Path, name: str) -> None:
    """A transfer leaves nothing behind if it is cancelled at the start or the answer of any request."""
    at, struck = 1, []
    while True:
        bench = Bench(tmp_path / str(at))
        bench.directory.mkdir()
        provider = await prepared(bench, at)
        raised = await run(ACTS[name], bench, provider)
        await assert_whole(bench, provider)
        if provider.struck is None:
            assert raised is None
            break
        struck.append(provider.struck)
        assert raised is None or isinstance(raised, asyncio.CancelledError), struck[-1]
        assert raised is not None or struck[-1].startswith("after"), struck[-1]
        at += 1
    assert len(struck) >= 2


@pytest.mark.parametrize("name", ["upload", "upload_stream", "download", "copy"])
async def test_at_every_request_of_one_that_fails(tmp_path: Path, name: str) -> None:
    """If a transfer is cancelled during the clean-up after an error, the clean-up completes."""
    operation = {"download": "fetch_range", "copy": "copy_part"}.get(name, "put_part")
    at = 1
    while True:
        bench = Bench(tmp_path / str(at))
        bench.directory.mkdir()
        provider = await prepared(bench, at, (Fault(operation=operation, nth=2, error=AccessDeniedError("no")),))
        raised = await run(ACTS[name], bench, provider)
        await assert_whole(bench, provider)
        assert isinstance(raised, (asyncio.CancelledError, AccessDeniedError)), provider.struck
        if provider.struck is None:
            break
        at += 1
    assert at > 5


async def test_twice(bench: Bench) -> None:
    """If a transfer is cancelled again during the abort, the abort completes."""
    memory = bench.memory()

    async def again() -> None:
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)

    faults = (
        Fault(operation="put_part", nth=2, hook=again),
        Fault(operation="abort_multipart", hook=again),
        Fault(operation="list_multiparts", hook=again),
    )
    provider = FaultyProvider(memory, faults)
    task = asyncio.create_task(bench.manager(provider).upload(bench.file(NEW), "k"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.calls["abort_multipart"] == 1
    assert provider.calls["list_multiparts"] == 1


async def test_while_the_upload_is_created(bench: Bench) -> None:
    """If a transfer is cancelled before it has the upload id, it waits for the id and aborts the upload."""
    memory = bench.memory()
    entered, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        entered.set()
        await release.wait()

    provider = FaultyProvider(memory, (Fault(operation="create_multipart", hook=hold),))
    task = asyncio.create_task(bench.manager(provider).upload(bench.file(NEW), "k"))
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.calls["abort_multipart"] == 1


async def test_while_the_creation_waits_to_be_repeated(bench: Bench) -> None:
    """If a transfer is cancelled during the delay that the server requested, it ends at once, without a retry."""
    failed = asyncio.Event()

    async def note() -> None:
        failed.set()

    error = ThrottledError("the server asks to wait", retry_after=20)
    provider = FaultyProvider(bench.memory(), (Fault(operation="create_multipart", hook=note, error=error),))
    task = asyncio.create_task(bench.manager(provider).upload(bench.file(NEW), "k"))
    await failed.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    assert provider.calls["create_multipart"] == 1


@pytest.mark.parametrize("operation", ["put_part", "fetch_range"])
async def test_a_request_that_never_returns(bench: Bench, operation: str) -> None:
    """A timeout ends a transfer whose request hangs, and frees its slot."""
    memory = bench.memory()
    await memory.put("source", NEW)
    provider = FaultyProvider(memory, (Fault(operation=operation, nth=2, hang=True),))
    manager = bench.manager(provider)
    upload = operation == "put_part"
    step = manager.upload(bench.file(NEW), "k") if upload else manager.download("source", bench.target())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(step, 0.1)
    assert bench.files() == []


async def test_waiting_for_a_slot(bench: Bench) -> None:
    """If a transfer is cancelled while it waits for a slot, it takes no slot."""
    memory = bench.memory()
    release = asyncio.Event()
    provider = FaultyProvider(memory, (Fault(operation="put_object", hook=release.wait),))
    manager = bench.manager(provider, max_concurrency=1)
    small = bench.file(b"small", "small")
    first = asyncio.create_task(manager.upload(small, "first"))
    for _ in range(100):
        await asyncio.sleep(0)
    others = [asyncio.create_task(manager.upload(bench.file(NEW), f"k{number}")) for number in range(5)]
    for _ in range(100):
        await asyncio.sleep(0)
    for task in others[:4]:
        task.cancel()
    release.set()
    await asyncio.wait([first, *others])
    assert await memory.get("first") == b"small"
    assert await memory.get("k4") == NEW


async def spread(action: Callable[[], Awaitable[object]], check: Callable[[], Awaitable[None]], moments: int) -> int:
    """Cancel the action at evenly spread, slightly random moments, and check after each cancellation."""
    began = time.perf_counter()
    await action()
    duration = time.perf_counter() - began
    choose = random.Random(3)
    ended = 0
    loop = asyncio.get_running_loop()
    for number in range(moments):
        task = asyncio.ensure_future(action())
        handle = loop.call_later(duration * (number + choose.random()) / moments, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            ended += 1
        handle.cancel()
        await check()
    return ended


@pytest.mark.slow
@pytest.mark.parametrize("name", ["upload", "download"])
async def test_at_random_moments(bench: Bench, name: str) -> None:
    """A transfer leaves nothing behind if it is cancelled at any of 60 moments, not only at its requests."""
    provider = await prepared(bench, at=0)
    manager = bench.manager(provider)
    path = bench.file(NEW)

    async def action() -> object:
        return await (
            manager.upload(path, "target") if name == "upload" else manager.download("source", bench.target())
        )

    ended = await spread(action, lambda: assert_whole(bench, provider), 60)
    assert ended


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("name", ["upload", "download"])
async def test_at_random_moments_against_a_server(tmp_path: Path, name: str) -> None:
    """The same over HTTP: no open upload on the server, no staged file, and the connection pool still works."""
    data = noise(11 * MiB)
    target = tmp_path / "out" / "target"
    target.parent.mkdir()
    target.write_bytes(OLD)
    source = tmp_path / "source"
    source.write_bytes(data)
    part_size = 5 * MiB if name == "upload" else 2 * MiB
    with embedded_s3() as server:
        config = TransferConfig(part_size=part_size, multipart_threshold=5 * MiB)
        async with S3Provider(server.config, transfer=config) as provider:
            await provider.put("source", data)

            async def action() -> object:
                return await (
                    provider.upload(source, "target") if name == "upload" else provider.download("source", target)
                )

            async def check() -> None:
                assert await provider.list_multiparts() == ()
                assert [path.name for path in target.parent.iterdir()] == ["target"]
                limits = provider.transfer._limits.get()
                assert (limits.slots.free, limits.memory.free) == (limits.slots.limit, limits.memory.limit)

            await spread(action, check, examples(20, nightly=500))
            whole = await provider.get("target") if name == "upload" else target.read_bytes()
            assert whole == data


async def test_the_error_is_not_lost_in_a_cancellation(bench: Bench) -> None:
    """If a step fails while its task is cancelled, the cancellation is raised, so that timeouts work."""
    memory = bench.memory()

    async def cancel() -> None:
        task.cancel()

    provider = FaultyProvider(
        memory, (Fault(operation="create_multipart", hook=cancel, error=AccessDeniedError("no")),)
    )
    task: asyncio.Task[Any] = asyncio.create_task(bench.manager(provider).upload(bench.file(NEW), "k"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await memory.exists("k")


def test_doubles_are_providers() -> None:
    """The test double of these tests has every method that the package requires of a provider."""
    assert issubclass(CancelsAt, FaultyProvider)
    assert issubclass(AccessDeniedError, StorageError)
    assert MemoryProvider().capabilities.buffers_bodies


def test_an_ending_loop_waits_for_threads_and_cleanup() -> None:
    """If `asyncio.run` cancels all tasks, the transfer still waits for its thread, and completes its clean-up."""
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
