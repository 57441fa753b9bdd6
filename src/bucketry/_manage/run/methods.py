"""The methods of the StorageManager for training runs and their checkpoints."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bucketry._core.facts import Facts
from bucketry._core.os_errors import check_path
from bucketry._core.provider import StrPath
from bucketry._manage.datasets.methods import DatasetMethods
from bucketry._manage.managed import check_name
from bucketry._manage.models.manifests import metadata_text
from bucketry._manage.models.methods import ModelMethods
from bucketry._manage.run.metadata import storable
from bucketry._manage.run.restore import restore
from bucketry._manage.run.stored import FoundCheckpoint, StoredCheckpoints
from bucketry._manage.run.training import TrainingRun
from bucketry._manage.run.values import Checkpoint
from bucketry.errors import InvalidRequestError, NotFoundError, StorageError

KEEP_CHECKPOINTS = 3  # the newest, and two more, because a user may notice late that the newest is bad
_ATTEMPTS = 3  # an attempt fails if a running training removes the checkpoint that is restored

_log = logging.getLogger("bucketry")


class RunMethods(DatasetMethods, ModelMethods):
    """Methods for training runs, which load a dataset, upload checkpoints, and back up the model after success."""

    @asynccontextmanager
    async def training_run(
        self,
        *,
        dataset: str | None = None,
        local_dir: StrPath | None = None,
        model: str | None = None,
        output: StrPath | None = None,
        metadata: Mapping[str, Any] | None = None,
        keep_checkpoints: int = KEEP_CHECKPOINTS,
    ) -> AsyncIterator[TrainingRun]:
        """Ensure the dataset, run the block of `async with`, and back up the model if the block succeeds.

        `async with manager.training_run(dataset="d", local_dir="data", model="m", output="out") as run: …`

        - Before the block: `ensure_dataset(dataset, local_dir)`; if it fails, the block does not run.
        - In the block: `run.checkpoint(path, step=…)` uploads checkpoints in the background.
        - After the block, also after an error: the upload of the last checkpoint is awaited. A second cancellation,
          such as a second Ctrl-C, stops this upload; the earlier checkpoints stay. A cancelled scope of anyio cancels
          repeatedly, so it stops this upload.
        - After success: `backup_model(output, model, metadata=metadata)`; then `run.version` is the version. If this
          backup fails, a note of the error says so, and what to call; the files and the checkpoints stay.
        - After an error, a cancellation or `KeyboardInterrupt`: there is no backup, the checkpoints stay, and the error
          is raised unchanged. If the last upload also failed, a note of the error says so.

        A failed upload in the background does not stop the block. The next `run.checkpoint` raises its error. If there
        is no next checkpoint, the error is raised after the model was backed up.

        Each run has its own id, so runs of one model can run at once. Checkpoints of ended runs stay: see
        `delete_checkpoints`. The logger `bucketry` logs at level INFO what the run does.

        Args:
            dataset: The dataset that `ensure_dataset` loads; `None`: the run has no dataset.
            local_dir: The local directory of the dataset.
            model: The model that is trained; `None`: there is no backup, and there are no checkpoints.
            output: The file or directory with the trained model, which is read only after the block. `None`: there is
                no backup.
            metadata: Maps texts to JSON values, and is stored with the version. It is read after the block, so the
                block may change it. After the block, values that JSON does not have do not stop the backup: a scalar
                of numpy or torch is stored as the number, everything else as its `str`, such as `"nan"`; a warning is
                logged.
            keep_checkpoints: How many complete checkpoints of this run to keep, at least 1.

        Raises:
            InvalidRequestError: An argument is missing or not valid; nothing was done.
            StorageError: See `ensure_dataset` and `backup_model`; or the upload of the last checkpoint failed.

        Cost: the cost of `ensure_dataset`, `backup_model` and `TrainingRun.checkpoint`.
        """
        with Facts(self.provider.name, "training_run"):
            _refuse_same(local_dir, output)
            keep = _checked_arguments(dataset, local_dir, model, output, metadata, keep_checkpoints)
        place = None if model is None else self._checkpoints(model)
        done = None if dataset is None or local_dir is None else await self.ensure_dataset(dataset, local_dir)
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                run = TrainingRun(place, group, keep=keep)
                run.dataset = done
                _log_begin(run)
                try:
                    yield run
                except BaseException as error:  # noqa: BLE001 - raised below, after the last upload
                    failure = error
                await run.end()
        except asyncio.CancelledError as second:
            _log.info("training run %s: cancelled during the upload of the last checkpoint", run.id)
            raise second from failure
        upload_failure = run.take_failure()
        if failure is not None:
            _log_failed(run, failure)
            if upload_failure is not None:
                failure.add_note(f"and the last checkpoint was not uploaded: {upload_failure}")
            raise failure
        if model is not None and output is not None:
            try:
                run.version = await self.backup_model(output, model, metadata=storable(metadata, run.id))
            except BaseException as error:
                _note_no_backup(run, error, os.fspath(output), model)
                if upload_failure is not None:
                    error.add_note(f"and the last checkpoint was not uploaded: {upload_failure}")
                raise
            _log.info("training run %s: succeeded; %s is version %s", run.id, model, run.version.version)
        else:
            _log.info("training run %s: succeeded", run.id)
        if upload_failure is not None:
            if run.version is not None:
                upload_failure.add_note(f"the training succeeded, and its model is version {run.version.version!r}")
            raise upload_failure

    async def list_checkpoints(self, model: str, *, run: str | None = None) -> list[Checkpoint]:
        """Return the complete checkpoints of a model, from the oldest to the newest, by the provider's clock.

        Args:
            model: The model.
            run: Return only the checkpoints of this run; `None`: of all runs.

        Raises:
            IntegrityError: A manifest was changed by another program, or is damaged.
            UnsupportedError: A manifest has a newer format.

        Cost: 1 request for each run, 1 for each checkpoint, and 1 more.
        """
        with Facts(self.provider.name, "list_checkpoints"):
            place = self._checkpoints(model)
            return await place.read_all(await place.find(_checked_run(run)))

    async def restore_checkpoint(
        self, model: str, local_path: StrPath, *, run: str | None = None, step: int | None = None
    ) -> Checkpoint:
        """Restore a checkpoint, so that a training can continue; the whole target is replaced.

        As with `restore_model`, the target is replaced only after every byte was verified, and stays unchanged after an
        error. The checkpoint of a file is restored as a file, the checkpoint of a directory as a directory.

        Args:
            model: The model.
            local_path: The file or directory to make or replace. Missing parents are made.
            run: The run; `None`: any run.
            step: The step; `None`: any step. If several checkpoints fit, the newest is restored.

        Returns:
            The restored checkpoint, with its `step`.

        Raises:
            NotFoundError: There is no such checkpoint, or it was removed during the call.
            IntegrityError: A file or the manifest is damaged, or was changed by another program.
            LocalIsADirectoryError: The target is a directory, and the checkpoint is one file.
            LocalNotADirectoryError: The target is a file, and the checkpoint is a directory.
            InvalidRequestError: The target overlaps the place where the provider itself keeps its objects.
            LocalFileError: The target cannot be written, or must not be replaced, as with `restore_model`.

        Cost: 1 request for each run, 2 more, 1 for each 1,000 files, and the cost of `download` for each file. The
            bytes down; disk space for the old and the new target.
        """
        with Facts(self.provider.name, "restore_checkpoint"):
            place = self._checkpoints(model)
            attempt = 0
            while True:
                attempt += 1
                fitting = [one for one in await place.find(_checked_run(run)) if step in (None, one.step)]
                if not fitting:
                    raise _no_checkpoint(place, run, step)
                try:
                    checkpoint = await place.read(fitting[-1])
                    await restore(place, checkpoint, local_path)
                except NotFoundError:
                    if attempt == _ATTEMPTS or not await _is_removed(place, fitting[-1]):
                        raise
                else:
                    return checkpoint

    async def delete_checkpoints(self, model: str, *, run: str) -> int:
        """Remove all checkpoints of a run that has ended, and the files of its unfinished checkpoints.

        Args:
            model: The model.
            run: The run's id. If it is still running, its next checkpoints are kept.

        Returns:
            The number of complete checkpoints that were removed; 0: there was none.

        Cost: 1 request for each 1,000 objects, and the cost of `delete_many`.
        """
        with Facts(self.provider.name, "delete_checkpoints"):
            return await self._checkpoints(model).remove_run(check_name("run", run))

    def _checkpoints(self, model: str) -> StoredCheckpoints:
        return StoredCheckpoints(self, self.models_root, check_name("model", model))


def _checked_arguments(
    dataset: str | None,
    local_dir: StrPath | None,
    model: str | None,
    output: StrPath | None,
    metadata: Mapping[str, Any] | None,
    keep_checkpoints: int,
) -> int:
    """Check all arguments before the training, because a wrong one must not raise an error after days of training."""
    problem = ""
    if (dataset is None) != (local_dir is None):
        problem = "give dataset and local_dir together"
    elif dataset is None and model is None:
        problem = "give a dataset with its local_dir, or a model, or both"
    elif model is None and output is not None:
        problem = "output is given without model; give the name to back it up under"
    elif output is None and metadata is not None:
        problem = "metadata is given without output; it belongs to the backup of output"
    elif isinstance(keep_checkpoints, bool) or not isinstance(keep_checkpoints, int) or keep_checkpoints < 1:
        problem = f"keep_checkpoints={keep_checkpoints!r}: give the number of checkpoints to keep, at least 1"
    if problem:
        message = f"training_run: {problem}"
        raise InvalidRequestError(message)
    if dataset is not None:
        check_name("dataset", dataset)
    if model is not None:
        check_name("model", model)
    if output is not None:
        check_path(os.fspath(output))
    metadata_text(metadata)
    return keep_checkpoints


def _refuse_same(local_dir: StrPath | None, output: StrPath | None) -> None:
    if local_dir and output and os.path.abspath(local_dir) == os.path.abspath(output):
        message = (
            f"training_run: local_dir and output are the same directory, {os.fspath(output)}; the model's files "
            "must not be among those of the dataset; name another output"
        )
        raise InvalidRequestError(message)


def _checked_run(run: str | None) -> str | None:
    return None if run is None else check_name("run", run)


async def _is_removed(place: StoredCheckpoints, found: FoundCheckpoint) -> bool:
    return not await place.manager.provider.exists(place.manifest(found.run, found.step))


def _no_checkpoint(place: StoredCheckpoints, run: str | None, step: int | None) -> NotFoundError:
    wanted = " and ".join(
        [f"run {run!r}" for _ in [run] if run is not None] + [f"step {step}" for _ in [step] if step is not None]
    )
    which = f" with {wanted}" if wanted else ""
    message = f"{place.url}: there is no complete checkpoint{which}; list_checkpoints gives those that there are"
    return NotFoundError(message)


def _log_begin(run: TrainingRun) -> None:
    if run.dataset is None:
        _log.info("training run %s: begins", run.id)
        return
    _log.info(
        "training run %s: begins; dataset %s is in step in %s: files downloaded: %d (%d bytes), removed: %d",
        run.id,
        run.dataset.info.name,
        run.dataset.local_dir,
        len(run.dataset.downloaded),
        run.dataset.downloaded_bytes,
        len(run.dataset.removed),
    )


def _note_no_backup(run: TrainingRun, error: BaseException, output: str, model: str) -> None:
    """Say what is left to do after a training has succeeded and its backup has failed."""
    error.add_note(
        "the training succeeded, but its model was not backed up; all files are left as they are; call "
        f"backup_model({output!r}, {model!r}) when the cause is mended, or with the right path; the checkpoints stay"
    )
    kind = type(error).__name__
    detail = f": {error}" if isinstance(error, StorageError) else ""
    _log.warning(
        "training run %s: ended; the training succeeded, but the backup of %s failed by %s%s",
        run.id,
        output,
        kind,
        detail,
    )


def _log_failed(run: TrainingRun, failure: BaseException) -> None:
    newest = "none" if run.newest is None else f"step {run.newest.step}"
    kind = type(failure).__name__
    detail = f": {failure}" if isinstance(failure, StorageError) else ""
    _log.info("training run %s: ended by %s%s; no backup; newest checkpoint: %s", run.id, kind, detail, newest)
