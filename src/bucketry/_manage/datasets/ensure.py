"""Makes a local directory equal to a dataset: compares, locks, downloads, verifies, and publishes all files at once."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bucketry._core.os_errors import local_error
from bucketry._core.values import ObjectInfo
from bucketry._manage.datasets.compare import Comparison, check_conflicts, check_replaced, compare, named, remove_stale
from bucketry._manage.datasets.local_state import LocalDirectory, LocalState
from bucketry._manage.datasets.stored import DatasetPlace, StoredDataset
from bucketry._manage.datasets.values import DatasetFile, DatasetResult
from bucketry._manage.hashing import hash_file
from bucketry._manage.overlap import refuse_overlap
from bucketry._manage.sync.progress import SyncMeter, SyncProgressCallback
from bucketry._manage.sync.values import PlanSummary
from bucketry._runtime.file_lock import FileLock
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry._transfer.workers import fan_out
from bucketry.errors import (
    ChecksumMismatchError,
    DiskFullError,
    IntegrityError,
    LocalFileError,
    LocalIsADirectoryError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)

_log = logging.getLogger("bucketry")

_BATCH = 100  # files that are renamed between two points where the call can be cancelled
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # a manifest does not have the time of an object


@dataclass(slots=True)
class Ensuring:
    """One call of `ensure_dataset` or `download_dataset`.

    Attributes:
        place: The dataset.
        directory: The local directory.
        exact: Whether it is an error if the directory has entries that do not belong to the dataset, or edited files
            that would be replaced.
        trust: Whether a verified file counts as unchanged, without reading it, while its size and time are unchanged.
        progress: The user's callback, or `None`.
    """

    place: DatasetPlace
    directory: LocalDirectory
    exact: bool
    trust: bool
    progress: SyncProgressCallback | None
    _downloaded_bytes: int = 0
    _complete: frozenset[str] = frozenset()
    _started: float = field(default_factory=time.monotonic)

    async def run(self) -> DatasetResult:
        """Make the directory equal to the dataset, and return what was done."""
        await in_thread(refuse_overlap, self.place.url, self.directory.root)
        state = await in_thread(self.directory.check, self.place.name)
        stored = await self._read(state)
        comparison = await self._compare(stored, state)
        check_conflicts(self.directory.root, stored, comparison.foreign, exact=self.exact)
        if self._is_done(stored, state, comparison):
            return self._result(stored, comparison)
        await in_thread(self.directory.make)
        async with FileLock(self.directory.lock) as lock:
            # Another process may have changed the directory before the lock was taken.
            now = await in_thread(self.directory.check, self.place.name)
            if lock.waited or now != state:
                state, stored = now, await self._read(now)
            comparison = await self._compare(stored, state)
            check_conflicts(self.directory.root, stored, comparison.foreign, exact=self.exact)
            if self._is_done(stored, state, comparison):
                await in_thread(self.directory.remove_staging)  # it may be from this call, and no process needs it now
                return self._result(stored, comparison)
            return await self._bring_in_step(stored, comparison)

    async def _read(self, state: LocalState | None) -> StoredDataset:
        if state is None or state.place != self.place.url:
            return await self.place.read()
        return await self.place.read_again(state.stored)

    async def _compare(self, stored: StoredDataset, state: LocalState | None) -> Comparison:
        return await in_steps(compare(self.directory.root, stored, state, place=self.place.url, trust=self.trust))

    def _is_done(self, stored: StoredDataset, state: LocalState | None, comparison: Comparison) -> bool:
        """Return whether the files and the stored state are equal to the dataset, so that nothing must be written."""
        return (
            comparison.nothing_to_do and state is not None and state.place == self.place.url and state.stored == stored
        )

    async def _bring_in_step(self, stored: StoredDataset, comparison: Comparison) -> DatasetResult:
        """Read local files that may be right, download all other files, and then change the directory."""
        self._complete = await in_thread(self.directory.clean_staging)
        stamps = dict(comparison.in_step)
        missing = list(comparison.missing)

        async def read_file(file: DatasetFile) -> None:
            found = await in_steps(hash_file(os.path.join(self.directory.root, file.path)))
            if (found.sha256, found.size) == (file.sha256, file.size):
                stamps[file.path] = (found.size, found.mtime)
            else:
                missing.append(file)

        await fan_out(comparison.unknown, read_file, width=os.cpu_count() or 1)
        missing.sort(key=lambda file: file.path)
        comparison = replace(comparison, missing=missing)
        if self.exact:  # only here, because another process that has the lock may be writing new files
            check_replaced(self.directory.root, comparison.replaced)
        await in_thread(self._check_space, missing)
        width = self.place.manager.transfers.config.max_concurrency
        total = sum(file.size for file in missing)
        meter = SyncMeter(self.progress, PlanSummary(transfers=len(missing), transfer_bytes=total))

        async def stage(file: DatasetFile) -> None:
            await self._stage(file, meter.begin(file.path, file.size))
            meter.finished(file.path)

        try:
            await fan_out(missing, stage, width=width)
        except (NotFoundError, IntegrityError, PreconditionFailedError) as error:
            if isinstance(error, ChecksumMismatchError) and not stored.info.has_manifest:
                raise
            raise await self._explained(error, stored) from error
        meter.close()
        if comparison.replaced:
            _log.warning(
                "%s: replacing files with other bytes than the dataset's, which no earlier call has written or which "
                "were changed since: %s",
                self.directory.root,
                named(comparison.replaced),
            )
        changed = await in_thread(remove_stale, self.directory.root, comparison.stale)
        stamps |= await in_steps(self._publish(missing))
        await in_thread(self.directory.write, self.place.url, stored, stamps)
        await in_thread(self.directory.remove_staging)
        done = replace(
            comparison,
            stale={path: stamp for path, stamp in comparison.stale.items() if path not in changed},
            foreign=[*comparison.foreign, *changed],
        )
        return self._result(stored, done)

    def _check_space(self, missing: list[DatasetFile]) -> None:
        """Check that the disk has space for the missing files, before the first file is downloaded. Blocks.

        Raises:
            DiskFullError: There is not enough space.
        """
        needed = sum(file.size for file in missing if self._staged(file) not in self._complete)
        try:
            status = os.statvfs(self.directory.staging)
        except OSError as exc:
            raise local_error(exc, self.directory.staging, "looking for free space") from exc
        free = status.f_bavail * status.f_frsize
        if needed > free:
            message = f"{self.directory.root}: {needed} bytes are to be downloaded, and the disk has {free} bytes free"
            raise DiskFullError(message, path=self.directory.root)

    def _staged(self, file: DatasetFile) -> str:
        # The name depends on path and content, so the next call finds the downloaded files of an interrupted call.
        name = hashlib.sha256(f"{file.content}/{file.path}".encode()).hexdigest()
        return os.path.join(self.directory.staging, name)

    async def _stage(self, file: DatasetFile, progress: ProgressCallback | None) -> None:
        """Download and verify one file; if an interrupted call has downloaded it, only verify it."""
        staged = self._staged(file)
        if staged in self._complete and file.content and await in_steps(_is_of(staged, file)):
            return
        key = self.place.key(file.path)
        etag = "" if file.sha256 is not None else file.etag
        listed = ObjectInfo(key=key, size=file.size, etag=etag, last_modified=_UNKNOWN_TIME)
        fresh = f"{staged}.new"
        result = await self.place.manager.transfers.download_listed(listed, fresh, keep_mtime=True, progress=progress)
        self._downloaded_bytes += result.size
        if not await in_steps(_moved_if_right(fresh, staged, file)):
            message = f"the SHA-256 of its bytes is not {file.sha256}"
            raise IntegrityError(message, key=key)

    async def _explained(self, error: StorageError, stored: StoredDataset) -> StorageError:
        """Return an error for a missing or wrong object, which says whether the dataset has changed meanwhile."""
        where = f"{self.place.url}: dataset {self.place.name!r}, {error.key}"
        if not isinstance(error, PreconditionFailedError) and stored.info.has_manifest:
            try:
                now = await self.place.read_again(stored)
            except NotFoundError:
                now = None
            if now is not None and now == stored:
                if isinstance(error, NotFoundError):
                    problem = "the manifest names this object, and it does not exist"
                    kind: type[StorageError] = NotFoundError
                else:
                    problem = f"the object is not the one of the manifest: {error.message}"
                    kind = IntegrityError
                message = (
                    f"{where}: {problem}; an upload of this dataset is under way or has failed, or the object was "
                    "changed by other means: if no upload is under way, upload the dataset again; until then, only "
                    "directories that have this file already can be used; no local file was changed"
                )
                return kind(message, key=error.key)
        message = f"{where}: the dataset changed while it was downloaded; run again; no local file was changed"
        return PreconditionFailedError(message, key=error.key)

    def _publish(self, files: list[DatasetFile]) -> Generator[None, None, dict[str, tuple[int, int]]]:
        """Move the staged files to their places, in steps; return their stamps. Blocks."""
        target = DownloadDirectory(self.directory.root, "")
        stamps = {}
        for number, file in enumerate(files):
            path = target.path_of(file.path)
            target.make_way(file.path, path)
            try:
                staged = self._staged(file)
                if file.mtime is not None:
                    os.utime(staged, ns=(file.mtime, file.mtime))
                _replace(staged, path)
                status = os.stat(path)
            except LocalFileError:
                raise
            except OSError as exc:
                raise local_error(exc, path, "publishing the download") from exc
            stamps[file.path] = (status.st_size, status.st_mtime_ns)
            if number % _BATCH == 0:
                yield
        return stamps

    def _result(self, stored: StoredDataset, comparison: Comparison) -> DatasetResult:
        return DatasetResult(
            info=stored.info,
            local_dir=self.directory.root,
            downloaded=tuple(file.path for file in comparison.missing),
            downloaded_bytes=self._downloaded_bytes,
            replaced=tuple(comparison.replaced),
            removed=tuple(comparison.stale),
            foreign=tuple(comparison.foreign),
            seconds=time.monotonic() - self._started,
        )


def _is_of(path: str, file: DatasetFile) -> Generator[None, None, bool]:
    """Tell, in steps, whether a file has the size and the SHA-256 of the dataset's; without one, the size. Blocks."""
    try:
        size = os.path.getsize(path)
    except OSError as exc:
        raise local_error(exc, path, "verifying the download") from exc
    if size != file.size:
        return False
    return file.sha256 is None or (yield from hash_file(path)).sha256 == file.sha256


def _moved_if_right(fresh: str, staged: str, file: DatasetFile) -> Generator[None, None, bool]:
    """Rename a download, in steps, if it is the dataset's file, else remove it; tell whether it is. Blocks."""
    right = yield from _is_of(fresh, file)
    try:
        if right:
            os.replace(fresh, staged)
        else:
            os.unlink(fresh)
    except OSError as exc:
        raise local_error(exc, fresh, "keeping the download") from exc
    return right


def _replace(staged: str, path: str) -> None:
    """Rename a staged file to its path; if an empty directory has this path, remove the directory."""
    try:
        os.replace(staged, path)
    except IsADirectoryError:
        try:
            os.rmdir(path)
        except OSError as exc:
            message = f"{path}: is a directory with other entries, and the dataset has a file there; move it elsewhere"
            raise LocalIsADirectoryError(message, path=path) from exc
        os.replace(staged, path)
