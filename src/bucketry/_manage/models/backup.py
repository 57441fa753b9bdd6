"""Backs up one version: finds and hashes the files, uploads the missing blobs, publishes the manifest.

`leases` explains why the version stays complete if a prune runs at the same time. `publish` explains why two backups at
the same time cannot publish one version.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from bucketry._core import checksums
from bucketry._core.os_errors import check_path
from bucketry._core.provider import StrPath
from bucketry._core.values import ObjectInfo, Progress
from bucketry._manage.hashing import HashedFile
from bucketry._manage.models.keys import sha256_of
from bucketry._manage.models.leases import Condemned, leased, new_id, usable_blobs
from bucketry._manage.models.local import LocalModelFile, changed, check_same, find_files, hash_unchanged
from bucketry._manage.models.publish import publish, version_exists
from bucketry._manage.models.reuse import intact_blobs
from bucketry._manage.models.stored import StoredModel
from bucketry._manage.models.tags import advance_latest
from bucketry._manage.models.values import ModelFile, ModelVersion
from bucketry._manage.overlap import refuse_overlap
from bucketry._runtime.finish import finish
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.progress import Meter, ProgressCallback
from bucketry._transfer.workers import fan_out
from bucketry.errors import InvalidRequestError, PreconditionFailedError, StorageError, TransientError

_ATTEMPTS = 5  # an attempt fails only if the lease has expired and then a prune removes a blob of this backup


_logger = logging.getLogger("bucketry")


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup.

    Attributes:
        model: The model.
        local_path: The file or directory.
        version: The name that the user chose; empty: the next number.
        metadata: The checked metadata, as JSON.
        progress: The user's callback, or `None`.
        backup_id: Identifies the backup.
    """

    model: StoredModel
    local_path: StrPath
    version: str
    metadata: str
    progress: ProgressCallback | None
    backup_id: str

    async def run(self) -> ModelVersion:
        """Make the version; see `ModelMethods.backup_model`."""
        path = os.fspath(self.local_path)
        check_path(path)
        await in_thread(refuse_overlap, self.model.url, path)
        kind, found = await in_thread(find_files, path)
        if self.version:
            await self._check_free()
        files = await self._hashed(found)
        draft = ModelVersion(
            name=self.model.keys.name,
            version=self.version,
            created=datetime.now(UTC),
            size=sum(file.size for file in files),
            kind=kind,
            files=files,
            metadata=json.loads(self.metadata),
            backup_id=self.backup_id,
        )
        sources = {file.sha256: local for file, local in zip(files, found, strict=True)}
        async with leased(self.model, self.backup_id, sources.keys()) as lease:
            for _ in range(_ATTEMPTS):
                usable, condemned = await usable_blobs(self.model)
                self._check_not_condemned(condemned)
                stored = await self._with_blobs(draft, sources, usable, condemned)
                await in_thread(check_same, path, kind, found)
                version = await publish(self.model, stored, condemned.versions, lease)
                if await self._is_whole(version):
                    await self._advance_latest(version)
                    return version
        message = (
            f"{self.model.url}: prunes have removed files of this backup again and again, because its lease had "
            "expired; nothing was published; back the model up again"
        )
        raise TransientError(message)

    async def _check_free(self) -> None:
        """Refuse a name that exists already, before any file is hashed or sent.

        Raises:
            AlreadyExistsError: There is a version of this name.
            InvalidRequestError: There is a tag of this name.
        """
        if await self.model.provider.exists(self.model.keys.version(self.version)):
            raise version_exists(self.model, self.version)
        target = await self.model.read_tag(self.version)
        if target is not None:
            message = f"{self.model.url}: {self.version!r} is a tag, of version {target!r}; choose another version name"
            raise InvalidRequestError(message)

    async def _hashed(self, found: list[LocalModelFile]) -> tuple[ModelFile, ...]:
        """Hash as many files at once as there are processors, and return the files with their hashes."""
        wanted = tuple(filter(checksums.available, self.model.provider.capabilities.stored_checksums))
        contents: dict[str, HashedFile] = {}

        async def one(file: LocalModelFile) -> None:
            contents[file.path] = await in_steps(hash_unchanged(file.local, wanted, file.state))

        await fan_out(found, one, width=os.cpu_count() or 1)
        return tuple(
            ModelFile(
                path=file.path,
                size=file.state[1],
                sha256=contents[file.path].sha256,
                checksums=contents[file.path].checksums,
                executable=file.executable,
                blob=contents[file.path].sha256,
            )
            for file in found
        )

    def _check_not_condemned(self, condemned: Condemned) -> None:
        """Refuse the name that the user chose if a prune may remove a version of this name.

        Raises:
            InvalidRequestError: The name is in the record of a prune.
        """
        if self.version in condemned.versions:
            message = (
                f"{self.model.url}: a prune that is under way, or was killed, may remove version {self.version!r}; "
                "choose another version name"
            )
            raise InvalidRequestError(message)

    async def _with_blobs(
        self,
        draft: ModelVersion,
        sources: dict[str, LocalModelFile],
        usable: dict[str, ObjectInfo],
        condemned: Condemned,
    ) -> ModelVersion:
        """Upload the missing and the damaged blobs, and return the version with the names and etags of its blobs."""
        listed = {blob: entry for blob, entry in usable.items() if sha256_of(blob) in sources}
        intact = await intact_blobs(self.model, listed, {file.sha256: file for file in draft.files})
        # A damaged blob is overwritten, not left: this also repairs the earlier versions that name it.
        damaged = [blob for blob in listed if blob not in intact]
        for blob in damaged:
            _logger.info("%s differs from what was backed up; it is stored again", self.model.keys.blob(blob))
        names: dict[str, str] = {}
        for blob in (*intact, *damaged):
            names.setdefault(sha256_of(blob) or "", blob)
        new = {
            sha256: f"{sha256}-{new_id()}" if sha256 in condemned.blobs else sha256
            for sha256 in sources
            if sha256 not in names
        }
        to_send = [(sources[sha256_of(blob) or ""], blob) for blob in (*damaged, *new.values())]
        etags = intact | await self._upload(to_send)
        names |= new
        return replace(
            draft,
            files=tuple(replace(file, blob=names[file.sha256], etag=etags[names[file.sha256]]) for file in draft.files),
        )

    async def _upload(self, missing: list[tuple[LocalModelFile, str]]) -> dict[str, str]:
        """Upload files to blobs, and return the etag of each blob."""
        etags: dict[str, str] = {}
        meter = Meter(self.progress, self.model.keys.name, sum(file.state[1] for file, _ in missing))

        async def one(pair: tuple[LocalModelFile, str]) -> None:
            file, blob = pair
            _, size, mtime, ctime = file.state
            try:
                info = await self.model.transfers.upload_found(
                    file.local,
                    self.model.keys.blob(blob),
                    size=size,
                    mtime=mtime,
                    ctime=ctime,
                    progress=counted(meter, self.progress),
                )
            except PreconditionFailedError as exc:
                raise changed(os.fspath(self.local_path), [file.path]) from exc
            etags[blob] = info.etag

        await fan_out(missing, one, width=self.model.transfers.config.max_concurrency)
        meter.finish()
        return etags

    async def _is_whole(self, version: ModelVersion) -> bool:
        """Return whether no prune may remove the version or its blobs; if a prune may, remove the manifest."""
        try:
            usable, condemned = await usable_blobs(self.model)
            whole = all(file.blob in usable and usable[file.blob].size == file.size for file in version.files)
            if whole and version.version not in condemned.versions:
                return True
        except BaseException:
            await finish(partial(self._withdraw, version))
            raise
        await self._withdraw(version)
        return False

    async def _withdraw(self, version: ModelVersion) -> None:
        await self.model.provider.delete(self.model.keys.version(version.version))

    async def _advance_latest(self, version: ModelVersion) -> None:
        try:
            await advance_latest(self.model, version.version)
        except StorageError as error:
            error.add_note(f"version {version.version!r} was published, but 'latest' may not name it")
            raise


def counted(meter: Meter, callback: ProgressCallback | None) -> Callable[[Progress], None] | None:
    """Return a callback that adds the bytes of one file to the progress of all files."""
    if callback is None:
        return None
    return lambda progress: meter.add(progress.increment)
