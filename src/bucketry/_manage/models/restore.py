"""Restores one version: downloads all files to a staging directory, verifies every byte, and replaces the target."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bucketry._core.os_errors import local_error
from bucketry._core.provider import StrPath
from bucketry._core.values import ObjectInfo
from bucketry._manage.hashing import hash_file
from bucketry._manage.models.backup import counted
from bucketry._manage.models.stored import StoredModel
from bucketry._manage.models.swap import StagedModel
from bucketry._manage.models.values import ModelFile, ModelVersion
from bucketry._manage.overlap import refuse_overlap
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.progress import Meter, ProgressCallback
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry._transfer.workers import fan_out
from bucketry.errors import IntegrityError, NotFoundError, PreconditionFailedError
from bucketry.providers.provider import StorageProvider

_ATTEMPTS = 3  # an attempt fails if another backup stores the blob again: its bytes stay equal, but its etag changes


@dataclass(frozen=True, slots=True)
class Restore:
    """One restore.

    Attributes:
        model: The model.
        version: The version.
        local_path: The target.
        progress: The user's callback, or `None`.
    """

    model: StoredModel
    version: ModelVersion
    local_path: StrPath
    progress: ProgressCallback | None

    async def run(self) -> None:
        """Replace the target; see `ModelMethods.restore_model`."""
        by_blob: dict[str, list[ModelFile]] = {}
        for file in self.version.files:
            by_blob.setdefault(file.blob, []).append(file)
        fsync = self.model.transfers.config.fsync
        target = StagedModel(os.fspath(self.local_path), self.version.kind, fsync=fsync)
        async with staged(target, self.model.provider):
            listed = await self._listed(by_blob)
            meter = Meter(self.progress, self.model.keys.name, sum(files[0].size for files in by_blob.values()))
            directory = await in_thread(DownloadDirectory, target.new, "")

            async def one(blob: str) -> None:
                await self._restore(listed[blob], by_blob[blob], target.new, directory, meter)

            await fan_out(by_blob, one, width=self.model.transfers.config.max_concurrency)
            await in_thread(target.publish)
            meter.finish()

    async def _listed(self, by_blob: dict[str, list[ModelFile]]) -> dict[str, ObjectInfo]:
        """Return the listed entry of each blob; raise an error if a blob is missing or has another size."""
        keys = {self.model.keys.blob(blob): blob for blob in by_blob}
        listed = {
            keys[entry.key]: entry for entry in await self.model.listed(self.model.keys.blobs) if entry.key in keys
        }
        for blob, files in by_blob.items():
            if blob not in listed:
                raise missing(self.model, self.version, files[0])
            if listed[blob].size != files[0].size:
                raise damaged(self.model, self.version, files[0], f"it has {listed[blob].size} bytes")
        return listed

    async def _restore(
        self, entry: ObjectInfo, files: list[ModelFile], new: str, directory: DownloadDirectory, meter: Meter
    ) -> None:
        """Download one blob, verify it, and copy it to all its paths."""
        first, *others = files
        in_directory = self.version.kind == "directory"
        path = directory.path_of(first.path) if in_directory else new
        make_way = partial(directory.make_way, first.path, path) if in_directory else None
        try:
            await self._download(entry, path, make_way, meter)
        except NotFoundError as exc:
            raise missing(self.model, self.version, first) from exc
        content = await in_steps(hash_file(path))
        if content.sha256 != first.sha256:
            raise damaged(self.model, self.version, first, f"the SHA-256 of its bytes is {content.sha256}")
        for file in others:
            await in_thread(_copy, path, directory, file.path)
        for file in files:
            if file.executable:
                await in_thread(make_executable, directory.path_of(file.path) if in_directory else new)

    async def _download(self, entry: ObjectInfo, path: str, make_way: Callable[[], None] | None, meter: Meter) -> None:
        """Download one blob; begin again if another backup has stored the blob again meanwhile."""
        callback = counted(meter, self.progress)
        attempt = 0
        while True:
            attempt += 1
            try:
                await self.model.transfers.download_listed(entry, path, before_write=make_way, progress=callback)
            except PreconditionFailedError:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return
            entry = await self.model.provider.head(entry.key)


@asynccontextmanager
async def staged(target: StagedModel, provider: StorageProvider) -> AsyncIterator[None]:
    """Make the staging directory of a target on entry, and remove it on exit.

    Raises:
        InvalidRequestError: The target overlaps the place where the provider keeps its objects.
        LocalFileError: As `StagedModel.open`.
    """
    await in_thread(refuse_overlap, provider.locate(), target.target)
    try:
        await in_thread(target.open)
        yield
    finally:
        await in_thread(target.discard)


def missing(model: StoredModel, version: ModelVersion, file: ModelFile) -> NotFoundError:
    """Return the error for a file whose blob does not exist."""
    key = model.keys.blob(file.blob)
    message = (
        f"{model.provider.locate(key)}: this object with {file.path!r} of version {version.version!r} is missing: the "
        "version was removed meanwhile, or somebody deleted the object"
    )
    return NotFoundError(message, key=key)


def damaged(model: StoredModel, version: ModelVersion, file: ModelFile, what: str) -> IntegrityError:
    """Return the error for a file whose bytes are not the bytes that were backed up."""
    key = model.keys.blob(file.blob)
    message = (
        f"{model.provider.locate(key)}: {file.path!r} of version {version.version!r} is damaged: {what}, and it was "
        f"backed up with {file.size} bytes and the SHA-256 {file.sha256}; back the same file up again as a version of "
        "this model: that repairs it"
    )
    return IntegrityError(message, key=key)


def _copy(source: str, directory: DownloadDirectory, path: str) -> None:
    """Copy a verified file to another path of the same version."""
    target = directory.path_of(path)
    directory.make_way(path, target)
    try:
        shutil.copyfile(source, target)
    except OSError as exc:
        raise local_error(exc, target, "copying a file of the model") from exc


def make_executable(path: str) -> None:
    """Let everybody who may read the file also execute it."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        os.chmod(path, mode | (mode & 0o444) >> 2)
    except OSError as exc:
        raise local_error(exc, path, "making a file of the model executable") from exc
