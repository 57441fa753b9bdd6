"""Uploads a local directory as a dataset: hashes, compares with the version before, uploads, publishes, cleans up.

Objects are replaced in place, so that other programs find the files of a dataset at plain keys. `DatasetMethods`
describes what a reader sees during an upload.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from bucketry._core.checks import check_key, same_etag
from bucketry._core.mtimes import MTIME, mtime_text
from bucketry._core.options import WriteKeywords
from bucketry._core.values import ObjectInfo
from bucketry._manage.datasets.stored import DatasetPlace, StoredDataset, write_manifest
from bucketry._manage.datasets.values import DatasetFile, DatasetInfo
from bucketry._manage.hashing import hash_file
from bucketry._manage.managed import DATASET_MANIFEST
from bucketry._manage.overlap import refuse_overlap
from bucketry._manage.paths import check_paths, directories_of
from bucketry._manage.sync.filters import Filter, exact_pattern
from bucketry._manage.sync.progress import SyncMeter, SyncProgressCallback
from bucketry._manage.sync.values import PlanSummary
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._runtime.walk import FoundFile, Unusable, Walk
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.tree.local_files import is_internal
from bucketry._transfer.workers import fan_out
from bucketry.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidKeyError,
    InvalidRequestError,
    LocalFileError,
    PreconditionFailedError,
    StorageError,
    UnsafeKeyError,
)

SHA256 = "sha256"
"""The metadata name of an object's SHA-256, which shows whether an interrupted upload has stored the object already."""

_MAY_HAVE_REPLACED = (
    "but this call may have replaced objects of the version that the other upload publishes, and then readers get an "
    "IntegrityError: wait until the other upload has ended, and then upload again what you want to keep, the other "
    "directory or this one, also if the other upload has reported success"
)
_HAS_REPLACED_NOTHING = "it has replaced no object; wait until the other upload has ended, and upload again"
_BATCH = 1_000  # files between two points where a walk can be cancelled


@dataclass(slots=True)
class Publishing:
    """One call of `upload_dataset`.

    Attributes:
        place: The dataset.
        root: The local directory, absolute.
        filters: Select the files.
        metadata: The user's metadata of the dataset; `None`: that of the version before.
        progress: The user's callback, or `None`.
    """

    place: DatasetPlace
    root: str
    filters: Filter
    metadata: Mapping[str, str] | None
    progress: SyncProgressCallback | None

    async def run(self) -> DatasetInfo:
        """Upload the changed files, publish the manifest, and remove objects that the new version does not have."""
        await in_thread(refuse_overlap, self.place.url, self.root)
        found = await self._walk()
        before = await self._before()
        files = await self._hash(found)
        stored = await self.place.objects()
        if before is None:
            before = await self._put(self._info(files, self.metadata or {}), None, complete=False)
        await self._make_room(files, before.info, stored)
        metadata = before.info.metadata if self.metadata is None else self.metadata
        info = self._info(await self._upload(files, before.info, stored), metadata)
        if before.complete and (info.files, info.metadata) == (before.info.files, before.info.metadata):
            return before.info
        await self._put(info, before.version, complete=True)
        await self._remove(before.info, info, stored)
        return info

    async def _walk(self) -> list[FoundFile]:
        """Return the files to upload; raise an error if an entry cannot be a file of a dataset."""
        entries = await in_thread(partial(Walk, self.root, leave_out=self._is_left_out))
        found: list[FoundFile] = []
        while batch := await in_thread(_take, entries):
            for entry in batch:
                selected = self.filters.includes(entry.key) and not self.filters.excludes(entry.key)
                if isinstance(entry, Unusable):
                    if selected or entry.key[-1:] in ("", "/"):  # an unreadable directory may have selected files
                        raise _refused(self.root, entry) if entry.key else entry.error
                elif selected:
                    found.append(entry)
        if not found:
            reason = "has no file" if self.filters.selects_all else "has no file that include and exclude select"
            message = f"{self.root}: {reason}; a dataset has at least one"
            raise InvalidRequestError(message, path=self.root)
        await in_thread(self._check_names, found)
        return found

    def _is_left_out(self, key: str) -> bool:
        if key[-1] == "/" and self.filters.excludes(key):
            return True
        # A program that copies a dataset also copies its manifest, which is not a file of the new dataset.
        return is_internal(key) or key == DATASET_MANIFEST

    def _check_names(self, found: list[FoundFile]) -> None:
        provider = self.place.manager.provider
        try:
            check_paths((file.key for file in found), self.root)
        except UnsafeKeyError as exc:
            message = (
                f"{self.root}: the name {exc.key!r} cannot be restored on every system, so nothing was uploaded; "
                f"rename it, or leave it out with {_exclusion(exc.key or '')} ({exc})"
            )
            raise UnsafeKeyError(message, key=exc.key) from exc
        paths: dict[str, str] = {}
        for file in found:
            key = self.place.key(file.key)
            check_key(key, provider.capabilities, provider.locate())
            other = paths.setdefault(key, file.key)
            if other != file.key:
                message = f"{self.root}: {other!r} and {file.key!r} are one key at this provider; rename one of them"
                raise InvalidRequestError(message, path=file.path)

    async def _before(self) -> StoredDataset | None:
        """Return the version that is replaced; `None`: there is no manifest."""
        try:
            return await self.place.read_manifest()
        except (IntegrityError, UnsafeKeyError):  # the new manifest replaces a damaged or forged one
            version = (await self.place.manager.provider.head(self.place.manifest)).etag or None
            empty = DatasetInfo(name=self.place.name, prefix=self.place.prefix, files=(), has_manifest=True)
            return StoredDataset(empty, version, complete=False)

    async def _hash(self, found: list[FoundFile]) -> list[DatasetFile]:
        """Return the files with their SHA-256, in the order of their paths."""
        files: dict[str, DatasetFile] = {}

        async def one(entry: FoundFile) -> None:
            hashed = await in_steps(hash_file(entry.path))
            files[entry.key] = DatasetFile(
                path=entry.key, size=hashed.size, sha256=hashed.sha256, mtime=max(0, hashed.mtime)
            )

        await fan_out(found, one, width=os.cpu_count() or 1)
        return [files[path] for path in sorted(files)]

    async def _make_room(self, files: list[DatasetFile], before: DatasetInfo, stored: dict[str, ObjectInfo]) -> None:
        """Remove old objects whose keys are a file where a directory is needed, or the reverse.

        Only a provider that keeps objects as plain files needs this.
        """
        if not self.place.manager.provider.capabilities.plain_paths:
            return
        paths = {file.path for file in files}
        directories = {above for path in paths for above in directories_of(path)}
        in_the_way = [
            file.path
            for file in before.files
            if file.path in directories or not paths.isdisjoint(directories_of(file.path))
        ]
        await self._delete(in_the_way, stored)

    async def _upload(
        self, files: list[DatasetFile], before: DatasetInfo, stored: Mapping[str, ObjectInfo]
    ) -> list[DatasetFile]:
        """Upload the files that are not stored yet, many at once; return all files with their etags."""
        width = self.place.manager.transfers.config.max_concurrency
        known = {file.path: file for file in before.files}
        etags: dict[str, str] = {}
        missing: list[DatasetFile] = []

        async def look(file: DatasetFile) -> None:
            present = stored.get(self.place.key(file.path))
            etag = None if present is None else await self._etag_if_stored(file, known.get(file.path), present)
            if etag is None:
                missing.append(file)
            else:
                etags[file.path] = etag

        async def send(file: DatasetFile) -> None:
            progress = meter.begin(file.path, file.size)
            etags[file.path] = await self._send(file, stored.get(self.place.key(file.path)), progress)
            meter.finished(file.path)

        await fan_out(files, look, width=width)
        missing.sort(key=lambda file: file.path)
        total = sum(file.size for file in missing)
        meter = SyncMeter(self.progress, PlanSummary(transfers=len(missing), transfer_bytes=total))
        await fan_out(missing, send, width=width)
        meter.close()
        return [replace(file, etag=etags[file.path]) for file in files]

    async def _etag_if_stored(self, file: DatasetFile, known: DatasetFile | None, present: ObjectInfo) -> str | None:
        """Return the object's etag if the object has the file's bytes already, else `None`."""
        if present.size != file.size:
            return None
        if known is not None and known.etag and same_etag(known.etag, present.etag):
            return known.etag if known.sha256 == file.sha256 else None
        # The object's etag is not in the manifest, because an interrupted upload made the object, or the bucket was
        # copied, which changes etags.
        head = await self.place.manager.provider.head(present.key)
        return head.etag if head.metadata.get(SHA256) == file.sha256 and head.size == file.size else None

    async def _send(self, file: DatasetFile, present: ObjectInfo | None, progress: ProgressCallback | None) -> str:
        """Upload one file, and return the object's etag."""
        path = os.path.join(self.root, file.path)
        assert file.sha256 is not None  # noqa: S101 - every file was hashed
        assert file.mtime is not None  # noqa: S101 - every file has the time of hashing
        write: WriteKeywords = {"metadata": {MTIME: mtime_text(file.mtime), SHA256: file.sha256}}
        if self.place.manager.provider.capabilities.conditional_put:
            write |= {"if_none_match": "*"} if present is None else {"if_match": present.etag}
        try:
            result = await self.place.manager.transfers.upload(
                path, self.place.key(file.path), progress=progress, **write
            )
        except (AlreadyExistsError, PreconditionFailedError) as exc:
            raise self._lost(file.path, _MAY_HAVE_REPLACED) from exc
        status = await in_thread(os.stat, path)
        if (status.st_size, max(0, status.st_mtime_ns)) != (file.size, file.mtime):
            message = f"{path}: changed while the dataset was uploaded; no new version was published; upload it again"
            raise IntegrityError(message, path=path)
        return result.etag

    def _lost(self, path: str, damage: str) -> PreconditionFailedError:
        message = (
            f"{self.place.url}: {path!r} was changed while this dataset was uploaded: another upload of it is under "
            f"way, or has just ended; this call has published no version; {damage}"
        )
        return PreconditionFailedError(message, key=self.place.key(path))

    def _info(self, files: list[DatasetFile], metadata: Mapping[str, str]) -> DatasetInfo:
        return DatasetInfo(
            name=self.place.name,
            prefix=self.place.prefix,
            files=tuple(files),
            has_manifest=True,
            created=datetime.now(UTC),
            metadata=dict(metadata),
        )

    async def _put(self, info: DatasetInfo, version: str | None, *, complete: bool) -> StoredDataset:
        """Store the manifest; if the provider enforces conditions, only in place of the manifest that was read."""
        provider = self.place.manager.provider
        data = await in_thread(partial(write_manifest, info, complete=complete))
        write: WriteKeywords = {"content_type": "application/json"}
        if version is None and provider.capabilities.put_if_none_match:
            write["if_none_match"] = "*"
        elif version is not None and provider.capabilities.put_if_match:
            write["if_match"] = version
        try:
            made = await provider.put(self.place.manifest, data, **write)
        except (AlreadyExistsError, PreconditionFailedError) as exc:
            raise self._lost(DATASET_MANIFEST, _MAY_HAVE_REPLACED if complete else _HAS_REPLACED_NOTHING) from exc
        return StoredDataset(info, made.etag or None, complete=complete)

    async def _remove(self, before: DatasetInfo, now: DatasetInfo, stored: dict[str, ObjectInfo]) -> None:
        """Remove the objects that the version before has and the new version does not have."""
        kept = {self.place.key(file.path) for file in now.files}
        try:
            await self._delete([file.path for file in before.files if self.place.key(file.path) not in kept], stored)
        except StorageError as error:
            error.add_note(f"{self.place.url}: the new version is published; only old objects were not all removed")
            raise

    async def _delete(self, paths: Iterable[str], stored: dict[str, ObjectInfo]) -> None:
        """Remove the objects of these paths, if they are stored."""
        keys = [key for key in map(self.place.key, paths) if stored.pop(key, None) is not None]
        (await self.place.manager.provider.delete_many(keys)).raise_for_failures()


def _take(entries: Iterator[FoundFile | Unusable]) -> list[FoundFile | Unusable]:
    return list(islice(entries, _BATCH))


def _refused(root: str, entry: Unusable) -> LocalFileError | InvalidKeyError:
    """Return the error for an entry that cannot be a file of a dataset, which says how to leave the entry out."""
    message = (
        f"{root}: {entry.key!r} cannot be a file of a dataset, so nothing was uploaded; remove it, or leave it out "
        f"with {_exclusion(entry.key)} ({entry.error.message})"
    )
    if isinstance(entry.error, InvalidKeyError):
        return InvalidKeyError(message)
    return type(entry.error)(message, path=entry.path)


def _exclusion(path: str) -> str:
    """Return the argument of `upload_dataset` that leaves a file out, for a message."""
    return f"exclude=[{exact_pattern(path)!r}]"
