"""What the tests of plans share: files and objects with times, and the lines of a plan."""

from __future__ import annotations

import os
from pathlib import Path

from bucketry._core.mtimes import mtime_text
from bucketry._core.values import ObjectInfo
from bucketry._manage.sync.saved import SyncPlan
from bucketry.providers.provider import StorageProvider

OLD = 1_600_000_000_123_456_789  # ns: long before any object of a test is stored
FUTURE = 4_000_000_000_000_000_000


def write(root: Path, path: str, data: bytes = b"data", mtime: int = OLD) -> Path:
    """Write a file with a time."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, ns=(mtime, mtime))
    return file


async def store(
    provider: StorageProvider, key: str, data: bytes = b"data", mtime: int | str | None = None
) -> ObjectInfo:
    """Store an object, with a time in its metadata."""
    text = mtime_text(mtime) if isinstance(mtime, int) else mtime
    return await provider.put(key, data, metadata={} if text is None else {"mtime": text})


def lines(plan: SyncPlan) -> list[tuple[str, str, str]]:
    """Give kind, path and reason of each action."""
    return [(action.kind, action.path, action.reason) for action in plan]


def skips(plan: SyncPlan) -> dict[str, str]:
    """Give the reason of each path that is skipped."""
    return {action.path: action.reason for action in plan if action.kind == "skip"}
