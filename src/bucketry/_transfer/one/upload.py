"""Uploads one local file or one stream to one object: plan, workers, complete, verify. `download` is similar."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial

from bucketry._core.checks import check_key, check_metadata, check_write
from bucketry._core.config import TransferConfig
from bucketry._core.mtimes import MTIME, mtime_text
from bucketry._core.options import WriteOptions
from bucketry._core.provider import StrPath
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.units import MiB
from bucketry._core.values import (
    Body,
    ByteCounter,
    ByteRange,
    MultipartUpload,
    ObjectInfo,
    Part,
    TransferResult,
    body_size,
)
from bucketry._runtime.file_bodies import check_unchanged
from bucketry._runtime.threads import in_thread
from bucketry._transfer.cleanup import multipart
from bucketry._transfer.limits import COPIES, Limits
from bucketry._transfer.one.stream import SMALL
from bucketry._transfer.one.write import CONFLICT, complete_checked, new_token, put_settled
from bucketry._transfer.plan import PartPlan, check_part_size, plan_upload, single_limit, stream_part_size
from bucketry._transfer.progress import Meter, ProgressCallback
from bucketry._transfer.sources import Slicer, Source, opened
from bucketry._transfer.workers import fan_out, run_workers
from bucketry.errors import PreconditionFailedError, TransientError, UnsupportedError


@dataclass(slots=True)
class UploadTransfer:
    """One upload.

    Attributes:
        provider: The destination.
        config: The manager's configuration.
        limits: The limits shared with the manager's other transfers.
        key: The object.
        options: Metadata, headers, tags and preconditions.
        token: The write token, the same in every retry; empty: one is made when it is needed.
        progress: The user's callback, or `None`.
        found: The size in bytes and the `st_mtime_ns` that the file must have; `None`: any values.
        found_ctime: The `st_ctime_ns` that the file must have; `None`: any value.
        keep_mtime: Store the file's time in the metadata, unless the options give it.
        retries: The number of writes whose outcome was unknown and had to be checked, and of uploads begun again.
    """

    provider: ObjectRequests
    config: TransferConfig
    limits: Limits
    key: str
    options: WriteOptions
    token: str = ""
    progress: ProgressCallback | None = None
    found: tuple[int, int] | None = None
    found_ctime: int | None = None
    keep_mtime: bool = False
    retries: int = 0
    _parts: list[Part] = field(default_factory=list)
    _made: ObjectInfo | None = None

    async def of_file(self, local_path: StrPath) -> TransferResult:
        """Upload a regular file, read in worker threads: a small file in one piece, a larger one in ranges."""
        started = time.monotonic()
        where = self.provider.locate(self.key)
        check_key(self.key, self.provider.capabilities, self.provider.locate())
        at_once = min(SMALL, self._single_limit(), self.config.memory_budget)
        async with (
            self.limits.memory.hold(self._memory(at_once)) as held,
            opened(os.fspath(local_path), at_once, where, self.limits.batcher) as source,
        ):
            size = source.size
            self._check_found(source, local_path)
            if self.keep_mtime:
                self._add_mtime(source, where)
            meter = Meter(self.progress, self.key, size)
            plan = plan_upload(size, self.provider.capabilities, self.config.part_size, where)
            in_parts = size > self._single_limit()
            self._check_budget(size)
            check_write(self.options, self.provider.capabilities, where, multipart=in_parts)
            held.keep(0 if source.data is None else self._memory(size))
            if in_parts:
                info = await self._in_parts(source, plan, meter)
            elif source.data is not None:
                info = await self._put(source.data)
                meter.add(size)
            else:
                sent = ByteCounter()
                async with self.limits.memory.hold(self._memory(size)):
                    with meter.watching(lambda: sent.count):
                        info = await self._put(source.range(0, size, sent))
                meter.add(size)
        meter.finish()
        return self._result(info, plan.count if in_parts else 1, started)

    async def of_stream(self, chunks: AsyncIterable[bytes]) -> TransferResult:
        """Upload an iterable of unknown length: in one request if it fits in one part, else in parts.

        The memory is bounded. If the provider has no multipart uploads, all bytes must fit in one request and in the
        memory budget.
        """
        started = time.monotonic()
        limits = self.provider.capabilities
        check_key(self.key, limits, self.provider.locate())
        check_write(self.options, limits, self.provider.locate(self.key), multipart=False)
        if limits.multipart:
            check_write(self.options, limits, self.provider.locate(self.key), multipart=True)
        check_part_size(self.config.part_size, limits, self.provider.locate(self.key))
        meter = Meter(self.progress, self.key, None)
        source = Slicer(chunks)
        first = await self._next_part(source, 1)
        if source.ended:
            try:
                info = await self._put(first.data)
            finally:
                self.limits.memory.give(first.held)
            meter.add(len(first.data))
        elif not limits.multipart:
            self.limits.memory.give(first.held)
            message = (
                f"{self.provider.locate(self.key)}: the stream is longer than {len(first.data)} bytes, and this "
                "provider has no multipart uploads (capabilities.multipart is False); give TransferConfig a larger "
                "memory_budget, up to twice the provider's max_put_size"
            )
            raise UnsupportedError(message, key=self.key)
        else:
            waiting = [first]
            del first  # the list must have the only reference, so that sending the part frees its memory
            info = await self._stream_parts(source, waiting, meter)
        meter.finish()
        return self._result(info, len(self._parts) or 1, started)

    @property
    def made(self) -> ObjectInfo:
        """The object that the upload made."""
        assert self._made is not None  # noqa: S101 - used after the upload only
        return self._made

    @property
    def _policy(self) -> RetryPolicy:
        return RetryPolicy.of(self.config)

    def _needed_token(self) -> str:
        """Return the write token; it is not made before, because most small uploads need none and it takes 10 µs."""
        self.token = self.token or new_token()
        return self.token

    def _single_limit(self) -> int:
        return single_limit(self.provider.capabilities, self.config)

    def _check_found(self, source: Source, local_path: StrPath) -> None:
        """Raise an error for a file that changed since it was found.

        Raises:
            PreconditionFailedError: The file's size or one of its times differs.
        """
        _, size, mtime, ctime = source.as_of
        same = self.found in (None, (size, mtime)) and self.found_ctime in (None, ctime)
        if not same:
            path = os.fspath(local_path)
            message = f"{path}: the file changed since it was found; it was not uploaded"
            raise PreconditionFailedError(message, key=self.key, path=path)

    def _add_mtime(self, source: Source, where: str) -> None:
        """Add the file's time to the metadata.

        Raises:
            InvalidMetadataError: The metadata is then too large.
        """
        metadata = {MTIME: mtime_text(source.as_of[2]), **self.options.metadata}
        metadata = check_metadata(metadata, self.provider.capabilities, where)
        self.options = replace(self.options, metadata=metadata)

    def _check_budget(self, size: int) -> None:
        """Raise an error for a file that must go in one request, but does not fit in the memory budget.

        Raises:
            UnsupportedError: The file does not fit, and there are no multipart uploads.
        """
        if not self.provider.capabilities.multipart and self._memory(size) > self.config.memory_budget:
            message = (
                f"{self.provider.locate(self.key)}: sending {size} bytes in one request needs {self._memory(size)} "
                f"bytes of memory, and memory_budget is {self.config.memory_budget}; this provider has no multipart "
                "uploads (capabilities.multipart is False), so give TransferConfig a larger memory_budget"
            )
            raise UnsupportedError(message, key=self.key)

    def _memory(self, size: int) -> int:
        """Return the bytes of memory that sending a body of `size` bytes needs."""
        return COPIES * size if self.provider.capabilities.buffers_bodies else min(size, MiB)

    def _part_memory(self, size: int) -> int:
        """Return the bytes of memory that sending a part of `size` bytes from a file needs."""
        return self._memory(size) if self.provider.capabilities.buffers_parts else min(size, MiB)

    async def _put(self, body: Body) -> ObjectInfo:
        """Send the body in one request; the caller has taken the memory for the body from the budget."""
        size = body_size(body)
        await self.limits.rate.wait(size)
        token = self._needed_token() if self.options.conditional else ""
        async with self.limits.slot(size):
            info, self.retries = await put_settled(
                self.provider, self.key, body, self.options, token=token, policy=self._policy
            )
        return info

    def _opened(self) -> AbstractAsyncContextManager[tuple[MultipartUpload, WriteOptions]]:
        return multipart(self.provider, self.key, self.options, token=self._needed_token(), policy=self._policy)

    async def _in_parts(self, source: Source, plan: PartPlan, meter: Meter) -> ObjectInfo:
        """Upload in parts; after a conflict with another write, begin a new upload, as AWS requires."""
        policy = self._policy
        width = min(self.config.large_concurrency, plan.count)
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._opened() as (upload, marked):
                    ranges = enumerate(plan.ranges(), start=1)
                    await run_workers(partial(self._send_parts, source, ranges, upload, meter), width)
                    await in_thread(check_unchanged, source.range(0, source.size), self.provider.locate(self.key))
                    return await self._complete(upload, marked)
            except TransientError as error:
                delay = policy.delay(error, attempt) if error.code == CONFLICT else None
                if delay is None:
                    raise
            self.retries += 1
            self._parts.clear()
            meter.take_back()
            await asyncio.sleep(delay)

    async def _send_parts(
        self, source: Source, ranges: Iterator[tuple[int, ByteRange]], upload: MultipartUpload, meter: Meter
    ) -> None:
        """Send parts until no part is left; several workers share the iterator."""
        for number, byte_range in ranges:
            sent = ByteCounter()
            body = source.range(byte_range.start, byte_range.end, sent)
            async with self.limits.body(byte_range.size, memory=self._part_memory(byte_range.size)):
                with meter.watching(lambda: sent.count):  # noqa: B023 - read within this round
                    self._parts.append(await self.provider.put_part(upload, number, body))
            meter.add(byte_range.size)

    async def _stream_parts(self, source: Slicer, waiting: list[_StreamPart], meter: Meter) -> ObjectInfo:
        """Upload a stream whose first part is in `waiting`; give back the memory of waiting parts at the end."""
        try:
            return await self._all_stream_parts(source, waiting, meter)
        finally:
            for part in waiting:
                self.limits.memory.give(part.held)

    async def _all_stream_parts(self, source: Slicer, waiting: list[_StreamPart], meter: Meter) -> ObjectInfo:
        async with self._opened() as (upload, marked):

            async def one(part: _StreamPart) -> None:
                try:
                    await self.limits.rate.wait(len(part.data))
                    async with self.limits.slot(len(part.data)):
                        self._parts.append(await self.provider.put_part(upload, part.number, part.data))
                    meter.add(len(part.data))
                finally:
                    self.limits.memory.give(part.held)

            await fan_out(self._cut(source, waiting), one, width=self.config.large_concurrency)
            try:
                return await self._complete(upload, marked)
            except TransientError as error:
                if error.code == CONFLICT:
                    error.add_note("another write came first, and a stream cannot be read twice: upload it again")
                raise

    async def _cut(self, source: Slicer, waiting: list[_StreamPart]) -> AsyncGenerator[_StreamPart, None]:
        """Yield the waiting parts, then cut the stream into more parts; the caller gives back each part's memory."""
        number = len(waiting)
        while waiting:
            yield waiting.pop(0)
        while not source.ended:
            number += 1
            yield await self._next_part(source, number)

    async def _next_part(self, source: Slicer, number: int) -> _StreamPart:
        limits = self.provider.capabilities
        if limits.multipart:
            size = stream_part_size(number, limits, self.config.part_size)
            wanted = self._memory(size)
        else:
            size = min(limits.max_put_size, self.config.memory_budget // COPIES)
            wanted = COPIES * size
        held = await self.limits.memory.take(wanted)
        try:
            data = await source.take(size)
            self._check_stream(number, source.taken)
        except BaseException:
            self.limits.memory.give(held)
            raise
        needed = min(held, COPIES * len(data))
        self.limits.memory.give(held - needed)
        return _StreamPart(number, data, needed)

    def _check_stream(self, number: int, size: int) -> None:
        limits = self.provider.capabilities
        if number > limits.max_parts or size > limits.max_object_size:
            message = (
                f"{self.provider.locate(self.key)}: the stream is longer than {limits.max_parts} parts of this "
                "part_size hold; give TransferConfig a larger part_size"
            )
            raise UnsupportedError(message, key=self.key)

    async def _complete(self, upload: MultipartUpload, marked: WriteOptions) -> ObjectInfo:
        info, settled = await complete_checked(self.provider, upload, self._parts, marked, self.config)
        self.retries += settled
        return info

    def _result(self, info: ObjectInfo, parts: int, started: float) -> TransferResult:
        limits = self.provider.capabilities
        checked = limits.multipart_checksum if self._parts else limits.put_checksum
        self._made = info
        return TransferResult(
            key=self.key,
            size=info.size,
            etag=info.etag,
            version_id=info.version_id,
            parts=parts,
            retries=self.retries,
            verified=checked or "length",
            concurrency=self.limits.concurrency(info.size),
            seconds=time.monotonic() - started,
        )


@dataclass(frozen=True, slots=True)
class _StreamPart:
    """A part of a stream, and the bytes that it has taken from the memory budget."""

    number: int
    data: bytes
    held: int
