"""The limits that all transfers of one manager share: slots, memory, bandwidth; and their worker threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from bucketry._core.config import TransferConfig
from bucketry._core.requests import ObjectRequests
from bucketry._runtime.batcher import ThreadBatcher
from bucketry.errors import ConfigError

COPIES = 2  # the body in memory, and the HTTP client's own copy of it


class Quota:
    """A limited number of units, given to callers in the order of their requests.

    A request for more units than the limit gets all units, so no request waits for ever.
    """

    def __init__(self, limit: int) -> None:
        """Begin with all units free."""
        self.limit = limit
        self.free = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def hold(self, units: int) -> _Hold:
        """Hold `units` (at most the limit) inside the context."""
        return _Hold(self, units)

    async def take(self, units: int) -> int:
        """Wait for `units` (at most the limit) and take them; return their number, to pass to `give` later."""
        units = min(units, self.limit)
        if units <= self.free and not self._waiting:
            self.free -= units
            return units
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (units, waiter)
        self._waiting.append(entry)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give(units)
            else:
                with suppress(ValueError):  # _wake() may have removed the cancelled entry already
                    self._waiting.remove(entry)
                self._wake()
            raise
        return units

    def give(self, units: int) -> None:
        """Take back units from a caller, and wake the callers that wait for units."""
        self.free += units
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.free:
            units, waiter = self._waiting.popleft()
            if not waiter.done():
                self.free -= units
                waiter.set_result(None)


class _Hold:
    """The context manager that `Quota.hold` returns.

    It is a class because `@asynccontextmanager` is slow: it takes as much time as signing a small request.
    """

    __slots__ = ("_quota", "_units")

    def __init__(self, quota: Quota, units: int) -> None:
        self._quota = quota
        self._units = units

    def keep(self, units: int) -> None:
        """Give back all units but `units` before the context ends."""
        spare = max(0, self._units - units)
        self._units -= spare
        self._quota.give(spare)

    async def __aenter__(self) -> Self:
        self._units = await self._quota.take(self._units)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quota.give(self._units)


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


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one manager in one event loop."""

    slots: Quota
    memory: Quota
    rate: RateLimiter
    batcher: ThreadBatcher

    @classmethod
    def of(cls, config: TransferConfig) -> Limits:
        """Make the limits from the configuration."""
        return cls(
            Quota(config.max_concurrency),
            Quota(config.memory_budget),
            RateLimiter(config.max_bandwidth),
            ThreadBatcher(),
        )

    @asynccontextmanager
    async def body(self, size: int, *, memory: int) -> AsyncIterator[None]:
        """Hold a slot and `memory` bytes for one body request of `size` bytes.

        The block makes one request and takes no other slot or memory, so two blocks cannot wait for each other.
        """
        async with self.memory.hold(memory), self.slots.hold(1):
            await self.rate.wait(size)
            yield


def default_config(provider: ObjectRequests) -> TransferConfig:
    """Return the default configuration, but with no more parallel requests than the provider has connections."""
    config = TransferConfig()
    connections = _connections(provider)
    if connections is None or connections >= config.max_concurrency:
        return config
    return replace(config, max_concurrency=connections)


def checked_config(provider: ObjectRequests, config: TransferConfig | None) -> TransferConfig:
    """Check the configuration, and return it; `None`: return the default one.

    Raises:
        ConfigError: It is no `TransferConfig`, or allows more parallel requests than the provider has connections.
    """
    if config is None:
        return default_config(provider)
    if not isinstance(config, TransferConfig):
        message = f"TransferManager: config must be a TransferConfig, not {type(config).__name__}"
        raise ConfigError(message)
    connections = _connections(provider)
    if connections is not None and connections < config.max_concurrency:
        message = (
            f"{provider.name}: max_connections {connections} is less than the transfer's max_concurrency "
            f"{config.max_concurrency}; increase max_connections or decrease max_concurrency"
        )
        raise ConfigError(message)
    return config


def _connections(provider: ObjectRequests) -> int | None:
    connections: int | None = getattr(provider, "max_connections", None)
    return connections
