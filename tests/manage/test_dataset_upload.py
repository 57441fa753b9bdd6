"""Uploads of datasets: what is sent, in which order, what readers see meanwhile, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from bucketry import LocalProvider
from bucketry._manage.datasets.methods import DatasetMethods
from bucketry._manage.manifest import to_json
from bucketry._manage.sync.values import SyncProgress
from bucketry.errors import (
    IntegrityError,
    InvalidRequestError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientError,
    UnsafeKeyError,
    UnsupportedError,
)
from bucketry.testing import Fault
from tests.manage.dataset_bench import FILES, Bench, read_tree, write_tree
from tests.manage.syncing import UNCONDITIONAL, RowOf

MANIFEST = "datasets/d/.bucketry-dataset.json"


async def test_files_are_plain_objects(tmp_path: Path) -> None:
    """Each file is an object at its path below the prefix, and the result tells what is stored."""
    bench = Bench()
    info = await bench.upload_dataset("d", write_tree(tmp_path, FILES), metadata={"source": "Köln"})
    assert await bench.stored() == {f"datasets/d/{path}": data for path, data in FILES.items()}
    assert [file.path for file in info.files] == sorted(FILES)
    assert info.size == sum(map(len, FILES.values()))
    assert info == await bench.dataset_info("d")
    assert info.metadata == {"source": "Köln"}
    head = await bench.provider.head("datasets/d/a")
    assert head.metadata["mtime"].replace(".", "") == str((tmp_path / "a").stat().st_mtime_ns)


async def test_the_manifest_has_the_documented_form(tmp_path: Path) -> None:
    """The manifest is JSON with a format, the files, and a digest, as other programs read it."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, {"a": b"one"}))
    manifest = json.loads(await bench.provider.get(MANIFEST))
    assert manifest.keys() == {"format", "name", "created", "metadata", "state", "files", "sha256"}
    assert (manifest["format"], manifest["name"], manifest["state"]) == (1, "d", "complete")
    assert manifest["files"][0].keys() == {"path", "size", "sha256", "mtime", "etag"}


async def test_an_unchanged_dataset_sends_nothing(tmp_path: Path) -> None:
    """A second upload of the same files makes one read and one listing, and gives the present version."""
    bench = Bench()
    first = await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    bench.requests()
    assert await bench.upload_dataset("d", tmp_path) == first
    assert bench.requests() == {"open_body": 1, "list_page": 1}


async def test_only_changed_files_are_sent(tmp_path: Path) -> None:
    """A changed file, a new file and the manifest are sent, also if size and time are as before."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    before = os.stat(tmp_path / "a")
    write_tree(tmp_path, {"a": b"ONE", "new": b"n"})
    os.utime(tmp_path / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    bench.requests()
    await bench.upload_dataset("d", tmp_path)
    assert bench.requests() == {"open_body": 1, "list_page": 1, "put_object": 3}
    assert await bench.stored() == {f"datasets/d/{path}": data for path, data in read_tree(tmp_path).items()}


async def test_new_metadata_is_a_new_version(tmp_path: Path) -> None:
    """Other metadata with the same files publishes a manifest and sends no file."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    bench.requests()
    await bench.upload_dataset("d", tmp_path, metadata={"k": "v"})
    assert bench.requests() == {"open_body": 1, "list_page": 1, "put_object": 1}
    assert (await bench.dataset_info("d")).metadata == {"k": "v"}


async def test_an_object_replaced_by_other_means_is_sent_again(tmp_path: Path) -> None:
    """An object that is not as the manifest says is repaired by the next upload of the same directory."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    await bench.provider.put("datasets/d/a", b"bad")
    await bench.provider.delete("datasets/d/deep/x")
    await bench.upload_dataset("d", tmp_path)
    assert await bench.stored() == {f"datasets/d/{path}": data for path, data in FILES.items()}


async def test_old_objects_are_removed_after_the_manifest(tmp_path: Path) -> None:
    """If the manifest cannot be published, nothing is removed; else what the new version does not have is removed."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    (tmp_path / "a").unlink()
    refused = bench.with_faults(Fault(operation="put_object", error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await refused.upload_dataset("d", tmp_path)
    assert "datasets/d/a" in await bench.stored()
    await bench.upload_dataset("d", tmp_path)
    assert "datasets/d/a" not in await bench.stored()
    assert [file.path for file in (await bench.dataset_info("d")).files] == sorted(FILES.keys() - {"a"})


async def test_objects_of_others_stay(tmp_path: Path) -> None:
    """An upload leaves objects below the prefix alone that no manifest names, also if there was no manifest."""
    bench = Bench()
    await bench.provider.put("datasets/d/others", b"o")
    await bench.provider.put("datasets/d/a", b"old")
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    assert await bench.stored() == {"datasets/d/others": b"o"} | {f"datasets/d/{path}": FILES[path] for path in FILES}
    assert "others" not in {file.path for file in (await bench.dataset_info("d")).files}


async def test_an_interrupted_first_upload_is_no_dataset(tmp_path: Path) -> None:
    """After a first upload that failed, readers get an error, not the first half of the files."""
    bench = Bench()
    failing = bench.with_faults(Fault(operation="put_object", nth=4, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.upload_dataset("d", write_tree(tmp_path, FILES))
    with pytest.raises(NotFoundError, match="first upload of this dataset is under way or was interrupted"):
        await bench.ensure_dataset("d", tmp_path / "target")
    with pytest.raises(NotFoundError, match="first upload"):
        await bench.dataset_info("d")
    assert not (tmp_path / "target").exists()


async def test_an_interrupted_upload_continues(tmp_path: Path) -> None:
    """The next upload sends only the files that are not stored yet: the others answer one HEAD each."""
    bench = Bench()
    failing = bench.with_faults(Fault(operation="put_object", nth=4, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.upload_dataset("d", write_tree(tmp_path, FILES))
    stored = len(await bench.stored())
    assert 0 < stored < len(FILES)
    await bench.upload_dataset("d", tmp_path)
    made = bench.requests()
    assert (made["head"], made["put_object"]) == (stored, len(FILES) - stored + 1)
    assert await bench.stored() == {f"datasets/d/{path}": data for path, data in FILES.items()}


async def test_files_of_an_interrupted_first_upload_are_removed(tmp_path: Path) -> None:
    """What an interrupted first upload sent and the next one does not have is removed by it."""
    bench = Bench()
    failing = bench.with_faults(Fault(operation="put_object", nth=6, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.upload_dataset("d", write_tree(tmp_path, FILES))
    (tmp_path / "a").unlink()
    await bench.upload_dataset("d", tmp_path)
    assert "datasets/d/a" not in await bench.stored()


async def test_a_lost_answer_does_not_fail_the_upload(tmp_path: Path) -> None:
    """A conditional write whose answer was lost is recognised as its own, not as another upload."""
    bench = Bench(None, Fault(operation="put_object", nth=2, error=TransientError("lost"), after=True))
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    assert len(await bench.stored()) == len(FILES)


@pytest.mark.parametrize("nth", [1, 2, 6, 7])
async def test_two_first_uploads_exclude_each_other(tmp_path: Path, nth: int) -> None:
    """If another upload of the dataset comes between, an upload fails, and the other's version stays valid."""
    bench = Bench()
    other = write_tree(tmp_path / "other", {path: data + b"other" for path, data in FILES.items()})

    async def interfere() -> None:
        await bench.upload_dataset("d", other)

    source = write_tree(tmp_path / "source", FILES)
    with pytest.raises(PreconditionFailedError, match="another upload of it is under way"):
        await bench.with_faults(Fault(operation="put_object", nth=nth, hook=interfere)).upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == read_tree(other)


async def test_two_uploads_of_a_new_version(tmp_path: Path) -> None:
    """An upload that another one overtakes fails; after a repetition the dataset is its version, whole."""
    bench = Bench()
    source = write_tree(tmp_path / "source", FILES)
    await bench.upload_dataset("d", source)
    other = write_tree(tmp_path / "other", {path: data + b"other" for path, data in FILES.items()})
    write_tree(source, {"a": b"two", "z~": b"other"})

    async def interfere() -> None:
        await bench.upload_dataset("d", other)

    with pytest.raises(PreconditionFailedError, match="upload again"):
        await bench.with_faults(Fault(operation="put_object", hook=interfere)).upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == read_tree(other)
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == read_tree(source)


async def test_a_failed_upload_may_have_replaced_an_object_of_the_other(tmp_path: Path) -> None:
    """If an upload replaces an object and then fails, readers of the other's version get an error, not a mixture."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    other = write_tree(tmp_path / "other", FILES | {"z~": b"other"})
    failing = bench.with_faults(Fault(operation="put_object", nth=2, error=UnsupportedError("no")))

    async def interfere() -> None:
        with pytest.raises(UnsupportedError):
            await failing.upload_dataset("d", other)

    source = write_tree(tmp_path / "source", {"a": b"two"})
    await bench.with_faults(Fault(operation="put_object", hook=interfere)).upload_dataset("d", source)
    with pytest.raises(IntegrityError, match="upload the dataset again"):
        await bench.ensure_dataset("d", tmp_path / "target")
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == read_tree(source)


async def test_without_conditions_the_last_upload_wins(tmp_path: Path) -> None:
    """Where the vendor enforces no condition, an upload replaces what another one published meanwhile."""
    bench = Bench(RowOf(**UNCONDITIONAL))
    other = write_tree(tmp_path / "other", {path: data + b"other" for path, data in FILES.items()})

    async def interfere() -> None:
        await bench.upload_dataset("d", other)

    source = write_tree(tmp_path / "source", FILES)
    await bench.with_faults(Fault(operation="put_object", hook=interfere)).upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == FILES


async def test_names_in_another_unicode_form(tmp_path: Path) -> None:
    """Where the vendor stores keys in one Unicode form, files keep their names, and are not sent or removed for it."""
    bench = Bench(RowOf(key_normalization="NFC"))
    source = write_tree(tmp_path / "source", {"e\u0301": b"x"})
    await bench.upload_dataset("d", source)
    assert list(await bench.stored()) == ["datasets/d/\u00e9"]
    bench.requests()
    await bench.upload_dataset("d", source)
    assert bench.requests() == {"open_body": 1, "list_page": 1}
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == {"e\u0301": b"x"}
    (source / "e\u0301").rename(source / "\u00e9")
    await bench.upload_dataset("d", source)
    assert list(await bench.stored()) == ["datasets/d/\u00e9"]


async def test_names_that_become_one_key_are_refused(tmp_path: Path) -> None:
    """If the vendor changes the Unicode form of keys, two names that become one are refused before anything is sent."""
    bench = Bench(RowOf(key_normalization="NFC"))
    with pytest.raises(InvalidRequestError, match="are one key at this provider"):
        await bench.upload_dataset("d", write_tree(tmp_path, {"e\u0301": b"", "\u00e9": b""}))
    assert bench.requests() == {}


async def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    """If a file changes between its hash and its upload, no version is published."""
    bench = Bench()

    async def change() -> None:
        write_tree(tmp_path, {"a": b"changed"})

    with pytest.raises(IntegrityError, match="changed while the dataset was uploaded"):
        await bench.with_faults(Fault(operation="put_object", hook=change)).upload_dataset(
            "d", write_tree(tmp_path, FILES)
        )
    with pytest.raises(NotFoundError):
        await bench.dataset_info("d")


async def _edit(bench: Bench, **change: object) -> None:
    content = json.loads(await bench.provider.get(MANIFEST)) | change
    await bench.provider.put(MANIFEST, json.dumps(content).encode())


async def test_an_upload_repairs_a_tampered_manifest(tmp_path: Path) -> None:
    """A manifest that was edited is an error for readers, and the next upload replaces it."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    await _edit(bench, created="2020-01-01T00:00:00+00:00")
    with pytest.raises(IntegrityError, match=r"bucketry-dataset\.json.*digest"):
        await bench.ensure_dataset("d", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    await bench.upload_dataset("d", tmp_path / "source")
    await bench.ensure_dataset("d", tmp_path / "target")


async def test_a_newer_manifest_is_left_alone(tmp_path: Path) -> None:
    """A manifest of a newer format is an error for readers and for uploads, which do not replace it."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    await _edit(bench, format=2)
    before = await bench.provider.get(MANIFEST)
    for call in (bench.upload_dataset("d", tmp_path), bench.ensure_dataset("d", tmp_path), bench.dataset_info("d")):
        with pytest.raises(UnsupportedError, match="upgrade bucketry"):
            await call
    assert await bench.provider.get(MANIFEST) == before


async def test_a_copied_manifest_is_refused(tmp_path: Path) -> None:
    """The manifest of one dataset below another one's prefix is an error, not a dataset."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES))
    await bench.provider.copy(MANIFEST, "datasets/e/.bucketry-dataset.json")
    with pytest.raises(IntegrityError, match="manifest of another dataset"):
        await bench.dataset_info("e")


@pytest.mark.parametrize("path", ["../up", "/abs", "C:x", "a//b", ".bucketry/lock", "x/.Bucketry/y", "a/b/c"])
async def test_a_forged_manifest_leads_nowhere(tmp_path: Path, path: str) -> None:
    """A manifest with a right digest and unsafe paths is refused before anything is written."""
    bench = Bench()
    file = {"size": 1, "sha256": "0" * 64, "mtime": 0, "etag": ""}
    files = [file | {"path": path}, file | {"path": "a/b"}]
    entries = {"name": "d", "created": "2020-01-01T00:00:00+00:00", "metadata": {}, "state": "complete"}
    await bench.provider.put(MANIFEST, to_json(entries | {"files": files}))
    with pytest.raises(UnsafeKeyError):
        await bench.ensure_dataset("d", tmp_path / "target")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a/b", "", "..", ".hidden", "a b", "x" * 129, "é"])
async def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    """Every method refuses a name that is not one plain segment, without a request."""
    bench = Bench()
    for call in (
        bench.upload_dataset(name, tmp_path),
        bench.ensure_dataset(name, tmp_path),
        bench.download_dataset(name, tmp_path),
        bench.dataset_info(name),
        bench.delete_dataset(name),
    ):
        with pytest.raises(InvalidRequestError, match="dataset name"):
            await call
    assert bench.requests() == {}


async def test_unusable_directories_are_refused(tmp_path: Path) -> None:
    """A missing directory, a file and an empty directory are clear errors, without a request."""
    bench = Bench()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    expected: dict[str, type[StorageError]] = {
        "missing": LocalFileNotFoundError,
        "file": LocalNotADirectoryError,
        "empty": InvalidRequestError,
    }
    for name, error in expected.items():
        with pytest.raises(error, match=name):
            await bench.upload_dataset("d", tmp_path / name)
    assert bench.requests() == {}


async def test_unusable_entries_are_refused(tmp_path: Path) -> None:
    """A link to a directory, a socket, or a name that cannot be downloaded stops the upload before a request."""
    bench = Bench()
    write_tree(tmp_path / "link", FILES)
    (tmp_path / "link" / "l").symlink_to(tmp_path)
    write_tree(tmp_path / "socket", FILES)
    write_tree(tmp_path / "drive", {"C:x": b""})
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket" / "s"))
        for name, error in {"link": LocalFileError, "socket": LocalFileError, "drive": UnsafeKeyError}.items():
            with pytest.raises(error):
                await bench.upload_dataset("d", tmp_path / name)
    assert bench.requests() == {}


async def test_patterns_select_the_files(tmp_path: Path) -> None:
    """The dataset has the files that include patterns match, without the excluded ones, and without their errors."""
    bench = Bench()
    write_tree(tmp_path, FILES | {"deep/er/x.tmp": b"", "cache/x": b""})
    (tmp_path / "cache" / "link").symlink_to(tmp_path)
    info = await bench.upload_dataset("d", tmp_path, include=["deep/", "a", "cache"], exclude=["*.tmp", "/cache/"])
    assert [file.path for file in info.files] == ["a", "deep/er/ü b+c%20.txt", "deep/x"]
    await bench.upload_dataset("d", tmp_path, include=["a"])
    assert list(await bench.stored()) == ["datasets/d/a"]


async def test_patterns_without_a_file_are_refused(tmp_path: Path) -> None:
    """Patterns that select nothing, or that are malformed, are clear errors without a request."""
    bench = Bench()
    write_tree(tmp_path, FILES)
    with pytest.raises(InvalidRequestError, match="no file that include and exclude select"):
        await bench.upload_dataset("d", tmp_path, include=["*.csv"])
    with pytest.raises(InvalidRequestError, match="give a list of patterns"):
        await bench.upload_dataset("d", tmp_path, exclude="*.csv")
    assert bench.requests() == {}


async def test_progress_is_of_the_whole(tmp_path: Path) -> None:
    """Uploads and downloads report files and bytes of all that they transfer, and the last report is complete."""
    bench = Bench()
    total = sum(map(len, FILES.values()))
    for call in (
        lambda report: bench.upload_dataset("d", write_tree(tmp_path / "source", FILES), progress=report),
        lambda report: bench.ensure_dataset("d", tmp_path / "target", progress=report),
    ):
        reports: list[SyncProgress] = []
        await call(reports.append)
        last = reports[-1]
        assert (last.files, last.total_files, last.transferred, last.total) == (len(FILES), len(FILES), total, total)


async def test_metadata_must_be_text(tmp_path: Path) -> None:
    """Metadata other than texts is refused without a request."""
    bench = Bench()
    with pytest.raises(InvalidRequestError, match="metadata must map texts"):
        await bench.upload_dataset("d", write_tree(tmp_path, FILES), metadata={"epochs": 5})  # type: ignore[dict-item]
    assert bench.requests() == {}


@pytest.mark.parametrize("local", [".", "datasets", "datasets/d", "datasets/d/deep"])
async def test_a_directory_is_not_copied_into_itself(tmp_path: Path, local: str) -> None:
    """A directory that overlaps the local provider's place of the dataset is refused in both directions."""
    manager = DatasetMethods(LocalProvider({"base_path": tmp_path}))
    write_tree(tmp_path / "datasets" / "d", FILES)
    before = read_tree(tmp_path)
    for call in (manager.upload_dataset("d", tmp_path / local), manager.ensure_dataset("d", tmp_path / local)):
        with pytest.raises(InvalidRequestError, match="overlaps"):
            await call
    assert read_tree(tmp_path) == before


async def test_a_dataset_is_deleted_manifest_last(tmp_path: Path) -> None:
    """Deleting removes all objects; if it is interrupted, the manifest is still there, so readers see what is wrong."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "source", FILES))
    await bench.upload_dataset("d2", tmp_path / "source")
    failing = bench.with_faults(Fault(operation="delete", error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.delete_dataset("d")
    with pytest.raises(NotFoundError, match="the manifest names this object, and it does not exist"):
        await bench.ensure_dataset("d", tmp_path / "target")
    await bench.delete_dataset("d")
    assert {key.split("/")[1] for key in await bench.stored()} == {"d2"}
    assert await bench.list_datasets() == ["d2"]
    with pytest.raises(NotFoundError, match=r"no dataset 'd'; did you mean 'd2'\?"):
        await bench.delete_dataset("d")


async def test_datasets_are_listed(tmp_path: Path) -> None:
    """The names come from one listing, with and without manifest, and nothing else is asked."""
    bench = Bench()
    await bench.upload_dataset("b", write_tree(tmp_path, FILES))
    await bench.provider.put("datasets/a/x/y", b"")
    await bench.provider.put("datasets/file", b"")
    await bench.provider.put("datasets/no name/x", b"")
    bench.requests()
    assert await bench.list_datasets() == ["a", "b"]
    assert bench.requests() == {"list_page": 1}


async def test_the_upload_that_fails_says_what_it_may_have_damaged(tmp_path: Path) -> None:
    """An upload that loses after the other one has ended says that the other one's version may be damaged."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path / "winner", FILES))
    write_tree(tmp_path / "winner", {"z~": b"won"})
    loser = write_tree(tmp_path / "loser", FILES | {"a": b"lost", "y": b"lost"})
    winner_has_listed, loser_has_replaced = asyncio.Event(), asyncio.Event()

    async def pause_the_winner() -> None:
        winner_has_listed.set()
        await loser_has_replaced.wait()

    async def pause_the_loser() -> None:
        loser_has_replaced.set()
        await winner

    winning = bench.with_faults(Fault(operation="put_object", hook=pause_the_winner))
    losing = bench.with_faults(Fault(operation="put_object", nth=2, hook=pause_the_loser))
    async with asyncio.TaskGroup() as group:
        winner = group.create_task(winning.upload_dataset("d", tmp_path / "winner"))
        await winner_has_listed.wait()
        with pytest.raises(
            PreconditionFailedError, match=r"may have replaced objects.*upload again what you want to keep"
        ):
            await losing.upload_dataset("d", loser)
    with pytest.raises(IntegrityError, match="upload the dataset again"):
        await bench.ensure_dataset("d", tmp_path / "target")
    await bench.upload_dataset("d", tmp_path / "winner")
    await bench.ensure_dataset("d", tmp_path / "target")
    assert read_tree(tmp_path / "target") == read_tree(tmp_path / "winner")


async def test_a_first_upload_that_loses_at_once_has_replaced_nothing(tmp_path: Path) -> None:
    """An upload that cannot write its first manifest says that it has replaced no object."""
    bench = Bench()

    async def interfere() -> None:
        await bench.upload_dataset("d", tmp_path)

    write_tree(tmp_path, FILES)
    with pytest.raises(PreconditionFailedError, match="has replaced no object; wait"):
        await bench.with_faults(Fault(operation="put_object", hook=interfere)).upload_dataset("d", tmp_path)


async def test_an_interrupted_publication_leaves_directories_in_step_usable(tmp_path: Path) -> None:
    """After an interrupted upload, a directory in step still works, and the error for another one says what to do."""
    bench = Bench()
    source = write_tree(tmp_path / "source", FILES)
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "in step")
    failing = bench.with_faults(Fault(operation="put_object", nth=2, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.upload_dataset("d", write_tree(source, {"a": b"two", "z~": b"two"}))
    assert (await bench.ensure_dataset("d", tmp_path / "in step")).downloaded == ()
    with pytest.raises(
        IntegrityError,
        match=r"upload the dataset again; until then, only directories that have this file already can be used",
    ):
        await bench.ensure_dataset("d", tmp_path / "new")
    await bench.upload_dataset("d", source)
    await bench.ensure_dataset("d", tmp_path / "new")
    assert read_tree(tmp_path / "new") == read_tree(source)


async def test_metadata_stays_until_it_is_replaced(tmp_path: Path) -> None:
    """An upload without metadata keeps that of the version before, and an empty mapping removes it."""
    bench = Bench()
    await bench.upload_dataset("d", write_tree(tmp_path, FILES), metadata={"k": "v"})
    await bench.upload_dataset("d", write_tree(tmp_path, {"a": b"two"}))
    assert (await bench.dataset_info("d")).metadata == {"k": "v"}
    await bench.upload_dataset("d", tmp_path, metadata={})
    assert (await bench.dataset_info("d")).metadata == {}


async def test_the_error_for_an_unusable_entry_says_how_to_leave_it_out(tmp_path: Path) -> None:
    """The error for a link to a directory, or for a name that is no path, gives a pattern that works."""
    bench = Bench()
    write_tree(tmp_path, FILES | {"deep/a:b": b""})
    (tmp_path / "l[1]").symlink_to(tmp_path)
    with pytest.raises(LocalFileError, match="nothing was uploaded; remove it, or leave it out with") as link:
        await bench.upload_dataset("d", tmp_path)
    assert "passed over" not in str(link.value)
    assert "exclude=['/l\\\\[1]']" in str(link.value)
    assert link.value.path == str(tmp_path / "l[1]")
    with pytest.raises(UnsafeKeyError, match=r"'deep/a:b' cannot be restored on every system.*rename it") as name:
        await bench.upload_dataset("d", tmp_path, exclude=["/l\\[1]"])
    assert "exclude=['/deep/a:b']" in str(name.value)
    assert bench.requests() == {}
    info = await bench.upload_dataset("d", tmp_path, exclude=["/l\\[1]", "/deep/a:b"])
    assert [file.path for file in info.files] == sorted(FILES)


async def test_a_dataset_whose_first_upload_failed_is_listed(tmp_path: Path) -> None:
    """A listing of the names costs one request, and so it has the names of incomplete datasets, too."""
    bench = Bench()
    failing = bench.with_faults(Fault(operation="put_object", nth=2, error=UnsupportedError("no")))
    with pytest.raises(UnsupportedError):
        await failing.upload_dataset("d", write_tree(tmp_path, FILES))
    bench.requests()
    assert await bench.list_datasets() == ["d"]
    assert bench.requests() == {"list_page": 1}
