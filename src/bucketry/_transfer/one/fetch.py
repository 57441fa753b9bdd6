"""Fetches one object into a staged file. The response to the first request tells the size, and is data already."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from bucketry._core import checksums
from bucketry._core.checks import same_etag
from bucketry._core.config import TransferConfig
from bucketry._core.options import ReadOptions
from bucketry._core.os_errors import local_error
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import BodyRetries, RetryPolicy
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._runtime.loading import load_checksum
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.limits import Limits
from bucketry._transfer.one.sinks import FileSink, FirstSink
from bucketry._transfer.one.staging import StagedFile
from bucketry._transfer.plan import PartPlan
from bucketry._transfer.progress import Meter
from bucketry._transfer.workers import run_workers
from bucketry.errors import (
    ChecksumMismatchError,
    IncompleteBodyError,
    IntegrityError,
    InvalidRangeError,
    NotFoundError,
    PreconditionFailedError,
)

READ_MEMORY = MiB  # the buffer of a provider that writes a body to a file
_BLOCK, _PIECE = 256 * KiB, 16 * MiB  # bytes read at once, and bytes after which reading a file can be cancelled

_Step: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class _NoEtagError(Exception):
    """Ranges of an object without an etag may be of different versions."""


@dataclass(slots=True)
class ObjectFetch:
    """Fetches one version of an object into a staged file.

    The first request asks for the bytes of one part. When the head of its response is in, the other ranges of the same
    version are requested. If that head has no checksum and the provider stores checksums, a HEAD asks for the checksum
    while the data comes.

    Attributes:
        provider: The source.
        config: The manager's configuration.
        limits: The limits shared with the manager's other transfers.
        key: The object.
        staged: The file.
        meter: Counts the bytes.
        part_size: The bytes of a range; `None`: one request without a range.
        size: The size that the object must have; `None`: any size.
        if_match: The etag that the object must have; `None`: any etag.
        retries: The number of resumed bodies.
    """

    provider: ObjectRequests
    config: TransferConfig
    limits: Limits
    key: str
    staged: StagedFile
    meter: Meter
    part_size: int | None
    size: int | None = None
    if_match: str | None = None
    retries: int = 0
    _info: ObjectInfo | None = field(default=None, init=False)
    _known: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _ranges: Iterator[ByteRange] = field(default=iter(()), init=False)
    _algorithm: str | None = field(default=None, init=False)
    _stored: str = field(default="", init=False)
    _sums: dict[int, str] = field(default_factory=dict, init=False)

    async def run(self) -> tuple[ObjectInfo, str]:
        """Fetch the object; return its properties, and the checksum that verified it, else `"length"`.

        Raises:
            ChecksumMismatchError: The bytes are not those that were stored; `run` may be called again.
        """
        self.meter.take_back()
        if self.part_size is not None:
            first = self._sink(self.part_size)
            try:
                return await self._run(first, self.part_size)
            except (InvalidRangeError, IntegrityError):
                # S3 refuses every range of an empty object, and some servers ignore ranges.
                if not first.untouched:
                    raise
            except _NoEtagError:
                self.meter.take_back()
        return await self._run(self._sink(None), None)

    def _sink(self, limit: int | None) -> FirstSink:
        loop = asyncio.get_running_loop()

        def told() -> None:
            loop.call_soon_threadsafe(self._begin, limit, sink)

        sink = FirstSink(self.staged, limit, partial(self._usable, limit), told)
        return sink

    async def _run(self, sink: FirstSink, part_size: int | None) -> tuple[ObjectInfo, str]:
        self._info = None
        self._known.clear()
        self._sums.clear()
        await _together(partial(self._first, sink, part_size), partial(self._others, part_size))
        info = self._info
        assert info is not None  # noqa: S101 - the first request told it
        return info, await self._verify(info, part_size)

    # --- the first request, and what its head starts --------------------------------------------------

    async def _first(self, sink: FirstSink, part_size: int | None) -> None:
        asked = None if part_size is None else ByteRange(0, part_size)
        got = await self._fetch(sink, ReadOptions(byte_range=asked, if_match=self.if_match, verify=self.config.verify))
        if sink.info is None:
            await in_thread(sink.end_with, got)
        self._begin(part_size, sink)
        if sink.position != sink.end:
            raise self._missing(sink)
        self._check_size(got)
        await self._sum(sink)
        await self._fetch_others()

    def _begin(self, part_size: int | None, sink: FirstSink) -> None:
        """Store the object's properties, and let `_others` begin."""
        info = sink.info
        if info is None or info is self._info:
            return
        self._info = info
        self._algorithm = self._usable(part_size, info)
        self._stored = info.checksums.get(self._algorithm or "", "")
        ranges = _plan(info, part_size)
        next(ranges, None)
        self._ranges = ranges if info.etag else iter(())
        self._known.set()

    async def _others(self, part_size: int | None) -> None:
        """Fetch the other ranges, and the checksum if it is not known, as soon as the object's properties are known."""
        await self._known.wait()
        info = self._info
        assert info is not None  # noqa: S101 - it is known
        self._check_size(info)
        self.meter.know(info.size)
        count = 1 if part_size is None else PartPlan(info.size, part_size).count
        if count > 1 and not info.etag:
            raise _NoEtagError
        if self.size is None:  # the first request was not counted, because its size was not known
            await self.limits.rate.wait(min(info.size, part_size or info.size))
        steps: list[_Step] = []
        if part_size is not None and self._lacks_checksum(info):
            steps.append(partial(self._ask_checksum, part_size, info))
        steps += [self._fetch_others] * (min(self.config.large_concurrency, count) - 1)
        await _together(*steps)

    def _lacks_checksum(self, info: ObjectInfo) -> bool:
        promised = checksums.first_usable(self.provider.capabilities.stored_checksums)
        return self.config.verify and promised is not None and not info.checksums and info.size > 0

    async def _ask_checksum(self, part_size: int, info: ObjectInfo) -> None:
        """Make a HEAD for the stored checksum; ignore the answer if it is about another version."""
        try:
            async with self.limits.slot():  # so that it never waits for one of the provider's connections
                found = await self.provider.head(self.key)
        except NotFoundError:  # deleted meanwhile; ranges that are still to come report it
            return
        if info.etag and same_etag(found.etag, info.etag):
            algorithm = self._usable(part_size, info, found)
            if algorithm is not None:
                await load_checksum(algorithm)
            self._algorithm, self._stored = algorithm, found.checksums.get(algorithm or "", "")

    async def _fetch_others(self) -> None:
        info = self._info
        assert info is not None  # noqa: S101 - it is known
        for one in self._ranges:
            sink = FileSink(self.staged.fd, one.start, one.end, self._algorithm, self.staged.path, info=info)
            await self._fetch(sink, ReadOptions(byte_range=one, if_match=info.etag, verify=False))
            if sink.position != sink.end:
                raise self._missing(sink)
            await self._sum(sink)

    # --- one body ------------------------------------------------------------------------------------

    async def _fetch(self, sink: FileSink, options: ReadOptions) -> ObjectInfo:
        """Fetch one body into its sink; after an incomplete body, request the missing bytes."""
        retries = BodyRetries(RetryPolicy.of(self.config))
        while True:
            before = sink.position
            wanted = sink.end - before if sink.info is not None else self.size or 0
            try:
                async with self.limits.body(wanted, memory=READ_MEMORY):
                    try:
                        with self.meter.watching(sink.moved_since(before)):
                            got = await self.provider.fetch_range(self.key, sink, options)
                    finally:
                        self.meter.count(sink.position - before)
            except IncompleteBodyError as error:
                delay = retries.delay(error, sink.position - before)
                self.retries += 1
                info = sink.info
                if info is not None and sink.position == sink.end:
                    return info
                if info is None or not info.etag:
                    self.meter.add(sink.start - sink.position)
                    sink.rewind()  # without an etag, the rest may be of another version than the beginning
                elif sink.position > sink.start or options.byte_range is not None:
                    options = options.rest(sink.position, sink.end, info.etag)
                await asyncio.sleep(delay)
            else:
                if options.if_match is not None and not same_etag(got.etag, options.if_match):
                    # the provider ignored the condition
                    message = f"{self.provider.locate(self.key)}: the object was replaced while it was downloaded"
                    raise PreconditionFailedError(message, key=self.key)
                self.meter.add(0)
                return got

    def _missing(self, sink: FileSink) -> IntegrityError:
        message = f"{self.provider.locate(self.key)}: {sink.end - sink.position} bytes are missing"
        return IntegrityError(message, key=self.key)

    def _check_size(self, info: ObjectInfo) -> None:
        if self.size is not None and info.size != self.size:
            where = self.provider.locate(self.key)
            message = f"{where}: expected {self.size} bytes and received {info.size}: the object changed"
            raise IntegrityError(message, key=self.key)

    # --- the checksum --------------------------------------------------------------------------------

    def _usable(self, part_size: int | None, info: ObjectInfo, found: ObjectInfo | None = None) -> str | None:
        """Return the algorithm of the stored checksum to verify with; `None`: compare the length only."""
        if not self.config.verify:
            return None
        stored = (found or info).checksums
        algorithm = checksums.first_usable(self.provider.capabilities.stored_checksums, stored)
        in_parts = part_size is not None and info.size > part_size
        return None if algorithm is None or (in_parts and not checksums.combinable(algorithm)) else algorithm

    async def _sum(self, sink: FileSink) -> None:
        """Store the checksum of a complete range; read the bytes again if the algorithm became known after them."""
        checksum = sink.checksum
        if checksum is None and self._algorithm is not None:
            checksum = await self._sum_of_file(self._algorithm, ByteRange(sink.start, sink.end))
        if checksum is not None:
            self._sums[sink.start] = checksum

    async def _sum_of_file(self, algorithm: str, one: ByteRange) -> str:
        return await in_steps(_sum_steps(self.staged, algorithm, one))

    async def _verify(self, info: ObjectInfo, part_size: int | None) -> str:
        """Compare the object's checksum with the stored one, and return the algorithm; `"length"`: there is none."""
        if (algorithm := self._algorithm) is None:
            return "length"
        sums: list[tuple[str, int]] = []
        for one in _plan(info, part_size):
            found = self._sums.get(one.start)
            sums.append((found or await self._sum_of_file(algorithm, one), one.size))
        # In a thread, because the first call may load a library.
        computed = sums[0][0] if len(sums) == 1 else await in_thread(checksums.combine, algorithm, sums)
        compare(self.provider, self.key, algorithm, self._stored, computed)
        return algorithm


async def _together(*steps: _Step) -> None:
    """Run the steps at the same time; errors are raised as by `run_workers`."""
    waiting = iter(steps)

    async def step() -> None:
        await next(waiting)()

    await run_workers(step, len(steps))


def compare(provider: ObjectRequests, key: str, algorithm: str, stored: str, computed: str) -> None:
    """Compare a download's checksum with the stored one.

    Raises:
        ChecksumMismatchError: They differ.
    """
    if stored != computed:
        message = (
            f"{provider.locate(key)}: the bytes are not those that were stored: their {algorithm} is "
            f"{computed}, not {stored}; the target file was not changed"
        )
        raise ChecksumMismatchError(message, key=key)


def _plan(info: ObjectInfo, part_size: int | None) -> Iterator[ByteRange]:
    """Return the ranges of the requests; one range, also for an empty object, if there is one request."""
    if part_size is None or info.size <= part_size:
        return iter((ByteRange(0, info.size),))
    return PartPlan(info.size, part_size).ranges()


def _sum_steps(staged: StagedFile, algorithm: str, one: ByteRange) -> Generator[None, None, str]:
    """Read a range of the file, in steps, and return its checksum."""
    digest = checksums.new(algorithm)
    try:
        for at in range(one.start, one.end, _BLOCK):
            if at > one.start and not (at - one.start) % _PIECE:
                yield
            digest.update(os.pread(staged.fd, min(_BLOCK, one.end - at), at))
    except OSError as exc:
        raise local_error(exc, staged.path, "reading the download") from exc
    return digest.hexdigest()
