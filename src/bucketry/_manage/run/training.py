"""TrainingRun: the value that `training_run` yields; it uploads checkpoints in the background."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from datetime import UTC, datetime

from bucketry._core.facts import Facts, filled
from bucketry._core.provider import StrPath
from bucketry._manage.datasets.values import DatasetResult
from bucketry._manage.hashing import hash_file
from bucketry._manage.models.local import LocalModelFile
from bucketry._manage.models.values import ModelVersion
from bucketry._manage.run.snapshot import Snapshot
from bucketry._manage.run.stored import LAST_STEP, StoredCheckpoints
from bucketry._manage.run.values import Checkpoint, CheckpointFile
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.workers import fan_out
from bucketry.errors import InvalidRequestError, StorageError

_log = logging.getLogger("bucketry")


class TrainingRun:
    """One training run.

    Attributes:
        id: Identifies the run: the time when it began, in UTC, and a random part.
        dataset: The result of `ensure_dataset`; `None`: the run has no dataset.
        version: The version of the model, set after the block has succeeded; `None` before, or if there is no
            `output`.
    """

    def __init__(self, checkpoints: StoredCheckpoints | None, group: asyncio.TaskGroup, *, keep: int) -> None:
        """Begin without checkpoints; no I/O.

        Args:
            checkpoints: The checkpoints of the model; `None`: the run has no model.
            group: Runs the uploads; the caller must await `end` before it leaves the group.
            keep: How many complete checkpoints to keep.
        """
        self.id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self.dataset: DatasetResult | None = None
        self.version: ModelVersion | None = None
        self._checkpoints = checkpoints
        self._group = group
        self._keep = keep
        self._turn = asyncio.Lock()
        self._upload: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._last_step = -1
        self._complete: list[Checkpoint] = []
        self._incomplete: set[int] = set()
        self._ended = False

    @property
    def newest(self) -> Checkpoint | None:
        """The newest complete checkpoint of this run."""
        return self._complete[-1] if self._complete else None

    async def checkpoint(self, path: StrPath, *, step: int) -> None:
        """Copy a checkpoint, and upload the copy in the background.

        When this method returns, the training may overwrite the file or directory. The method first waits until the
        upload of the checkpoint before has ended, then makes the local copy, and returns. So at most one upload runs,
        and the disk has at most one copy. The copy is next to `path`, in a hidden directory.

        A checkpoint is complete when all its files and its manifest are stored. Then the oldest checkpoints of this run
        are removed, so that `keep_checkpoints` complete ones stay. If the process is killed during an upload, the
        complete checkpoints stay.

        Args:
            path: A file or a directory; nothing may write to it until this method returns.
            step: The step of the training, from 0 to 9,999,999,999, and higher than the step of the checkpoint
                before.

        Raises:
            InvalidRequestError: The step is not valid or not higher, the run has no `model` or has ended, or the
                directory has no file.
            LocalFileError: A file cannot be read, or there is no space for the copy.
            UnsafeKeyError: A name cannot be restored on every system.
            IntegrityError: A file changed while it was copied.
            StorageError: The upload of the checkpoint before failed. It is raised once, before anything is copied; the
                call can be repeated.

        Cost: the bytes are copied on the disk, read once to be hashed, and uploaded. The cost of `upload` for each
            file, 1 request for the manifest, and about 3 to remove an old checkpoint.
        """
        place = self._place()
        with Facts(place.manager.provider.name, "checkpoint"):
            async with self._turn:
                await self._settle()
                if (failure := self.take_failure()) is not None:
                    raise failure
                self._check(step)
                snapshot = Snapshot(os.fspath(path))
                try:
                    await in_steps(snapshot.take())
                except BaseException:
                    await in_thread(snapshot.discard)
                    raise
                self._last_step = step
                self._upload = self._group.create_task(self._send(place, snapshot, step))

    async def latest_checkpoint(self) -> Checkpoint | None:
        """Return the newest complete checkpoint of the model, of any run; `None`: there is none.

        To continue an earlier training, restore the checkpoint with `StorageManager.restore_checkpoint`.

        Cost: 1 request for each run with checkpoints, and 2 more.
        """
        place = self._place()
        with Facts(place.manager.provider.name, "latest_checkpoint"):
            for found in reversed(await place.find()):
                if read := await place.read_all([found]):
                    return read[0]
            return None

    async def end(self) -> None:
        """Wait for the last upload; from now on, `checkpoint` raises an error."""
        async with self._turn:
            self._ended = True
            await self._settle()

    def take_failure(self) -> Exception | None:
        """Return the error of the last upload, and forget it; `None`: the upload did not fail."""
        failure, self._failure = self._failure, None
        return failure

    def _place(self) -> StoredCheckpoints:
        if self._checkpoints is None:
            message = "checkpoint: the training run has no model; give training_run a model"
            raise InvalidRequestError(message)
        return self._checkpoints

    def _check(self, step: int) -> None:
        if self._ended:
            message = f"checkpoint: the training run {self.id} has ended"
        elif isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= LAST_STEP:
            message = f"checkpoint: step={step!r}: give a whole number from 0 to {LAST_STEP}"
        elif step <= self._last_step:
            message = f"checkpoint: step {step} is not higher than step {self._last_step} of the checkpoint before"
        else:
            return
        raise InvalidRequestError(message)

    async def _settle(self) -> None:
        """Wait until no upload runs; a cancellation of the caller does not cancel the upload."""
        if self._upload is not None:
            await asyncio.wait([self._upload])

    async def _send(self, place: StoredCheckpoints, snapshot: Snapshot, step: int) -> None:
        """Upload a copy, publish its manifest, and remove old checkpoints; store an error for `take_failure`."""
        self._incomplete.add(step)
        try:
            checkpoint = await self._stored(place, snapshot, step)
        except Exception as error:  # noqa: BLE001 - an error must not stop the training; the next call raises it
            self._failure = error
            if isinstance(error, StorageError):
                filled(error, place.manager.provider.name, "checkpoint")
            error.add_note(f"the checkpoint of step {step} of the training run {self.id} was not uploaded")
            _log.warning("training run %s: the checkpoint of step %d was not uploaded: %s", self.id, step, error)
        else:
            self._incomplete.discard(step)
            self._complete.append(checkpoint)
            _log.info(
                "training run %s: checkpoint of step %d is complete: files: %d, bytes: %d",
                self.id,
                step,
                len(checkpoint.files),
                checkpoint.size,
            )
            await self._remove_old(place)
        finally:
            await in_thread(snapshot.discard)

    async def _stored(self, place: StoredCheckpoints, snapshot: Snapshot, step: int) -> Checkpoint:
        transfers = place.manager.transfers
        below = place.files(self.id, step)
        stored: dict[str, CheckpointFile] = {}

        async def one(file: LocalModelFile) -> None:
            content = await in_steps(hash_file(file.local))
            await transfers.upload(file.local, below + file.path)
            stored[file.path] = CheckpointFile(
                path=file.path, size=file.state[1], sha256=content.sha256, executable=file.executable
            )

        await fan_out(snapshot.files, one, width=transfers.config.max_concurrency)
        draft = Checkpoint(
            model=place.model,
            run=self.id,
            step=step,
            created=datetime.now(UTC),
            kind=snapshot.kind,
            files=tuple(stored[file.path] for file in snapshot.files),
        )
        return await place.publish(draft)

    async def _remove_old(self, place: StoredCheckpoints) -> None:
        """Remove old checkpoints and the files of failed uploads; after an error, the next checkpoint tries again."""
        old = [checkpoint.step for checkpoint in self._complete[: -self._keep]]
        for step in sorted({*old, *self._incomplete}):
            try:
                await place.remove(self.id, step)
            except Exception as error:  # noqa: BLE001 - the new checkpoint is complete
                _log.warning("training run %s: the checkpoint of step %d was not removed: %s", self.id, step, error)
                return
            self._complete = [checkpoint for checkpoint in self._complete if checkpoint.step != step]
            self._incomplete.discard(step)
            _log.info("training run %s: checkpoint of step %d was removed", self.id, step)
