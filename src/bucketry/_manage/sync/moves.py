"""Uploads, downloads and copies: how each direction checks a target, transfers an entry, and deletes entries."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Protocol, TypedDict

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import same_etag
from bucketry._core.mtimes import MTIME, mtime_text
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo, Progress, TransferResult
from bucketry._manage.sync import pins
from bucketry._manage.sync.deletions import delete_files, delete_objects
from bucketry._manage.sync.memo import BATCH_OF_WRITES, TimeMemo
from bucketry._manage.sync.pins import Seen
from bucketry._manage.sync.results import Outcome
from bucketry._manage.sync.target_states import ListedTargets
from bucketry._manage.sync.values import EntryState, PlanHeader, SyncAction
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import as_directory, every_object
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.one.copy import same_server
from bucketry._transfer.plan import plan_upload
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry.errors import (
    AlreadyExistsError,
    LocalFileNotFoundError,
    LocalIsADirectoryError,
    LocalNotADirectoryError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)
from bucketry.providers.provider import StorageProvider

LARGE = MiB  # bytes; checking the local target first takes little time compared with such a download
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


class Moves(Protocol):
    """The transfers and deletions of one direction of a sync."""

    CHANGED: ClassVar[tuple[type[StorageError], ...]]
    """The errors of a transfer whose source or target has changed since the plan was made."""

    def looks_first(self, action: SyncAction) -> bool:
        """Return whether the target must be checked before the transfer.

        That is so if the transfer itself does not refuse a changed target, or refuses it only after many bytes.
        """

    async def look(self, action: SyncAction) -> Seen:
        """Compare the target with its pinned state, and with the state that the action would make."""

    async def quick_look(self, action: SyncAction) -> Seen:
        """Compare as `look` does; a target in its pinned state may be found by a listing that is a short time old."""

    async def transfer(self, action: SyncAction, progress: ProgressCallback | None) -> TransferResult:
        """Transfer the entry, if its source and its target still have their pinned states."""

    def source(self, action: SyncAction) -> str:
        """Return the source's path or URL for messages."""

    def target(self, action: SyncAction) -> str:
        """Return the target's path or URL for messages."""

    def delete(self, actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
        """Delete entries of the target that still have their pinned states."""

    async def entries_below(self, path: str) -> int:
        """Return the number of entries below a directory of the target."""


class Uploads:
    """The moves of a sync from a local directory to a provider."""

    CHANGED: ClassVar[tuple[type[StorageError], ...]] = (
        PreconditionFailedError,
        AlreadyExistsError,
        NotFoundError,
        LocalFileNotFoundError,
        LocalIsADirectoryError,
        LocalNotADirectoryError,
    )

    def __init__(
        self,
        header: PlanHeader,
        provider: StorageProvider,
        transfers: TransferManager,
        memo: TimeMemo | None = None,
        *,
        trusted: float,
    ) -> None:
        """Store the arguments; no I/O."""
        self._memo = memo
        self._root = header.source
        self._prefix = as_directory(header.prefix)
        self._provider = provider
        self._transfers = transfers
        self._listed = ListedTargets(provider, self._prefix, trusted=trusted)

    def source(self, action: SyncAction) -> str:
        """Return the file's path."""
        return os.path.join(self._root, action.path)

    def target(self, action: SyncAction) -> str:
        """Return the object's URL."""
        return self._provider.locate(self._prefix + action.path)

    def looks_first(self, action: SyncAction) -> bool:
        """Return whether the provider does not enforce the condition, or the file is uploaded in parts."""
        in_parts = self._transfers.goes_in_parts(source_of(action).size)
        return in_parts or condition(action.target, self._provider.capabilities, in_parts=False) is None

    async def look(self, action: SyncAction) -> Seen:
        """Compare the object; see `Moves.look`.

        Cost: 1 HEAD.
        """
        info = await pins.object_at(self._provider, self._prefix + action.path)
        if pins.object_is(info, action.target):
            return "as_planned"
        return "done" if pins.uploaded(info, source_of(action)) else "changed"

    async def quick_look(self, action: SyncAction) -> Seen:
        """Compare the object; see `Moves.quick_look`.

        Cost: 1 listing page for many objects, and 1 HEAD if the page does not show the pinned state; 1 HEAD for an
        upload in parts.
        """
        in_parts = self._transfers.goes_in_parts(source_of(action).size)
        if not in_parts and await self._listed.shows(self._prefix + action.path, action.target):
            return "as_planned"
        return await self.look(action)

    async def transfer(self, action: SyncAction, progress: ProgressCallback | None) -> TransferResult:
        """Upload the file, with its time as metadata, and remember the time for the next plan."""
        source = source_of(action)
        in_parts = self._transfers.goes_in_parts(source.size)
        mtime = source.mtime or 0
        key = self._prefix + action.path
        result = await self._transfers.upload_found(
            os.path.join(self._root, action.path),
            key,
            size=source.size,
            mtime=mtime,
            progress=progress,
            metadata={MTIME: mtime_text(mtime)},
            **(condition(action.target, self._provider.capabilities, in_parts=in_parts) or {}),
        )
        if self._memo is not None:
            self._memo.note_written(key, result.etag, result.size, mtime=mtime)
            await self._memo.flush(at_least=BATCH_OF_WRITES)
        return result

    def delete(self, actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
        """Delete objects."""
        return delete_objects(self._provider, self._prefix, actions, width=self._transfers.config.max_concurrency)

    async def entries_below(self, path: str) -> int:
        """Return the number of objects below a path."""
        return await _objects_below(self._provider, self._prefix + path)


class Downloads:
    """The moves of a sync from a provider to a local directory."""

    CHANGED: ClassVar[tuple[type[StorageError], ...]] = (PreconditionFailedError, NotFoundError)

    def __init__(self, header: PlanHeader, provider: StorageProvider, transfers: TransferManager) -> None:
        """Resolve the directory's real path. Blocks."""
        self._root = header.target
        self._prefix = as_directory(header.prefix)
        self._provider = provider
        self._transfers = transfers
        self._directory = DownloadDirectory(self._root, self._prefix)

    def source(self, action: SyncAction) -> str:
        """Return the object's URL."""
        return self._provider.locate(self._prefix + action.path)

    def target(self, action: SyncAction) -> str:
        """Return the file's path."""
        return os.path.join(self._root, action.path)

    def looks_first(self, action: SyncAction) -> bool:
        """Return whether the object is large; a small download itself finds a changed file soon enough."""
        return source_of(action).size > LARGE

    async def look(self, action: SyncAction) -> Seen:
        """Compare the file; see `Moves.look`.

        Cost: 1 HEAD if the file has changed, and has the size of the source.
        """
        source = source_of(action)
        status = await in_thread(pins.status_of, os.path.join(self._root, action.path))
        if pins.file_is(status, action.target):
            return "as_planned"
        if status is None or status.st_size != source.size:
            return "changed"
        info = await pins.object_at(self._provider, self._prefix + action.path)
        done = info is not None and same_etag(info.etag, source.etag or "") and pins.downloaded(status, info)
        return "done" if done else "changed"

    async def quick_look(self, action: SyncAction) -> Seen:
        """Compare the file, as `look` does."""
        return await self.look(action)

    async def transfer(self, action: SyncAction, progress: ProgressCallback | None) -> TransferResult:
        """Download the object, and set the file's time to the object's time."""
        source = source_of(action)
        key = self._prefix + action.path
        path = self._directory.path_of(key)
        return await self._transfers.download_listed(
            _listed(key, source),
            path,
            keep_mtime=True,
            before_write=partial(self._directory.make_way, key, path),
            before_publish=partial(pins.check_file, path, action.target),
            progress=progress,
        )

    def delete(self, actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
        """Delete files, and the directories that become empty."""
        return delete_files(self._root, actions)

    async def entries_below(self, path: str) -> int:
        """Return the number of files and empty directories below a path."""
        return await in_thread(_files_below, os.path.join(self._root, path))


class Copies:
    """The moves of a sync from one provider to another, or to another prefix of the same provider."""

    CHANGED: ClassVar[tuple[type[StorageError], ...]] = (PreconditionFailedError, AlreadyExistsError, NotFoundError)

    def __init__(
        self,
        header: PlanHeader,
        provider: StorageProvider,
        transfers: TransferManager,
        other: StorageProvider,
        *,
        trusted: float,
    ) -> None:
        """Store the arguments; no I/O."""
        self._source_prefix = as_directory(header.source_prefix)
        self._prefix = as_directory(header.prefix)
        self._provider = provider
        self._transfers = transfers
        self._other = other
        self._listed = ListedTargets(other, self._prefix, trusted=trusted)

    def source(self, action: SyncAction) -> str:
        """Return the URL of the object to copy."""
        return self._provider.locate(self._source_prefix + action.path)

    def target(self, action: SyncAction) -> str:
        """Return the URL of the copy."""
        return self._other.locate(self._prefix + action.path)

    def looks_first(self, action: SyncAction) -> bool:
        """Return whether the server makes the copy, no condition protects the target, or the copy is made in parts."""
        in_parts = self._goes_in_parts(source_of(action))
        return in_parts or self._condition(action) is None

    async def look(self, action: SyncAction) -> Seen:
        """Compare the target's object; see `Moves.look`.

        Cost: 1 HEAD, and 1 more if the object has changed, and has the size of the source.
        """
        source = source_of(action)
        info = await pins.object_at(self._other, self._prefix + action.path)
        if pins.object_is(info, action.target):
            return "as_planned"
        if info is None or info.size != source.size:
            return "changed"
        original = await pins.object_at(self._provider, self._source_prefix + action.path)
        done = original is not None and same_etag(original.etag, source.etag or "") and pins.copied(info, original)
        return "done" if done else "changed"

    async def quick_look(self, action: SyncAction) -> Seen:
        """Compare the target's object; see `Moves.quick_look`.

        Cost: 1 listing page for many objects, and the cost of `look` if the page does not show the pinned state; the
        cost of `look` for a copy in parts.
        """
        in_parts = self._goes_in_parts(source_of(action))
        if not in_parts and await self._listed.shows(self._prefix + action.path, action.target):
            return "as_planned"
        return await self.look(action)

    async def transfer(self, action: SyncAction, progress: ProgressCallback | None) -> TransferResult:
        """Copy the object with its metadata; unless the server makes the copy, add a missing time to the metadata."""
        source = source_of(action)
        key = self._source_prefix + action.path
        result = await self._transfers.copy_to(
            self._other,
            key,
            self._prefix + action.path,
            listed=_listed(key, source),
            keep_mtime=True,
            **(self._condition(action) or {}),
        )
        if progress is not None:
            progress(Progress(result.size, result.size, key, result.size))
        return result

    def _condition(self, action: SyncAction) -> Condition | None:
        if same_server(self._provider, self._other, self._source_prefix + action.path):
            return None  # a copy that the server makes has no condition on its target
        in_parts = self._goes_in_parts(source_of(action))
        return condition(action.target, self._other.capabilities, in_parts=in_parts)

    def _goes_in_parts(self, source: EntryState) -> bool:
        row = self._other.capabilities
        plan = plan_upload(source.size, row, self._transfers.config.part_size, self._other.locate())
        return plan.count > 1 and row.multipart and bool(source.etag)

    def delete(self, actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
        """Delete objects of the target."""
        return delete_objects(self._other, self._prefix, actions, width=self._transfers.config.max_concurrency)

    async def entries_below(self, path: str) -> int:
        """Return the number of objects of the target below a path."""
        return await _objects_below(self._other, self._prefix + path)


class Condition(TypedDict, total=False):
    """A condition of a write."""

    if_none_match: str
    if_match: str


def condition(pin: EntryState | None, row: Capabilities, *, in_parts: bool) -> Condition | None:
    """Return the condition that protects a target in its pinned state; `None`: the provider does not enforce it."""
    if pin is None:
        enforced = row.complete_if_none_match if in_parts else row.put_if_none_match
        return {"if_none_match": "*"} if enforced else None
    enforced = row.complete_if_match if in_parts else row.put_if_match
    return {"if_match": pin.etag} if enforced and pin.etag else None


async def _objects_below(provider: StorageProvider, key: str) -> int:
    async with aclosing(every_object(provider, as_directory(key))) as listed:
        return len([None async for _ in listed])


def _files_below(path: str) -> int:
    """Return the number of files, links and empty directories below a directory. Blocks."""
    count = 0
    for directory, names, files in os.walk(path):
        if directory != path and not names and not files:
            count += 1
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        count += len(files) + len(links)
    return count


def _listed(key: str, source: EntryState) -> ObjectInfo:
    """Return an object with this state, as a listing would return it; the time is wrong, because nothing uses it."""
    return ObjectInfo(key=key, size=source.size, etag=source.etag or "", last_modified=_UNKNOWN)


def source_of(action: SyncAction) -> EntryState:
    """Return the pinned state of a transfer's source."""
    assert action.source is not None  # noqa: S101 - a plan refuses a transfer without it
    return action.source
