"""Restoring models: the target is replaced as a whole, and what a killed restore leaves is cleaned up."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
from pathlib import Path

import pytest

from bucketry import LocalProvider, MemoryProvider, TransferConfig
from bucketry._manage.models.swap import StagedModel
from bucketry.errors import (
    IntegrityError,
    InvalidRequestError,
    LocalFileError,
    LocalIsADirectoryError,
    LocalNotADirectoryError,
    NotFoundError,
)
from bucketry.testing import FaultyProvider
from tests.manage.model_bench import AT_ONCE, Models, StopsAt, at_every_event, content, noise, write_model
from tests.manage.model_processes import UNSHARE, has_own_mounts, restore_and_die, restore_with_mount, start

NEW = {"a": noise(3_000, 1), "d/b": noise(4_000, 2), "d/same": noise(3_000, 1)}
OLD = {"old": b"old", "d/deep": b"old"}


@pytest.fixture
async def models(tmp_path: Path) -> Models:
    """Give a store with the model `net` of a directory and the model `one` of a file."""
    models = Models(MemoryProvider(transfer=AT_ONCE))
    source = write_model(tmp_path / "source", a=NEW["a"], d_b=NEW["d/b"], d_same=NEW["d/same"])
    await models.backup_model(source, "net")
    await models.backup_model(source / "a", "one")
    return models


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give a directory with other files."""
    return write_model(tmp_path / "place" / "target", old=b"old", d_deep=b"old")


def around(target: Path) -> list[str]:
    """Give the names next to the target."""
    return sorted(os.listdir(target.parent))


def names(directory: Path) -> list[str]:
    """Give the paths of everything below a directory."""
    return sorted(map(str, directory.rglob("*")))


async def test_a_directory_is_replaced_as_a_whole(models: Models, target: Path) -> None:
    """Files that the version does not have are gone, equal files are downloaded once, and nothing is left beside."""
    watched = FaultyProvider(models.provider)
    await Models(watched).restore_model("net", target)
    assert content(target) == NEW
    assert around(target) == ["target"]
    assert watched.calls["open_body"] == 2 + 2  # `latest` and the manifest; two different files
    await models.restore_model("net", f"{target}/")
    assert content(target) == NEW


async def test_a_file_is_replaced(models: Models, tmp_path: Path) -> None:
    """A file is replaced in one step; missing parents are made; a link is replaced, and its target stays."""
    await models.restore_model("one", tmp_path / "x/y/model.pt")
    assert (tmp_path / "x/y/model.pt").read_bytes() == NEW["a"]
    (tmp_path / "kept").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    await models.restore_model("one", tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()
    assert ((tmp_path / "link").read_bytes(), (tmp_path / "kept").read_bytes()) == (NEW["a"], b"kept")


async def test_a_link_to_a_directory_is_replaced(models: Models, target: Path) -> None:
    """A target that is a link to a directory becomes a directory; the one it led to stays."""
    link = target.parent / "link"
    link.symlink_to(target)
    await models.restore_model("net", link)
    assert not link.is_symlink()
    assert (content(link), content(target)) == (NEW, OLD)


async def test_the_renames_can_be_flushed(models: Models, target: Path) -> None:
    """With `fsync`, the restored directory is the same."""
    await Models(models.provider, transfer=TransferConfig(fsync=True)).restore_model("net", target)
    assert content(target) == NEW


@pytest.mark.parametrize(
    "kind", ["file for directory", "directory for file", "pipe", "current", "above", "store", "store below"]
)
async def test_a_target_that_must_stay_is_refused(
    models: Models, target: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target of another kind, the current directory and the place of a provider are refused, and stay."""
    name, path, error = "net", target, LocalFileError
    match kind:
        case "file for directory":
            name, error = "one", LocalIsADirectoryError
        case "directory for file":
            path, error = target / "old", LocalNotADirectoryError
        case "pipe":
            path = target / "pipe"
            os.mkfifo(path)
        case "current":
            monkeypatch.chdir(target)
        case "above":
            monkeypatch.chdir(target / "d")
        case "store":
            write_model(target, **{".bucketry_x": b""})
        case "store below":
            write_model(target, **{"d_deep.er_.bucketry_x": b""})
    before = names(target)
    with pytest.raises(error):
        await models.restore_model(name, path)
    assert names(target) == before
    assert around(target) == ["target"]


@pytest.mark.parametrize("name", ["net", "one"])
@pytest.mark.parametrize("below", ["", "my store/models/net/blobs", "my store/datasets/new"])
async def test_the_provider_itself_is_not_replaced(tmp_path: Path, name: str, below: str) -> None:
    """A target that contains the place of the objects, or is in it, is refused, and no object is lost."""
    source = write_model(tmp_path / "source", a=NEW["a"])
    models = Models(LocalProvider({"base_path": tmp_path / "place" / "my store"}))
    await models.backup_model(source, "net")
    await models.backup_model(source / "a", "one")
    before = await models.provider.list_files()
    with pytest.raises(InvalidRequestError, match="overlaps"):
        await models.restore_model(name, tmp_path / "place" / below)
    assert await models.provider.list_files() == before


async def test_a_target_that_is_used_meanwhile_is_refused(models: Models, target: Path) -> None:
    """The target is checked again before it is replaced: a dataset may have come into it during the download."""

    async def come() -> None:
        write_model(target, **{"d_.bucketry_dataset": b""})

    stopping = StopsAt(models.provider, 3, come)
    with pytest.raises(LocalFileError, match="dataset"):
        await Models(stopping).restore_model("net", target)
    assert content(target) == OLD | {"d/.bucketry/dataset": b""}
    assert around(target) == ["target"]


@pytest.mark.slow
@pytest.mark.skipif(not has_own_mounts(), reason="this system gives a process no mounts of its own")
async def test_a_mount_point_below_the_target_is_refused(tmp_path: Path, target: Path) -> None:
    """A directory that is mounted below the target, also from the same file system, keeps its files."""
    mounted, other = target / "d" / "a mount", write_model(tmp_path / "other", kept=b"kept")
    mounted.mkdir()
    models = Models(LocalProvider({"base_path": tmp_path / "store"}))
    await models.backup_model(write_model(tmp_path / "source", a=NEW["a"]), "net")
    process = start(restore_with_mount, str(tmp_path / "store"), str(target), str(other), str(mounted), prefix=UNSHARE)
    said, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    assert said.decode() == f"{mounted} is a mount point"
    assert content(other) == {"kept": b"kept"}
    assert content(target) == OLD


async def test_a_target_that_was_moved_is_put_back(target: Path) -> None:
    """If the second of the two renames fails, the old target comes back, whatever the reason is."""
    staged = StagedModel(str(target), "directory", fsync=False)
    staged.open()
    shutil.rmtree(staged.new)  # so that the renames to the target fail
    with pytest.raises(LocalFileError):
        staged.publish()
    staged.discard()
    assert content(target) == OLD
    assert around(target) == ["target"]
    staged = StagedModel(str(target), "directory", fsync=False)
    staged.open()
    os.rename(target, Path(staged.new).parents[1] / "old" / "target")
    staged.discard()
    assert content(target) == OLD


async def test_an_error_leaves_the_old_target(models: Models, target: Path) -> None:
    """A damaged or missing blob, at any place, leaves the target as it was."""
    memory = models.provider
    made = await models.model_info("net")
    for file in made.files:
        key = f"models/net/blobs/{file.blob}"
        data = await memory.get(key)
        for bad in (data[:-1], data[:-1] + b"\x00", None):
            if bad is None:
                await memory.delete(key)
            else:
                await memory.put(key, bad)
            with pytest.raises((IntegrityError, NotFoundError), match=file.blob):
                await models.restore_model("net", target)
            assert content(target) == OLD
            assert around(target) == ["target"]
        await memory.put(key, data)


async def test_a_cancelled_restore_leaves_the_old_target(models: Models, target: Path) -> None:
    """A restore that is cancelled at any request leaves the old target, and nothing beside it."""

    async def play(at: int) -> int:
        async def cancel() -> None:
            task.cancel()
            await asyncio.sleep(0)

        stopping = StopsAt(models.provider, at, cancel)
        task = asyncio.ensure_future(Models(stopping).restore_model("net", target))
        await asyncio.wait([task])
        assert task.cancelled() == bool(stopping.where)
        assert content(target) == (OLD if stopping.where else NEW)
        assert around(target) == ["target"]
        return stopping.events

    assert await at_every_event(play) > 4


async def test_a_blob_that_is_stored_again_is_read_again(models: Models, target: Path) -> None:
    """Another backup may store the same bytes again, with another etag: the restore takes the new object."""
    memory = models.provider

    async def again() -> None:
        for key in await memory.list_files("models/net/blobs/"):
            await memory.put(key, await memory.get(key), metadata={"x": "y"})

    async def play(at: int) -> int:
        stopping = StopsAt(memory, at, again)
        await Models(stopping).restore_model("net", target)
        assert content(target) == NEW
        return stopping.events

    assert await at_every_event(play) > 4


async def test_two_restores_at_once_leave_one_whole_version(models: Models, target: Path) -> None:
    """Several restores to one target: each puts a whole version there, the last one stays, and nothing is left."""
    results = await asyncio.gather(*(models.restore_model("net", target) for _ in range(5)))
    assert len(results) == 5
    assert content(target) == NEW
    assert around(target) == ["target"]


# --- killed restores ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("at", ["download", "1", "2", "3", "never"])
async def test_a_killed_restore_leaves_the_old_or_the_new_target(tmp_path: Path, target: Path, at: str) -> None:
    """After SIGKILL the target is the old one or the new one; between two renames it is missing until the next call."""
    source = write_model(tmp_path / "source", a=NEW["a"], d_b=NEW["d/b"], d_same=NEW["d/same"])
    models = Models(LocalProvider({"base_path": tmp_path / "store"}))
    await models.backup_model(source, "net")
    process = start(restore_and_die, str(tmp_path / "store"), str(target), at)
    await asyncio.to_thread(process.communicate)
    assert process.returncode == (0 if at == "never" else -signal.SIGKILL)
    gone = (
        at == "3"
    )  # the first rename finds the old target in its place, the second moves it, the third comes too late
    assert content(target) == ({} if gone else NEW if at == "never" else OLD)
    assert len(around(target)) == (1 if at == "never" or gone else 2)
    # The next restore puts the old target back first, also if it fails afterwards.
    await models.provider.delete_many(await models.provider.list_files("models/net/blobs/"))
    with pytest.raises(NotFoundError):
        await models.restore_model("net", target)
    assert content(target) == (NEW if at == "never" else OLD)
    assert around(target) == ["target"]


async def test_the_staging_directory_of_a_living_process_is_left_alone(models: Models, target: Path) -> None:
    """A restore removes no directory that another process has locked, and none of another target."""
    living = target.parent / ".bucketry-0123456789abcdef.part"
    other = target.parent / ".bucketry-fedcba9876543210.part"
    write_model(living / "new" / "target", x=b"")
    write_model(other / "new" / "elsewhere", x=b"")
    fd = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        await models.restore_model("net", target)
    finally:
        os.close(fd)
    assert around(target) == [living.name, other.name, "target"]
    await models.restore_model("net", target)
    assert around(target) == [other.name, "target"]
    shutil.rmtree(other)


def test_a_restore_between_the_renames_of_another_is_replaced(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another restore puts its version into the gap, the first one moves that away, too, and nothing is left."""
    first, second = (StagedModel(str(target), "directory", fsync=False) for _ in range(2))
    for staged, data in ((first, b"first"), (second, b"second")):
        staged.open()
        write_model(Path(staged.new), x=data)
    rename = os.rename
    others = [second.publish]

    def renaming(source: str, destination: str) -> None:
        rename(source, destination)
        if source == str(target) and others:
            others.pop()()

    monkeypatch.setattr(os, "rename", renaming)
    first.publish()
    for staged in (first, second):
        staged.discard()
    assert content(target) == {"x": b"first"}
    assert around(target) == ["target"]
