"""Whole syncs: on a real server, from disk to disk, and killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

import bucketry as bucketry_package
from bucketry import LocalProvider, MemoryProvider, S3Provider
from bucketry._core.mtimes import mtime_text
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import SyncProgress
from bucketry.errors import AccessDeniedError
from bucketry.testing import EmbeddedS3, Fault, embedded_s3
from tests.manage.syncing import LONG_AGO, SMALL_PARTS, PatientMethods, Site, counts

FILES = 60

KILLED = """
import asyncio, sys
from bucketry import LocalProvider, TransferConfig
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.saved import SyncPlan

async def main(store, directory, direction, plan):
    transfer = TransferConfig(max_concurrency=2)
    manager = ApplyMethods(LocalProvider({"base_path": store}), transfer=transfer)
    loaded = await SyncPlan.load(plan)
    count = 0
    async for _ in manager.apply_each(loaded):
        count += 1
        print(count, flush=True)
        sys.stdin.readline()

asyncio.run(main(*sys.argv[1:]))
"""
"""Applies a plan; before each further outcome is taken, a line must arrive."""


def _site(tmp_path: Path, *, faults: tuple[Fault, ...] = ()) -> Site:
    (tmp_path / "d").mkdir(exist_ok=True)
    store = LocalProvider({"base_path": str(tmp_path / "store")}, transfer=SMALL_PARTS)
    return Site(tmp_path / "d", store, faults)


class TestKilled:
    """SIGKILL in the middle."""

    @pytest.mark.slow
    @pytest.mark.parametrize("again", ["sync", "same plan"])
    @pytest.mark.parametrize("direction", ["upload", "download"])
    async def test_no_finished_file_is_transferred_again(
        self, tmp_path: Path, direction: Literal["upload", "download"], again: str
    ) -> None:
        """After a kill, the same plan or a new sync finishes the work, and leaves finished files as they are."""
        site = _site(tmp_path)
        wanted = {f"d{number % 3}/{number:02}": bytes(100 + number) for number in range(FILES)}
        for number, (path, data) in enumerate(wanted.items()):
            if direction == "upload":
                site.write(path, data)
            else:
                mtime = mtime_text(LONG_AGO + number)
                await site.inner.put(f"p/{path}", data, metadata={"mtime": mtime})
        planned = await site.manager.plan_sync(site.directory, "p", direction=direction)
        await planned.save(tmp_path / "plan")
        self._run_and_kill(tmp_path, direction)

        side = tmp_path / ("store/p" if direction == "upload" else "d")
        before = {path: path.stat() for path in side.rglob("*") if path.is_file() and ".bucketry" not in path.name}
        assert 20 <= len(before) < FILES
        site.forget()
        if again == "sync":
            report = await site.manager.sync(site.directory, "p", direction=direction)
            assert counts(report) == (FILES - len(before), 0, 0, 0, 0)
            assert report.plan.unchanged == len(before)
        else:
            report = await site.manager.apply(await SyncPlan.load(tmp_path / "plan"))
            assert counts(report) == (FILES - len(before), 0, len(before), 0, 0)
        sent = site.provider.calls["put_object" if direction == "upload" else "open_body"]
        refused = 2 * SMALL_PARTS.max_concurrency if again == "same plan" else 0  # before the first HEAD
        assert sent <= FILES - len(before) + refused
        for path, status in before.items():
            now = path.stat()
            assert (now.st_ino, now.st_mtime_ns, now.st_ctime_ns) == (
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
        assert site.files() == await site.objects() == wanted

    def _run_and_kill(self, tmp_path: Path, direction: str) -> None:
        script = tmp_path / "script.py"
        script.write_text(KILLED, encoding="utf-8")
        arguments = [str(tmp_path / name) for name in ("store", "d")] + [direction, str(tmp_path / "plan")]
        environ = os.environ | {"PYTHONPATH": str(Path(bucketry_package.__file__).parents[1])}
        with subprocess.Popen(
            [sys.executable, str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
        ) as running:
            assert running.stdin is not None
            assert running.stdout is not None
            while int(running.stdout.readline()) < 20:
                running.stdin.write(b"\n")
                running.stdin.flush()
            running.send_signal(signal.SIGKILL)
        assert running.returncode == -signal.SIGKILL


class TestSync:
    """`sync` and `sync_to`."""

    async def test_disk_to_disk_in_both_directions(self, tmp_path: Path) -> None:
        """Through a provider on the disk, bytes and times of all files come back; a second sync does nothing."""
        site = _site(tmp_path)
        wanted = {"a": b"1", "d/b": os.urandom(50_000), "e f/ä": b"", "🙂": b"2"}
        for path, data in wanted.items():
            site.write(path, data)
        assert counts(await site.manager.sync(site.directory, "p")) == (4, 0, 0, 0, 0)
        back = Site(tmp_path / "back", site.inner)
        assert counts(await back.manager.sync(back.directory, "p", direction="download")) == (4, 0, 0, 0, 0)
        assert back.files() == wanted
        for path in wanted:
            assert (back.directory / path).stat().st_mtime_ns == (site.directory / path).stat().st_mtime_ns
        for one, direction in ((site, "upload"), (back, "upload"), (back, "download")):
            report = await one.manager.sync(one.directory, "p", direction=direction)  # type: ignore[arg-type]
            assert counts(report) == (0, 0, 0, 0, 0)
            assert report.plan.unchanged == 4
        assert (site.files(), back.files()) == (wanted, wanted)
        await back.check()

    async def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        """With `dry_run`, the report has the plan's totals, and nothing is changed."""
        site = _site(tmp_path)
        site.write("a", b"1")
        await site.inner.put("p/gone", b"22")
        (site.directory / "broken").symlink_to("nowhere")
        report = await site.manager.sync(site.directory, "p", delete=True, dry_run=True)
        assert report.dry_run
        assert "does not exist" in report.skipped["broken"]
        assert (report.plan.transfers, report.plan.transfer_bytes) == (1, 1)
        assert (report.plan.deletions, report.plan.deletion_bytes) == (1, 2)
        assert counts(report) == (0, 0, 0, 0, 0)
        assert await site.objects() == {"gone": b"22"}
        other = MemoryProvider()
        report = await site.manager.sync_to(other, "p", "q", dry_run=True)
        assert (report.dry_run, report.plan.transfers) == (True, 1)
        assert await other.list_files() == []

    async def test_a_failed_sync_is_finished_by_the_next(self, tmp_path: Path) -> None:
        """After failures, the next sync makes what is missing, and then the withheld deletions."""
        site = _site(tmp_path)
        for number in range(10):
            site.write(f"{number}", b"1")
        await site.inner.put("p/gone", b"1")
        faults = [Fault(operation="put_object", nth=nth, error=AccessDeniedError("no")) for nth in (2, 5)]
        site.provider.faults = tuple(faults)
        report = await site.manager.sync(site.directory, "p", delete=True)
        assert counts(report) == (8, 0, 0, 0, 2)
        assert report.deletions_withheld
        report = await site.manager.sync(site.directory, "p", delete=True)
        assert counts(report) == (2, 1, 0, 0, 0)
        assert site.files() == await site.objects()

    async def test_links_to_files_are_sent_as_files(self, tmp_path: Path) -> None:
        """A link to a file is uploaded with the file's bytes and time; a download of the same changes nothing."""
        site = _site(tmp_path)
        site.write("real", b"1")
        (site.directory / "link").symlink_to("real")
        assert counts(await site.manager.sync(site.directory, "p")) == (2, 0, 0, 0, 0)
        assert await site.objects() == {"real": b"1", "link": b"1"}
        report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
        assert report.plan.unchanged == 2
        assert (site.directory / "link").is_symlink()
        await site.inner.delete("p/link")
        assert counts(await site.manager.sync(site.directory, "p", direction="download", delete=True))[1] == 1
        assert site.files() == {"real": b"1"}

    async def test_the_log(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Each action is one debug line, and the totals are one info line."""
        site = _site(tmp_path)
        site.write("a", b"1")
        with caplog.at_level("DEBUG", logger="bucketry"):
            await site.manager.sync(site.directory, "p")
        lines = [(record.levelname, record.getMessage()) for record in caplog.records]
        assert ("DEBUG", "sync: a: transferred") in lines
        (summary,) = [message for level, message in lines if level == "INFO"]
        assert "1 transferred, 0 deleted" in summary


pytest.importorskip("moto")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Give a running S3 server with one bucket."""
    with embedded_s3() as running:
        yield running


@pytest.mark.slow
class TestS3:
    """On a real S3 server."""

    @pytest.mark.parametrize("row", ["aws", None], ids=["conditions", "no conditions"])
    async def test_up_across_and_down(self, server: EmbeddedS3, tmp_path: Path, row: str | None) -> None:
        """A tree goes up, to another provider and down, with its times; then each sync does nothing."""
        config = {name: value for name, value in server.config.items() if row is not None or name != "server"}
        (tmp_path / "d").mkdir()
        prefix = f"tree-{row}"
        async with S3Provider(config) as provider:
            site = Site(tmp_path / "d", provider)
            wanted = {"a": b"1", "d/b+ %": os.urandom(9_000_000), "ä/c": b"", "z": b"2"}
            for path, data in wanted.items():
                site.write(path, data)
            manager = ApplyMethods(provider)
            assert counts(await manager.sync(site.directory, prefix)) == (4, 0, 0, 0, 0)
            other = MemoryProvider()
            assert counts(await manager.sync_to(other, prefix, "")) == (4, 0, 0, 0, 0)
            assert {key: await other.get(key) for key in await other.list_files()} == wanted
            reports: list[SyncProgress] = []
            back = tmp_path / "back"
            report = await manager.sync(back, prefix, direction="download", progress=reports.append)
            assert counts(report) == (4, 0, 0, 0, 0)
            assert reports[-1].transferred == 9_000_002
            for path, data in wanted.items():
                assert (back / path).read_bytes() == data
                assert (back / path).stat().st_mtime_ns == (site.directory / path).stat().st_mtime_ns
            for report in (
                await manager.sync(site.directory, prefix),
                await manager.sync(back, prefix, direction="download"),
                await manager.sync_to(other, prefix, ""),
            ):
                assert (report.plan.unchanged, report.plan.transfers) == (4, 0)

    @pytest.mark.parametrize("row", ["aws", None], ids=["conditions", "no conditions"])
    async def test_what_changed_stays(self, server: EmbeddedS3, tmp_path: Path, row: str | None) -> None:
        """Objects that appeared, were replaced or are gone since the plan are left as they are, and reported."""
        config = {name: value for name, value in server.config.items() if row is not None or name != "server"}
        (tmp_path / "d").mkdir()
        prefix = f"changed-{row}"
        async with S3Provider(config) as provider:
            site = Site(tmp_path / "d", provider)
            for path in ("appears", "goes", "replaced", "same", "new"):
                site.write(path, b"new")
            for path in ("goes", "replaced", "same", "only there", "also there"):
                await provider.put(f"{prefix}/{path}", b"old!")
            manager = ApplyMethods(provider)
            plan = await manager.plan_sync(site.directory, prefix, delete=True)
            await provider.put(f"{prefix}/appears", b"theirs")
            await provider.put(f"{prefix}/replaced", b"theirs")
            await provider.delete(f"{prefix}/goes")
            report = await manager.apply(plan)
            assert set(report.changed) == {"appears", "goes", "replaced"}
            assert counts(report) == (2, 0, 0, 3, 0)
            assert report.deletions_withheld
            assert await provider.get(f"{prefix}/appears") == b"theirs"
            report = await manager.sync(site.directory, prefix, delete=True)
            assert counts(report) == (3, 2, 0, 0, 0)
            assert sorted(await provider.list_files(prefix)) == [
                f"{prefix}/{path}" for path in ("appears", "goes", "new", "replaced", "same")
            ]

    async def test_one_listing_where_no_condition_is_enforced(self, server: EmbeddedS3, tmp_path: Path) -> None:
        """With the generic row, a sync makes one listing and no HEAD, whether objects are new or replaced."""
        config = {name: value for name, value in server.config.items() if name != "server"}
        (tmp_path / "d").mkdir()
        async with S3Provider(config) as provider:
            site = Site(tmp_path / "d", provider)
            manager = PatientMethods(site.provider)
            for path in (" first", "a+b %", "d/ä", "d/日本", *(f"e/{number:02}" for number in range(46))):
                site.write(path, b"1")
            for reason in ("new", "size"):
                plan = await manager.plan_sync(site.directory, "few heads")
                site.forget()
                assert counts(await manager.apply(plan)) == (50, 0, 0, 0, 0), reason
                assert site.provider.calls == {"list_page": 1, "put_object": 50}
                assert plan.summary.requests == 51
                for path in site.files():
                    site.write(path, b"22")
