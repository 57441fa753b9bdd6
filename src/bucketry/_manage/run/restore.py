"""Restores one checkpoint: downloads all files to a staging directory, verifies them, and replaces the target."""

from __future__ import annotations

import os
from functools import partial

from bucketry._core.provider import StrPath
from bucketry._core.values import ObjectInfo
from bucketry._manage.hashing import hash_file
from bucketry._manage.models.restore import make_executable, staged
from bucketry._manage.models.swap import StagedModel
from bucketry._manage.run.stored import StoredCheckpoints
from bucketry._manage.run.values import Checkpoint, CheckpointFile
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.listing import every_object
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry._transfer.workers import fan_out
from bucketry.errors import IntegrityError, NotFoundError


async def restore(place: StoredCheckpoints, checkpoint: Checkpoint, local_path: StrPath) -> None:
    """Replace the target by the checkpoint; see `RunMethods.restore_checkpoint`."""
    transfers = place.manager.transfers
    below = place.files(checkpoint.run, checkpoint.step)
    target = StagedModel(os.fspath(local_path), checkpoint.kind, fsync=transfers.config.fsync)
    async with staged(target, place.manager.provider):
        listed: dict[str, ObjectInfo] = {}
        async for entry in every_object(place.manager.provider, below):
            if isinstance(entry, ObjectInfo):
                listed[entry.key.removeprefix(below)] = entry
        directory = await in_thread(DownloadDirectory, target.new, "")

        async def one(file: CheckpointFile) -> None:
            entry = listed.get(file.path)
            if entry is None:
                raise _missing(place, checkpoint, file)
            if entry.size != file.size:
                raise _damaged(place, checkpoint, file, f"has {entry.size} bytes, not {file.size}")
            in_directory = checkpoint.kind == "directory"
            path = directory.path_of(file.path) if in_directory else target.new
            make_way = partial(directory.make_way, file.path, path) if in_directory else None
            try:
                await transfers.download_listed(entry, path, before_write=make_way)
            except NotFoundError as exc:
                raise _missing(place, checkpoint, file) from exc
            content = await in_steps(hash_file(path))
            if content.sha256 != file.sha256:
                raise _damaged(place, checkpoint, file, f"has bytes with the SHA-256 {content.sha256}")
            if file.executable:
                await in_thread(make_executable, path)

        await fan_out(checkpoint.files, one, width=transfers.config.max_concurrency)
        await in_thread(target.publish)


def _missing(place: StoredCheckpoints, checkpoint: Checkpoint, file: CheckpointFile) -> NotFoundError:
    key = place.files(checkpoint.run, checkpoint.step) + file.path
    message = (
        f"{place.manager.provider.locate(key)}: this file of a checkpoint is missing: the checkpoint was removed "
        "meanwhile, or somebody deleted the object"
    )
    return NotFoundError(message, key=key)


def _damaged(place: StoredCheckpoints, checkpoint: Checkpoint, file: CheckpointFile, what: str) -> IntegrityError:
    key = place.files(checkpoint.run, checkpoint.step) + file.path
    message = f"{place.manager.provider.locate(key)}: this file of a checkpoint {what}; the checkpoint is damaged"
    return IntegrityError(message, key=key)
