"""Shared by the tests of sync: a directory, a provider that counts its requests, and managers for both."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bucketry import MemoryProvider, TransferConfig
from bucketry._core.capabilities import Capabilities
from bucketry._core.units import KiB, MiB
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import SyncAction, SyncReport
from bucketry._transfer.one.staging import is_staged
from bucketry.providers.provider import StorageProvider
from bucketry.testing import Fault, FaultyProvider

PART = 2 * KiB
SMALL_PARTS = TransferConfig(
    part_size=PART, multipart_threshold=PART, max_concurrency=4, memory_budget=MiB, retry_delay=0
)
"""Parts of few bytes, and retries without a wait."""

LONG_AGO = 1_600_000_000_123_456_789
"""A time in nanoseconds; files that tests write get different times after it."""

UNCONDITIONAL = {
    "put_if_none_match": False,
    "complete_if_none_match": False,
    "put_if_match": False,
    "complete_if_match": False,
}
"""A row whose vendor enforces no condition of a write."""


class RowOf(MemoryProvider):
    """A memory provider with changed limits and promises."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        super().__init__(transfer=SMALL_PARTS)

    @property
    def capabilities(self) -> Capabilities:
        """The memory's row with the changes."""
        return replace(super().capabilities, **self._changes)


class PatientMethods(ApplyMethods):
    """Methods that apply plans, and trust a listing page for any time, so the number of requests is always the same."""

    _trusted = math.inf


class Site:
    """A directory, a provider and their manager; `check` checks that a sync left nothing over."""

    def __init__(self, directory: Path, inner: StorageProvider | None = None, faults: tuple[Fault, ...] = ()) -> None:
        self.directory = directory
        self.inner = inner or MemoryProvider(transfer=SMALL_PARTS)
        self.provider = FaultyProvider(self.inner, faults)
        self.manager = PatientMethods(self.provider, transfer=SMALL_PARTS)
        self._ticks = 0

    def write(self, path: str, data: bytes, *, mtime: int | None = None) -> None:
        """Write a file, with a time of its own."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self._ticks += 1
        mtime = LONG_AGO + self._ticks * 1_000_000_000 if mtime is None else mtime
        os.utime(file, ns=(mtime, mtime))

    def files(self) -> dict[str, bytes]:
        """Give all files, without those that a killed download staged."""
        found = (file for file in self.directory.rglob("*") if file.is_file() and not is_staged(file.name))
        return {str(file.relative_to(self.directory)): file.read_bytes() for file in found}

    async def objects(self, prefix: str = "p/") -> dict[str, bytes]:
        """Give all objects below a prefix, by their paths."""
        return {key.removeprefix(prefix): await self.inner.get(key) for key in await self.inner.list_files(prefix)}

    def calls(self, *operations: str) -> dict[str, int]:
        """Give the number of requests since the last call of `forget`."""
        return {operation: self.provider.calls[operation] for operation in operations}

    def forget(self) -> None:
        """Count requests from zero."""
        self.provider.calls.clear()

    async def check(self) -> None:
        """Check that no task, open upload or staged file is left."""
        for _ in range(5):  # the event loop closes abandoned generators in a task
            await asyncio.sleep(0)
        running = asyncio.all_tasks() - {asyncio.current_task()}
        assert not running, running
        if isinstance(self.inner, MemoryProvider):
            assert await self.inner.list_multiparts() == ()
        assert not list(self.directory.rglob(".bucketry-*"))
        limits = self.manager.transfers._limits.peek()
        if limits is not None:
            for quota in (limits.slots, limits.memory):
                assert quota.free == quota.limit


@asynccontextmanager
async def checked(site: Site) -> AsyncIterator[Site]:
    """Give the site, and check it at the end."""
    yield site
    await site.check()


def counts(report: SyncReport) -> tuple[int, int, int, int, int]:
    """Give transferred, deleted, already done, changed and failed of a report."""
    return (
        report.transferred,
        report.deleted,
        report.already_done,
        len(report.changed),
        len(report.failed),
    )


async def actions_of(plan: SyncPlan) -> list[SyncAction]:
    """Give the actions of a plan."""
    return [action async for action in plan]


def once(step: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    """Give a hook that does something at its first call only."""
    done = False

    async def hook() -> None:
        nonlocal done
        if not done:
            done = True
            await step()

    return hook
