"""Bringing directories in step with datasets: requests, verification, what changes on the disk, and what is refused."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider
from bucketry._manage.datasets.local_state import LocalDirectory, LocalState
from bucketry._manage.datasets.methods import DatasetMethods
from bucketry._manage.datasets.stored import StoredDataset
from bucketry._manage.datasets.values import DatasetFile, DatasetInfo
from bucketry._manage.manifest import to_json
from bucketry.errors import (
    DiskFullError,
    IntegrityError,
    InvalidRequestError,
    LocalFileNotFoundError,
    LocalIsADirectoryError,
    LocalNotADirectoryError,
    LocalPermissionError,
    NotFoundError,
    PreconditionFailedError,
    UnsafeKeyError,
    UnsupportedError,
)
from bucketry.providers.provider import StorageProvider
from bucketry.testing import Fault, FaultyProvider, embedded_s3
from tests.manage.dataset_bench import FILES, Bench, read_tree, write_tree

T = TypeVar("T")

READS = ("open_body", "fetch_range")


@pytest.fixture(scope="module")
def s3_config() -> Iterator[dict[str, Any]]:
    """Run moto's server, and give a provider's configuration."""
    with embedded_s3("datasets") as server:
        yield server.config


@pytest.fixture(params=["memory", "local", "s3"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give a bench for each kind of provider."""
    inner: StorageProvider
    match request.param:
        case "memory":
            inner = MemoryProvider()
        case "local":
            inner = LocalProvider({"base_path": tmp_path / "store"})
        case _:
            inner = S3Provider(request.getfixturevalue("s3_config"))
    async with inner:
        yield Bench(inner)
        await inner.delete_many([entry.key async for entry in inner.list()])


async def put_plain(bench: Bench, files: dict[str, bytes]) -> None:
    """Store a dataset without a manifest, and forget these requests."""
    for path, data in files.items():
        await bench.provider.put(f"datasets/d/{path}", data)
    bench.requests()


async def test_a_dataset_arrives_whole(bench: Bench, tmp_path: Path) -> None:
    """Every file has the bytes and the time of the uploaded one, and nothing of the download remains."""
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "new" / "target"
    info = await bench.upload_dataset("d", source)
    result = await bench.ensure_dataset("d", target)
    assert read_tree(target) == FILES
    assert [os.stat(target / path).st_mtime_ns for path in FILES] == [
        os.stat(source / path).st_mtime_ns for path in FILES
    ]
    assert result.info == info
    assert (result.downloaded, result.downloaded_bytes) == (tuple(sorted(FILES)), info.size)
    assert (result.removed, result.foreign, result.local_dir) == ((), (), str(target))
    assert sorted(os.listdir(target / ".bucketry")) == ["dataset.json", "lock"]


async def test_nothing_to_do_costs_one_request(bench: Bench, tmp_path: Path) -> None:
    """A directory in step costs one conditional read of the manifest, and changes nothing on the disk."""
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    await bench.ensure_dataset("d", tmp_path / "target")
    before = {path: os.stat(path).st_mtime_ns for path in (tmp_path / "target").rglob("*")}
    bench.requests()
    result = await bench.ensure_dataset("d", tmp_path / "target")
    assert bench.requests() == {"open_body": 1}
    assert result.downloaded == ()
    assert {path: os.stat(path).st_mtime_ns for path in (tmp_path / "target").rglob("*")} == before


async def test_an_unchanged_manifest_is_not_sent_again(bench: Bench, tmp_path: Path) -> None:
    """The read of a known manifest is conditional, so that the answer has no body if it has not changed."""
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    place = bench._place("d")
    known = await place.read()
    assert await place.read_again(known) is known


async def test_without_a_manifest_nothing_to_do_costs_one_listing(bench: Bench, tmp_path: Path) -> None:
    """A plain prefix is a dataset, too: one listing tells that nothing is to do."""
    await put_plain(bench, FILES)
    result = await bench.ensure_dataset("d", tmp_path / "target")
    assert (result.info.has_manifest, result.downloaded) == (False, tuple(sorted(FILES)))
    assert read_tree(tmp_path / "target") == FILES
    bench.requests()
    assert (await bench.ensure_dataset("d", tmp_path / "target")).downloaded == ()
    assert bench.requests() == {"list_page": 1}
    assert (await bench.dataset_info("d")).files == result.info.files


async def test_a_small_file_costs_one_request(bench: Bench, tmp_path: Path) -> None:
    """The first download makes one request for the manifest, and one for each small file."""
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    bench.requests()
    await bench.ensure_dataset("d", tmp_path / "target")
    made = bench.requests()
    assert sum(made.pop(name, 0) for name in READS) == 1 + len(FILES)
    assert made == {}


async def test_a_new_version_replaces_the_old_one(bench: Bench, tmp_path: Path) -> None:
    """Changed files are downloaded, others are not, and what the new version does not have is removed."""
    source, target = tmp_path / "source", tmp_path / "target"
    await bench.upload_dataset("d", write_tree(source, FILES))
    await bench.ensure_dataset("d", target)
    (source / "deep/er/ü b+c%20.txt").unlink()
    (source / "deep/er").rmdir()
    await bench.upload_dataset("d", write_tree(source, {"a": b"new"}))
    result = await bench.ensure_dataset("d", target)
    assert (result.downloaded, result.removed) == (("a",), ("deep/er/ü b+c%20.txt",))
    assert read_tree(target) == read_tree(source)
    assert not (target / "deep" / "er").exists()


async def test_a_plain_object_that_changed_is_downloaded(bench: Bench, tmp_path: Path) -> None:
    """Without a manifest, only objects with another etag are downloaded, and removed objects leave the directory."""
    await put_plain(bench, FILES)
    await bench.ensure_dataset("d", tmp_path / "target")
    await put_plain(bench, {"a": b"new"})
    await bench.provider.delete("datasets/d/z~")
    result = await bench.ensure_dataset("d", tmp_path / "target")
    assert (result.downloaded, result.removed) == (("a",), ("z~",))


async def test_a_file_becomes_a_directory_and_back(bench: Bench, tmp_path: Path) -> None:
    """A new version may have a directory where the old one had a file, and the other way round."""
    one = write_tree(tmp_path / "one", {"a": b"file", "b/c/d": b"deep"})
    two = write_tree(tmp_path / "two", {"a/x/y": b"deep", "b": b"file"})
    for source in (one, two, one):
        await bench.upload_dataset("d", source)
        await bench.ensure_dataset("d", tmp_path / "target")
        assert read_tree(tmp_path / "target") == read_tree(source)


async def test_a_changed_local_file_is_repaired(tmp_path: Path) -> None:
    """A local file with another size or time is read; if its bytes differ, only it is downloaded."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = tmp_path / "target"
    await bench.ensure_dataset("d", target)
    write_tree(target, {"a": b"ONE", "z~": b"shorter"})
    (target / "deep" / "x").touch()
    assert set((await bench.ensure_dataset("d", target)).downloaded) == {"a", "z~"}
    assert read_tree(target) == FILES


async def test_download_trusts_no_file(tmp_path: Path) -> None:
    """A file that changed without a change of size and time is repaired by `download_dataset` only."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = tmp_path / "target"
    await bench.ensure_dataset("d", target)
    before = os.stat(target / "a")
    write_tree(target, {"a": b"ONE"})
    os.utime(target / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await bench.ensure_dataset("d", target)).downloaded == ()
    assert (await bench.download_dataset("d", target)).downloaded == ("a",)
    assert read_tree(target) == FILES


async def test_a_copy_by_other_means_is_read_not_downloaded(tmp_path: Path) -> None:
    """A directory that has the files already, without a state, is verified and then costs one request."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", FILES)
    bench.requests()
    assert (await bench.ensure_dataset("d", target)).downloaded == ()
    assert bench.requests() == {"open_body": 1}
    (target / ".bucketry" / "dataset.json").write_bytes(b"damaged")
    assert (await bench.ensure_dataset("d", target)).downloaded == ()
    bench.requests()
    await bench.ensure_dataset("d", target)
    assert bench.requests() == {"open_body": 1}


async def test_foreign_files_stay_and_are_named(tmp_path: Path) -> None:
    """Files that are not of the dataset stay; an old file that somebody changed counts as one."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", {"notes": b"mine"})
    assert (await bench.ensure_dataset("d", target)).foreign == ("notes",)
    write_tree(target, {"deep/x": b"edited"})
    (tmp_path / "source" / "deep" / "x").unlink()
    await bench.upload_dataset("d", tmp_path / "source")
    result = await bench.ensure_dataset("d", target)
    assert (set(result.foreign), result.removed) == ({"notes", "deep/x"}, ())
    assert (target / "deep" / "x").read_bytes() == b"edited"


async def test_replaced_files_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files with other bytes that no call has written, or that were edited, are in the result and in a warning."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", {"a": b"ONE", "deep/x": b"mine", "a!": b""})
    with caplog.at_level(logging.WARNING, "bucketry"):
        result = await bench.ensure_dataset("d", target)
    assert result.replaced == ("a", "deep/x")
    assert "a, deep/x" in caplog.text
    caplog.clear()
    write_tree(target, {"z~": b"edited"})
    (target / "deep" / "x").unlink()
    assert (await bench.ensure_dataset("d", target)).replaced == ("z~",)
    assert read_tree(target) == FILES


async def test_files_of_an_earlier_call_are_not_named_as_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new version replaces the files that an earlier call has written or verified, without a warning."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", {"a": FILES["a"]})
    await bench.ensure_dataset("d", target)
    await bench.upload_dataset("d", write_tree(tmp_path / "source", {"a": b"ONE", "deep/x": b"longer than before"}))
    result = await bench.ensure_dataset("d", target, exact=True)
    assert (result.downloaded, result.replaced) == (("a", "deep/x"), ())
    assert caplog.text == ""


async def test_local_files_without_a_manifest_are_named_as_replaced(tmp_path: Path) -> None:
    """Without a manifest, a local file that no call has written is downloaded again, and so it is named."""
    bench = Bench()
    await put_plain(bench, {"a": b"one", "b": b"two"})
    target = write_tree(tmp_path / "target", {"a": b"ONE"})
    with pytest.raises(InvalidRequestError, match="has files with other bytes"):
        await bench.ensure_dataset("d", target, exact=True)
    assert (await bench.ensure_dataset("d", target)).replaced == ("a",)
    assert (await bench.download_dataset("d", target)).replaced == ()


@pytest.mark.parametrize("data", [b"ONE", b"longer"])
async def test_exact_refuses_to_replace_files(tmp_path: Path, data: bytes) -> None:
    """With `exact=True`, a file that would be lost is an error, before any file is changed or downloaded."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", {"a": data, "deep/x": FILES["deep/x"]})
    bench.requests()
    with pytest.raises(InvalidRequestError, match=r"changed since: a; move them elsewhere, or leave out exact=True"):
        await bench.ensure_dataset("d", target, exact=True)
    assert bench.requests() == {"open_body": 1}
    assert read_tree(target) == {"a": data, "deep/x": FILES["deep/x"]}
    await bench.ensure_dataset("d", target)
    write_tree(target, {"a": data + b"!"})
    with pytest.raises(InvalidRequestError, match="leave out exact=True"):
        await bench.ensure_dataset("d", target, exact=True)
    assert (target / "a").read_bytes() == data + b"!"


async def test_exact_refuses_foreign_files(tmp_path: Path) -> None:
    """With `exact=True`, foreign files are an error that names them, before anything is downloaded or removed."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", {f"notes{number}": b"mine" for number in range(7)})
    bench.requests()
    with pytest.raises(InvalidRequestError, match=r"notes0, .*notes4 and 2 more; remove them, or leave out exact=True"):
        await bench.ensure_dataset("d", target, exact=True)
    assert bench.requests() == {"open_body": 1}
    assert sorted(os.listdir(target)) == [f"notes{number}" for number in range(7)]


@pytest.mark.parametrize("way", ["deep/x/mine", "deep"])
async def test_a_foreign_file_in_the_way_is_refused(tmp_path: Path, way: str) -> None:
    """A foreign file where the dataset needs a directory, or a directory where it needs a file, is a clear error."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", {way: b"mine"})
    with pytest.raises(InvalidRequestError, match="in the way of a file of the dataset"):
        await bench.ensure_dataset("d", target)
    assert read_tree(target) == {way: b"mine"}


async def test_a_linked_directory_in_the_way_is_refused(tmp_path: Path) -> None:
    """No file is written through a symbolic link to a directory."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidRequestError, match="in the way"):
        await bench.ensure_dataset("d", tmp_path / "target")
    assert os.listdir(tmp_path / "elsewhere") == []


async def test_an_empty_directory_in_the_way_is_replaced(tmp_path: Path) -> None:
    """An empty directory at the path of a file gives way to it."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    (tmp_path / "target" / "a").mkdir(parents=True)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == FILES


async def test_an_object_replaced_under_the_manifest(bench: Bench, tmp_path: Path) -> None:
    """An object with other bytes than the manifest says is an error that names it, and no local file changes."""
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "target"
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", target)
    before = read_tree(target)
    await bench.upload_dataset("d", write_tree(source, {"a": b"two", "a!": b"new"}))
    await bench.provider.put("datasets/d/a", b"bad")
    with pytest.raises(IntegrityError, match=r"dataset 'd', datasets/d/a: the object is not the one of the manifest"):
        await bench.ensure_dataset("d", target)
    assert read_tree(target) == before
    await bench.provider.put("datasets/d/a", b"longer than before")
    with pytest.raises(IntegrityError, match=r"dataset 'd', datasets/d/a: "):
        await bench.ensure_dataset("d", target)
    assert read_tree(target) == before


async def test_a_missing_object_is_named(bench: Bench, tmp_path: Path) -> None:
    """An object that the manifest names and that is gone is an error that names it, and no local file changes."""
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    await bench.provider.delete("datasets/d/deep/x")
    with pytest.raises(NotFoundError, match=r"dataset 'd', datasets/d/deep/x: the manifest names this object"):
        await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == {}


@pytest.mark.parametrize("data", [b"two", b"longer", None])
async def test_a_new_version_during_the_download(bench: Bench, tmp_path: Path, data: bytes | None) -> None:
    """A dataset that is replaced while it is downloaded is an error that says so; the next call gets it whole."""
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "target"
    await bench.upload_dataset("d", source)

    async def replace_dataset() -> None:
        for path in FILES.keys() - {"z~"}:
            if data is None:
                (source / path).unlink()
            else:
                write_tree(source, {path: data})
        await bench.upload_dataset("d", source)

    # The first request reads the manifest, the second one an object.
    racing = bench.with_faults(Fault(operation="open_body", nth=2, hook=replace_dataset))
    with pytest.raises(PreconditionFailedError, match="the dataset changed while it was downloaded; run again"):
        await racing.ensure_dataset("d", target)
    assert read_tree(target) == {}
    await bench.ensure_dataset("d", target)
    assert read_tree(target) == read_tree(source)


async def test_a_plain_object_replaced_during_the_download(bench: Bench, tmp_path: Path) -> None:
    """Without a manifest, an object that changed since the listing is an error, not a mixture of two versions."""
    await put_plain(bench, {"a": b"one", "b": b"one"})

    async def replace_object() -> None:
        await put_plain(bench, {"a": b"two"})

    racing = bench.with_faults(Fault(operation="open_body", nth=2, hook=replace_object))
    with pytest.raises(PreconditionFailedError, match="the dataset changed while it was downloaded; run again"):
        await racing.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == {}


async def test_a_file_has_the_time_of_the_manifest(tmp_path: Path) -> None:
    """A file that was touched and not sent again is downloaded with its new time."""
    bench = Bench()
    source = write_tree(tmp_path / "source", {"a": b"one"})
    await bench.upload_dataset("d", source)
    os.utime(source / "a", ns=(0, 1_600_000_000_000_000_001))
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert os.stat(tmp_path / "target" / "a").st_mtime_ns == 1_600_000_000_000_000_001


async def test_a_failed_download_continues(tmp_path: Path) -> None:
    """Files that were complete when a download failed are verified and used, not downloaded again."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    failing = bench.with_faults(Fault(operation="open_body", nth=5, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == {}
    done = [name for name in os.listdir(tmp_path / "target" / ".bucketry" / "staging") if "." not in name]
    assert done
    bench.requests()
    await bench.ensure_dataset("d", tmp_path / "target")
    assert bench.requests() == {"open_body": 1 + len(FILES) - len(done)}
    assert read_tree(tmp_path / "target") == FILES


async def test_what_a_killed_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    """The next call removes incomplete files of a killed process, also if it fails itself."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    staging = tmp_path / "target" / ".bucketry" / "staging"
    write_tree(staging, {".bucketry-0123456789abcdef.part": b"x", f"{'0' * 64}.new": b"x"})
    failing = bench.with_faults(Fault(operation="open_body", nth=2, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.ensure_dataset("d", tmp_path / "target")
    assert os.listdir(staging) == []


async def test_a_damaged_staged_file_is_downloaded_again(tmp_path: Path) -> None:
    """A file of an interrupted download that was damaged meanwhile does not reach the directory."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    failing = bench.with_faults(Fault(operation="open_body", nth=6, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.ensure_dataset("d", tmp_path / "target")
    staging = tmp_path / "target" / ".bucketry" / "staging"
    for path in staging.iterdir():
        path.write_bytes(b"!" * path.stat().st_size)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == FILES


async def test_a_cancelled_call_changes_nothing(tmp_path: Path) -> None:
    """Cancelling a download releases the lock, and leaves the directory as it was."""
    bench = Bench()
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "target"
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", target)
    await bench.upload_dataset("d", write_tree(source, {"a": b"two", "z~": b"two"}))
    reached = asyncio.Event()

    async def reach() -> None:
        reached.set()

    hanging = bench.with_faults(Fault(operation="open_body", nth=3, hook=reach, hang=True))
    task = asyncio.get_running_loop().create_task(hanging.ensure_dataset("d", target))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert read_tree(target) == FILES
    await bench.ensure_dataset("d", target)
    assert read_tree(target) == read_tree(source)


async def test_a_file_that_is_changed_during_the_download_stays(tmp_path: Path) -> None:
    """A file that the new version does not have is not removed if somebody changed it after the comparison."""
    bench = Bench()
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "target"
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", target)
    (source / "a").unlink()
    (source / "deep" / "x").unlink()
    await bench.upload_dataset("d", write_tree(source, {"new": b"new"}))

    async def edit() -> None:
        (target / "a").write_bytes(b"edited")

    result = await bench.with_faults(Fault(operation="open_body", nth=2, hook=edit)).ensure_dataset("d", target)
    assert read_tree(target) == read_tree(source) | {"a": b"edited"}
    assert (result.removed, result.foreign) == (("deep/x",), ("a",))


async def test_an_interrupted_publication_continues(tmp_path: Path) -> None:
    """If files cannot all be moved to their places, the next call moves the others, and downloads nothing again."""
    bench = Bench()
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "target"
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", target)
    (source / "deep" / "x").unlink()
    await bench.upload_dataset("d", write_tree(source, {"a": b"two", "y": b"three"}))

    async def come() -> None:
        write_tree(target, {"y/other": b""})

    with pytest.raises(LocalIsADirectoryError, match="y: is a directory with other entries"):
        await bench.with_faults(Fault(operation="open_body", nth=2, hook=come)).ensure_dataset("d", target)
    (target / "y" / "other").unlink()
    bench.requests()
    await bench.ensure_dataset("d", target)
    assert bench.requests() == {"open_body": 1}
    assert read_tree(target) == read_tree(source)


async def test_files_from_before_1970_are_known(tmp_path: Path) -> None:
    """A local file with a negative time is verified once, as any other."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    target = write_tree(tmp_path / "target", FILES)
    os.utime(target / "a", ns=(-1, -1))
    await bench.ensure_dataset("d", target)
    state = LocalDirectory(target).check("d")
    assert state is not None
    assert state.stamps["a"] == (3, -1)


async def test_own_files_that_cannot_be_used_are_an_error_or_removed(tmp_path: Path) -> None:
    """A directory among the staged files is removed; one in the place of the state is named, and nothing is left."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    own = tmp_path / "target" / ".bucketry"
    write_tree(own, {"staging/directory/x": b"", "dataset.json/x": b""})
    with pytest.raises(LocalIsADirectoryError, match="writing the state"):
        await bench.ensure_dataset("d", tmp_path / "target")
    (own / "dataset.json" / "x").unlink()
    (own / "dataset.json").rmdir()
    await bench.ensure_dataset("d", tmp_path / "target")
    assert sorted(os.listdir(own)) == ["dataset.json", "lock"]


async def test_calls_in_one_process_share_a_download(tmp_path: Path) -> None:
    """Of many tasks that ask for one dataset in one directory at once, one downloads."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bench.ensure_dataset("d", tmp_path / "target")) for _ in range(4)]
    assert sorted(len(task.result().downloaded) for task in tasks) == [0, 0, 0, len(FILES)]


class Overtaken(FaultyProvider):
    """A provider where something else happens directly after the first answer."""

    def __init__(self, inner: StorageProvider, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(inner)
        self.meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make the request, and let the other thing happen once."""
        result = await request()
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return result


async def test_a_call_does_not_go_back_to_an_older_version(tmp_path: Path) -> None:
    """A call that read the manifest before another call brought in a newer version takes the newer one."""
    source, target = write_tree(tmp_path / "source", FILES), tmp_path / "target"
    inner = MemoryProvider()
    other = DatasetMethods(inner)
    await other.upload_dataset("d", source)

    async def follow_a_new_version() -> None:
        await other.upload_dataset("d", write_tree(source, {"a": b"two"}))
        await other.ensure_dataset("d", target)

    result = await DatasetMethods(Overtaken(inner, follow_a_new_version)).ensure_dataset("d", target)
    assert result.info == await other.dataset_info("d")
    assert read_tree(target) == read_tree(source)


async def test_a_call_that_finds_the_work_done_leaves_nothing(tmp_path: Path) -> None:
    """If another call brings the directory in step before this call has the lock, no empty directory remains."""
    target, inner = tmp_path / "target", MemoryProvider()
    other = DatasetMethods(inner)
    await other.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    overtaken = DatasetMethods(Overtaken(inner, lambda: other.ensure_dataset("d", target)))
    assert (await overtaken.ensure_dataset("d", target)).downloaded == ()
    assert sorted(os.listdir(target / ".bucketry")) == ["dataset.json", "lock"]


async def test_a_full_disk_is_found_before_the_download(tmp_path: Path) -> None:
    """A dataset that does not fit on the disk is refused before the first object is read."""
    bench = Bench()
    file = {"path": "a", "size": 2**62, "sha256": "0" * 64, "mtime": 0, "etag": ""}
    entries = {"name": "d", "created": "2020-01-01T00:00:00+00:00", "metadata": {}, "state": "complete"}
    await bench.provider.put("datasets/d/.bucketry-dataset.json", to_json(entries | {"files": [file]}))
    bench.requests()
    with pytest.raises(
        DiskFullError, match=r"4611686018427387904 bytes are to be downloaded, and the disk has \d+ bytes"
    ):
        await bench.ensure_dataset("d", tmp_path)
    assert bench.requests() == {"open_body": 1}


async def test_datasets_may_be_below_another_prefix(tmp_path: Path) -> None:
    """The prefix of all datasets can be another one, or none."""
    for root in ("data/sets", ""):
        bench = Bench()
        bench.datasets_root = root
        await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
        await bench.ensure_dataset("d", tmp_path / "target")
        assert await bench.list_datasets() == ["d"]
        assert (await bench.dataset_info("d")).prefix == (f"{root}/d/" if root else "d/")


async def test_a_missing_dataset_names_near_ones(tmp_path: Path) -> None:
    """A name without a dataset is an error that names similar ones, and makes no directory."""
    bench = Bench()
    for name in ("mnist-train", "imagenet"):
        await bench.provider.put(f"datasets/{name}/x", b"")
    with pytest.raises(NotFoundError, match=r"no dataset 'mnist-tran'; did you mean 'mnist-train'\?"):
        await bench.ensure_dataset("mnist-tran", tmp_path / "target")
    with pytest.raises(NotFoundError, match=r"no dataset 'q'$"):
        await bench.dataset_info("q")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "keys", [["../x"], ["a", "a/b"], [".bucketry/lock"], ["x/.bucketry-0123456789abcdef.part"], ["C:x"]]
)
async def test_keys_that_are_no_paths_are_refused(tmp_path: Path, keys: list[str]) -> None:
    """A plain prefix with a key that cannot be a file is refused before anything is downloaded."""
    bench = Bench()
    await put_plain(bench, dict.fromkeys([*keys, "fine"], b"x"))
    with pytest.raises(UnsafeKeyError):
        await bench.ensure_dataset("d", tmp_path / "target")
    assert os.listdir(tmp_path) == []


async def test_marks_of_directories_are_passed_over(tmp_path: Path) -> None:
    """The empty objects with which consoles show directories are no files of a plain dataset."""
    bench = Bench()
    await put_plain(bench, {"": b"", "sub/": b"", "sub/x": b"x"})
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == {"sub/x": b"x"}


async def test_a_plain_dataset_gets_a_manifest(tmp_path: Path) -> None:
    """A directory in step with a plain prefix follows when the dataset is uploaded, without downloading again."""
    bench = Bench()
    await put_plain(bench, FILES)
    await bench.ensure_dataset("d", tmp_path / "target")
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    result = await bench.ensure_dataset("d", tmp_path / "target")
    assert (result.info.has_manifest, result.downloaded) == (True, ())


async def test_unusable_directories_are_refused(tmp_path: Path) -> None:
    """A file, the directory of another dataset, and a directory inside of one are clear errors."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    await bench.upload_dataset("e", tmp_path / "source")
    await bench.ensure_dataset("d", tmp_path / "target")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalNotADirectoryError, match="is a file; name a directory"):
        await bench.ensure_dataset("d", tmp_path / "file")
    with pytest.raises(LocalNotADirectoryError):
        await bench.ensure_dataset("d", tmp_path / "file" / "below")
    with pytest.raises(InvalidRequestError, match="holds the dataset 'd'; choose another directory for 'e'"):
        await bench.ensure_dataset("e", tmp_path / "target")
    with pytest.raises(InvalidRequestError, match=r"is inside .*target, which holds a dataset"):
        await bench.ensure_dataset("e", tmp_path / "target" / "deep")
    assert read_tree(tmp_path / "target") == FILES


async def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    """A directory that cannot be made is a clear error."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    with pytest.raises(LocalPermissionError, match="making the directory for the dataset"):
        await bench.ensure_dataset("d", "/sys/kernel/target")  # nobody can make a directory there


async def test_a_directory_that_cannot_exist_is_named(tmp_path: Path) -> None:
    """A path where the system has no place for a directory is an error that says to choose another one."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    with pytest.raises(LocalFileNotFoundError, match=r"^/proc/target: the directory cannot be made .* choose another"):
        await bench.ensure_dataset("d", "/proc/target")


async def test_another_bucket_with_the_same_name(tmp_path: Path) -> None:
    """Etags of one place tell nothing about another one: a directory follows when the bucket is another."""
    one, two = (Bench(LocalProvider({"base_path": tmp_path / name})) for name in ("one", "two"))
    await put_plain(one, {"a": b"one"})
    await put_plain(two, {"a": b"two"})
    await one.ensure_dataset("d", tmp_path / "target")
    await two.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == {"a": b"two"}


def test_etags_of_another_place_prove_nothing() -> None:
    """Files that are known by their etags count for their own place only, those with a SHA-256 everywhere."""
    plain, summed = DatasetFile(path="a", size=1, etag='"1"'), DatasetFile(path="b", size=1, sha256="0" * 64)
    info = DatasetInfo(name="d", prefix="datasets/d/", files=(plain, summed), has_manifest=False)
    state = LocalState("s3://one/datasets/d/", StoredDataset(info), {"a": (1, 5), "b": (1, 6)})
    assert state.verified("s3://one/datasets/d/") == {"a": ('"1"', (1, 5)), "b": ("0" * 64, (1, 6))}
    assert state.verified("s3://two/datasets/d/") == {"b": ("0" * 64, (1, 6))}
