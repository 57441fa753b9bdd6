"""Shared by the transfer tests: providers with one fault each, and a bench that checks for leftovers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bucketry import MemoryProvider, TransferConfig, TransferManager
from bucketry._core.capabilities import Capabilities
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import Body, ByteRange, MultipartUpload, ObjectInfo, Part, body_size
from bucketry.errors import IncompleteBodyError
from bucketry.testing import Fault, FaultyProvider

T = TypeVar("T")

PART = 2 * KiB
"""The part size of most tests: many parts of few bytes."""

AT_ONCE = TransferConfig(retry_delay=0)
"""The defaults, but that repeats follow without a wait."""


def noise(size: int, seed: int = 7) -> bytes:
    """Give bytes whose parts are all different."""
    return random.Random(seed).randbytes(size)


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop run until the condition is true."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition has no event to wait for
            await asyncio.sleep(0)


async def chunked(data: bytes, size: int = 700) -> AsyncIterator[bytes]:
    """Give the data in chunks; let the event loop run before each."""
    for start in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[start : start + size]


class FakeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def time(self) -> float:
        """Give the clock that jumps."""
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()


class CountingExecutor(ThreadPoolExecutor):
    """The worker threads of an event loop, with a count of their calls."""

    submitted = 0

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        """Count the call, and run it."""
        self.submitted += 1
        return super().submit(*arguments, **options)


def counted_threads() -> CountingExecutor:
    """Make the running loop use counting threads; the loop shuts them down."""
    executor = CountingExecutor()
    asyncio.get_running_loop().set_default_executor(executor)
    return executor


class RowOf(MemoryProvider):
    """A memory provider with changed limits and promises."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        super().__init__(transfer=AT_ONCE)

    @property
    def capabilities(self) -> Capabilities:
        """The memory's row with the changes."""
        return replace(super().capabilities, **self._changes)


class Scripted(FaultyProvider):
    """A provider with faults, which records requested ranges and the bytes in unfinished requests."""

    def __init__(self, inner: MemoryProvider, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(inner, faults)
        self.ranges: list[tuple[ByteRange | None, str | None]] = []
        self.bodies: list[int] = []
        self.moving = 0
        self.most_moving = 0

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Record the range."""
        self.ranges.append((options.byte_range, options.if_match))
        return await super().fetch_range(key, sink, options)

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """Note the body."""
        return await self._counted(body, super().put_object(key, body, options))

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """Note the body."""
        return await self._counted(body, super().put_part(upload, part_number, body))

    async def _counted(self, body: Body, request: Awaitable[T]) -> T:
        size = body_size(body)
        self.bodies.append(size)
        self.moving += size
        self.most_moving = max(self.most_moving, self.moving)
        try:
            return await request
        finally:
            self.moving -= size


class CancelsAt(FaultyProvider):
    """Cancels a task at the n-th event; each request has two events: its start and its answer."""

    def __init__(self, inner: MemoryProvider, at: int, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(inner, faults)
        self.at = at
        self.events = 0
        self.task: asyncio.Task[Any] | None = None
        self.struck: str | None = None

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make the request between two events."""
        await self._event(f"before {operation}")
        result = await super().around(operation, request)
        await self._event(f"after {operation}")
        return result

    async def _event(self, name: str) -> None:
        self.events += 1
        if self.events == self.at and self.task is not None:
            self.struck = name
            self.task.cancel()
            await asyncio.sleep(0)


class Cutting(Scripted):
    """Incomplete bodies: of the n-th fetch, only the first `cuts[n]` bytes arrive."""

    def __init__(self, inner: MemoryProvider, cuts: Iterable[int]) -> None:
        super().__init__(inner)
        self._cuts = iter(cuts)

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Fetch, and cut the body after its number of bytes."""
        cut = next(self._cuts, None)
        if cut is None:
            return await super().fetch_range(key, sink, options)
        self.ranges.append((options.byte_range, options.if_match))
        async with self.inner.open_body(key, options) as body:
            data = b"".join([chunk async for chunk in body])
        sink.begin(body.info)
        sink.write(data[:cut])
        message = f"{self.locate(key)}: the body ended after {cut} of {len(data)} bytes"
        raise IncompleteBodyError(message, key=key)


class Discarding(MemoryProvider):
    """A memory that keeps no bytes of parts, so that a test measures only the transfer's own memory."""

    def __init__(self) -> None:
        super().__init__()
        self.received: Counter[str] = Counter()

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """Count the bytes and forget them."""
        await asyncio.sleep(0)
        self.received[upload.key] += body_size(body)
        return Part(part_number=part_number, size=body_size(body), etag='"-"', checksum="00000000")

    async def complete_multipart(
        self, upload: MultipartUpload, parts: Sequence[Part], options: WriteOptions, *, checksum: str | None = None
    ) -> ObjectInfo:
        """Publish an object with the size only."""
        await self.abort_multipart(upload)
        await MemoryProvider.put_object(self, upload.key, b"", options)
        return replace(await self.head(upload.key), size=sum(part.size for part in parts))

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """Give the number of bytes received for the key."""
        return replace(await super().head(key, version_id=version_id), size=self.received[key])


class Bench:
    """One test's providers, managers and files; `check` checks that nothing is left over."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.memories: list[MemoryProvider] = []
        self.managers: list[TransferManager] = []

    def memory(self, **changes: Any) -> MemoryProvider:
        """Make an empty memory, with another row if one is given."""
        return self.watch(RowOf(**changes) if changes else MemoryProvider(transfer=AT_ONCE))

    def watch(self, memory: T) -> T:
        """Check at the end that the memory has no open upload."""
        assert isinstance(memory, MemoryProvider)
        self.memories.append(memory)
        return memory

    def manager(self, provider: Any, **config: Any) -> TransferManager:
        """Make a manager with small parts that retries without a delay."""
        chosen = {
            "part_size": PART,
            "multipart_threshold": PART,
            "max_concurrency": 4,
            "memory_budget": MiB,
            "retry_delay": 0,
        }
        chosen |= config
        manager = TransferManager(provider, TransferConfig(**chosen))
        self.managers.append(manager)
        return manager

    def file(self, data: bytes, name: str = "source.bin") -> Path:
        """Write a file to upload."""
        path = self.directory / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def target(self, name: str = "target.bin") -> Path:
        """Give a path to download to."""
        (self.directory / "out").mkdir(exist_ok=True)
        return self.directory / "out" / name

    def files(self) -> list[str]:
        """Give the names of all entries below the target directory."""
        return sorted(str(path.relative_to(self.directory / "out")) for path in (self.directory / "out").rglob("*"))

    def staged(self) -> list[str]:
        """Give the staged files that are left."""
        return [str(path) for path in self.directory.rglob(".bucketry-*")]

    async def check(self) -> None:
        """Check what every transfer promises, also after an error."""
        for _ in range(5):  # the event loop closes abandoned generators in a task
            await asyncio.sleep(0)
        running = asyncio.all_tasks() - {asyncio.current_task()}
        assert not running, running
        for memory in self.memories:
            assert await memory.list_multiparts() == ()
        assert self.staged() == []
        for manager in self.managers:
            limits = manager._limits.peek()
            if limits is not None:
                for quota in (limits.slots, limits.memory):
                    assert quota.free == quota.limit
                    assert not quota._waiting


def seen(calls: Counter[str], *operations: str) -> dict[str, int]:
    """Give the number of calls of each operation."""
    return {operation: calls[operation] for operation in operations}
