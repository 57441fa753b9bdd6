"""The limits that all transfers of one manager share: slots, memory, bandwidth; and their worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from bucketry._core.config import TransferConfig
from bucketry._core.frozen import dataclass
from bucketry._core.requests import ObjectRequests
from bucketry._runtime.batcher import ThreadBatcher
from bucketry._runtime.gate import Gate, Gates
from bucketry._runtime.quota import Quota

COPIES = 2  # the body in memory, and the HTTP client's own copy of it


class RateLimiter:
    """A limit of bytes per second: each body waits until the bodies before it have used their time at this rate."""

    def __init__(self, rate: int | None) -> None:
        """Store the rate in bytes per second; `None`: no limit."""
        self._rate = rate
        self._free_at = 0.0

    async def wait(self, size: int) -> None:
        """Wait until a body of `size` bytes may be sent or received."""
        if self._rate is None:
            return
        now = asyncio.get_running_loop().time()
        begin = max(now, self._free_at)
        self._free_at = begin + size / self._rate
        if begin > now:
            await asyncio.sleep(begin - now)


class Slot:
    """The context manager that `Limits.slot` returns; it is held during one request.

    It is a class because `@asynccontextmanager` is slow: it takes as much time as signing a small request.
    """

    __slots__ = ("_begun", "_gate", "_size", "_slots")

    def __init__(self, slots: Quota, gate: Gate | None, size: int) -> None:
        self._slots = slots
        self._gate = gate
        self._size = size
        self._begun = 0.0

    async def __aenter__(self) -> None:
        if not self._slots.take_one():
            await self._slots.take(1)
        if self._gate is not None:
            try:
                self._begun = await self._gate.enter()
            except BaseException:
                self._slots.give(1)
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._gate is not None:
            self._gate.leave(self._begun, None if kind is not None else self._size)
        self._slots.give(1)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one manager in one event loop.

    Attributes:
        slots: The requests of the manager: at most `max_concurrency` at once.
        memory: The bytes of bodies in memory.
        rate: The bytes per second.
        batcher: The worker threads for small files.
        gates: The requests of all managers of the endpoint, whose number is found while they run; `None`: the provider
            has no gates, so the number is always `max_concurrency`.
    """

    slots: Quota
    memory: Quota
    rate: RateLimiter
    batcher: ThreadBatcher
    gates: Gates | None

    @classmethod
    def of(cls, config: TransferConfig, gates: Gates | None = None) -> Limits:
        """Make the limits from the configuration, and let the gates' numbers grow to its bounds."""
        if gates is not None:
            gates.small.raise_bound(config.max_concurrency)
            gates.large.raise_bound(config.large_concurrency)
        return cls(
            Quota(config.max_concurrency),
            Quota(config.memory_budget),
            RateLimiter(config.max_bandwidth),
            ThreadBatcher(),
            gates,
        )

    def slot(self, size: int = 0) -> Slot:
        """Hold a slot for one request with a body of `size` bytes; 0 if the size is not known before."""
        return Slot(self.slots, None if self.gates is None else self.gates.of(size), size)

    def concurrency(self, size: int) -> int:
        """Return how many requests with bodies of this size may be in flight now."""
        return self.slots.limit if self.gates is None else min(self.slots.limit, self.gates.of(size).limit)

    @asynccontextmanager
    async def body(self, size: int, *, memory: int) -> AsyncIterator[None]:
        """Hold a slot and `memory` bytes for one body request of `size` bytes.

        The block makes one request and takes no other slot or memory, so two blocks cannot wait for each other.
        """
        async with self.memory.hold(memory):
            await self.rate.wait(size)  # without a slot, which other managers of the endpoint can use meanwhile
            async with self.slot(size):
                yield


def gates_of(provider: ObjectRequests) -> Gates | None:
    """Return the gates of the provider's endpoint in the running event loop; `None`: it has none."""
    gates: Gates | None = getattr(provider, "gates", None)
    return gates
