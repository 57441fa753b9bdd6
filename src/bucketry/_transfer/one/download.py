"""Downloads one object to one local file: HEAD, plan, workers, verify, rename. `upload` is similar."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bucketry._core import checksums
from bucketry._core.checks import same_etag
from bucketry._core.config import TransferConfig
from bucketry._core.mtimes import mtime_of
from bucketry._core.options import ReadOptions
from bucketry._core.provider import StrPath
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import BodyRetries, RetryPolicy
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, ObjectInfo, TransferResult
from bucketry._runtime.threads import in_thread
from bucketry._transfer.limits import Limits
from bucketry._transfer.one.read import once_more, pinned_head
from bucketry._transfer.one.staging import FileSink, StagedFile, check_target
from bucketry._transfer.one.stream import SMALL, ResumingStream
from bucketry._transfer.plan import PartPlan, plan_download
from bucketry._transfer.progress import Meter, ProgressCallback
from bucketry._transfer.workers import run_workers
from bucketry.errors import (
    AlreadyExistsError,
    ChecksumMismatchError,
    IncompleteBodyError,
    IntegrityError,
    PreconditionFailedError,
)

READ_MEMORY = MiB  # the buffer of a provider that writes a body to a file


def refuse_existing(path: str) -> None:
    """Raise an error if something is at the path, just before a file is renamed to it. Blocks.

    Raises:
        AlreadyExistsError: There is something.
    """
    if os.path.lexists(path):
        message = f"{path}: exists, and is not replaced"
        raise AlreadyExistsError(message)


@dataclass(frozen=True, slots=True)
class Listed:
    """An object from a listing, and options for writing its file.

    Attributes:
        info: The object's entry in the listing.
        pinned: The object must still have the etag from the listing.
        keep_mtime: Set the file's time from the object's metadata, else to the time when the object was stored.
        before_write: A blocking function that makes the path's directories, or raises an error for the path.
        before_publish: A blocking function that is called just before the file is renamed to its path; an error leaves
            the path unchanged.
    """

    info: ObjectInfo
    pinned: bool = False
    keep_mtime: bool = False
    before_write: Callable[[], None] | None = None
    before_publish: Callable[[], None] | None = None

    @property
    def etag(self) -> str | None:
        """The etag that the object must have; `None`: any etag."""
        return self.info.etag or None if self.pinned else None

    def publish(self, staged: StagedFile, info: ObjectInfo) -> None:
        """Rename the staged file to its path. Blocks.

        Args:
            staged: The whole file.
            info: The object's properties, with its metadata.
        """
        staged.publish(mtime=mtime_of(info) if self.keep_mtime else None, check=self.before_publish)


@dataclass(slots=True)
class DownloadTransfer:
    """One download.

    Attributes:
        provider: The source.
        config: The manager's configuration.
        limits: The limits shared with the manager's other transfers.
        key: The object.
        staged_name: The name of the staged file, which is next to the target until it is complete.
        progress: The user's callback, or `None`.
        retries: The number of resumed bodies, and of downloads repeated because of a wrong checksum.
    """

    provider: ObjectRequests
    config: TransferConfig
    limits: Limits
    key: str
    staged_name: str
    progress: ProgressCallback | None = None
    retries: int = 0
    _sums: dict[int, tuple[str, int]] = field(default_factory=dict)

    async def to(
        self, local_path: StrPath, listed: Listed | None = None, *, keep_mtime: bool = False
    ) -> TransferResult:
        """Download to the path, atomically.

        Args:
            local_path: The file to make or replace.
            listed: The object's entry in a listing, which saves the HEAD of a small object.
            keep_mtime: As `Listed.keep_mtime`, for an object without an entry in a listing.
        """
        started = time.monotonic()
        path = str(local_path) if isinstance(local_path, str) else local_path.__fspath__()
        await in_thread(check_target, path)
        small = listed is not None and listed.info.size <= self._part_size
        info = listed.info if listed is not None and small else await self._head(listed)
        plan = plan_download(info.size, self.config.part_size)
        algorithm = None if small else self._algorithm(info)
        async with StagedFile(path, info.size, name=self.staged_name, fsync=self.config.fsync) as staged:
            meter = Meter(self.progress, self.key, info.size)
            whole = small or plan.count <= 1 or not info.etag  # without an etag, ranges may be of different versions

            async def attempt() -> tuple[ObjectInfo, str]:
                meter.take_back()
                if whole:
                    return await self._whole(staged, info, meter, listed.etag if listed is not None else None)
                return info, await self._ranges(staged, info, plan, algorithm, meter)

            (got, verified), repeated = await once_more(attempt)
            if listed is not None and listed.keep_mtime and got is listed.info:  # no metadata arrived
                got = await self._head(listed)
            if listed is None:
                await in_thread(partial(staged.publish, mtime=mtime_of(got) if keep_mtime else None))
            else:
                await in_thread(listed.publish, staged, got)
        self.retries += repeated
        meter.finish()
        return self._result(got, plan.count, verified, started)

    async def of_listed(self, listed: Listed, path: str) -> TransferResult:
        """Download a listed object; a small object goes through memory, with one request and one call in a thread.

        Args:
            listed: The object's entry in a listing.
            path: The file to make or replace.
        """
        started = time.monotonic()
        size = listed.info.size
        if size > min(SMALL, self._part_size, self.config.memory_budget):
            if listed.before_write is not None:
                await in_thread(listed.before_write)
            return await self.to(path, listed)
        meter = Meter(self.progress, self.key, size)
        options = ReadOptions(verify=self.config.verify, if_match=listed.etag)

        async def attempt() -> tuple[ObjectInfo, str]:
            await self.limits.rate.wait(size)
            async with (
                self.limits.slot(size),
                ResumingStream(self.provider, self.key, options, policy=self._policy) as reader,
            ):
                info = reader.info
                self._check_listed(listed.info, info.size)  # a larger body would need more memory than is held
                data = await reader.read()
                verified = reader.verified
            self._check_listed(listed.info, len(data))
            self.retries += reader.retries
            return info, await self.limits.batcher.run(self._write_file, data, info, verified, path, listed)

        async with self.limits.memory.hold(size):
            (info, verified), repeated = await once_more(attempt)
        self.retries += repeated
        meter.add(info.size)
        meter.finish()
        return self._result(info, 1 if info.size else 0, verified, started)

    async def _head(self, listed: Listed | None) -> ObjectInfo:
        if listed is not None and listed.pinned:
            return await pinned_head(self.provider, listed.info)
        return await self.provider.head(self.key)

    def _write_file(self, data: bytes, info: ObjectInfo, verified: str | None, path: str, listed: Listed) -> str:
        """Verify the bytes, unless the provider has done it, and write the file. Blocks."""
        if verified is None and (verified := self._algorithm(info)) is not None:
            self._compare(verified, info.checksums[verified], checksums.of(verified, data))
        if listed.before_write is not None:
            listed.before_write()
        with StagedFile(path, 0, name=self.staged_name, fsync=self.config.fsync) as staged:
            FileSink(staged.fd, 0, info.size, None, path).write(data)
            listed.publish(staged, info)
        return verified or "length"

    def _result(self, info: ObjectInfo, parts: int, verified: str, started: float) -> TransferResult:
        return TransferResult(
            key=self.key,
            size=info.size,
            etag=info.etag,
            version_id=info.version_id,
            parts=parts,
            retries=self.retries,
            verified=verified,
            concurrency=self.limits.concurrency(info.size),
            seconds=time.monotonic() - started,
        )

    def _check_listed(self, listed: ObjectInfo, size: int) -> None:
        if size != listed.size:
            where = self.provider.locate(self.key)
            message = f"{where}: expected {listed.size} bytes and received {size}: the object changed"
            raise IntegrityError(message, key=self.key)

    @property
    def _policy(self) -> RetryPolicy:
        return RetryPolicy.of(self.config)

    @property
    def _part_size(self) -> int:
        return plan_download(0, self.config.part_size).part_size

    def _algorithm(self, info: ObjectInfo) -> str | None:
        """Return the algorithm of the stored checksum to verify with; `None`: compare the length only."""
        if not self.config.verify:
            return None
        return checksums.first_usable(self.provider.capabilities.stored_checksums, info.checksums)

    async def _whole(
        self, staged: StagedFile, info: ObjectInfo, meter: Meter, if_match: str | None
    ) -> tuple[ObjectInfo, str]:
        """Fetch the object in one request; the response may have checksums to verify it with."""
        algorithm = self._algorithm(info)
        if self.config.verify and not info.checksums:  # the response may have checksums
            algorithm = checksums.first_usable(self.provider.capabilities.stored_checksums)
        sink = FileSink(staged.fd, 0, info.size, algorithm, staged.path)
        got = await self._fetch(sink, None, info, meter, if_match)
        self._check_listed(info, sink.position)
        self._check_listed(info, got.size)
        stored = got.checksums.get(algorithm or "") or info.checksums.get(algorithm or "")
        if algorithm is None or stored is None:
            return got, "length"
        self._compare(algorithm, stored, sink.checksum or "")
        return got, algorithm

    async def _ranges(
        self,
        staged: StagedFile,
        info: ObjectInfo,
        plan: PartPlan,
        algorithm: str | None,
        meter: Meter,
    ) -> str:
        """Fetch the ranges, several at once, all of the version in `info`."""
        if algorithm is not None and not checksums.combinable(algorithm):
            algorithm = None

        self._sums.clear()

        ranges = iter(plan.ranges())

        async def worker() -> None:
            for byte_range in ranges:
                sink = FileSink(staged.fd, byte_range.start, byte_range.end, algorithm, staged.path)
                await self._fetch(sink, byte_range, info, meter, info.etag or None)
                if sink.checksum is not None:
                    self._sums[byte_range.start] = (sink.checksum, byte_range.size)

        await run_workers(worker, min(self.config.large_concurrency, plan.count))
        if algorithm is None:
            return "length"
        ordered = (self._sums[start] for start in sorted(self._sums))
        self._compare(algorithm, info.checksums[algorithm], checksums.combine(algorithm, ordered))
        return algorithm

    async def _fetch(
        self, sink: FileSink, byte_range: ByteRange | None, info: ObjectInfo, meter: Meter, if_match: str | None
    ) -> ObjectInfo:
        """Fetch one range into its sink; after an incomplete body, request the missing bytes."""
        options = ReadOptions(byte_range=byte_range, if_match=if_match, verify=self.config.verify)
        retries = BodyRetries(self._policy)
        while True:
            before = sink.position
            try:
                async with self.limits.body(sink.end - sink.position, memory=READ_MEMORY):
                    try:
                        with meter.watching(sink.moved_since(before)):
                            got = await self.provider.fetch_range(self.key, sink, options)
                    finally:
                        meter.count(sink.position - before)
            except IncompleteBodyError as error:
                delay = retries.delay(error, sink.position - before)
                self.retries += 1
                if sink.position == sink.end:
                    return info
                if sink.position > sink.start and not info.etag:
                    meter.add(sink.start - sink.position)
                    sink.rewind()  # without an etag, the rest may be of another version than the beginning
                elif sink.position > sink.start:
                    options = options.rest(sink.position, sink.end, info.etag)
                await asyncio.sleep(delay)
            else:
                if options.byte_range is not None and sink.position != sink.end:
                    message = f"{self.provider.locate(self.key)}: {sink.end - sink.position} bytes are missing"
                    raise IntegrityError(message, key=self.key)
                if options.if_match is not None and not same_etag(
                    got.etag, info.etag
                ):  # the provider ignored the condition
                    message = f"{self.provider.locate(self.key)}: the object was replaced while it was downloaded"
                    raise PreconditionFailedError(message, key=self.key)
                meter.add(0)
                return got

    def _compare(self, algorithm: str, stored: str, computed: str) -> None:
        if stored != computed:
            message = (
                f"{self.provider.locate(self.key)}: the bytes are not those that were stored: their {algorithm} is "
                f"{computed}, not {stored}; the target file was not changed"
            )
            raise ChecksumMismatchError(message, key=self.key)
