"""Counts files and bytes for the progress display: of a directory before an upload, of a prefix during a download."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, suppress

from bucketry._cli.counts import Counts
from bucketry._core.provider import IStorageProvider
from bucketry._runtime.walk import FoundFile
from bucketry._transfer.tree.local_files import walk_to_upload
from bucketry._transfer.workers import stop
from bucketry.errors import LocalFileError

_BATCH = 1_000  # the thread can be stopped after each 1,000 files


def measure(root: str, leave_out: Callable[[str], bool] | None = None) -> Generator[None, None, tuple[int, int]]:
    """Return the bytes and the number of the files that an upload of the directory sends. Blocks: use `in_steps`."""
    size = files = 0
    with suppress(LocalFileError):  # the upload itself reports what cannot be read
        for number, found in enumerate(walk_to_upload(root, leave_out), start=1):
            if number % _BATCH == 0:
                yield
            if isinstance(found, FoundFile):
                size, files = size + found.size, files + 1
    return size, files


@asynccontextmanager
async def counting(provider: IStorageProvider, prefix: str, counts: Counts | None) -> AsyncIterator[None]:
    """Count the objects below a prefix while the context is open; an error only stops the counting.

    Cost: 1 request for each 1,000 keys; no requests without a display.
    """
    async with counting_sizes(_sizes_below(provider, prefix), counts):
        yield


@asynccontextmanager
async def counting_sizes(sizes: AsyncGenerator[int, None], counts: Counts | None) -> AsyncIterator[None]:
    """Add up the sizes of files while the context is open; an error only stops the counting.

    Args:
        sizes: The size of each file; not read without a display.
        counts: Receives the sums; `None`: there is no display.
    """
    if counts is None:
        yield
        return
    counts.expect(0, 0, complete=False)
    # A plain task, not a task group, because an error of the task must not end the download. `stop` ends the task.
    task = asyncio.get_running_loop().create_task(_count(sizes, counts))
    try:
        yield
    finally:
        await stop([task])


async def _count(sizes: AsyncGenerator[int, None], counts: Counts) -> None:
    total = files = 0
    async with aclosing(sizes):
        async for size in sizes:
            total, files = total + size, files + 1
            counts.expect(total, files, complete=False)
    counts.expect(total, files)


async def _sizes_below(provider: IStorageProvider, prefix: str) -> AsyncGenerator[int, None]:
    async for entry in provider.list(prefix):
        if entry.size or not entry.key.endswith("/"):  # else the object marks a directory
            yield entry.size
