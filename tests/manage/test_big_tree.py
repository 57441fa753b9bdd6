"""A tree of many files with difficult names goes up to a server, to another bucket, and down again, byte-identical.

Normally it has 400 files; with the Hypothesis profile `nightly` it has 20,000 files and 3 GiB.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

import bucketry
from bucketry import StorageManager, TransferConfig
from bucketry._core.units import MiB
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import Direction, PlanSummary
from bucketry._transfer.listing import every_object
from bucketry.providers import S3Provider
from bucketry.providers.provider import StorageProvider
from bucketry.testing import FaultyProvider
from tests.contract import servers
from tests.manage.trees import FULL, Edits, edit_tree, files_below, times_of, tree_of, write_tree

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
FILES, TOTAL = FULL if NIGHTLY else (400, 20 * MiB)
CHANGED, REMOVED, RENAMED = (200, 50, 50) if NIGHTLY else (40, 10, 10)
PAGES = -(-FILES // 1_000)  # requests for a listing
PARTS = TransferConfig(part_size=5 * MiB, multipart_threshold=5 * MiB)
"""The largest file of the small tree goes in parts, too."""

pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(3_600 if NIGHTLY else 60)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write the tree that all tests read, and none changes; remove it at the end."""
    root = tmp_path_factory.mktemp("tree") / "source"
    write_tree(root, FILES, TOTAL)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """Give the test's directory, and empty it at the end: pytest would keep up to 9 GiB of each test."""
    yield tmp_path
    for each in tmp_path.iterdir():
        shutil.rmtree(each)


@pytest.fixture
def server(room: Path) -> Iterator[servers.S3Server]:
    """Run `rclone serve s3` with its objects in the test's directory."""
    place = room / "server"
    place.mkdir()
    with servers.rclone(place) as running:
        yield running


class Route:
    """The way of a tree: a directory, a bucket, another bucket, another directory; requests to the buckets are counted.

    Attributes:
        here: The directory at the beginning.
        there: The directory at the end.
        one: The first bucket.
        two: The second bucket.
    """

    def __init__(self, here: Path, there: Path, one: StorageProvider, two: StorageProvider) -> None:
        self.here = here
        self.there = there
        self.one = FaultyProvider(one)
        self.two = FaultyProvider(two)

    async def plans(self, **options: Any) -> AsyncIterator[tuple[StorageManager, SyncPlan]]:
        """Plan each step, after the one before was applied; give the step's manager, too."""
        first, second = (StorageManager(provider, transfer=PARTS) for provider in (self.one, self.two))
        yield first, await first.plan_sync(self.here, "a/tree", **options)
        yield first, await first.plan_sync_to(self.two, "a/tree", "b", **options)
        yield second, await second.plan_sync(self.there, "b", direction="download", **options)

    async def apply(self, manager: StorageManager, plan: SyncPlan) -> None:
        """Apply a plan; every action must succeed."""
        report = await manager.apply(plan, other=self.two if plan.header.direction == "copy" else None)
        report.raise_for_failures()
        found = (report.transferred, report.deleted, report.already_done, dict(report.skipped))
        assert found == (plan.summary.transfers, plan.summary.deletions, 0, {})
        assert not report.deletions_withheld

    async def sync(self, **options: Any) -> list[SyncPlan]:
        """Do all steps; give their plans."""
        done = []
        async for manager, plan in self.plans(**options):
            await self.apply(manager, plan)
            done.append(plan)
        return done

    def calls(self) -> list[dict[str, int]]:
        """Give the requests to each bucket since the last call."""
        found = [dict(provider.calls) for provider in (self.one, self.two)]
        self.one.calls.clear()
        self.two.calls.clear()
        return found

    def check(self) -> None:
        """Check that both directories have the same files with the same contents and times."""
        assert tree_of(self.there) == tree_of(self.here)
        assert times_of(self.there) == times_of(self.here)


@pytest.fixture
async def route(tree: Path, server: servers.S3Server, room: Path) -> AsyncIterator[Route]:
    """Give the route from the tree over two empty buckets of one server."""
    async with S3Provider(server.new_bucket()) as one, S3Provider(server.new_bucket()) as two:
        yield Route(tree, room / "down", one, two)


async def steps_of(plan: SyncPlan) -> list[tuple[str, str, str]]:
    """Give kind, path and reason of each action."""
    async with aclosing(aiter(plan)) as actions:
        return [(action.kind, action.path, action.reason) async for action in actions]


def expected(edits: Edits, kind: str) -> list[tuple[str, str, str]]:
    """Give the actions of a plan that brings the changes of a tree to the other side."""
    new = [(kind, path, "new") for path in edits.renamed.values()]
    changed = [(kind, path, "size") for path in edits.resized] + [(kind, path, "mtime") for path in edits.rewritten]
    gone = [("delete", path, "not in source") for path in (*edits.removed, *edits.renamed)]
    return sorted([*new, *changed, *gone], key=lambda action: action[1])


async def test_a_tree_goes_up_across_and_down(route: Route) -> None:
    """The copy at the end is byte-identical, and the second sync of each step makes only the requests of its plan."""
    plans = await route.sync()
    assert [plan.summary.transfers for plan in plans] == [FILES] * 3
    assert [plan.summary.transfer_bytes for plan in plans] == [TOTAL] * 3
    route.check()
    route.calls()
    for plan in await route.sync():
        assert replace(plan.summary, sides=()) == PlanSummary(unchanged=FILES)
    # One listing for each plan that the bucket is part of. Times of uploads are remembered, those of copies are not:
    # the second bucket answers one HEAD for each object, once.
    assert route.calls() == [{"list_page": 2 * PAGES}, {"list_page": 2 * PAGES, "head": FILES}]
    for plan in await route.sync():
        assert replace(plan.summary, sides=()) == PlanSummary(unchanged=FILES)
    assert route.calls() == [{"list_page": 2 * PAGES}] * 2


async def test_a_plan_names_exactly_what_changed(route: Route, room: Path) -> None:
    """Changed, removed and renamed files are in the plan of each step with their reasons, and nothing else is."""
    route.here = Path(shutil.copytree(route.here, room / "edited", copy_function=os.link))
    await route.sync()
    edits = edit_tree(route.here, CHANGED, REMOVED, RENAMED)
    for plan in await route.sync(delete=True):
        assert await steps_of(plan) == expected(edits, plan.header.direction)
    route.check()


async def objects_of(provider: StorageProvider, prefix: str) -> dict[str, object]:
    """Give size, etag and time of every object below a prefix, by its path."""
    async with aclosing(every_object(provider, prefix)) as listed:
        return {each.key.removeprefix(prefix): (each.size, each.etag, each.last_modified) async for each in listed}


def files_of(root: Path) -> dict[str, object]:
    """Give what changes when a file is replaced, by its path."""
    found: dict[str, object] = {}
    for path in files_below(root):
        status = (root / path).stat()
        found[path] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return found


def kill_halfway(task: dict[str, object]) -> set[str]:
    """Sync in another process, kill it when half of the files are transferred; give the paths that it had finished."""
    task |= {"after": FILES // 2}
    command = [sys.executable, str(Path(__file__).with_name("stopping.py")), json.dumps(task)]
    environ = os.environ | {"PYTHONPATH": str(Path(bucketry.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as running:
        assert running.stdout is not None
        finished = [json.loads(line) for line in takewhile(str.strip, running.stdout)]
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert len(finished) == FILES // 2
    return set(finished)


@pytest.mark.parametrize("direction", ["upload", "copy", "download"])
async def test_a_killed_sync_continues(tree: Path, server: servers.S3Server, room: Path, direction: Direction) -> None:
    """The next sync transfers only what the killed one had not finished, and ends with the same files."""
    configs = server.new_bucket(), server.new_bucket()
    async with S3Provider(configs[0]) as one, S3Provider(configs[1]) as two:
        first, second = FaultyProvider(one), FaultyProvider(two)
        manager = StorageManager(first)
        if direction != "upload":
            (await manager.sync(tree, "a/")).raise_for_failures()
        local = room / "down" if direction == "download" else tree
        finished = kill_halfway({"configs": configs, "directory": str(local), "prefix": "a/", "direction": direction})

        async def state() -> dict[str, object]:
            if direction == "download":
                return files_of(local)
            return await objects_of(one if direction == "upload" else two, "a/")

        before = await state()
        assert finished <= set(before)
        if direction == "copy":
            plan = await manager.plan_sync_to(second, "a/", "a/")
        else:
            plan = await manager.plan_sync(local, "a/", direction=direction)
        planned = {path for _, path, _ in await steps_of(plan)}
        assert not planned & finished
        assert len(planned) == FILES - plan.summary.unchanged
        first.calls.clear()
        report = await manager.apply(plan, other=second if direction == "copy" else None)
        report.raise_for_failures()
        assert report.transferred == len(planned)
        written = second if direction == "copy" else first
        writes = sum(written.calls[name] for name in ("put_object", "copy_object_from", "create_multipart"))
        assert writes == (0 if direction == "download" else len(planned))
        after = await state()
        assert {path: after[path] for path in finished} == {path: before[path] for path in finished}
    stored = room / "server" / configs[direction == "copy"]["bucket_name"] / "a"
    assert tree_of(local if direction == "download" else stored) == tree_of(tree)
