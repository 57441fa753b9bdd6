"""The steps of `demo --models`: a dataset, a training run, and versions of a model, end to end."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.manager import Moved
from bucketry._cli.output import Output, shown, shown_size
from bucketry._cli.sample import differences
from bucketry._core.config import TransferConfig
from bucketry._core.units import KiB, MiB
from bucketry._runtime.threads import in_thread

if TYPE_CHECKING:
    from bucketry import StorageManager
    from bucketry.testing import EmbeddedS3, FaultyProvider

DATASET, MODEL = "demo-data", "demo-model"
_FILES, _FILE_SIZE = 60, 40 * KiB
_SHARED, _CHANGED = 12 * MiB, 256 * KiB  # the file that all versions share, and the file that each version changes


@dataclass(frozen=True, slots=True)
class ManagedStep:
    """One step.

    Attributes:
        name: The call, such as `"upload_dataset"`.
        seconds: Its time.
        requests: The requests that it made.
        sent: The bytes that it sent or received.
        result: What it did, in words.
    """

    name: str
    seconds: float
    requests: int
    sent: int
    result: str


@dataclass(slots=True)
class ModelsDemo:
    """The steps that were taken, and what they show.

    Args:
        work: The directory for all local files.
    """

    work: str
    server: str = ""
    steps: list[ManagedStep] = field(default_factory=list)
    requests_when_in_step: int = -1
    not_sent_again: int = 0
    verified: bool = False
    differing: list[str] = field(default_factory=list)
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether the version was verified, and all its files are the same after the restore."""
        return self.verified and not self.differing

    async def run(self, server: EmbeddedS3) -> None:
        """Take all steps."""
        from bucketry import S3Provider, StorageManager
        from bucketry.testing import FaultyProvider

        self.server = server.endpoint_url
        async with S3Provider(server.config, transfer=TransferConfig(max_concurrency=8)) as provider:
            counting = FaultyProvider(provider)  # without faults it only counts the requests
            await _Steps(self, StorageManager(counting, memo_dir=None), counting).take()

    def print(self, output: Output, *, kept: bool) -> int:
        """Print the steps and what they show; return the exit code.

        With `--json`: `{"server", "work", "steps", "requests_when_in_step", "not_sent_again", "verified", "kept",
        "removed", "identical", "differing"}`. `steps` is a list of `{"name", "seconds", "requests", "sent", "result"}`,
        and `work` is the directory that `--keep` keeps, or `null`.
        """
        if output.as_json:
            output.document({**asdict(self), "work": self.work if kept else None, "identical": self.identical})
            return DONE if self.identical else FAILED
        output.line(f"S3 server on {self.server}\n")
        rows = [
            (step.name, f"{step.seconds:.2f}", f"{step.requests:,}", shown_size(step.sent), step.result)
            for step in self.steps
        ]
        output.table([("step", "seconds", "requests", "bytes", "result"), *rows], right=(1, 2, 3))
        output.line("")
        for name in self.differing:
            output.line(f"differs: {shown(name)}")
        output.line(f"a dataset that is in step costs {self.requests_when_in_step} request before each training")
        output.line(f"versions share files: {shown_size(self.not_sent_again)} of v2 and v3 were not sent again")
        output.line(f"restored files identical: {'yes' if self.identical else 'NO'}")
        if kept:
            output.line(f"kept: {self.work}")
        return DONE if self.identical else FAILED


@dataclass(slots=True)
class _Steps:
    """Takes the steps with one manager.

    Attributes:
        demo: Collects the steps.
        manager: The manager.
        provider: Counts the requests.
    """

    demo: ModelsDemo
    manager: StorageManager
    provider: FaultyProvider

    async def take(self) -> None:
        """Take the steps in order."""
        source, local, model = self._path("data"), self._path("local"), self._path("model")
        await in_thread(_make_files, source)
        await self._dataset(source, local)
        await self._training(local, model)
        for version in ("v2", "v3"):
            await in_thread(_change_model, model, version)
            await self._backup(model)
        await self._versions(model)

    async def _dataset(self, source: str, local: str) -> None:
        moved = Moved(None)
        async with self._step("upload_dataset", moved) as said:
            info = await self.manager.upload_dataset(DATASET, source, progress=moved.in_all)
            said.append(f"{len(info.files)} files and a manifest")
        moved = Moved(None)
        async with self._step("ensure_dataset", moved) as said:
            done = await self.manager.ensure_dataset(DATASET, local, progress=moved.in_all)
            said.append(f"downloaded and verified {len(done.downloaded)}")
        async with self._step("ensure_dataset", Moved(None)) as said:
            done = await self.manager.ensure_dataset(DATASET, local)
            said.append("nothing to do" if not done.downloaded else f"downloaded {len(done.downloaded)} files")
        self.demo.requests_when_in_step = self.demo.steps[-1].requests

    async def _training(self, local: str, model: str) -> None:
        await in_thread(_change_model, model, "v1")
        moved = Moved(None)
        async with self._step("training_run", moved) as said:
            async with self.manager.training_run(
                dataset=DATASET, local_dir=local, model=MODEL, output=model, metadata={"loss": 0.5}
            ) as run:
                await run.checkpoint(os.path.join(model, "head.bin"), step=100)
            newest, version = run.newest, run.version
            assert newest is not None  # noqa: S101 - the run has ended without an error
            assert version is not None  # noqa: S101 - the run has ended without an error
            moved.bytes = newest.size + version.size
            said.append(f"a checkpoint, then {version.version}")

    async def _backup(self, model: str) -> None:
        moved = Moved(None)
        async with self._step("backup_model", moved) as said:
            made = await self.manager.backup_model(model, MODEL, progress=moved.of_model)
            shared = made.size - moved.bytes
            self.demo.not_sent_again += shared
            said.append(f"{made.version}, {shown_size(shared)} not sent")

    async def _versions(self, model: str) -> None:
        async with self._step("tag_model", Moved(None)) as said:
            tagged = await self.manager.tag_model(MODEL, "v2", "prod")
            said.append(f"prod is {tagged.version}")
        moved = Moved(None)
        async with self._step("verify_model", moved) as said:
            report = await self.manager.verify_model(MODEL)
            self.demo.verified = not report.failed
            moved.bytes = report.bytes_read
            said.append(f"{report.by_checksum} by checksum, {report.by_reading} read")
        moved = Moved(None)
        async with self._step("restore_model", moved) as said:
            restored = self._path("restored")
            found = await self.manager.restore_model(MODEL, restored, progress=moved.of_model)
            said.append(f"{found.version}, verified (sha256)")
        self.demo.differing = await in_thread(differences, model, restored)
        async with self._step("prune_models", Moved(None)) as said:
            pruned = await self.manager.prune_models(MODEL, keep=1)
            self.demo.kept, self.demo.removed = pruned.kept, pruned.removed
            said.append(f"removed {', '.join(pruned.removed)}, kept {', '.join(pruned.kept)}")

    @asynccontextmanager
    async def _step(self, name: str, moved: Moved) -> AsyncIterator[list[str]]:
        """Take the time of a step, and count its requests; yield the list for its result."""
        said: list[str] = []
        before, started = self.provider.calls.total(), time.monotonic()
        yield said
        seconds, requests = time.monotonic() - started, self.provider.calls.total() - before
        self.demo.steps.append(ManagedStep(name, round(seconds, 4), requests, moved.bytes, said[0]))

    def _path(self, name: str) -> str:
        return os.path.join(self.demo.work, name)


def _make_files(directory: str) -> None:
    """Make the files of the dataset. Blocks."""
    root = Path(directory)
    for number in range(_FILES):
        path = root / f"class {number % 3}" / f"sample-{number:03}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(_FILE_SIZE))


def _change_model(directory: str, version: str) -> None:
    """Make the files of the first version, or change those that a training changes. Blocks."""
    root = Path(directory)
    root.mkdir(exist_ok=True)
    if not (root / "encoder.bin").exists():
        (root / "encoder.bin").write_bytes(os.urandom(_SHARED))
    (root / "head.bin").write_bytes(os.urandom(_CHANGED))
    (root / "config.json").write_text(f'{{"trained": "{version}"}}\n', encoding="utf-8")
