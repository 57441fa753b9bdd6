"""Reads many objects into memory for a consumer, which gets each object in turn; a cache can save requests.

Other modules use only `get_many`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any

from bucketry._core.checks import same_etag
from bucketry._core.facts import Facts
from bucketry._core.options import ReadOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import ObjectInfo
from bucketry._runtime.quota import Quota
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.cache.object_cache import KeptObject, ObjectCache
from bucketry._transfer.limits import Limits
from bucketry._transfer.one.read import once_more, read
from bucketry._transfer.one.stream import SMALL, ResumingStream
from bucketry._transfer.workers import stop
from bucketry.errors import DiskFullError, NotFoundError, PreconditionFailedError, StorageError

_END: Any = object()
_log = logging.getLogger("bucketry")


async def get_many(
    provider: ObjectRequests,
    limits: Limits,
    policy: RetryPolicy,
    keys: Iterable[str],
    *,
    ordered: bool,
    width: int,
    raises: bool,
    verify: bool,
    cache: ObjectCache | None = None,
) -> AsyncGenerator[tuple[str, bytes | StorageError], None]:
    """Yield `(key, bytes)` for each key; prefetch the next objects within a memory budget.

    Each iteration has its own budget, so the consumer can use the same manager meanwhile. If a key fails, its error is
    raised if `raises`, else `(key, error)` is yielded.
    """
    source = iter(keys)
    ahead = _Prefetcher(provider, limits, policy, width, verify=verify, cache=cache)
    try:
        if cache is not None:
            await in_thread(cache.sweep)
        while True:
            while len(ahead.objects) < ahead.width and (key := next(source, _END)) is not _END:
                ahead.begin(key)
            if not ahead.objects:
                return
            done = await ahead.ended(ordered=ordered)
            error = done.task.exception()
            if isinstance(error, StorageError) and not raises:
                yield done.key, error
            else:
                yield done.key, done.task.result()
            del error
            ahead.memory.give(done.held)
            del done  # from now on, only the consumer keeps the bytes in memory
    finally:
        await stop([one.task for one in ahead.objects])


@dataclass(slots=True, eq=False)
class _Object:
    """An object that is prefetched.

    Attributes:
        key: The object's name.
        task: Reads the object.
        held: Bytes taken from the memory budget for large objects.
        decided: Whether the object has taken its memory from this budget, or needs no memory from it.
    """

    key: str
    task: asyncio.Task[bytes] = field(init=False)
    held: int = 0
    decided: bool = False


class _Prefetcher:
    """The objects that one iteration prefetches, in the order of their keys.

    `width` limits the number of objects, because each object may use `SMALL` bytes while its size is unknown, and all
    objects together must not use more than half of the budget for this. Larger objects share the rest of the budget, in
    the order of their keys. So an object waits only for objects that the consumer gets earlier.
    """

    def __init__(
        self,
        provider: ObjectRequests,
        limits: Limits,
        policy: RetryPolicy,
        width: int,
        *,
        verify: bool,
        cache: ObjectCache | None,
    ) -> None:
        """Begin without objects."""
        self.width = max(1, min(width, limits.memory.limit // 2 // SMALL))
        self.memory = Quota(max(1, limits.memory.limit - self.width * SMALL))
        self.objects: deque[_Object] = deque()
        self._provider = provider
        self._options = ReadOptions(verify=verify)
        self._limits = limits
        self._policy = policy
        self._cache = cache
        self._disk_is_full = False
        self._decided = asyncio.Event()
        self._ended = asyncio.Event()

    def begin(self, key: str) -> None:
        """Start to read one more object."""
        one = _Object(key)
        # A plain task, because an async generator must not yield inside a task group. `get_many` ends all tasks.
        one.task = asyncio.get_running_loop().create_task(self._read(one))
        one.task.add_done_callback(lambda _: _wake(self._ended))
        self.objects.append(one)

    async def ended(self, *, ordered: bool) -> _Object:
        """Wait until the task of the first object (or of any object, if not `ordered`) has ended; remove the object.

        An object is removed only after its task has ended, because `get_many` ends the tasks of all objects in the
        queue when the consumer is cancelled.
        """
        while True:
            candidates = islice(self.objects, 1) if ordered else self.objects
            found = next((one for one in candidates if one.task.done()), None)
            if found is not None:
                self.objects.remove(found)
                return found
            await self._ended.wait()

    async def _read(self, one: _Object) -> bytes:
        with Facts(self._provider.name, "get_many", one.key):
            try:
                if self._cache is not None:
                    return await self._read_cached(one, self._cache)
                _, data = await self._fetch(one)
                return data
            finally:
                self._decide(one)

    async def _read_cached(self, one: _Object, cache: ObjectCache) -> bytes:
        """Return the object's bytes from the cache if the copy is current; else fetch the object and keep it."""
        url = self._provider.locate(one.key)
        kept = await self._limits.batcher.run(cache.find, url)
        if kept is not None and cache.is_fresh(kept):
            data = await self._from_cache(one, cache, kept, None)
            if data is not None:
                return data
        asked = time.time_ns()
        try:
            found = await self._ask(one, kept)
        except NotFoundError:
            await in_thread(cache.forget, url)
            raise
        if found is None and kept is not None:
            data = await self._from_cache(one, cache, kept, asked)
            if data is not None:
                return data
        if found is None:  # another process has removed the copy
            info, data = await self._fetch(one)
        else:
            info, small = found
            data = await self._read_large(one, info) if small is None else small
        await self._keep(cache, url, info, data, asked)
        return data

    async def _ask(self, one: _Object, kept: KeptObject | None) -> tuple[ObjectInfo, bytes | None] | None:
        """Request the object, and read it if it is small; `None`: the copy is current."""
        options = self._options
        if kept is not None and self._provider.capabilities.get_if_match:
            options = replace(options, if_none_match=kept.etag)
        elif kept is not None:  # without conditions, a GET always sends the body
            async with self._limits.slot():
                info = await self._provider.head(one.key)
            if same_etag(info.etag, kept.etag):
                return None
        try:
            return (await once_more(lambda: self._read_small(one, options)))[0]
        except PreconditionFailedError:
            if options.if_none_match is None:
                raise
            return None

    async def _from_cache(self, one: _Object, cache: ObjectCache, kept: KeptObject, asked: int | None) -> bytes | None:
        """Return the bytes of a copy; `None`: another process has removed the copy."""
        if kept.size <= SMALL:
            return await self._limits.batcher.run(cache.read, kept, asked)
        await self._take_memory(one, kept.size)
        return await in_thread(cache.read, kept, asked)

    async def _keep(self, cache: ObjectCache, url: str, info: ObjectInfo, data: bytes, asked: int) -> None:
        """Add the object to the cache if it can be kept and the disk is not full."""
        if not cache.accepts(info.etag, len(data)):
            return
        try:
            await in_steps(cache.keep(url, info.etag, data, asked))
        except DiskFullError as error:  # the caller needs the bytes, not the copy
            if not self._disk_is_full:
                self._disk_is_full = True
                _log.warning("the cache keeps no more objects: %s", error)

    async def _fetch(self, one: _Object) -> tuple[ObjectInfo, bytes]:
        (info, data), _ = await once_more(lambda: self._read_small(one, self._options))
        return info, await self._read_large(one, info) if data is None else data

    async def _read_large(self, one: _Object, info: ObjectInfo) -> bytes:
        """Request a large object again when there is memory, so that no task holds a slot while it waits for memory."""
        await self._take_memory(one, info.size)
        async with self._limits.slot(info.size):
            _, data = await read(
                self._provider, one.key, replace(self._options, if_match=info.etag or None), policy=self._policy
            )
        return data

    async def _take_memory(self, one: _Object, size: int) -> None:
        """Take memory for a large object, after the earlier objects; do nothing if the object has memory already."""
        if one.held:
            return
        while not all(other.decided for other in takewhile(lambda other: other is not one, self.objects)):
            await self._decided.wait()
        one.held = await self.memory.take(size)
        self._decide(one)

    async def _read_small(self, one: _Object, options: ReadOptions) -> tuple[ObjectInfo, bytes | None]:
        """Open an object, and read it if it is small."""
        async with (
            self._limits.slot(),
            ResumingStream(self._provider, one.key, options, policy=self._policy) as reader,
        ):
            info = reader.info
            await self._limits.rate.wait(info.size)
            if info.size > SMALL:
                return info, None
            self._decide(one)
            return info, await reader.read()

    def _decide(self, one: _Object) -> None:
        one.decided = True
        _wake(self._decided)


def _wake(event: asyncio.Event) -> None:
    event.set()
    event.clear()
