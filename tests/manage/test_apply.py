"""Plans that are applied: every action is checked against the states that the plan saw."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._core.mtimes import mtime_text, stored_at
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.results import SyncResult
from bucketry._manage.sync.saved import PlanWriter, SyncPlan
from bucketry._manage.sync.values import EntryState, PlanHeader, PlanSummary, SyncAction, SyncProgress, SyncReport
from bucketry.errors import (
    AccessDeniedError,
    InvalidRequestError,
    PreconditionFailedError,
    StorageError,
    UploadNotFoundError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.manage.syncing import LONG_AGO, PART, SMALL_PARTS, UNCONDITIONAL, RowOf, Site, actions_of, counts


@dataclass
class Both:
    """A site with a provider on the disk, and a direction; `source` and `target` write files to either side."""

    site: Site
    direction: Literal["upload", "download"]

    async def source(self, files: dict[str, bytes]) -> None:
        """Write to the source."""
        await self._write(files, local=self.direction == "upload")

    async def target(self, files: dict[str, bytes]) -> None:
        """Write to the target."""
        await self._write(files, local=self.direction == "download")

    async def plan(self, *, delete: bool, exclude: tuple[str, ...] = ()) -> SyncPlan:
        """Make a plan."""
        return await self.site.manager.plan_sync(
            self.site.directory, "p", direction=self.direction, delete=delete, exclude=exclude
        )

    async def sync(self, *, delete: bool, exclude: tuple[str, ...] = ()) -> SyncReport:
        """Sync."""
        return await self.site.manager.apply(await self.plan(delete=delete, exclude=exclude))

    async def both(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Give the files of the source and of the target."""
        sides = (self.site.files(), await self.site.objects())
        return sides if self.direction == "upload" else sides[::-1]

    async def _write(self, files: dict[str, bytes], *, local: bool) -> None:
        for path, data in files.items():
            if local:
                self.site.write(path, data)
            else:
                await self.site.inner.put(f"p/{path}", data)


ROWS = {"enforced": {}, "not enforced": UNCONDITIONAL}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Give a directory and a memory; at the end, check that nothing is left over."""
    (tmp_path / "d").mkdir()
    site = Site(tmp_path / "d")
    yield site
    await site.check()


@pytest.fixture(params=ROWS)
async def any_row(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site whose vendor enforces conditions, and one whose vendor does not."""
    (tmp_path / "d").mkdir()
    site = Site(tmp_path / "d", RowOf(**ROWS[request.param]))
    yield site
    await site.check()


class TestUploads:
    """From a directory to a provider."""

    async def test_files_and_their_times(self, site: Site) -> None:
        """Small, large and empty files get the keys of their paths, and their times as metadata."""
        wanted = {"a": b"1", "d/b": bytes(3 * PART + 1), "d/e/ä": b""}
        for path, data in wanted.items():
            site.write(path, data)
        report = await site.manager.sync(site.directory, "p")
        assert await site.objects() == wanted
        for path in wanted:
            mtime = (site.directory / path).stat().st_mtime_ns
            assert (await site.inner.head(f"p/{path}")).metadata == {"mtime": mtime_text(mtime)}
        assert counts(report) == (3, 0, 0, 0, 0)
        assert report.transferred_bytes == 3 * PART + 2
        assert report.plan.transfers == 3
        assert report.seconds > 0
        again = await site.manager.sync(site.directory, "p")
        assert counts(again) == (0, 0, 0, 0, 0)
        assert again.plan.unchanged == 3

    async def test_a_small_file_is_one_request(self, site: Site) -> None:
        """Where the vendor enforces the condition, a small object needs no HEAD; a large one needs one before it."""
        site.write("new", b"1")
        site.write("large", bytes(2 * PART))
        site.write("old", b"1")
        await site.inner.put("p/old", b"longer")
        plan = await site.manager.plan_sync(site.directory, "p")
        site.forget()
        assert counts(await site.manager.apply(plan)) == (3, 0, 0, 0, 0)
        assert site.calls("put_object", "head", "create_multipart") == {
            "put_object": 2,
            "head": 1,
            "create_multipart": 1,
        }

    async def test_one_listing_where_no_condition_is_enforced(self, tmp_path: Path) -> None:
        """Where the vendor does not enforce the condition, one listing compares the targets of many small files."""
        site = Site(tmp_path, RowOf(**UNCONDITIONAL))
        for number in range(50):
            site.write(f"{number}", b"12")
        for number in range(0, 50, 2):
            await site.inner.put(f"p/{number}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p")
        site.forget()
        assert counts(await site.manager.apply(plan)) == (50, 0, 0, 0, 0)
        assert site.provider.calls == {"put_object": 50, "list_page": 1}
        assert plan.summary.requests == 51

    async def test_a_large_file_where_no_condition_is_enforced(self, tmp_path: Path) -> None:
        """An upload in parts has its HEAD before it, and needs no listing."""
        site = Site(tmp_path, RowOf(**UNCONDITIONAL))
        site.write("large", bytes(2 * PART))
        plan = await site.manager.plan_sync(site.directory, "p")
        site.forget()
        assert counts(await site.manager.apply(plan)) == (1, 0, 0, 0, 0)
        assert site.calls("head", "list_page") == {"head": 1, "list_page": 0}

    async def test_all_changes_among_many_targets_without_conditions(self, tmp_path: Path) -> None:
        """Objects that appeared, were replaced or removed since the plan are left as they are, after a HEAD of each.

        An object that has the file's size and time already counts as done.
        """
        site = Site(tmp_path, RowOf(**UNCONDITIONAL))
        for number in range(20):
            site.write(f"{number:02}", b"12")
        for path in ("05", "06", "07"):
            await site.inner.put(f"p/{path}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p")
        await site.inner.put("p/04", b"12")
        await site.inner.put("p/05", b"2")
        await site.inner.delete("p/06")
        done = mtime_text((site.directory / "19").stat().st_mtime_ns)
        await site.inner.put("p/19", b"12", metadata={"mtime": done})
        site.forget()
        report = await site.manager.apply(plan)
        assert counts(report) == (16, 0, 1, 3, 0)
        assert set(report.changed) == {"04", "05", "06"}
        assert all(isinstance(error, PreconditionFailedError) for error in report.changed.values())
        assert site.calls("put_object", "head", "list_page") == {"put_object": 16, "head": 4, "list_page": 1}
        objects = await site.objects()
        assert (objects["04"], objects["05"], objects["19"]) == (b"12", b"2", b"12")
        assert "06" not in objects

    @pytest.mark.parametrize("size", [10, 2 * PART], ids=["small", "in parts"])
    async def test_an_object_that_appeared_stays(self, any_row: Site, size: int) -> None:
        """An object that was not there when the plan was made is not overwritten, but reported."""
        any_row.write("a", bytes(size))
        any_row.write("b", b"1")
        plan = await any_row.manager.plan_sync(any_row.directory, "p")
        await any_row.inner.put("p/a", b"theirs")
        report = await any_row.manager.apply(plan)
        assert await any_row.objects() == {"a": b"theirs", "b": b"1"}
        assert counts(report) == (1, 0, 0, 1, 0)
        assert isinstance(report.changed["a"], PreconditionFailedError)
        assert "p/a" in str(report.changed["a"])
        with pytest.raises(PreconditionFailedError):
            report.raise_for_failures()

    @pytest.mark.parametrize("size", [10, 2 * PART], ids=["small", "in parts"])
    @pytest.mark.parametrize("theirs", [b"theirs", None], ids=["replaced", "removed"])
    async def test_an_object_that_changed_stays(self, any_row: Site, size: int, theirs: bytes | None) -> None:
        """An object that was replaced or removed since the plan is left as it is, and reported."""
        any_row.write("a", bytes(size))
        await any_row.inner.put("p/a", b"before")
        plan = await any_row.manager.plan_sync(any_row.directory, "p")
        if theirs is None:
            await any_row.inner.delete("p/a")
        else:
            await any_row.inner.put("p/a", theirs)
        report = await any_row.manager.apply(plan)
        assert await any_row.objects() == ({} if theirs is None else {"a": theirs})
        assert counts(report) == (0, 0, 0, 1, 0)
        assert isinstance(report.changed["a"], PreconditionFailedError)

    @pytest.mark.parametrize("change", ["longer", "same size", "removed", "parent is a file"])
    async def test_a_file_that_changed_is_not_sent(self, site: Site, change: str) -> None:
        """A file with another size or time than planned, or without either, is reported; the object stays."""
        site.write("d/a", b"1")
        await site.inner.put("p/d/a", b"before")
        plan = await site.manager.plan_sync(site.directory, "p")
        (site.directory / "d/a").unlink()
        if change == "parent is a file":
            (site.directory / "d").rmdir()
            site.write("d", b"1")
        elif change != "removed":
            site.write("d/a", b"22" if change == "longer" else b"2")
        report = await site.manager.apply(plan)
        assert await site.objects() == {"d/a": b"before"}
        assert counts(report) == (0, 0, 0, 1, 0)
        assert isinstance(report.changed["d/a"], PreconditionFailedError)

    async def test_a_plan_applied_twice(self, any_row: Site) -> None:
        """What a first run has done counts as done; after the first discoveries, nothing is sent to find that out."""
        for number in range(40):
            any_row.write(f"{number:02}", b"1")
        any_row.write("99 large", bytes(3 * PART))
        plan = await any_row.manager.plan_sync(any_row.directory, "p")
        assert counts(await any_row.manager.apply(plan)) == (41, 0, 0, 0, 0)
        before = [info.etag async for info in any_row.inner.list()]
        any_row.forget()
        assert counts(await any_row.manager.apply(plan)) == (0, 0, 41, 0, 0)
        assert any_row.provider.calls["put_object"] <= SMALL_PARTS.max_concurrency
        assert any_row.provider.calls["create_multipart"] == 0
        assert [info.etag async for info in any_row.inner.list()] == before

    async def test_a_plan_continued(self, site: Site) -> None:
        """A plan whose first half was done is finished; the second half costs one request each again."""
        for number in range(40):
            site.write(f"{number:02}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p")
        async with aclosing(site.manager.apply_each(plan)) as outcomes:
            done = 0
            async for _ in outcomes:
                done += 1
                if done == 20:
                    break
        done = len(await site.objects())
        assert 20 <= done < 40
        site.forget()
        assert counts(await site.manager.apply(plan)) == (40 - done, 0, done, 0, 0)
        assert site.provider.calls["put_object"] <= 40 - done + 2 * SMALL_PARTS.max_concurrency

    async def test_a_failure_does_not_stop_the_others(self, tmp_path: Path) -> None:
        """An upload that fails is reported with its error; the others are made."""
        site = Site(tmp_path, faults=(Fault(operation="put_object", nth=3, error=AccessDeniedError("no")),))
        for number in range(6):
            site.write(f"{number}", b"1")
        report = await site.manager.sync(site.directory, "p")
        assert counts(report) == (5, 0, 0, 0, 1)
        (error,) = report.failed.values()
        assert (error.provider, error.operation) == ("memory", "put")
        with pytest.raises(AccessDeniedError):
            report.raise_for_failures()

    async def test_an_upload_that_another_program_aborts(self, tmp_path: Path) -> None:
        """If the open upload vanishes, the file counts as failed, not as changed."""
        site = Site(tmp_path, faults=(Fault(operation="complete_multipart", error=UploadNotFoundError("gone")),))
        site.write("a", bytes(3 * PART))
        report = await site.manager.sync(site.directory, "p")
        assert counts(report) == (0, 0, 0, 0, 1)

    async def test_a_lost_answer_is_settled(self, site: Site) -> None:
        """If another writer's object is the same upload, the action counts as done, not as changed."""
        site.write("a", b"1")
        plan = await site.manager.plan_sync(site.directory, "p")
        assert counts(await ApplyMethods(site.inner, transfer=SMALL_PARTS).apply(plan)) == (1, 0, 0, 0, 0)
        assert counts(await site.manager.apply(plan)) == (0, 0, 1, 0, 0)

    async def test_the_limit_of_concurrency(self, tmp_path: Path) -> None:
        """No more requests run at once than the manager allows."""

        async def let_others_run() -> None:
            await asyncio.sleep(0)

        faults = [
            Fault(operation=operation, nth=nth, hook=let_others_run)
            for operation in ("head", "put_object")
            for nth in range(1, 41)
        ]
        site = Site(tmp_path, RowOf(**UNCONDITIONAL), tuple(faults))
        for number in range(20):
            site.write(f"{number:02}", b"1")
            await site.inner.put(f"p/gone {number:02}", b"1")
        assert counts(await site.manager.sync(site.directory, "p", delete=True)) == (20, 20, 0, 0, 0)
        assert 1 < site.provider.most_running <= SMALL_PARTS.max_concurrency


class TestDownloads:
    """From a provider to a directory."""

    async def test_objects_and_their_times(self, site: Site) -> None:
        """Every object becomes a file with the time in its metadata, else with the time when it was stored."""
        wanted = {"a": b"1", "d/b": bytes(3 * PART + 1), "d/e/ä": b""}
        for path, data in wanted.items():
            await site.inner.put(f"p/{path}", data, metadata={"mtime": mtime_text(LONG_AGO)})
        await site.inner.put("p/without", b"2")
        report = await site.manager.sync(site.directory, "p", direction="download")
        assert site.files() == wanted | {"without": b"2"}
        assert counts(report) == (4, 0, 0, 0, 0)
        assert {(site.directory / path).stat().st_mtime_ns for path in wanted} == {LONG_AGO}
        stored = (await site.inner.head("p/without")).last_modified
        assert (site.directory / "without").stat().st_mtime_ns == round(stored.timestamp() * 1e6) * 1_000
        again = await site.manager.sync(site.directory, "p", direction="download")
        assert again.plan.unchanged == 4

    async def test_one_request_for_each_small_object(self, site: Site) -> None:
        """A small object costs one GET and nothing else."""
        for number in range(5):
            await site.inner.put(f"p/{number}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download")
        site.forget()
        await site.manager.apply(plan)
        assert site.provider.calls == {"open_body": 5}

    @pytest.mark.parametrize("size", [10, 2 * PART], ids=["small", "in ranges"])
    @pytest.mark.parametrize("change", ["appeared", "longer", "same size", "removed", "link", "dangling link"])
    async def test_a_file_that_changed_stays(self, site: Site, size: int, change: str) -> None:
        """A file that appeared, was edited or was removed since the plan is left as it is, and reported."""
        await site.inner.put("p/a", bytes(size))
        if change != "appeared":
            site.write("a", b"before")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download")
        (site.directory / "a").unlink(missing_ok=True)
        if "link" in change:
            site.write("other", b"another")
            (site.directory / "a").symlink_to("other" if change == "link" else "nowhere")
        elif change != "removed":
            site.write("a", b"edited!" if change == "longer" else b"edited")
        before = site.files()
        report = await site.manager.apply(plan)
        assert site.files() == before
        assert counts(report) == (0, 0, 0, 1, 0)
        assert isinstance(report.changed["a"], PreconditionFailedError)
        assert str(site.directory / "a") in str(report.changed["a"])

    async def test_a_file_that_is_edited_meanwhile_stays(self, tmp_path: Path) -> None:
        """A file that is edited while its object is downloaded is not replaced."""
        (tmp_path / "d").mkdir()

        async def edit() -> None:
            site.write("a", b"edited")

        fault = Fault(operation="open_body", hook=edit)
        site = Site(tmp_path / "d", faults=(fault,))
        await site.inner.put("p/a", b"1")
        site.write("a", b"before")
        report = await site.manager.sync(site.directory, "p", direction="download")
        assert site.files() == {"a": b"edited"}
        assert counts(report) == (0, 0, 0, 1, 0)
        await site.check()

    @pytest.mark.parametrize("size", [10, 2 * PART], ids=["small", "in ranges"])
    @pytest.mark.parametrize("theirs", ["same size", "longer", "removed"])
    async def test_an_object_that_changed_is_not_written(self, site: Site, size: int, theirs: str) -> None:
        """An object that was replaced or removed since the plan is not downloaded; the file stays."""
        await site.inner.put("p/a", bytes(size))
        site.write("a", b"before")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download")
        if theirs == "removed":
            await site.inner.delete("p/a")
        else:
            await site.inner.put("p/a", b"\1" * (size + (theirs == "longer")))
        report = await site.manager.apply(plan)
        assert site.files() == {"a": b"before"}
        assert counts(report) == (0, 0, 0, 1, 0)
        assert isinstance(report.changed["a"], PreconditionFailedError)

    async def test_a_plan_applied_twice(self, site: Site) -> None:
        """What a first run has done counts as done, and almost nothing is fetched to find that out."""
        for number in range(40):
            await site.inner.put(f"p/{number:02}", b"1", metadata={"mtime": mtime_text(LONG_AGO + number)})
        await site.inner.put("p/99 large", bytes(2**20 + 1))
        plan = await site.manager.plan_sync(site.directory, "p", direction="download")
        assert counts(await site.manager.apply(plan)) == (41, 0, 0, 0, 0)
        before = {path: (site.directory / path).stat().st_ctime_ns for path in site.files()}
        site.forget()
        assert counts(await site.manager.apply(plan)) == (0, 0, 41, 0, 0)
        assert site.provider.calls["open_body"] <= SMALL_PARTS.max_concurrency
        assert site.provider.calls["fetch_range"] == 0
        assert {path: (site.directory / path).stat().st_ctime_ns for path in site.files()} == before

    async def test_the_same_bytes_of_another_time_are_a_change(self, site: Site) -> None:
        """A file of the right size that is not the download is left as it is, and reported."""
        await site.inner.put("p/a", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download")
        site.write("a", b"2")
        assert counts(await site.manager.apply(plan)) == (0, 0, 0, 1, 0)
        assert site.files() == {"a": b"2"}


class TestCopies:
    """From a provider to another."""

    async def test_objects_between_providers(self, site: Site) -> None:
        """Objects of all sizes get to the other provider; a plan applied twice finds them there."""
        other = MemoryProvider(transfer=SMALL_PARTS)
        wanted = {"a": b"1", "d/b": bytes(3 * PART + 1), "e": b""}
        for path, data in wanted.items():
            await site.inner.put(f"p/{path}", data, metadata={"mtime": mtime_text(LONG_AGO), "own": "1"})
        plan = await site.manager.plan_sync_to(other, "p", "q")
        assert counts(await site.manager.apply(plan, other=other)) == (3, 0, 0, 0, 0)
        assert {key: await other.get(key) for key in await other.list_files()} == {
            f"q/{path}": data for path, data in wanted.items()
        }
        assert (await other.head("q/a")).metadata == {"mtime": mtime_text(LONG_AGO), "own": "1"}
        assert counts(await site.manager.apply(plan, other=other)) == (0, 0, 3, 0, 0)
        report = await site.manager.sync_to(other, "p", "q")
        assert report.plan.unchanged == 3

    @pytest.mark.parametrize("size", [10, 2 * PART], ids=["small", "in parts"])
    @pytest.mark.parametrize("change", ["target appeared", "target replaced", "source replaced", "source removed"])
    async def test_what_changed_stays(self, site: Site, size: int, change: str) -> None:
        """A source or target that changed since the plan is left as it is, and reported."""
        other = MemoryProvider(transfer=SMALL_PARTS)
        await site.inner.put("p/a", bytes(size))
        if change != "target appeared":
            await other.put("q/a", b"before")
        plan = await site.manager.plan_sync_to(other, "p", "q")
        if change.startswith("target"):
            await other.put("q/a", b"theirs")
        elif change == "source removed":
            await site.inner.delete("p/a")
        else:
            await site.inner.put("p/a", b"\1" * size)
        before = await other.get("q/a")
        report = await site.manager.apply(plan, other=other)
        assert await other.get("q/a") == before
        assert counts(report) == (0, 0, 0, 1, 0)
        assert isinstance(report.changed["a"], PreconditionFailedError)

    async def test_a_small_copy_is_two_requests(self, site: Site) -> None:
        """A new or replaced copy of one part is 1 GET and 1 PUT; before a larger one, there is 1 HEAD."""
        other = FaultyProvider(MemoryProvider(transfer=SMALL_PARTS))
        for path, size in (("new", 1), ("replaced", 1), ("large", 2 * PART)):
            await site.inner.put(f"p/{path}", bytes(size))
        await other.put("q/replaced", b"longer")
        plan = await site.manager.plan_sync_to(other, "p", "q")
        site.forget()
        other.calls.clear()
        assert counts(await site.manager.apply(plan, other=other)) == (3, 0, 0, 0, 0)
        assert (site.provider.calls["open_body"], site.provider.calls["head"]) == (4, 1)
        assert (other.calls["put_object"], other.calls["create_multipart"]) == (2, 1)
        assert other.calls["head"] == 1  # before the large one

    @pytest.mark.parametrize("change", ["appeared", "replaced"])
    async def test_a_target_without_conditions(self, site: Site, change: str) -> None:
        """Where the target enforces no condition, a listing and a HEAD before the copy find what changed."""
        other = FaultyProvider(RowOf(**UNCONDITIONAL))
        await site.inner.put("p/a", b"1")
        await site.inner.put("p/b", b"1")
        if change == "replaced":
            await other.put("q/a", b"before")
        plan = await site.manager.plan_sync_to(other, "p", "q")
        await other.put("q/a", b"theirs")
        other.calls.clear()
        assert counts(await site.manager.apply(plan, other=other)) == (1, 0, 0, 1, 0)
        assert await other.get("q/a") == b"theirs"
        assert (other.calls["list_page"], other.calls["head"], other.calls["put_object"]) == (1, 1, 1)

    async def test_the_time_of_a_source_without_one(self, site: Site) -> None:
        """A copy through memory gets the time when its source was stored, if the source has none in its metadata."""
        other = MemoryProvider(transfer=SMALL_PARTS)
        for path, size in (("small", 1), ("large", 3 * PART)):
            await site.inner.put(f"p/{path}", bytes(size), metadata={"own": "1"})
        await site.manager.sync_to(other, "p", "q")
        for path in ("small", "large"):
            stored = mtime_text(stored_at(await site.inner.head(f"p/{path}")))
            assert (await other.head(f"q/{path}")).metadata == {"own": "1", "mtime": stored}

    async def test_within_one_provider(self, site: Site) -> None:
        """Between two prefixes of one provider, the server copies; what changed stays."""
        for path in ("a", "b", "c"):
            await site.inner.put(f"p/{path}", b"1", metadata={"mtime": mtime_text(LONG_AGO)})
        plan = await site.manager.plan_sync_to(site.provider, "p", "q")
        await site.inner.put("q/b", b"theirs")
        await site.inner.put("p/c", b"2")
        site.forget()
        report = await site.manager.apply(plan, other=site.provider)
        assert counts(report) == (1, 0, 0, 2, 0)
        assert set(report.changed) == {"b", "c"}
        assert await site.objects("q/") == {"a": b"1", "b": b"theirs"}
        assert site.calls("copy_object", "open_body", "put_object") == {
            "copy_object": 1,
            "open_body": 0,
            "put_object": 0,
        }

    async def test_a_server_copy_applied_twice(self, site: Site) -> None:
        """A copy on the server without a time in its metadata is recognised by its etag."""
        await site.inner.put("p/a", b"1")
        plan = await site.manager.plan_sync_to(site.provider, "p", "q")
        assert counts(await site.manager.apply(plan, other=site.provider)) == (1, 0, 0, 0, 0)
        assert counts(await site.manager.apply(plan, other=site.provider)) == (0, 0, 1, 0, 0)

    async def test_progress(self, site: Site) -> None:
        """The bytes of copies are in the progress."""
        for number in range(4):
            await site.inner.put(f"p/{number}", bytes(number * PART))
        reports: list[SyncProgress] = []
        await site.manager.sync_to(MemoryProvider(transfer=SMALL_PARTS), "p", "q", progress=reports.append)
        assert (reports[-1].files, reports[-1].transferred, reports[-1].total) == (4, 6 * PART, 6 * PART)

    async def test_deletions(self, site: Site) -> None:
        """What only the target has is removed from the target."""
        other = MemoryProvider(transfer=SMALL_PARTS)
        await site.inner.put("p/a", b"1")
        await other.put("q/b", b"2")
        assert counts(await site.manager.sync_to(other, "p", "q", delete=True)) == (1, 1, 0, 0, 0)
        assert await other.list_files() == ["q/a"]
        assert await site.inner.list_files() == ["p/a"]


class TestDeletions:
    """What only the target has."""

    async def test_objects_in_one_request(self, site: Site) -> None:
        """Objects that only the target has are removed, many in one request, after a HEAD of each."""
        site.write("a", b"1")
        for number in range(20):
            await site.inner.put(f"p/gone {number}", b"1")
        await site.inner.put("p-other/x", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        site.forget()
        assert counts(await site.manager.apply(plan)) == (1, 20, 0, 0, 0)
        assert await site.inner.list_files() == ["p-other/x", "p/a"]
        assert site.calls("head", "delete_batch", "delete") == {"head": 20, "delete_batch": 1, "delete": 0}
        assert counts(await site.manager.apply(plan)) == (0, 0, 21, 0, 0)

    async def test_without_delete_nothing_is_removed(self, site: Site) -> None:
        """Without `delete`, entries of the target stay."""
        site.write("a", b"1")
        await site.inner.put("p/b", b"1")
        await site.manager.sync(site.directory, "p")
        assert await site.objects() == {"a": b"1", "b": b"1"}

    async def test_an_object_that_changed_stays(self, site: Site) -> None:
        """An object that was replaced since the plan is not removed, but reported; one that is gone is done."""
        for path in ("keep", "replaced", "gone", "same"):
            await site.inner.put(f"p/{path}", b"1")
        site.write("keep", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        await site.inner.put("p/replaced", b"2")
        await site.inner.delete("p/gone")
        report = await site.manager.apply(plan)
        assert await site.objects() == {"keep": b"1", "replaced": b"2"}
        assert counts(report) == (report.plan.transfers, 1, 1, 1, 0)
        assert isinstance(report.changed["replaced"], PreconditionFailedError)

    @pytest.mark.parametrize("operation", ["head", "delete_batch"])
    async def test_a_failed_deletion(self, tmp_path: Path, operation: str) -> None:
        """A deletion that fails, alone or with its whole request, is reported for each of its keys."""
        site = Site(tmp_path)
        site.write("a", b"1")
        for number in range(3):
            await site.inner.put(f"p/gone {number}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        site.forget()
        site.provider.faults = (Fault(operation=operation, error=AccessDeniedError("no")),)
        report = await site.manager.apply(plan)
        failed = 1 if operation == "head" else 3
        assert counts(report) == (1, 3 - failed, 0, 0, failed)
        assert {type(error) for error in report.failed.values()} == {AccessDeniedError}

    async def test_files_and_empty_directories(self, site: Site) -> None:
        """Files that only the directory has are removed, and the directories that become empty by that."""
        await site.inner.put("p/d/keep", b"1")
        for path in ("d/gone", "e/f/g/gone", "h/gone", "top"):
            site.write(path, b"1")
        (site.directory / "empty").mkdir()
        (site.directory / "h/mine").mkdir()
        report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
        assert counts(report) == (1, 4, 0, 0, 0)
        assert site.files() == {"d/keep": b"1"}
        assert sorted(os.listdir(site.directory)) == ["d", "empty", "h"]

    async def test_the_root_stays(self, site: Site) -> None:
        """The directory itself is not removed, even if it becomes empty."""
        site.write("a", b"1")
        await site.manager.sync(site.directory, "p", direction="download", delete=True, force=True)
        assert os.listdir(site.directory) == []

    async def test_a_file_that_changed_is_not_removed(self, site: Site) -> None:
        """A file that was edited since the plan stays, and is reported; one that is gone is done."""
        await site.inner.put("p/x", b"1")
        for path in ("edited", "gone", "now a directory", "parent/gone", "same", "loop"):
            site.write(path, b"1")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download", delete=True)
        site.write("edited", b"2")
        (site.directory / "gone").unlink()
        (site.directory / "now a directory").unlink()
        site.write("now a directory/inside", b"3")
        shutil.rmtree(site.directory / "parent")
        site.write("parent", b"4")
        (site.directory / "loop").unlink()
        (site.directory / "loop").symlink_to("loop")
        report = await site.manager.apply(plan)
        assert site.files() == {"x": b"1", "edited": b"2", "now a directory/inside": b"3", "parent": b"4"}
        assert counts(report) == (1, 1, 2, 3, 0)
        assert set(report.changed) == {"edited", "now a directory", "loop"}

    async def test_no_file_outside_is_removed(self, site: Site) -> None:
        """If a directory was replaced by a link since the plan, the file that it leads to stays."""
        await site.inner.put("p/x", b"1")
        site.write("d/a", b"1", mtime=LONG_AGO)
        plan = await site.manager.plan_sync(site.directory, "p", direction="download", delete=True)
        (site.directory / "d").rename(site.directory.parent / "elsewhere")
        (site.directory / "d").symlink_to(site.directory.parent / "elsewhere")
        report = await site.manager.apply(plan)
        assert (site.directory.parent / "elsewhere/a").read_bytes() == b"1"
        assert counts(report) == (1, 0, 0, 0, 1)
        (site.directory.parent / "elsewhere/a").unlink()
        assert counts(await site.manager.apply(plan)) == (0, 0, 1, 0, 1)
        assert (site.directory.parent / "elsewhere").exists()

    async def test_no_directory_outside_is_removed(self, site: Site) -> None:
        """If a directory was replaced by a link since the plan, no empty directory that it leads to is removed."""
        await site.inner.put("p/x", b"1")
        site.write("d/e/a", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download", delete=True)
        (site.directory / "d").rename(site.directory.parent / "elsewhere")
        (site.directory / "d").symlink_to(site.directory.parent / "elsewhere")
        (site.directory / "d/e/a").unlink()
        assert counts(await site.manager.apply(plan)) == (1, 0, 0, 0, 1)
        assert (site.directory.parent / "elsewhere/e").exists()

    async def test_a_file_that_may_not_be_removed(self, site: Site) -> None:
        """A file in a directory that may not be changed is reported as failed; the others are removed."""
        if os.geteuid() == 0:
            pytest.skip("root may remove everything")
        await site.inner.put("p/x", b"1")
        site.write("d/a", b"1")
        site.write("e", b"1")
        (site.directory / "d").chmod(0o500)
        try:
            report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
        finally:
            (site.directory / "d").chmod(0o700)
        assert counts(report) == (1, 1, 0, 0, 1)

    @pytest.mark.parametrize("problem", ["failed", "changed"])
    async def test_deletions_are_withheld(self, tmp_path: Path, problem: str) -> None:
        """If a transfer failed or an entry had changed, nothing is removed, and the report says so."""
        site = Site(tmp_path)
        site.write("a", b"1")
        site.write("b", b"1")
        await site.inner.put("p/gone", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        if problem == "failed":
            site.provider.faults = (Fault(operation="put_object", error=AccessDeniedError("no")),)
        else:
            await site.inner.put("p/a", b"theirs")
        report = await site.manager.apply(plan)
        assert report.deletions_withheld
        assert report.deleted == 0
        assert len(report.failed) + len(report.changed) == 1
        assert "gone" in await site.objects()

    async def test_deletions_come_last(self, tmp_path: Path) -> None:
        """No deletion is made before the last transfer has ended."""
        site = Site(tmp_path)
        for number in range(10):
            site.write(f"{number}", b"1")
            await site.inner.put(f"p/gone {number}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        seen = []
        async with aclosing(site.manager.apply_each(plan)) as outcomes:
            async for _, outcome in outcomes:
                assert isinstance(outcome, SyncResult)
                seen.append(outcome.done)
                if outcome.done == "transferred":
                    assert not site.provider.calls["delete_batch"]
        assert seen == ["transferred"] * 10 + ["deleted"] * 10

    async def test_many_chunks(self, site: Site) -> None:
        """More deletions than one call takes are all made, on both sides."""
        await site.inner.put("p/x", b"1")
        for number in range(600):
            site.write(f"d{number % 7}/{number}", b"")
        report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
        assert counts(report) == (1, 600, 0, 0, 0)
        assert os.listdir(site.directory) == ["x"]
        few = RowOf(max_delete_keys=7)
        second = Site(site.directory, few)
        for number in range(20):
            await few.put(f"p/{number}", b"")
        assert counts(await second.manager.sync(site.directory, "p", delete=True)) == (1, 20, 0, 0, 0)
        assert second.provider.calls["delete_batch"] == 3


class TestBlocked:
    """Files where directories are needed, and the other way around."""

    @pytest.fixture(params=["download", "upload"])
    async def both(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
        """Give a directory and a provider on the disk, and a direction between them."""
        (tmp_path / "d").mkdir()
        store = LocalProvider({"base_path": str(tmp_path / "store")}, transfer=SMALL_PARTS)
        site = Site(tmp_path / "d", store)
        yield Both(site, request.param)
        await site.check()

    async def test_a_file_becomes_a_directory(self, both: Both) -> None:
        """A file that the plan deletes makes way for a directory of its name, and the other way around."""
        await both.source({"a/x": b"1", "a/y/z": b"2", "b": b"3", "c": b"4", "d": b"5"})
        await both.target({"a": b"old", "b/x": b"old", "b/y/z": b"old", "c": b"4", "gone": b"old"})
        report = await both.sync(delete=True)
        assert await both.both() == ({"a/x": b"1", "a/y/z": b"2", "b": b"3", "c": b"4", "d": b"5"},) * 2
        assert (report.deleted, len(report.failed), len(report.changed)) == (4, 0, 0)
        assert report.transferred >= 4

    async def test_without_delete_it_fails(self, both: Both) -> None:
        """Without `delete`, the entry in the way stays, and the transfer fails."""
        await both.source({"a/x": b"1", "c": b"1"})
        await both.target({"a": b"old"})
        report = await both.sync(delete=False)
        assert counts(report) == (1, 0, 0, 0, 1)
        assert (await both.both())[1] == {"a": b"old", "c": b"1"}

    async def test_nothing_is_removed_if_another_transfer_failed(self, both: Both) -> None:
        """If another transfer failed, the entries in the way stay, too, and every action has one outcome."""
        await both.source({"a/x": b"1", "b": b"2", "c": b"3"})
        await both.target({"a": b"old", "b/x": b"old", "gone": b"old"})
        plan = await both.plan(delete=True)
        operation = "put_object" if both.direction == "upload" else "open_body"
        faults = [Fault(operation=operation, nth=nth, error=AccessDeniedError("no")) for nth in (1, 2, 3)]
        both.site.provider.faults = tuple(faults)
        both.site.forget()
        report = await both.site.manager.apply(plan)
        assert counts(report) == (0, 0, 0, 0, 3)
        assert report.deletions_withheld
        assert (await both.both())[1] == {"a": b"old", "b/x": b"old", "gone": b"old"}

    async def test_nothing_is_removed_for_a_transfer_that_stays_blocked(self, both: Both) -> None:
        """If no deletion of the plan makes a transfer possible, nothing is removed."""
        await both.source({"a": b"1", "b": b"2"})
        await both.target({"a/x": b"old", "b/y": b"old", "gone": b"old"})
        plan = await both.plan(delete=True)
        kept = [action for action in await actions_of(plan) if action.path != "a/x"]
        async with PlanWriter(plan.header) as writer:
            for action in kept:
                await writer.add(action)
            plan = await writer.finish(PlanSummary())
        seen = {}
        progress: list[SyncProgress] = []
        async with aclosing(both.site.manager.apply_each(plan, progress=progress.append)) as outcomes:
            async for path, outcome in outcomes:
                assert path not in seen
                seen[path] = outcome
        assert sorted(seen) == ["a", "b", "b/y", "gone"]
        assert (await both.both())[1] == {"a/x": b"old", "b/y": b"old", "gone": b"old"}
        assert progress[-1].files == 2

    async def test_nothing_is_removed_for_a_directory_that_stays(self, both: Both) -> None:
        """If a directory in the way has an excluded entry, it cannot be removed, so its other entries stay, too."""
        await both.source({"a": b"1", "b": b"2"})
        await both.target({"a/x": b"old", "a/y/keep": b"old", "b/y": b"old"})
        report = await both.sync(delete=True, exclude=("keep",))
        assert counts(report) == (0, 0, 0, 0, 2)
        assert report.deletions_withheld
        assert (await both.both())[1] == {"a/x": b"old", "a/y/keep": b"old", "b/y": b"old"}

    @pytest.mark.parametrize("kind", ["empty directory", "link"])
    async def test_nothing_is_removed_for_other_entries(self, site: Site, kind: str) -> None:
        """An empty directory, or a link, in a directory in the way is no entry of the plan, and stays."""
        await site.inner.put("p/a", b"1")
        site.write("a/b/x", b"old")
        if kind == "link":
            (site.directory / "a/b/link").symlink_to(site.directory)
        else:
            (site.directory / "a/b/empty").mkdir()
        report = await site.manager.sync(site.directory, "p", direction="download", delete=True, exclude=["link"])
        assert counts(report) == (0, 0, 0, 0, 1)
        assert (site.directory / "a/b/x").read_bytes() == b"old"

    @pytest.mark.parametrize("kind", [MemoryProvider, LocalProvider])
    async def test_a_source_that_became_a_directory_removes_nothing(self, tmp_path: Path, kind: type) -> None:
        """A file to upload that is a directory now has changed, so the objects below its name stay."""
        (tmp_path / "d").mkdir()
        inner = LocalProvider({"base_path": str(tmp_path / "store")}) if kind is LocalProvider else MemoryProvider()
        site = Site(tmp_path / "d", inner)
        site.write("a", b"1")
        site.write("b", b"2")
        await inner.put("p/a/x", b"old")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        (site.directory / "a").unlink()
        site.write("a/x", b"new")
        report = await site.manager.apply(plan)
        assert counts(report) == (1, 0, 0, 1, 0)
        assert report.deletions_withheld
        assert await site.objects() == {"a/x": b"old", "b": b"2"}

    async def test_an_entry_in_the_way_that_changed_stays(self, both: Both) -> None:
        """If the entry in the way changed since the plan, it stays, and the rest is withheld."""
        await both.source({"a/x": b"1"})
        await both.target({"a": b"old", "gone": b"old"})
        plan = await both.plan(delete=True)
        await both.target({"a": b"edited"})
        report = await both.site.manager.apply(plan)
        assert counts(report) == (0, 0, 0, 1, 1)
        assert set(report.changed) == {"a"}
        assert report.deletions_withheld
        assert (await both.both())[1] == {"a": b"edited", "gone": b"old"}


class TestPlans:
    """Which plans are applied."""

    async def test_a_plan_of_another_place(self, site: Site, tmp_path: Path) -> None:
        """A plan that was made for another bucket or prefix is refused, and nothing changes."""
        site.write("a", b"1")
        plan = await site.manager.plan_sync(site.directory, "p")
        elsewhere = ApplyMethods(LocalProvider({"base_path": str(tmp_path / "store")}))
        with pytest.raises(InvalidRequestError, match=r"made for memory://.*p/, and this is file://") as caught:
            await elsewhere.apply(plan)
        assert (caught.value.provider, caught.value.operation) == ("local", "apply")
        assert not (tmp_path / "store").exists()

    async def test_a_copy_plan_of_another_place(self, site: Site, tmp_path: Path) -> None:
        """Both sides of a plan between providers must be those that it was made for."""
        await site.inner.put("p/a", b"1")
        other = MemoryProvider()
        plan = await site.manager.plan_sync_to(other, "p", "q")
        with pytest.raises(InvalidRequestError, match="give the target as `other`"):
            await site.manager.apply(plan)
        store = LocalProvider({"base_path": str(tmp_path / "store")})
        with pytest.raises(InvalidRequestError, match="made for"):
            await site.manager.apply(plan, other=store)
        site.write("a", b"1")
        upload = await site.manager.plan_sync(site.directory, "p")
        with pytest.raises(InvalidRequestError, match="leave `other` out"):
            await site.manager.apply(upload, other=other)
        assert await other.list_files() == []

    async def test_wrong_arguments(self, site: Site) -> None:
        """A path in place of a plan, and a URL in place of a provider, are refused."""
        plan = await site.manager.plan_sync_to(MemoryProvider(), "p", "q")
        with pytest.raises(InvalidRequestError, match="plan must be a SyncPlan, not str"):
            await site.manager.apply("plan.jsonl")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="other must be a provider, not str"):
            await site.manager.apply(plan, other="memory://")  # type: ignore[arg-type]

    async def test_the_messages_of_changed_targets(self, any_row: Site) -> None:
        """The error names the object once, says what happened to it, and what to do, whatever the vendor enforces."""
        await any_row.inner.put("p/replaced", b"before")
        await any_row.inner.put("p/removed", b"before")
        for path in ("appeared", "removed", "replaced"):
            any_row.write(path, b"1")
        plan = await any_row.manager.plan_sync(any_row.directory, "p")
        await any_row.inner.put("p/appeared", b"theirs")
        await any_row.inner.put("p/replaced", b"theirs")
        await any_row.inner.delete("p/removed")
        report = await any_row.manager.apply(plan)
        changed = "it was changed or removed after the plan was made, so it was left as it is; plan again"
        assert {path: error.message for path, error in report.changed.items()} == {
            "appeared": f"{any_row.provider.locate('p/appeared')}: it appeared after the plan was made, so it was left "
            "as it is; plan again",
            "removed": f"{any_row.provider.locate('p/removed')}: {changed}",
            "replaced": f"{any_row.provider.locate('p/replaced')}: {changed}",
        }

    @pytest.mark.parametrize("size", [10, 2 * PART], ids=["small", "in parts"])
    @pytest.mark.parametrize("direction", ["upload", "download", "copy", "server copy"])
    async def test_the_messages_of_changed_sources(self, site: Site, direction: str, size: int) -> None:
        """The error names the source and what happened to it; the error of the transfer is its cause."""
        other = site.provider if direction == "server copy" else MemoryProvider(transfer=SMALL_PARTS)
        paths = ("changed", "removed")
        for path in paths:
            if direction == "upload":
                site.write(path, bytes(size))
            else:
                await site.inner.put(f"p/{path}", bytes(size))
        manager, target = site.manager, None
        if direction in ("upload", "download"):
            plan = await manager.plan_sync(site.directory, "p", direction=direction)  # type: ignore[arg-type]
        else:
            plan, target = await manager.plan_sync_to(other, "p", "q"), other
        if direction == "upload":
            site.write("changed", b"2" * size)
            (site.directory / "removed").unlink()
        else:
            await site.inner.put("p/changed", b"2" * size)
            await site.inner.delete("p/removed")
        report = await manager.apply(plan, other=target)
        assert set(report.changed) == set(paths)
        for path, error in report.changed.items():
            where = str(site.directory / path) if direction == "upload" else site.provider.locate(f"p/{path}")
            assert error.message == (
                f"{where}: it was {path} after the plan was made, so nothing was transferred; plan again"
            )
            assert isinstance(error.__cause__, StorageError)
            assert error.key == f"p/{path}"

    async def test_the_messages_of_changed_files(self, site: Site) -> None:
        """A file that appeared, changed or was removed at the target of a download is named, with what happened."""
        for path in ("appeared", "changed", "removed"):
            await site.inner.put(f"p/{path}", b"1")
        site.write("changed", b"before")
        site.write("removed", b"before")
        plan = await site.manager.plan_sync(site.directory, "p", direction="download")
        site.write("appeared", b"mine")
        site.write("changed", b"mine")
        (site.directory / "removed").unlink()
        report = await site.manager.apply(plan)
        changed = "it was changed or removed after the plan was made, so it was left as it is; plan again"
        assert {path: error.message for path, error in report.changed.items()} == {
            "appeared": f"{site.directory / 'appeared'}: it appeared after the plan was made, so it was left as it is; "
            "plan again",
            "changed": f"{site.directory / 'changed'}: {changed}",
            "removed": f"{site.directory / 'removed'}: {changed}",
        }

    async def test_too_many_deletions(self, site: Site) -> None:
        """A plan with more deletions than `max_delete` is refused before anything changes; with as many, it is not."""
        site.write("a", b"1")
        for number in range(3):
            await site.inner.put(f"p/gone {number}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True, max_delete=2)
        with pytest.raises(
            InvalidRequestError, match=r"^memory:///p/: the plan deletes 3 entries.*max_delete=2.*larger"
        ):
            await site.manager.apply(plan)
        assert len(await site.objects()) == 3
        assert counts(await site.manager.sync(site.directory, "p", delete=True, max_delete=3)) == (1, 3, 0, 0, 0)

    async def test_a_saved_plan_after_a_change(self, site: Site, tmp_path: Path) -> None:
        """A plan that was saved, loaded and applied later does what is unchanged, and reports the rest."""
        for path in ("a", "b", "c"):
            site.write(path, b"1")
        await site.inner.put("p/gone", b"1")
        await (await site.manager.plan_sync(site.directory, "p", delete=True)).save(tmp_path / "plan")
        site.write("b", b"edited")
        plan = await SyncPlan.load(tmp_path / "plan")
        report = await site.manager.apply(plan)
        assert counts(report) == (2, 0, 0, 1, 0)
        assert report.deletions_withheld
        assert set(await site.objects()) == {"a", "c", "gone"}

    async def test_skipped_entries(self, site: Site) -> None:
        """Entries that cannot be synced are in the report with their reasons; they hinder no deletion."""
        plan = await _plan_of(
            site,
            SyncAction(
                kind="delete", path="gone", reason="not in source", target=EntryState(size=1, etag=await _put(site))
            ),
            SyncAction(kind="skip", path="pipe", reason="not a regular file"),
        )
        report = await site.manager.apply(plan)
        assert report.skipped == {"pipe": "not a regular file"}
        assert counts(report) == (0, 1, 0, 0, 0)

    async def test_an_object_without_an_etag(self, site: Site) -> None:
        """Where objects have no etag, size and time are compared."""
        site.write("a", b"1")
        mtime = (site.directory / "a").stat().st_mtime_ns
        await _put(site)
        theirs = EntryState(size=1, mtime=LONG_AGO, etag="")
        plan = await _plan_of(
            site,
            SyncAction(kind="delete", path="gone", reason="not in source", target=theirs),
        )
        assert counts(await site.manager.apply(plan)) == (0, 0, 0, 1, 0)
        assert mtime != LONG_AGO


class TestProgress:
    """Reports of the whole."""

    @pytest.mark.parametrize("direction", ["upload", "download"])
    async def test_totals(self, site: Site, direction: str) -> None:
        """The last report has all files and all bytes; no report has more."""
        for number in range(8):
            site.write(f"{number}", bytes(number * PART))
        if direction == "download":
            await site.manager.sync(site.directory, "p")
            for path in site.files():
                (site.directory / path).unlink()
        reports: list[SyncProgress] = []
        report = await site.manager.sync(site.directory, "p", direction=direction, progress=reports.append)  # type: ignore[arg-type]
        assert report.transferred == 8
        last = reports[-1]
        assert (last.files, last.total_files) == (8, 8)
        assert last.transferred == last.total == 28 * PART
        assert last.seconds_left == 0
        assert last.rate > 0
        assert all(one.transferred <= one.total and one.files <= one.total_files for one in reports)

    async def test_a_failing_callback(self, site: Site) -> None:
        """An error of the callback ends the sync, and nothing is left over."""

        def fail(progress: SyncProgress) -> None:
            raise RuntimeError(progress.path)

        for number in range(8):
            site.write(f"{number}", bytes(PART))
        with pytest.raises(RuntimeError):
            await site.manager.sync(site.directory, "p", progress=fail)


class TestEach:
    """Outcomes as they come."""

    async def test_one_outcome_for_each_action(self, tmp_path: Path) -> None:
        """Every action of the plan has exactly one outcome, also failed, changed and withheld ones."""
        site = Site(tmp_path, faults=(Fault(operation="put_object", nth=2, error=AccessDeniedError("no")),))
        for number in range(6):
            site.write(f"{number}", b"1")
        for number in range(3):
            await site.inner.put(f"p/gone {number}", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        await site.inner.put("p/5", b"theirs")
        seen: dict[str, str] = {}
        async with aclosing(site.manager.apply_each(plan)) as outcomes:
            async for path, outcome in outcomes:
                assert path not in seen
                seen[path] = type(outcome).__name__ if isinstance(outcome, StorageError) else outcome.done
                if isinstance(outcome, SyncResult):
                    assert outcome.action.path == path
                    assert (outcome.transfer is not None) is (outcome.done == "transferred")
        assert sorted(seen) == [action.path for action in await actions_of(plan)]
        assert sorted(seen.values()) == [
            "AccessDeniedError",
            "PreconditionFailedError",
            *["transferred"] * 4,
            *["withheld"] * 3,
        ]

    async def test_leaving_early(self, site: Site) -> None:
        """Leaving the iteration stops the transfers, and nothing is left over."""
        for number in range(30):
            site.write(f"{number:02}", bytes(3 * PART))
        await site.inner.put("p/gone", b"1")
        plan = await site.manager.plan_sync(site.directory, "p", delete=True)
        async with aclosing(site.manager.apply_each(plan)) as outcomes:
            async for _ in outcomes:
                break
        assert 1 < len(await site.objects()) < 31
        await site.check()

    async def test_a_wrong_plan_is_refused_by_the_call(self, site: Site) -> None:
        """The plan is checked when `apply_each` is called, before the first outcome is asked for."""
        site.write("a", b"1")
        plan = await site.manager.plan_sync(site.directory, "p")
        with pytest.raises(InvalidRequestError):
            site.manager.apply_each(plan, other=MemoryProvider())


async def _put(site: Site) -> str:
    return (await site.inner.put("p/gone", b"1")).etag


async def _plan_of(site: Site, *actions: SyncAction) -> SyncPlan:
    """Make a plan by hand."""
    header = PlanHeader(
        direction="upload",
        source=str(site.directory),
        target=site.provider.locate("p/"),
        prefix="p/",
        delete=True,
        created=datetime.now(UTC),
    )
    async with PlanWriter(header) as writer:
        for action in actions:
            await writer.add(action)
        return await writer.finish(PlanSummary())
