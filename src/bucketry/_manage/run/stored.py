"""Lists, reads, publishes and removes the checkpoints of one model at the provider.

Below `<models root>/<model>/checkpoints/<run id>/`:

- `step-<10 digits>/<path>`: the files of a checkpoint.
- `step-<10 digits>.json`: the manifest of this checkpoint, which is published last and removed first. The checkpoint
  exists if, and only if, this object exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Literal, NamedTuple

from bucketry._core.values import CommonPrefix, ObjectInfo
from bucketry._manage.managed import Managed
from bucketry._manage.manifest import Json, ManifestReader, from_json, to_json
from bucketry._manage.models.keys import ModelKeys
from bucketry._manage.models.manifests import check_files, kind_from
from bucketry._manage.run.values import Checkpoint, CheckpointFile
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import every_object
from bucketry._transfer.workers import fan_out
from bucketry.errors import NotFoundError, StorageError

LAST_STEP = 10**10 - 1  # at most ten digits, so that keys sort in the order of the steps
_MANIFEST = re.compile(r"step-([0-9]{10})\.json")


class FoundCheckpoint(NamedTuple):
    """A checkpoint in a listing; these values sort from the oldest to the newest checkpoint.

    Attributes:
        created: When the manifest was stored.
        step: The step of the training.
        run: The id of the training run.
    """

    created: datetime
    step: int
    run: str


class StoredCheckpoints:
    """The checkpoints of one model.

    Attributes:
        manager: Has the provider and the transfers.
        model: The model's name.
    """

    def __init__(self, manager: Managed, root: str, model: str) -> None:
        """Store the arguments; no I/O.

        Args:
            manager: Has the provider and the transfers.
            root: The prefix of all models, without `/` at its end.
            model: The model.
        """
        self.manager = manager
        self.model = model
        self._prefix = f"{ModelKeys(root, model).base}checkpoints/"

    @property
    def url(self) -> str:
        """The URL of the checkpoints, for messages."""
        return self.manager.provider.locate(self._prefix)

    def files(self, run: str, step: int) -> str:
        """Return the prefix of a checkpoint's files."""
        return f"{self._prefix}{run}/step-{step:010}/"

    def manifest(self, run: str, step: int) -> str:
        """Return the key of a checkpoint's manifest."""
        return f"{self._prefix}{run}/step-{step:010}.json"

    async def find(self, run: str | None = None) -> list[FoundCheckpoint]:
        """Return all complete checkpoints of one run, or of all runs, from the oldest to the newest.

        Cost: 1 request for each run, and 1 to find the runs.
        """
        found: list[FoundCheckpoint] = []

        async def one(name: str) -> None:
            below = f"{self._prefix}{name}/"
            async with aclosing(every_object(self.manager.provider, below, delimiter="/")) as entries:
                found.extend(
                    [
                        FoundCheckpoint(entry.last_modified, int(step[1]), name)
                        async for entry in entries
                        if isinstance(entry, ObjectInfo) and (step := _MANIFEST.fullmatch(entry.key[len(below) :]))
                    ]
                )

        runs = await self._runs() if run is None else [run]
        await fan_out(runs, one, width=self.manager.transfers.config.max_concurrency)
        return sorted(found)

    async def read(self, found: FoundCheckpoint) -> Checkpoint:
        """Read the manifest of a checkpoint, and return the checkpoint.

        Raises:
            NotFoundError: The checkpoint was removed.
            IntegrityError: The manifest was changed by another program, or is damaged.
            UnsupportedError: The manifest has a newer format.

        Cost: 1 request.
        """
        [checkpoint] = await self.read_all([found], on_missing="raise")
        return checkpoint

    async def read_all(
        self, found: Iterable[FoundCheckpoint], *, on_missing: Literal["raise", "leave out"] = "leave out"
    ) -> list[Checkpoint]:
        """Read the manifests of several checkpoints, and return the checkpoints in the same order.

        `read` documents the errors. With `on_missing="leave out"`, removed checkpoints raise no error.

        Cost: 1 request for each checkpoint; several at once.
        """
        keys = {self.manifest(one.run, one.step): one for one in found}
        read: list[Checkpoint] = []
        async with aclosing(self.manager.transfers.get_many(keys, on_error="yield")) as manifests:
            async for key, data in manifests:
                if isinstance(data, NotFoundError) and on_missing == "leave out":
                    continue
                if isinstance(data, StorageError):
                    raise data
                read.append(await in_thread(self._from_manifest, data, key, keys[key]))
        return read

    async def publish(self, checkpoint: Checkpoint) -> Checkpoint:
        """Store the manifest, after all files; return the checkpoint with the provider's time.

        Cost: 1 request.
        """
        files: list[Json] = [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "executable": int(file.executable)}
            for file in checkpoint.files
        ]
        content = to_json(
            {
                "model": checkpoint.model,
                "run": checkpoint.run,
                "step": checkpoint.step,
                "kind": checkpoint.kind,
                "files": files,
            }
        )
        info = await self.manager.provider.put(self.manifest(checkpoint.run, checkpoint.step), content)
        return replace(checkpoint, created=info.last_modified)

    async def remove(self, run: str, step: int) -> None:
        """Remove a checkpoint, complete or not: first its manifest, then its files.

        Cost: 1 request, 1 for each 1,000 files to list them, and the cost of `delete_many`.
        """
        await self.manager.provider.delete(self.manifest(run, step))
        await self._remove_all(self.files(run, step))

    async def remove_run(self, run: str) -> int:
        """Remove all checkpoints of a run; return the number of complete checkpoints that were removed.

        Cost: 1 request for each 1,000 objects to list them, and the cost of `delete_many` for the manifests and for all
        other objects.
        """
        found = await self.find(run)
        manifests = await self.manager.provider.delete_many([self.manifest(run, one.step) for one in found])
        manifests.raise_for_failures()
        await self._remove_all(f"{self._prefix}{run}/")
        return len(found)

    async def _remove_all(self, prefix: str) -> None:
        keys = [entry.key async for entry in self.manager.provider.list(prefix)]
        (await self.manager.provider.delete_many(keys)).raise_for_failures()

    async def _runs(self) -> list[str]:
        async with aclosing(every_object(self.manager.provider, self._prefix, delimiter="/")) as entries:
            return [entry.prefix[len(self._prefix) : -1] async for entry in entries if isinstance(entry, CommonPrefix)]

    def _from_manifest(self, data: bytes, key: str, found: FoundCheckpoint) -> Checkpoint:
        entries = from_json(data, self.manager.provider.locate(key))
        for name, given, wanted in (
            ("model", entries.text("model"), self.model),
            ("run", entries.text("run"), found.run),
            ("step", entries.number("step"), found.step),
        ):
            if given != wanted:
                entries.refuse(name, f"is not {wanted!r}: it is the manifest of something else, or was copied")
        kind = kind_from(entries)
        files = tuple(map(_file_from, entries.each("files")))
        check_files(entries, kind, [file.path for file in files])
        return Checkpoint(
            model=self.model,
            run=found.run,
            step=found.step,
            created=found.created,
            kind=kind,
            files=files,
        )


def _file_from(entries: ManifestReader) -> CheckpointFile:
    return CheckpointFile(
        path=entries.text("path"),
        size=entries.number("size"),
        sha256=entries.sha256("sha256"),
        executable=bool(entries.number("executable")),
    )
