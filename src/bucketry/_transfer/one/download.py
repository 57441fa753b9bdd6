"""Downloads one object to one local file: stage, fetch, verify, rename. `upload` is similar."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bucketry._core import checksums
from bucketry._core.config import TransferConfig
from bucketry._core.mtimes import mtime_of
from bucketry._core.options import ReadOptions
from bucketry._core.provider import StrPath
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import ObjectInfo, TransferResult
from bucketry._runtime.threads import in_thread
from bucketry._transfer.limits import Limits
from bucketry._transfer.one.fetch import ObjectFetch, compare
from bucketry._transfer.one.read import once_more
from bucketry._transfer.one.sinks import FileSink
from bucketry._transfer.one.staging import StagedFile, check_target
from bucketry._transfer.one.stream import SMALL, ResumingStream
from bucketry._transfer.plan import PartPlan, plan_download
from bucketry._transfer.progress import Meter, ProgressCallback
from bucketry.errors import (
    AlreadyExistsError,
    IntegrityError,
)


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

    async def to(
        self, local_path: StrPath, listed: Listed | None = None, *, keep_mtime: bool = False
    ) -> TransferResult:
        """Download to the path, atomically.

        Args:
            local_path: The file to make or replace.
            listed: The object's entry in a listing.
            keep_mtime: As `Listed.keep_mtime`, for an object without an entry in a listing.
        """
        started = time.monotonic()
        path = str(local_path) if isinstance(local_path, str) else local_path.__fspath__()
        await in_thread(check_target, path)
        size = listed.info.size if listed is not None else None
        small = size is not None and size <= self._part_size
        meter = Meter(self.progress, self.key, size, later=size is None)
        async with StagedFile(path, None, name=self.staged_name, fsync=self.config.fsync) as staged:
            fetch = ObjectFetch(
                provider=self.provider,
                config=self.config,
                limits=self.limits,
                key=self.key,
                staged=staged,
                meter=meter,
                part_size=None if small else self._part_size,
                size=size if small else None,
                if_match=listed.etag if listed is not None else None,
            )
            (info, verified), repeated = await once_more(fetch.run)
            if listed is None:
                await in_thread(partial(staged.publish, mtime=mtime_of(info) if keep_mtime else None))
            else:
                await in_thread(listed.publish, staged, info)
        self.retries += fetch.retries + repeated
        meter.finish()
        return self._result(info, PartPlan(info.size, self._part_size).count, verified, started)

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

    def _write_file(self, data: bytes, info: ObjectInfo, verified: str | None, path: str, listed: Listed) -> str:
        """Verify the bytes, unless the provider has done it, and write the file. Blocks."""
        if verified is None and (verified := self._algorithm(info)) is not None:
            compare(self.provider, self.key, verified, info.checksums[verified], checksums.of(verified, data))
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
