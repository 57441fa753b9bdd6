"""Returns the local path of an object's copy in an `ObjectCache`; fetches the object if the copy is not current."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bucketry._core.requests import ObjectRequests
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.cache.incoming import Fetch
from bucketry._transfer.cache.object_cache import LONGEST_ETAG, ObjectCache
from bucketry._transfer.one.download import DownloadTransfer, Listed
from bucketry.errors import InvalidRequestError, NotFoundError, UnsupportedError

_PAUSE = 0.05  # seconds between two checks whether another task has fetched the object


async def cached_path(
    provider: ObjectRequests, cache: ObjectCache, key: str, download: Callable[[str], DownloadTransfer]
) -> Path:
    """Return the path of a current copy of the object, as `TransferManager.cached` does.

    Args:
        provider: The provider of the object.
        cache: The cache.
        key: The object.
        download: Makes the download of the object, with a name for its staged file.
    """
    url = provider.locate(key)
    kept = await in_thread(cache.find, url)
    if kept is not None and cache.is_fresh(kept) and await in_thread(cache.use, kept):
        return Path(kept.path)
    asked = time.time_ns()
    try:
        info = await provider.head(key)
    except NotFoundError:
        await in_thread(cache.forget, url)
        raise
    _check(info, cache, url)
    path = await in_thread(_current, cache, url, info, asked)
    if path is None:
        await in_thread(cache.sweep)
        async with _fetching(cache, url) as fetch:
            path = await in_thread(_current, cache, url, info, asked)  # another task may have fetched it meanwhile
            if path is None:
                await download(fetch.staged_name).of_listed(Listed(info, pinned=True), fetch.path)
                path = await in_steps(cache.publish(fetch.path, url, info.etag, info.size, asked))
    return Path(path)


def _current(cache: ObjectCache, url: str, info: ObjectInfo, asked: int) -> str | None:
    """Return the path of the copy of the version in `info`, and store the time of use. Blocks."""
    kept = cache.find(url, info.etag)
    return kept.path if kept is not None and cache.use(kept, asked) else None


def _check(info: ObjectInfo, cache: ObjectCache, url: str) -> None:
    if info.size > cache.max_bytes:
        message = (
            f"{url}: the object has {info.size} bytes, and the cache {cache.directory} keeps at most "
            f"{cache.max_bytes}; give a larger max_bytes, or download the object to a path of its own"
        )
        raise InvalidRequestError(message, key=info.key)
    if not cache.accepts(info.etag, info.size):
        message = (
            f"{url}: the provider sends no etag of up to {LONGEST_ETAG} bytes for the object, so a copy cannot be "
            "compared with it; download the object to a path of its own"
        )
        raise UnsupportedError(message, key=info.key)


@asynccontextmanager
async def _fetching(cache: ObjectCache, url: str) -> AsyncIterator[Fetch]:
    """Wait until no other task or process fetches the object; other tasks and processes wait until the block ends."""
    fetch = cache.fetch(url)
    try:
        while not await in_thread(fetch.try_begin):  # noqa: ASYNC110 - the other task may be in another process
            await asyncio.sleep(_PAUSE)
        yield fetch
    finally:
        await in_thread(fetch.end)
