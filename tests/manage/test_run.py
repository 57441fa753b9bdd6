"""Training runs: the dataset before, checkpoints in the background, the backup after success only."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider, StorageManager, TransferConfig
from bucketry._manage.run.methods import RunMethods
from bucketry._manage.run.snapshot import Snapshot
from bucketry._manage.run.training import TrainingRun
from bucketry.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidRequestError,
    LocalFileNotFoundError,
    LocalIsADirectoryError,
    NotFoundError,
    StorageError,
)
from bucketry.providers import StorageProvider
from bucketry.testing import Fault, FaultyProvider
from tests.contract import servers
from tests.transfer.doubles import noise, until

SMALL_PARTS = TransferConfig(part_size=4096, multipart_threshold=4096, retry_delay=0)


@pytest.fixture(scope="module")
def moto() -> Iterator[servers.S3Server]:
    """Run moto for the module."""
    with servers.moto() as server:
        yield server


@pytest.fixture(params=["memory", "local", "moto"])
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageProvider]:
    """Give an open provider of each kind."""
    made: StorageProvider
    match request.param:
        case "memory":
            made = MemoryProvider()
        case "local":
            made = LocalProvider({"base_path": tmp_path / "base"})
        case _:
            made = S3Provider(request.getfixturevalue("moto").new_bucket())
    async with made:
        yield made


def managed(*faults: Fault) -> tuple[RunMethods, FaultyProvider]:
    """Make a manager of a memory with faults."""
    provider = FaultyProvider(MemoryProvider(), faults)
    return RunMethods(provider, transfer=TransferConfig(retry_delay=0)), provider


def denied() -> AccessDeniedError:
    """Make an error that no layer retries."""
    return AccessDeniedError("no")


def steps_of(checkpoints: list[Any]) -> list[int]:
    """Give the steps of checkpoints."""
    return [checkpoint.step for checkpoint in checkpoints]


def hidden(directory: Path) -> list[str]:
    """Give the names of the copies that are left."""
    return [path.name for path in directory.rglob(".bucketry-*.part")]


def write(path: Path, data: bytes) -> None:
    """Overwrite a file, as a training does."""
    path.write_bytes(data)


def content(path: Path) -> bytes:
    """Give the bytes of a file."""
    return path.read_bytes()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give the file of a checkpoint."""
    path = tmp_path / "work" / "state.pt"
    path.parent.mkdir()
    path.write_bytes(b"first")
    return path


class TestOnEveryProvider:
    """The whole of a run."""

    async def test_a_successful_run(
        self, provider: StorageProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The dataset is there in the block, checkpoints can be restored, the model is a version, the log says it."""
        manager = RunMethods(provider)
        source = tmp_path / "source"
        source.mkdir()
        (source / "a.bin").write_bytes(noise(5_000))
        await manager.upload_dataset("d", source)
        output, data = tmp_path / "out", tmp_path / "data"
        facts: dict[str, Any] = {}
        with caplog.at_level(logging.INFO, "bucketry"):
            async with manager.training_run(
                dataset="d", local_dir=data, model="m", output=output, metadata=facts, keep_checkpoints=2
            ) as run:
                assert (data / "a.bin").read_bytes() == noise(5_000)
                assert run.dataset is not None
                assert run.dataset.downloaded == ("a.bin",)
                assert run.version is None
                output.mkdir()
                for step in (10, 20, 30):
                    (output / "weights").write_bytes(noise(3_000, step))
                    (output / "run.sh").write_bytes(b"#!")
                    (output / "run.sh").chmod(0o700)
                    await run.checkpoint(output, step=step)
                facts["loss"] = 0.5
        assert run.version is not None
        assert (run.version.version, run.version.metadata) == ("v1", {"loss": 0.5})
        await manager.restore_model("m", tmp_path / "restored")
        assert (tmp_path / "restored" / "weights").read_bytes() == noise(3_000, 30)

        found = await manager.list_checkpoints("m")
        assert [(one.run, one.step, one.kind, one.size) for one in found] == [
            (run.id, 20, "directory", 3_002),
            (run.id, 30, "directory", 3_002),
        ]
        keys = await provider.list_files(f"models/m/checkpoints/{run.id}/")
        assert [key.rpartition(f"{run.id}/")[2] for key in keys] == [
            "step-0000000020.json",
            "step-0000000020/run.sh",
            "step-0000000020/weights",
            "step-0000000030.json",
            "step-0000000030/run.sh",
            "step-0000000030/weights",
        ]
        target = tmp_path / "target"
        target.mkdir()
        (target / "old").write_bytes(b"old")
        assert await manager.restore_checkpoint("m", target, step=20) == found[0]
        assert (target / "weights").read_bytes() == noise(3_000, 20)
        assert os.access(target / "run.sh", os.X_OK)
        assert not (target / "old").exists()
        assert hidden(tmp_path) == []

        text = caplog.text
        for said in (
            f"{run.id}: begins; dataset d is in step in {data}: files downloaded: 1 (5000 bytes), removed: 0",
            "checkpoint of step 30 is complete: files: 2, bytes: 3002",
            "checkpoint of step 10 was removed",
            "succeeded; m is version v1",
        ):
            assert said in text

    async def test_a_run_that_is_continued(self, provider: StorageProvider, tmp_path: Path) -> None:
        """After a failure, a new run finds the newest checkpoint of the one before, and goes on from its step."""
        manager, state = RunMethods(provider), tmp_path / "state.pt"

        async def train(until_step: int) -> None:
            async with manager.training_run(model="m", output=state) as run:
                latest = await run.latest_checkpoint()
                first = 0
                if latest is not None:
                    await manager.restore_checkpoint("m", state, run=latest.run, step=latest.step)
                    first = int(state.read_bytes())
                for step in range(first + 1, 10):
                    state.write_bytes(b"%d" % step)
                    await run.checkpoint(state, step=step)
                    if step == until_step:
                        raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await train(4)
        assert await manager.list_models() == []
        state.unlink()
        await train(10)
        assert await manager.list_model_versions("m") != []
        assert steps_of(await manager.list_checkpoints("m")) == [2, 3, 4, 7, 8, 9]
        runs = {one.run for one in await manager.list_checkpoints("m")}
        assert len(runs) == 2
        restored = await manager.restore_checkpoint("m", tmp_path / "again")
        assert restored.step == 9
        assert (tmp_path / "again").read_bytes() == b"9"


async def test_the_storage_manager_has_it_below_its_own_root(state: Path) -> None:
    """`StorageManager` has the methods of runs and of the cache, and keeps checkpoints below its prefix of models."""
    manager = StorageManager(MemoryProvider(), models="trained/here")
    async with manager.training_run(model="m", output=state) as run:
        await run.checkpoint(state, step=1)
    key = f"trained/here/m/checkpoints/{run.id}/step-0000000001/state.pt"
    assert key in await manager.provider.list_files("trained/here/m/checkpoints/")
    assert content(await manager.cached(key, cache_dir=state.with_name("cache"), max_bytes=100)) == b"first"


class Scalar:
    """A number as numpy and torch have it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        """Return the Python number, or refuse, as an array of several numbers does."""
        if self._value is None:
            raise ValueError
        return self._value

    def __str__(self) -> str:
        """Return what a training prints."""
        return f"Scalar({self._value})"


class Unprintable:
    """A value whose `str` fails."""

    def __str__(self) -> str:
        """Refuse."""
        raise RuntimeError


class TestMetadataAfterTraining:
    """Odd metadata does not cost the backup."""

    async def test_values_that_json_does_not_have(self, state: Path, caplog: pytest.LogCaptureFixture) -> None:
        """They are stored as numbers or texts, and the log names each of them."""
        manager, _ = managed()
        facts: dict[Any, Any] = {}
        async with manager.training_run(model="m", output=state, metadata=facts) as run:
            facts |= {"loss": float("nan"), "best": Scalar(0.5), "all": Scalar(None), "nested": [{"x": float("inf")}]}
            facts |= {"shape": (1, 2), 7: Path("x"), "fine": [1, "a", None, True]}
        assert run.version is not None
        stored = (await manager.model_info("m")).metadata
        assert stored == {
            "loss": "nan",
            "best": 0.5,
            "all": "Scalar(None)",
            "nested": [{"x": "inf"}],
            "shape": [1, 2],
            "7": "x",
            "fine": [1, "a", None, True],
        }
        warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert [name for name in facts if any(f"metadata[{name!r}]" in line for line in warned)] == [
            "loss",
            "best",
            "all",
            "nested",
            "shape",
            7,
        ]

    @pytest.mark.parametrize("value", ["x" * 70_000, Unprintable()])
    async def test_metadata_that_cannot_be_stored(
        self, state: Path, value: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The model is backed up without it, and the log says so."""
        manager, _ = managed()
        facts: dict[str, Any] = {}
        async with manager.training_run(model="m", output=state, metadata=facts) as run:
            facts["large"] = value
        assert run.version is not None
        assert run.version.metadata == {}
        assert "without its metadata" in caplog.text

    async def test_a_failed_backup_says_where_the_model_is(self, state: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The error has a note with what to call, and the log says that the run has ended."""
        manager, _ = managed()
        output = state.parent / "nothing"
        with pytest.raises(LocalFileNotFoundError) as caught:
            async with manager.training_run(model="m", output=output) as run:
                await run.checkpoint(state, step=1)
        [note] = caught.value.__notes__
        assert f"all files are left as they are; call backup_model({str(output)!r}, 'm')" in note
        assert "ended; the training succeeded, but the backup of" in caplog.text
        assert steps_of(await manager.list_checkpoints("m")) == [1]


class TestArguments:
    """What is refused before anything is done."""

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({}, "dataset"),
            ({"dataset": "d"}, "local_dir"),
            ({"local_dir": "x"}, "dataset"),
            ({"output": "x", "dataset": "d", "local_dir": "x"}, "model"),
            ({"model": "m", "metadata": {}}, "output"),
            ({"model": "a/b"}, "model name"),
            ({"dataset": "a/b", "local_dir": "x"}, "dataset name"),
            ({"model": "m", "output": ""}, "path"),
            ({"model": "m", "output": "x", "metadata": {"a": object()}}, "metadata"),
            ({"model": "m", "output": "x", "dataset": "d", "local_dir": "x/../x"}, "same directory"),
            ({"model": "m", "keep_checkpoints": 0}, "keep_checkpoints"),
            ({"model": "m", "keep_checkpoints": True}, "keep_checkpoints"),
        ],
    )
    async def test_bad_arguments(self, arguments: dict[str, Any], named: str) -> None:
        """A mistake is found before the training, not after it: the block does not run, and nothing is requested."""
        manager, provider = managed()
        with pytest.raises(StorageError, match=named) as caught:
            async with manager.training_run(**arguments):
                pytest.fail("the block must not run")
        assert caught.value.operation == "training_run"
        assert provider.calls == {}

    async def test_a_missing_dataset(self, tmp_path: Path) -> None:
        """If the dataset cannot be brought in step, the block does not run."""
        manager, _ = managed()
        with pytest.raises(NotFoundError):
            async with manager.training_run(dataset="d", local_dir=tmp_path / "data"):
                pytest.fail("the block must not run")

    async def test_steps_must_rise(self, state: Path) -> None:
        """A step that is no number, or not higher than the last one, is refused, and the run goes on."""
        manager, _ = managed()
        async with manager.training_run(model="m") as run:
            await run.checkpoint(state, step=5)
            for step in (5, 4, -1, 10**10, True, 6.0):
                with pytest.raises(InvalidRequestError, match="step"):
                    await run.checkpoint(state, step=step)
            await run.checkpoint(state, step=6)
        assert steps_of(await manager.list_checkpoints("m")) == [5, 6]

    async def test_checkpoints_need_a_model_and_an_open_run(self, state: Path, tmp_path: Path) -> None:
        """Without a model, and after the block, `checkpoint` says what is wrong."""
        manager, _ = managed()
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "a").write_bytes(b"a")
        await manager.upload_dataset("d", tmp_path / "source")
        async with manager.training_run(dataset="d", local_dir=tmp_path / "data") as run:
            with pytest.raises(InvalidRequestError, match="model"):
                await run.checkpoint(state, step=1)
        async with manager.training_run(model="m") as run:
            pass
        with pytest.raises(InvalidRequestError, match="has ended"):
            await run.checkpoint(state, step=1)
        assert hidden(tmp_path) == []

    async def test_a_missing_file(self, state: Path) -> None:
        """A checkpoint that does not exist is an error at once, and the next one may have the same step."""
        manager, _ = managed()
        async with manager.training_run(model="m") as run:
            with pytest.raises(LocalFileNotFoundError):
                await run.checkpoint(state.with_name("missing"), step=1)
            await run.checkpoint(state, step=1)
        assert steps_of(await manager.list_checkpoints("m")) == [1]


class TestEnds:
    """How the block ends."""

    @pytest.mark.parametrize("failure", [ValueError("bug"), KeyboardInterrupt(), asyncio.CancelledError(), denied()])
    async def test_no_backup_after_a_failure(self, state: Path, failure: BaseException) -> None:
        """The block's own error is raised unchanged; there is no version; the last checkpoint is complete."""
        release = asyncio.Event()
        manager, _ = managed(Fault(operation="put_object", nth=3, hook=release.wait))
        runs: list[TrainingRun] = []

        async def train() -> None:
            async with manager.training_run(model="m", output=state) as run:
                runs.append(run)
                await run.checkpoint(state, step=1)
                await run.checkpoint(state, step=2)
                asyncio.get_running_loop().call_soon(release.set)
                raise failure

        with pytest.raises(type(failure)) as raised:
            await train()
        assert raised.value is failure
        assert runs[0].version is None
        assert await manager.list_models() == []
        assert steps_of(await manager.list_checkpoints("m")) == [1, 2]
        assert hidden(state.parent) == []

    async def test_a_cancelled_task(self, state: Path) -> None:
        """One cancellation from outside ends the block; the last upload still comes to its end."""
        release = asyncio.Event()
        manager, provider = managed(Fault(operation="put_object", nth=1, hook=release.wait))

        async def train() -> None:
            async with manager.training_run(model="m", output=state) as run:
                await run.checkpoint(state, step=1)
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(train())
        await until(lambda: provider.calls["put_object"])
        task.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert steps_of(await manager.list_checkpoints("m")) == [1]
        assert await manager.list_models() == []

    async def test_a_second_cancellation_stops_the_last_upload(self, state: Path) -> None:
        """Cancelled again, the run ends at once: the checkpoints before stay, and no task or copy is left."""
        manager, provider = managed(Fault(operation="put_object", nth=3, hang=True))

        async def train() -> None:
            async with manager.training_run(model="m") as run:
                await run.checkpoint(state, step=1)
                await run.checkpoint(state, step=2)
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(train())
        await until(lambda: provider.calls["put_object"] == 3)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert steps_of(await manager.list_checkpoints("m")) == [1]
        assert hidden(state.parent) == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_cancelled_scope_of_anyio(self, state: Path) -> None:
        """A scope of anyio cancels repeatedly, so the last upload stops, and nothing of it is left on this machine."""
        manager, provider = managed(Fault(operation="put_object", nth=3, hang=True))
        with anyio.CancelScope() as scope:
            async with manager.training_run(model="m", output=state) as run:
                await run.checkpoint(state, step=1)
                await run.checkpoint(state, step=2)
                await until(lambda: provider.calls["put_object"] == 3)
                scope.cancel()
                await asyncio.get_running_loop().create_future()
        assert scope.cancelled_caught
        assert steps_of(await manager.list_checkpoints("m")) == [1]
        assert hidden(state.parent) == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_failure_and_a_cancellation_afterwards(self, state: Path) -> None:
        """A cancellation during the wait for the last upload is obeyed, and its cause is the block's own error."""
        manager, provider = managed(Fault(operation="put_object", nth=1, hang=True))
        bug = ValueError("bug")

        async def train() -> None:
            async with manager.training_run(model="m", output=state) as run:
                await run.checkpoint(state, step=1)
                raise bug

        task = asyncio.create_task(train())
        await until(lambda: provider.calls["put_object"])
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert raised.value.__cause__ is bug

    async def test_a_timeout_around_the_run(self, state: Path) -> None:
        """A timeout of the caller is a `TimeoutError`, as without the run."""
        manager, _ = managed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), manager.training_run(model="m", output=state):
                await asyncio.get_running_loop().create_future()
        assert await manager.list_models() == []

    async def test_a_failed_last_upload_after_success(self, state: Path) -> None:
        """The model is backed up, and then the error of the checkpoint is raised, with a note of the version."""
        manager, _ = managed(Fault(operation="put_object", nth=1, error=denied()))
        with pytest.raises(AccessDeniedError) as raised:
            async with manager.training_run(model="m", output=state) as run:
                await run.checkpoint(state, step=1)
        assert run.version is not None
        assert run.version.version == "v1"
        notes = " ".join(raised.value.__notes__)
        assert "step 1" in notes
        assert "'v1'" in notes
        assert await manager.list_checkpoints("m") == []

    async def test_a_failed_last_upload_after_a_failure(self, state: Path) -> None:
        """The block's own error is raised; a note says that the last checkpoint is missing."""
        manager, _ = managed(Fault(operation="put_object", nth=1, error=denied()))

        async def train() -> None:
            async with manager.training_run(model="m", output=state) as run:
                await run.checkpoint(state, step=1)
                message = "bug"
                raise ValueError(message)

        with pytest.raises(ValueError, match="bug") as raised:
            await train()
        assert "the last checkpoint was not uploaded: no" in raised.value.__notes__[0]

    async def test_a_failed_backup_and_a_failed_upload(self, state: Path) -> None:
        """The error of the backup is raised; a note says that the last checkpoint is missing, too."""
        manager, _ = managed(Fault(operation="put_object", nth=1, error=denied()))
        with pytest.raises(LocalFileNotFoundError) as raised:
            async with manager.training_run(model="m", output=state.with_name("missing")) as run:
                await run.checkpoint(state, step=1)
        assert "the last checkpoint was not uploaded" in raised.value.__notes__[1]
        assert run.version is None


class TestCheckpoints:
    """Checkpoints during the block."""

    async def test_the_training_goes_on_meanwhile(self, state: Path) -> None:
        """`checkpoint` returns before the upload; what the training writes then is not in the checkpoint."""
        release = asyncio.Event()
        manager, _ = managed(Fault(operation="put_object", nth=1, hook=release.wait))
        async with manager.training_run(model="m") as run:
            await run.checkpoint(state, step=1)
            assert run.newest is None
            write(state, b"second")
            release.set()
        await manager.restore_checkpoint("m", state)
        assert content(state) == b"first"

    async def test_back_pressure(self, state: Path) -> None:
        """While an upload runs, the next `checkpoint` waits; cancelling it does not cancel the upload."""
        release = asyncio.Event()
        manager, _ = managed(Fault(operation="put_object", nth=1, hook=release.wait))
        async with manager.training_run(model="m") as run:
            await run.checkpoint(state, step=1)
            waiting = [asyncio.create_task(run.checkpoint(state, step=step)) for step in (2, 3)]
            for _ in range(50):
                await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            assert len(hidden(state.parent)) == 1
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            release.set()
            await waiting[1]
        assert steps_of(await manager.list_checkpoints("m")) == [1, 3]

    async def test_the_manifest_comes_last(self, tmp_path: Path) -> None:
        """Until all files are stored there is no checkpoint, also if the process is killed then."""
        directory = tmp_path / "state"
        directory.mkdir()
        for name in "abc":
            (directory / name).write_bytes(name.encode())
        manager, provider = managed(Fault(operation="put_object", nth=4, hang=True))

        async def train() -> None:
            async with manager.training_run(model="m") as run:
                await run.checkpoint(directory, step=1)

        task = asyncio.create_task(train())
        await until(lambda: provider.calls["put_object"] == 4)
        assert len(await provider.list_files("models/m/checkpoints/")) == 3
        assert await manager.list_checkpoints("m") == []
        with pytest.raises(NotFoundError, match="no complete checkpoint"):
            await manager.restore_checkpoint("m", tmp_path / "target")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_old_ones_are_removed_after_a_new_one_is_complete(self, state: Path) -> None:
        """At no time are there fewer complete checkpoints than asked for, and at the end there are exactly so many."""
        manager, provider = managed()
        async with manager.training_run(model="m", keep_checkpoints=2) as run:
            for step in range(1, 7):
                await run.checkpoint(state, step=step)
                complete = [key for key in await provider.list_files() if key.endswith(".json")]
                assert len(complete) >= min(step - 1, 2)
        assert steps_of(await manager.list_checkpoints("m")) == [5, 6]
        assert len(await provider.list_files("models/m/checkpoints/")) == 4

    async def test_a_failed_upload(self, state: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The next call raises the error once; the complete checkpoint stays; what the failed one left is removed."""
        manager, provider = managed(Fault(operation="put_object", nth=4, error=denied()))
        async with manager.training_run(model="m", keep_checkpoints=1) as run:
            await run.checkpoint(state, step=1)
            await run.checkpoint(state, step=2)  # its manifest fails
            with pytest.raises(AccessDeniedError) as raised:
                await run.checkpoint(state, step=3)
            assert raised.value.operation is not None
            assert steps_of(await manager.list_checkpoints("m")) == [1]
            assert len(await provider.list_files("models/m/checkpoints/")) == 3
            await run.checkpoint(state, step=3)
        assert steps_of(await manager.list_checkpoints("m")) == [3]
        assert len(await provider.list_files("models/m/checkpoints/")) == 2
        assert "the checkpoint of step 2 was not uploaded" in caplog.text

    @pytest.mark.parametrize("operation", ["delete", "delete_batch"])
    async def test_a_removal_that_fails(self, state: Path, caplog: pytest.LogCaptureFixture, operation: str) -> None:
        """An old checkpoint that cannot be removed is no failure of the new one; the next one removes it."""
        manager, provider = managed(Fault(operation=operation, nth=1, error=denied()))
        async with manager.training_run(model="m", keep_checkpoints=1) as run:
            await run.checkpoint(state, step=1)
            await run.checkpoint(state, step=2)
            await until(lambda: "was not removed" in caplog.text)
            # The manifest is removed first, so that no checkpoint without files is seen.
            assert steps_of(await manager.list_checkpoints("m")) == ([1, 2] if operation == "delete" else [2])
            await run.checkpoint(state, step=3)
        assert steps_of(await manager.list_checkpoints("m")) == [3]
        assert len(await provider.list_files("models/m/checkpoints/")) == 2
        assert "the checkpoint of step 1 was not removed" in caplog.text

    async def test_an_error_of_another_kind(self, state: Path) -> None:
        """Also an error that is not of this package does not stop the training, and is raised by the next call."""
        manager, _ = managed(Fault(operation="put_object", nth=1, error=ZeroDivisionError()))
        async with manager.training_run(model="m") as run:
            await run.checkpoint(state, step=1)
            for _ in range(100):
                await asyncio.sleep(0)
            with pytest.raises(ZeroDivisionError):
                await run.checkpoint(state, step=2)

    def test_a_file_that_changes_while_it_is_copied(self, tmp_path: Path) -> None:
        """A file that is written during the copy is an error, not half a checkpoint; the copy is removed."""
        directory = tmp_path / "state"
        directory.mkdir()
        for name in "ab":
            (directory / name).write_bytes(b"first")
        snapshot = Snapshot(str(directory))
        steps = snapshot.take()
        next(steps)
        (directory / "b").write_bytes(b"other")
        with pytest.raises(IntegrityError, match="changed while it was copied"):
            for _ in steps:
                pass
        snapshot.discard()
        assert hidden(tmp_path) == []

    async def test_large_files_in_parts(self, tmp_path: Path) -> None:
        """A checkpoint uses the transfer manager: large files go in parts, and come back the same."""
        provider = FaultyProvider(MemoryProvider())
        manager = RunMethods(provider, transfer=SMALL_PARTS)
        state = tmp_path / "state"
        state.write_bytes(noise(20_000))
        async with manager.training_run(model="m") as run:
            await run.checkpoint(state, step=0)
        assert provider.calls["put_part"] == 5
        await manager.restore_checkpoint("m", tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == noise(20_000)


async def with_checkpoints(manager: RunMethods, state: Path, *steps: int) -> TrainingRun:
    """Make a run with checkpoints, each with its step as the content."""
    async with manager.training_run(model="m") as run:
        for step in steps:
            write(state, b"%d" % step)
            await run.checkpoint(state, step=step)
    return run


class TestRestore:
    """`list_checkpoints`, `restore_checkpoint`, `delete_checkpoints`."""

    async def test_by_run_and_step(self, state: Path, tmp_path: Path) -> None:
        """A run, a step or both choose the checkpoint; of several the newest is taken."""
        manager, _ = managed()
        first = await with_checkpoints(manager, state, 1, 2, 3)
        second = await with_checkpoints(manager, state, 2, 4)
        target = tmp_path / "target"
        for chosen, run, step in (
            ({"run": first.id}, first.id, 3),
            ({"run": first.id, "step": 2}, first.id, 2),
            ({"step": 2}, second.id, 2),
            ({}, second.id, 4),
        ):
            restored = await manager.restore_checkpoint("m", target, **chosen)
            assert (restored.run, restored.step) == (run, step)
            assert target.read_bytes() == b"%d" % step
        assert steps_of(await manager.list_checkpoints("m", run=first.id)) == [1, 2, 3]

    @pytest.mark.parametrize("chosen", [{"step": 7}, {"run": "other"}, {"run": "other", "step": 1}])
    async def test_no_such_checkpoint(self, state: Path, tmp_path: Path, chosen: dict[str, Any]) -> None:
        """The error says what was looked for."""
        manager, _ = managed()
        await with_checkpoints(manager, state, 1)
        with pytest.raises(NotFoundError, match=str([*chosen.values()][-1])):
            await manager.restore_checkpoint("m", tmp_path / "target", **chosen)
        with pytest.raises(NotFoundError):
            await manager.restore_checkpoint("no-model", tmp_path / "target")
        assert await manager.list_checkpoints("no-model") == []

    @pytest.mark.parametrize("damage", [b"other", b"longer than before", None])
    async def test_damage(self, state: Path, tmp_path: Path, damage: bytes | None) -> None:
        """A file whose bytes differ, or that is missing, is an error; the target stays as it was."""
        manager, provider = managed()
        run = await with_checkpoints(manager, state, 10_000)
        key = f"models/m/checkpoints/{run.id}/step-0000010000/state.pt"
        assert await provider.get(key) == b"10000"
        if damage is None:
            await provider.delete(key)
        else:
            await provider.put(key, damage)
        target = tmp_path / "target"
        target.write_bytes(b"old")
        with pytest.raises(NotFoundError if damage is None else IntegrityError, match=r"state\.pt"):
            await manager.restore_checkpoint("m", target)
        assert target.read_bytes() == b"old"
        assert hidden(tmp_path) == []

    async def test_a_manifest_that_was_changed(self, state: Path, tmp_path: Path) -> None:
        """A manifest that was edited, or copied to another step, is refused."""
        manager, provider = managed()
        run = await with_checkpoints(manager, state, 1)
        base = f"models/m/checkpoints/{run.id}"
        manifest = await provider.get(f"{base}/step-0000000001.json")
        await provider.put(f"{base}/step-0000000002.json", manifest)
        with pytest.raises(IntegrityError, match="step"):
            await manager.restore_checkpoint("m", tmp_path / "target")
        await provider.put(f"{base}/step-0000000002.json", manifest.replace(b'"step":1', b'"step":2'))
        with pytest.raises(IntegrityError, match="digest"):
            await manager.list_checkpoints("m")

    async def test_a_target_of_another_kind(self, state: Path, tmp_path: Path) -> None:
        """A checkpoint of one file does not replace a directory."""
        manager, _ = managed()
        await with_checkpoints(manager, state, 1)
        with pytest.raises(LocalIsADirectoryError):
            await manager.restore_checkpoint("m", tmp_path)

    async def test_removed_while_it_is_restored(self, state: Path, tmp_path: Path) -> None:
        """If a running training removes the checkpoint meanwhile, the newest one of then is restored."""
        memory = MemoryProvider()
        run = await with_checkpoints(RunMethods(memory), state, 1)

        async def newer() -> None:
            await with_checkpoints(RunMethods(memory), state, 2)
            await RunMethods(memory).delete_checkpoints("m", run=run.id)

        provider = FaultyProvider(memory, (Fault(operation="open_body", nth=2, hook=newer),))
        restored = await RunMethods(provider).restore_checkpoint("m", tmp_path / "target")
        assert restored.step == 2
        assert (tmp_path / "target").read_bytes() == b"2"

    async def test_delete(self, state: Path) -> None:
        """All checkpoints of one run are removed, with what an unfinished one left; other runs keep theirs."""
        manager, provider = managed()
        first = await with_checkpoints(manager, state, 1, 2)
        await with_checkpoints(manager, state, 3)
        await provider.put(f"models/m/checkpoints/{first.id}/step-0000000009/state.pt", b"unfinished")
        assert await manager.delete_checkpoints("m", run=first.id) == 2
        assert steps_of(await manager.list_checkpoints("m")) == [3]
        assert await provider.list_files(f"models/m/checkpoints/{first.id}/") == []
        assert await manager.delete_checkpoints("m", run=first.id) == 0


TRAINING = """
import asyncio, sys
from bucketry import LocalProvider
from bucketry._manage.run.methods import RunMethods

class Halting(LocalProvider):
    async def put_object(self, key, body, options):
        if "step-0000000002" in key:
            print("halted", flush=True)
            await asyncio.get_running_loop().create_future()
        return await super().put_object(key, body, options)

async def main():
    async with RunMethods(Halting({"base_path": sys.argv[1]})).training_run(model="m", keep_checkpoints=1) as run:
        for step in (1, 2):
            with open(sys.argv[2], "w") as file:
                file.write(str(step))
            await run.checkpoint(sys.argv[2], step=step)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


def killed_during_the_second_checkpoint(base: Path, state: Path) -> None:
    """Train in a process, and kill it while it uploads the second checkpoint."""
    command = [sys.executable, "-c", TRAINING, str(base), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"halted\n"
        process.kill()


@pytest.mark.slow
async def test_a_killed_training(tmp_path: Path) -> None:
    """After SIGKILL the complete checkpoint is there to continue from, and the next run removes the local leftovers."""
    state = tmp_path / "state"
    killed_during_the_second_checkpoint(tmp_path / "base", state)
    manager = RunMethods(LocalProvider({"base_path": tmp_path / "base"}))
    assert steps_of(await manager.list_checkpoints("m")) == [1]
    assert len(hidden(tmp_path)) == 1
    await manager.restore_checkpoint("m", state)
    assert state.read_bytes() == b"1"
    await with_checkpoints(manager, state, 2)
    assert hidden(tmp_path) == []
    assert steps_of(await manager.list_checkpoints("m")) == [1, 2]
