"""Models from many tasks and many processes at once, and processes that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry.testing import embedded_s3
from tests.contract import servers
from tests.manage.model_bench import (
    Models,
    blobs,
    check_whole,
    leftovers,
    needed,
    noise,
    restored,
    store,
    versions,
    write_model,
)
from tests.manage.model_processes import back_up_several, backup_and_die, provider_for, start

pytestmark = pytest.mark.slow

PROCESSES, TASKS = 4, 5


def sources(directory: Path, count: int) -> list[Path]:
    """Make model directories that share one file; each has another one of its own."""
    return [
        write_model(directory / f"source-{number}", same=noise(2_000, 0), own=noise(1_000, number))
        for number in range(1, count + 1)
    ]


async def check_twenty(models: Models, made: dict[str, Path], scratch: Path, *, gaps: bool) -> None:
    """Check that no version is lost, `latest` is the highest, each restores, and pruning to 3 leaves their blobs."""
    assert len(made) == 20
    names = await versions(models)
    assert sorted(names) == sorted(made)
    if not gaps:
        assert names == [f"v{number}" for number in range(1, 21)]
    assert (await models.model_info("net")).version == names[-1]
    for version, source in made.items():
        files = {path.name: path.read_bytes() for path in source.iterdir()}
        assert await restored(models, "net", version, scratch) == files
    assert len(await blobs(models.provider)) == 21
    report = await models.prune_models("net", keep=3)
    assert list(report.kept) == names[-3:]
    assert await blobs(models.provider) == await needed(models)
    assert len(await blobs(models.provider)) == 4
    await check_whole(models)
    assert await leftovers(models.provider) == []


@pytest.mark.parametrize("create_only", [True, False], ids=["create-only", "claims"])
async def test_twenty_backups_in_one_process(tmp_path: Path, *, create_only: bool) -> None:
    """Twenty tasks back up one model at once: twenty versions, none lost."""
    models = Models(store(create_only=create_only))
    directories = sources(tmp_path, 20)
    made = await asyncio.gather(*(models.backup_model(one, "net") for one in directories))
    by_version = {version.version: source for version, source in zip(made, directories, strict=True)}
    await check_twenty(models, by_version, tmp_path, gaps=not create_only)


async def test_backups_and_prunes_of_many_tasks(tmp_path: Path) -> None:
    """Backups and prunes run all at once: each backup succeeds, and what is left is whole."""
    memory = MemoryProvider()
    models = Models(memory)
    await models.backup_model(sources(tmp_path, 1)[0], "net")
    backups = [models.backup_model(one, "net") for one in sources(tmp_path, 20)]
    prunes = [models.prune_models("net", keep=2) for _ in range(5)]
    done = await asyncio.gather(*backups, *prunes)
    assert len({version.version for version in done[:20]} - {"v1"}) == 20  # type: ignore[union-attr]
    await check_whole(models)
    await models.prune_models("net", keep=2)
    assert await versions(models) == ["v20", "v21"]
    assert await blobs(memory) == await needed(models)
    assert await leftovers(memory) == []


@pytest.fixture(params=["local", "create-only server", "plain server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Give the configuration of a provider that several processes can use."""
    match request.param:
        case "local":
            yield {"base_path": str(tmp_path / "store")}
        case "create-only server":
            with embedded_s3() as server:
                yield server.config
        case _:
            (tmp_path / "served").mkdir()
            with servers.rclone(tmp_path / "served") as server:
                yield server.new_bucket()


@pytest.mark.timeout(120)
async def test_twenty_backups_in_four_processes(tmp_path: Path, place: dict[str, Any]) -> None:
    """Four processes of five tasks back up one model at once, on each kind of place: twenty versions, none lost."""
    directories = [str(one) for one in sources(tmp_path, PROCESSES * TASKS)]
    processes = [start(back_up_several, place, directories[at::PROCESSES]) for at in range(PROCESSES)]
    made: dict[str, Path] = {}
    for process in processes:
        out, _ = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0
        printed = {version: Path(source) for version, source in json.loads(out).items()}
        assert not made.keys() & printed.keys()
        made |= printed
    async with provider_for(place) as provider:
        gaps = not provider.capabilities.put_if_none_match
        await check_twenty(Models(provider), made, tmp_path, gaps=gaps)


@pytest.mark.parametrize(("operation", "nth"), [("put_object", 2), ("put_object", 3), ("put_object", 4)])
async def test_a_killed_backup_leaves_no_version(tmp_path: Path, operation: str, nth: int) -> None:
    """A backup killed by SIGKILL before its manifest leaves no version; when its lease has ended, a prune cleans up."""
    (source,) = sources(tmp_path, 1)
    process = start(backup_and_die, str(tmp_path / "store"), str(source), operation, nth)
    await asyncio.to_thread(process.communicate)
    assert process.returncode == -signal.SIGKILL
    models = Models(LocalProvider({"base_path": tmp_path / "store"}))
    assert await versions(models) == []
    assert await models.list_models() == []
    sent = len(await blobs(models.provider))
    assert sent <= nth - 2
    other = write_model(tmp_path / "other", x=b"x")
    assert (await models.backup_model(other, "net")).version == "v1"
    report = await models.prune_models("net", keep=1)
    assert (report.blobs_removed, report.blobs_in_use) == (0, sent)
    (lease,) = (tmp_path / "store/models/net/leases").iterdir()
    long_ago = lease.stat().st_mtime - 3_600  # its last renewal was an hour ago
    os.utime(lease, (long_ago, long_ago))
    report = await models.prune_models("net", keep=1)
    assert (report.blobs_removed, report.blobs_in_use) == (sent, 0)
    assert await blobs(models.provider) == await needed(models)
    assert await leftovers(models.provider) == []
