"""A plan of a sync as JSON Lines: saved, loaded, in memory or in a file, estimated, and damaged."""

from __future__ import annotations

import gc
import json
import os
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._manage.sync.saved import IN_MEMORY, PlanWriter, SyncPlan
from bucketry._manage.sync.values import EntryState, PlanHeader, PlanSummary, SyncAction
from bucketry.errors import (
    IntegrityError,
    InvalidRequestError,
    LocalFileNotFoundError,
    LocalIsADirectoryError,
    LocalNotADirectoryError,
    StorageError,
    UnsafeKeyError,
    UnsupportedError,
)

HEADER = PlanHeader(
    direction="upload",
    source="/data",
    target="s3://bucket/data/",
    prefix="data/",
    compare="checksum",
    delete=True,
    max_delete=7,
    include=("*.bin", "ü/**"),
    exclude=("!keep",),
    created=datetime(2026, 5, 4, 3, 2, 1, 12345, tzinfo=UTC),
)
ACTIONS = (
    SyncAction(kind="upload", path="a.bin", reason="new", source=EntryState(size=7, mtime=1_700_000_000_123_456_789)),
    SyncAction(
        kind="upload",
        path="b/c.bin",
        reason="size",
        source=EntryState(size=5, mtime=-1),
        target=EntryState(size=6, etag='"e"', mtime=5),
    ),
    SyncAction(kind="delete", path="d.bin", reason="not in source", target=EntryState(size=9, etag='"f"')),
    SyncAction(kind="skip", path="link\udcff/", reason="is a link"),
)


async def made(
    actions: Iterable[SyncAction], path: Path | None = None, *, header: PlanHeader = HEADER, unchanged: int = 0
) -> SyncPlan:
    """Make a plan of these actions."""
    async with PlanWriter(header, path) as writer:
        for action in actions:
            await writer.add(action)
        return await writer.finish(PlanSummary(unchanged=unchanged, requests=4))


def many(count: int) -> Iterable[SyncAction]:
    """Give uploads in the order of their paths."""
    return (
        SyncAction(kind="upload", path=f"{number:08}", reason="new", source=EntryState(size=number, mtime=number))
        for number in range(count)
    )


def open_files() -> int:
    """Count the open descriptors of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def test_a_plan_gives_its_actions_any_number_of_times() -> None:
    """A plan gives the same actions in each iteration, also in two at once, in this thread and in worker threads."""
    plan = await made(ACTIONS, unchanged=3)
    assert tuple(plan) == tuple(plan) == ACTIONS
    assert [pair[0] == pair[1] for pair in zip(plan, plan, strict=True)] == [True] * 4
    assert [action async for action in plan] == list(ACTIONS)
    assert plan.header == HEADER
    assert "2 transfers, 1 deletions, 1 skipped" in repr(plan)


async def test_the_summary_counts_the_actions() -> None:
    """The writer counts transfers, deletions and skipped entries, and keeps what it was given of the rest."""
    plan = await made(ACTIONS, unchanged=3)
    assert plan.summary == PlanSummary(
        transfers=2, transfer_bytes=12, deletions=1, deletion_bytes=9, unchanged=3, skipped=1, requests=4
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 3, 20_000])
async def test_a_saved_plan_loads_as_the_same_plan(tmp_path: Path, count: int) -> None:
    """Saving and loading keep header, summary and every action, of an empty, a small and a large plan."""
    plan = await made(many(count))
    await plan.save(tmp_path / "new" / "plan.jsonl")
    loaded = await SyncPlan.load(tmp_path / "new" / "plan.jsonl")
    assert (loaded.header, loaded.summary, list(loaded)) == (plan.header, plan.summary, list(many(count)))
    assert os.listdir(tmp_path / "new") == ["plan.jsonl"]


STATES = st.builds(
    EntryState,
    size=st.integers(0, 2**63),
    mtime=st.none() | st.integers(-(2**63), 2**63),
    etag=st.none() | st.text(),
)
PATHS = st.lists(st.text(), unique=True).map(sorted)


@pytest.mark.slow
@given(paths=PATHS, states=st.tuples(STATES, STATES | st.none()), reason=st.text())
async def test_any_path_state_and_reason_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    paths: list[str],
    states: tuple[EntryState, EntryState | None],
    reason: str,
) -> None:
    """Each text and each number of an action is the same after the file, also those that JSON must escape."""
    header = replace(HEADER, direction="copy")
    actions = [
        SyncAction(kind="copy", path=path, reason=reason, source=states[0], target=states[1]) for path in paths if path
    ]
    file = tmp_path_factory.mktemp("plan") / "plan.jsonl"
    await (await made(actions, header=header)).save(file)
    assert list(await SyncPlan.load(file)) == actions


async def test_a_small_plan_opens_no_file(tmp_path: Path) -> None:
    """A plan of less than 1 MiB is in memory, made or loaded."""
    before = open_files()
    plan = await made(many(1_000))
    await plan.save(tmp_path / "plan")
    loaded = await SyncPlan.load(tmp_path / "plan")
    assert open_files() == before
    assert loaded.summary == plan.summary


@pytest.mark.slow
async def test_a_large_plan_is_in_a_file_that_goes_with_the_plan(tmp_path: Path) -> None:
    """A plan of more than 1 MiB has one open file without a name, which is closed when the plan is removed."""
    before = open_files()
    plan = await made(many(20_000))
    await plan.save(tmp_path / "plan")
    assert (tmp_path / "plan").stat().st_size > IN_MEMORY
    loaded = await SyncPlan.load(tmp_path / "plan")
    (tmp_path / "plan").unlink()
    assert open_files() == before + 2
    assert list(loaded) == list(plan) == list(many(20_000))
    del plan, loaded
    assert open_files() == before


@pytest.mark.slow
async def test_a_plan_with_a_path_is_written_to_it(tmp_path: Path) -> None:
    """A plan that was made with a path is complete in that file, and the plan still reads it after it was removed."""
    plan = await made(many(20_000), tmp_path / "plan")
    loaded = await SyncPlan.load(tmp_path / "plan")
    assert loaded.summary == plan.summary
    (tmp_path / "plan").unlink()
    assert list(plan) == list(many(20_000))


@pytest.mark.slow
async def test_an_interrupted_plan_leaves_the_old_file(tmp_path: Path) -> None:
    """If planning fails, the named path keeps its old content, no other file is left, and no descriptor."""
    (tmp_path / "plan").write_text("old")
    before = open_files()

    def broken() -> Iterable[SyncAction]:
        yield from many(20_000)
        raise RuntimeError

    for path in (tmp_path / "plan", None):
        with pytest.raises(RuntimeError):
            await made(broken(), path)
    assert (tmp_path / "plan").read_text() == "old"
    assert os.listdir(tmp_path) == ["plan"]
    assert open_files() == before


async def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """A directory, and a path below a file, are errors before the first action is planned."""
    (tmp_path / "file").touch()
    for path, error in ((tmp_path, LocalIsADirectoryError), (tmp_path / "file" / "plan", LocalNotADirectoryError)):
        with pytest.raises(error):
            async with PlanWriter(HEADER, path):
                pytest.fail("the writer began")
        with pytest.raises(error):
            await (await made(ACTIONS)).save(path)


def test_patterns_that_no_plan_can_hold_are_refused(tmp_path: Path) -> None:
    """A header is one line, and the lines of a plan have a limit."""
    for path in (None, tmp_path / "plan"):
        with pytest.raises(InvalidRequestError, match="fewer or shorter"):
            PlanWriter(replace(HEADER, exclude=("x" * 2**20,)), path)
    assert list(tmp_path.iterdir()) == []


async def test_a_plan_does_not_pickle() -> None:
    """A plan refuses to pickle, and says what to do."""
    plan = await made(ACTIONS)
    with pytest.raises(UnsupportedError, match="save it"):
        pickle.dumps(plan)


def line(**values: object) -> str:
    """Give a line of JSON."""
    return json.dumps(values)


DELETE = line(kind="delete", path="z", reason="r", target={"size": 1})

DAMAGES: dict[str, tuple[Callable[[list[str]], list[str]], type[StorageError], str]] = {
    "empty": (lambda _: [], InvalidRequestError, "line 1"),
    "another file": (lambda _: ["hello"], InvalidRequestError, "no JSON"),
    "a list": (lambda _: ["[]"], InvalidRequestError, "no JSON object"),
    "another JSON file": (lambda lines: lines[1:], InvalidRequestError, "no plan of a sync"),
    "newer": (lambda lines: [lines[0].replace(":2", ":3", 1), *lines[1:]], UnsupportedError, "upgrade"),
    "unknown direction": (
        lambda lines: [lines[0].replace('"upload"', '"sideways"'), *lines[1:]],
        InvalidRequestError,
        "wrong kind",
    ),
    "no time zone": (lambda lines: [lines[0].replace("+00:00", ""), *lines[1:]], InvalidRequestError, "wrong kind"),
    "header without target": (
        lambda lines: [lines[0].replace('"target"', '"aim"'), *lines[1:]],
        InvalidRequestError,
        "header cannot be read",
    ),
    "relative directory": (
        lambda lines: [lines[0].replace('"source":"/', '"source":"'), *lines[1:]],
        InvalidRequestError,
        "no absolute path",
    ),
    "cut off": (lambda lines: lines[:-1], IntegrityError, "incomplete"),
    "cut off in a line": (lambda lines: [*lines[:-1], lines[-1][:-9]], InvalidRequestError, "no JSON"),
    "a line too few": (lambda lines: [*lines[:1], *lines[2:]], IntegrityError, "removed or added"),
    "a line too many": (lambda lines: [*lines[:-1], DELETE, lines[-1]], IntegrityError, "removed or added"),
    "after the summary": (lambda lines: [*lines, DELETE], InvalidRequestError, "after the summary"),
    "path outside": (
        lambda lines: [lines[0], line(kind="upload", path="../a", reason="r", source={"size": 1}), *lines[1:]],
        UnsafeKeyError,
        "no file below the local directory",
    ),
    "absolute path": (
        lambda lines: [lines[0], line(kind="upload", path="/a", reason="r", source={"size": 1}), *lines[1:]],
        UnsafeKeyError,
        "no file below the local directory",
    ),
    "path with NUL": (
        lambda lines: [lines[0], line(kind="upload", path="a\0", reason="r", source={"size": 1}), *lines[1:]],
        UnsafeKeyError,
        "no file below the local directory",
    ),
    "empty path": (
        lambda lines: [lines[0], line(kind="delete", path="", reason="r", target={"size": 1}), *lines[1:]],
        InvalidRequestError,
        "path is empty",
    ),
    "download outside": (
        lambda lines: [
            lines[0].replace('"upload"', '"download"').replace('"target":"', '"target":"/'),
            line(kind="download", path="../a", reason="r", source={"size": 1}),
        ],
        UnsafeKeyError,
        "cannot be a local path",
    ),
    "deletion outside": (
        lambda lines: [
            lines[0].replace('"upload"', '"download"').replace('"target":"', '"target":"/'),
            line(kind="delete", path="a/../../b", reason="r", target={"size": 1}),
        ],
        UnsafeKeyError,
        "no file below the local directory",
    ),
    "another kind": (
        lambda lines: [lines[0], line(kind="download", path="a", reason="r", source={"size": 1}), *lines[1:]],
        InvalidRequestError,
        "no action 'download'",
    ),
    "no path": (lambda lines: [lines[0], line(kind="upload", reason="r"), *lines[1:]], InvalidRequestError, "line 2"),
    "path of another kind": (
        lambda lines: [lines[0], line(kind="upload", path=4, reason="r", source={"size": 1}), *lines[1:]],
        InvalidRequestError,
        "line 2",
    ),
    "no source": (
        lambda lines: [lines[0], line(kind="upload", path="a", reason="r"), *lines[1:]],
        InvalidRequestError,
        "needs the state of its source",
    ),
    "no target": (
        lambda lines: [lines[0], line(kind="delete", path="a", reason="r"), *lines[1:]],
        InvalidRequestError,
        "needs the state of its target",
    ),
    "negative size": (
        lambda lines: [lines[0], line(kind="upload", path="a", reason="r", source={"size": -1}), *lines[1:]],
        InvalidRequestError,
        "wrong kind",
    ),
    "unknown state": (
        lambda lines: [lines[0], line(kind="upload", path="a", reason="r", source={"age": 1}), *lines[1:]],
        InvalidRequestError,
        "cannot be read",
    ),
    "summary of another kind": (lambda lines: [*lines[:-1], line(summary=[])], InvalidRequestError, "summary"),
    "summary without numbers": (
        lambda lines: [*lines[:-1], lines[-1].replace(":2,", ":true,", 1)],
        InvalidRequestError,
        "no number",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_plan_is_refused(tmp_path: Path, name: str) -> None:
    """A file that is no plan, or is incomplete or changed, is an error that names the file and says what is wrong."""
    damage, error, text = DAMAGES[name]
    file = tmp_path / "plan"
    await (await made(ACTIONS)).save(file)
    lines = file.read_text().splitlines()
    file.write_text("\n".join(damage(lines)))
    with pytest.raises(error, match=text) as raised:
        await SyncPlan.load(file)
    assert type(raised.value) is error
    assert str(file) in str(raised.value)


async def test_a_missing_plan_and_an_endless_line_are_refused(tmp_path: Path) -> None:
    """A path without a file, a directory, and a large file without line ends are errors."""
    with pytest.raises(LocalFileNotFoundError):
        await SyncPlan.load(tmp_path / "none")
    with pytest.raises(StorageError):
        await SyncPlan.load(tmp_path)
    (tmp_path / "zeros").write_bytes(bytes(3 * IN_MEMORY))
    with pytest.raises(InvalidRequestError, match="over 1 MiB"):
        await SyncPlan.load(tmp_path / "zeros")


@pytest.mark.slow
async def test_a_file_that_became_shorter_is_an_error_in_the_iteration(tmp_path: Path) -> None:
    """If the file of a large plan is truncated after it was loaded, the iteration fails instead of ending early."""
    plan = await made(many(20_000), tmp_path / "plan")
    os.truncate(tmp_path / "plan", IN_MEMORY)
    with pytest.raises(StorageError):
        list(plan)


async def test_the_estimate_adds_bytes_and_round_trips() -> None:
    """The estimate is the time of the bytes and of the requests; values that are not positive are refused."""
    plan = await made(many(10))  # 45 bytes, 4 requests
    assert plan.estimate(bandwidth=9.0, round_trip=0.5, concurrency=2) == 6.0
    assert plan.estimate() == 45 / 125e6 + 4 * 0.03 / 16
    for bad in ({"bandwidth": 0.0}, {"round_trip": -1.0}, {"concurrency": 0}):
        with pytest.raises(InvalidRequestError, match="positive"):
            plan.estimate(**bad)  # type: ignore[arg-type]
