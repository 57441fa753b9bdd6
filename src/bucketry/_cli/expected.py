"""Counts how much there is to move, for the progress display: a directory before, a prefix during the transfer."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress

from bucketry._cli.progress import Counts
from bucketry._core.checks import OWN
from bucketry._core.provider import IStorageProvider
from bucketry._transfer.one.staging import is_staged
from bucketry._transfer.workers import stop

_BATCH = 1_000  # a thread can be interrupted after so many files


def measure(root: str) -> Generator[None, None, tuple[int, int]]:
    """Give the bytes and the number of the files that an upload of the directory sends. Blocks: run it `in_steps`."""
    size = files = 0
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name.casefold() != OWN]
        for number, name in enumerate(names, start=1):
            if number % _BATCH == 0:
                yield
            with suppress(OSError):  # the upload itself reports files that cannot be read
                found = os.stat(os.path.join(directory, name))
                if stat.S_ISREG(found.st_mode) and not is_staged(name):
                    size, files = size + found.st_size, files + 1
        yield
    return size, files


@asynccontextmanager
async def counting(provider: IStorageProvider, prefix: str, counts: Counts | None) -> AsyncIterator[None]:
    """Count the objects below a prefix while the context is open; an error only stops the counting.

    Cost: 1 request for each 1,000 keys; no requests without a display.
    """
    if counts is None:
        yield
        return
    counts.expect(0, 0, complete=False)
    # A plain task, not a task group: its error must not end the download. `stop` ends the task.
    task = asyncio.get_running_loop().create_task(_count(provider, prefix, counts))
    try:
        yield
    finally:
        await stop([task])


async def _count(provider: IStorageProvider, prefix: str, counts: Counts) -> None:
    size = files = 0
    async for entry in provider.list(prefix):
        if entry.size or not entry.key.endswith("/"):  # else the object marks a directory
            size, files = size + entry.size, files + 1
            counts.expect(size, files, complete=False)
    counts.expect(size, files)
