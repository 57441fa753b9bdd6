"""A state machine drives sync in both directions, with changes on both sides meanwhile and with failed requests.

Every written file has bytes and a time of its own, so equal bytes mean the same version. A normal run tries 80
examples; `HYPOTHESIS_PROFILE=nightly` tries 4,000, and `SYNC_EXAMPLES` in the environment sets another number.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bucketry import MemoryProvider
from bucketry._core.mtimes import mtime_text
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.values import SyncAction, SyncReport
from bucketry.errors import AccessDeniedError, ConnectionFailedError
from bucketry.testing import Fault, FaultyProvider
from tests.amounts import examples
from tests.manage.syncing import LONG_AGO, PART, SMALL_PARTS, actions_of

EXAMPLES = int(os.environ.get("SYNC_EXAMPLES") or examples(200, nightly=5_000))

Side = Literal["local", "remote"]
Files = dict[str, bytes]

paths = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e/a", "é"])
sizes = st.sampled_from([10, 10, 11, PART + 1])
sides = st.sampled_from(["local", "remote"])


@dataclass(frozen=True)
class Change:
    """A change of one side by somebody else; without a size, the path is removed."""

    side: Side
    path: str
    size: int | None


@dataclass(frozen=True)
class Failure:
    """A request that fails; `late`: after it was done, as if its answer was lost."""

    operation: str
    nth: int
    late: bool


changes = st.builds(Change, sides, paths, st.none() | sizes)
some = st.dictionaries(paths, sizes, max_size=3)
failures = st.builds(
    Failure,
    st.sampled_from(["put_object", "complete_multipart", "open_body", "fetch_range", "delete_batch", "head"]),
    st.integers(1, 3),
    st.booleans(),
)


class SyncMachine(RuleBasedStateMachine):
    """A directory and a provider; `seen` is a model of both in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp(prefix="sync-machine-"))
        self.memory = MemoryProvider(transfer=SMALL_PARTS)
        self.seen: dict[Side, Files] = {"local": {}, "remote": {}}
        self.versions = 0

    def teardown(self) -> None:
        """Remove everything."""
        self.runner.close()
        shutil.rmtree(self.directory)

    @initialize(both=some, local=some, remote=some)
    def begin(self, both: dict[str, int], local: dict[str, int], remote: dict[str, int]) -> None:
        """Begin with entries that are in step, and with some that only one side has."""

        async def fill() -> None:
            for path, size in both.items():
                await self._change(Change("local", path, size))
            await self._sync("upload", self.memory, delete=False)
            for side, files in (("local", local), ("remote", remote)):
                for path, size in files.items():
                    await self._change(Change(side, path, size))

        self.runner.run(fill())

    @rule(change=changes)
    def change(self, change: Change) -> None:
        """Write or remove a file or an object."""
        self.runner.run(self._change(change))

    @rule(direction=st.sampled_from(["upload", "download"]), delete=st.booleans())
    def sync(self, direction: Literal["upload", "download"], delete: bool) -> None:
        """Sync without interference: afterwards the sides are equal, and another sync has nothing to do."""
        self.runner.run(self._undisturbed(direction, delete=delete))

    @rule(
        direction=st.sampled_from(["upload", "download"]),
        delete=st.booleans(),
        before=st.lists(changes, min_size=1, max_size=4),
    )
    def stale(self, direction: Literal["upload", "download"], delete: bool, before: list[Change]) -> None:
        """Apply a plan after changes on both sides."""
        self.runner.run(self._disturbed(direction, before, [], [], delete=delete))

    @rule(
        direction=st.sampled_from(["upload", "download"]),
        delete=st.booleans(),
        before=st.lists(changes, max_size=3),
        meanwhile=st.lists(st.tuples(st.integers(1, 4), changes), max_size=2),
        failing=st.lists(failures, max_size=2, unique_by=lambda failure: (failure.operation, failure.nth)),
    )
    def disturbed(
        self,
        direction: Literal["upload", "download"],
        delete: bool,
        before: list[Change],
        meanwhile: list[tuple[int, Change]],
        failing: list[Failure],
    ) -> None:
        """Sync with changes after the plan and during the transfers, and with requests that fail."""
        self.runner.run(self._disturbed(direction, before, meanwhile, failing, delete=delete))

    async def _undisturbed(self, direction: Literal["upload", "download"], *, delete: bool) -> None:
        source, target = _sides(direction)
        before = {side: dict(files) for side, files in self.seen.items()}
        report, actions = await self._sync(direction, self.memory, delete=delete)
        wanted = before[source] if delete else before[target] | before[source]
        if direction == "download" and not _is_tree(wanted):
            self._check_losses(before, before, {}, direction, actions)
            return
        assert self.seen[target] == wanted
        assert (dict(report.failed), dict(report.changed), report.deletions_withheld) == ({}, {}, False)
        assert report.transferred == len([action for action in actions if action.kind == direction])
        assert report.deleted == len([action for action in actions if action.kind == "delete"])
        again, _ = await self._sync(direction, self.memory, delete=delete)
        assert (again.plan.transfers, again.plan.deletions) == (0, 0)

    async def _disturbed(
        self,
        direction: Literal["upload", "download"],
        before: list[Change],
        meanwhile: list[tuple[int, Change]],
        failing: list[Failure],
        *,
        delete: bool,
    ) -> None:
        source, target = _sides(direction)
        planned = {side: dict(files) for side, files in self.seen.items()}
        written: dict[Side, dict[str, bytes | None]] = {"local": {}, "remote": {}}

        async def prepare() -> None:
            for change in before:
                await self._change(change)

        def hook(change: Change) -> Callable[[], Awaitable[object]]:
            async def make() -> None:
                await self._read()  # what the sync did so far
                was = dict(self.seen[change.side])
                await self._change(change)
                now = self.seen[change.side]
                for path in {*was, *now}:
                    if was.get(path) != now.get(path):
                        written[change.side][path] = now.get(path)

            return make

        body = "put_object" if direction == "upload" else "open_body"
        faults = [Fault(operation=body, nth=nth, hook=hook(change)) for nth, change in meanwhile]
        for failure in failing:
            error = ConnectionFailedError("lost") if failure.late else AccessDeniedError("no")
            faults.append(Fault(operation=failure.operation, nth=failure.nth, error=error, after=failure.late))
        provider = FaultyProvider(self.memory, tuple(faults))
        changed: dict[Side, Files] = {}

        async def started() -> None:
            await prepare()
            changed.update({side: dict(files) for side, files in self.seen.items()})

        # One transfer at a time: a change must not come between the check of a file and its rename.
        width = 1 if meanwhile else 3
        report, actions = await self._sync(direction, provider, delete=delete, between=started, width=width)
        assert self.seen[source] == _with(changed[source], written[source])
        self._check_losses(planned, changed, written[target], direction, actions)
        self._check_report(report, actions)

    def _check_losses(
        self,
        planned: dict[Side, Files],
        changed: dict[Side, Files],
        written: dict[str, bytes | None],
        direction: Literal["upload", "download"],
        actions: list[SyncAction],
    ) -> None:
        """Check that nothing is lost that the plan did not name, and that nothing else appears.

        Args:
            planned: Both sides when the plan was made.
            changed: Both sides when it began to be applied.
            written: What others wrote to the target meanwhile.
            direction: From where to where.
            actions: The plan.
        """
        source, target = _sides(direction)
        expected = _with(changed[target], written)
        named = {action.path: action.kind for action in actions}
        for path in {*expected, *self.seen[target]}:
            theirs, now = expected.get(path), self.seen[target].get(path)
            if now == theirs:
                continue
            assert theirs == planned[target].get(path), f"{path}: a version that the plan did not see is lost"
            wanted = None if named[path] == "delete" else planned[source][path]
            assert now == wanted, f"{path}: is neither the old version nor the one that the plan saw"

    def _check_report(self, report: SyncReport, actions: list[SyncAction]) -> None:
        """Check that every action has one outcome, and that no entry is removed if a transfer did not succeed."""
        transfers = {action.path for action in actions if action.kind not in ("delete", "skip")}
        deletions = {action.path for action in actions if action.kind == "delete"}
        problems = {*report.failed, *report.changed}
        outcomes = report.transferred + report.deleted + report.already_done + len(problems)
        withheld = len(transfers) + len(deletions) - outcomes
        assert (withheld > 0) is report.deletions_withheld
        if problems & transfers:
            in_the_way = {path for path in deletions if _in_the_way(path, transfers)}
            assert deletions - in_the_way == set() or report.deletions_withheld
            assert report.deleted <= len(in_the_way)
        assert problems or not withheld

    async def _sync(
        self,
        direction: Literal["upload", "download"],
        provider: MemoryProvider | FaultyProvider,
        *,
        delete: bool,
        between: Callable[[], Awaitable[object]] | None = None,
        width: int = 3,
    ) -> tuple[SyncReport, list[SyncAction]]:
        config = replace(SMALL_PARTS, max_concurrency=width, max_attempts=2)
        plan = await ApplyMethods(self.memory, transfer=config).plan_sync(
            self.directory, "p", direction=direction, delete=delete, force=True
        )
        if between is not None:
            await between()
        report = await ApplyMethods(provider, transfer=config).apply(plan)
        await self._read()
        assert not list(self.directory.rglob(".bucketry-*"))
        assert await self.memory.list_multiparts() == ()
        return report, await actions_of(plan)

    async def _change(self, change: Change) -> None:
        self.versions += 1
        data = None
        if change.size is not None:
            data = f"{self.versions:010}".encode().ljust(change.size, b".")
        mtime = LONG_AGO + self.versions * 1_000_000_000
        if change.side == "local":
            self._write(self.directory / change.path, data, mtime)
        elif data is None:
            await self.memory.delete(f"p/{change.path}")
        else:
            for path in _in_the_way(change.path, self.seen["remote"]):
                await self.memory.delete(f"p/{path}")
            await self.memory.put(f"p/{change.path}", data, metadata={"mtime": mtime_text(mtime)})
        await self._read()

    def _write(self, file: Path, data: bytes | None, mtime: int) -> None:
        if data is None:
            if file.is_file():
                file.unlink()
            return
        for parent in reversed(file.parents):
            if parent.is_file():
                parent.unlink()
        if file.is_dir():
            shutil.rmtree(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, ns=(mtime, mtime))

    async def _read(self) -> None:
        """Bring the model in step with both sides."""
        files = [file for file in self.directory.rglob("*") if file.is_file() and not file.name.startswith(".bucketry")]
        self.seen["local"] = {str(file.relative_to(self.directory)): file.read_bytes() for file in files}
        keys = await self.memory.list_files("p/")
        self.seen["remote"] = {key.removeprefix("p/"): await self.memory.get(key) for key in keys}


def _sides(direction: Literal["upload", "download"]) -> tuple[Side, Side]:
    return ("local", "remote") if direction == "upload" else ("remote", "local")


def _with(files: Files, written: dict[str, bytes | None]) -> Files:
    return {path: data for path, data in {**files, **written}.items() if data is not None}


def _in_the_way(path: str, files: Iterable[str]) -> list[str]:
    return [other for other in files if path.startswith(f"{other}/") or other.startswith(f"{path}/")]


def _is_tree(files: Files) -> bool:
    """Tell whether no path is both a file and a directory."""
    return not any(_in_the_way(path, files) for path in files)


TestSync = SyncMachine.TestCase
TestSync.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestSync.pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + EXAMPLES)]
