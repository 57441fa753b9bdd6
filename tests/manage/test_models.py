"""Models: what a version holds, what a backup sends, tags, verification, and bad input."""

from __future__ import annotations

import json
import os
import pickle
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, TransferConfig
from bucketry._core.options import WriteOptions
from bucketry._core.values import Body, ListPage, ObjectInfo, Progress
from bucketry._manage.manifest import to_json
from bucketry._manage.models.local import find_files, hash_unchanged
from bucketry._manage.models.manifests import METADATA_LIMIT, in_order, manifest_of
from bucketry._manage.models.stored import ModelConfig
from bucketry.errors import (
    AlreadyExistsError,
    ConnectionFailedError,
    IntegrityError,
    InvalidKeyError,
    InvalidRequestError,
    LocalFileError,
    LocalFileNotFoundError,
    NotFoundError,
    PreconditionFailedError,
    RequestTimeoutError,
    TransientError,
    UnsupportedError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.manage.model_bench import (
    AT_ONCE,
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
from tests.transfer.doubles import until


@pytest.fixture
def memory() -> MemoryProvider:
    """Give an empty store."""
    return MemoryProvider(transfer=AT_ONCE)


@pytest.fixture
def models(memory: MemoryProvider) -> Models:
    """Give the methods on the empty store."""
    return Models(memory)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Give a model of two files."""
    return write_model(tmp_path / "net", weights=noise(5_000, 1), sub_config=b"{}")


async def test_a_directory_comes_back_as_it_was(models: Models, tmp_path: Path, net: Path) -> None:
    """A version holds paths, sizes, hashes, executable bits and metadata, and restores byte-identical."""
    os.chmod(net / "weights", 0o744)
    made = await models.backup_model(net, "net", metadata={"loss": 0.125, "tags": ["a", None], "é": {"x": True}})
    assert (made.name, made.version, made.kind, made.size) == ("net", "v1", "directory", 5_002)
    assert [(file.path, file.size, file.executable) for file in made.files] == [
        ("sub/config", 2, False),
        ("weights", 5_000, True),
    ]
    assert abs(datetime.now(UTC) - made.created) < timedelta(hours=1)
    assert await models.model_info("net") == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.metadata == {"loss": 0.125, "tags": ["a", None], "é": {"x": True}}
    target = tmp_path / "out"
    assert await models.restore_model("net", target) == made
    assert {path.name: os.access(path, os.X_OK) for path in target.rglob("*") if path.is_file()} == {
        "weights": True,
        "config": False,
    }
    assert (target / "weights").read_bytes() == noise(5_000, 1)
    assert (target / "sub/config").read_bytes() == b"{}"


async def test_a_file_comes_back_as_a_file(models: Models, tmp_path: Path) -> None:
    """A model of one file, also an empty one, is restored under any name."""
    for number, data in enumerate((b"weights", b""), start=1):
        (tmp_path / "model.pt").write_bytes(data)
        made = await models.backup_model(tmp_path / "model.pt", "net")
        assert (made.kind, made.version, [file.path for file in made.files]) == ("file", f"v{number}", ["model.pt"])
        assert await restored(models, "net", made.version, tmp_path) == {"": data}


async def test_only_new_files_are_sent(memory: MemoryProvider, tmp_path: Path, net: Path) -> None:
    """A second backup sends the changed file only, equal files are sent once, and nothing but a version is left."""
    watched = FaultyProvider(memory)
    models = Models(watched)
    write_model(net, copy=noise(5_000, 1))
    await models.backup_model(net, "net")
    assert len(await blobs(memory)) == 2
    before = watched.calls["put_object"]
    assert before == 2 + 3  # the lease, the manifest, and `latest`
    (net / "weights").write_bytes(noise(5_000, 2))
    await models.backup_model(net, "net")
    assert watched.calls["put_object"] - before == 1 + 3
    assert await needed(models) == await blobs(memory)
    assert await leftovers(memory) == []
    assert (await restored(models, "net", "v1", tmp_path))["weights"] == noise(5_000, 1)
    assert (await restored(models, "net", "v2", tmp_path))["weights"] == noise(5_000, 2)


async def test_the_documented_requests(memory: MemoryProvider, net: Path) -> None:
    """The number of requests is what the docstrings say."""
    watched = FaultyProvider(memory)
    models = Models(watched)

    async def cost(step: Any) -> int:
        watched.calls.clear()
        await step
        return watched.calls.total()

    await models.backup_model(net, "net")
    assert await cost(models.backup_model(net, "net")) <= 18
    assert await cost(models.model_info("net", "v1")) == 1
    assert await cost(models.model_info("net")) == 2
    assert await cost(models.tag_model("net", "v1", "prod")) <= 7
    assert await cost(models.model_info("net", "prod")) == 3
    assert await cost(models.list_model_versions("net")) == 1 + 2
    assert await cost(models.list_models()) == 2
    assert await cost(models.verify_model("net", "v1")) == 1 + 2
    assert await cost(models.prune_models("net", keep=1)) <= 15 + 2 + 4
    assert await cost(models.untag_model("net", "prod")) == 1


async def test_large_files_go_in_parts(memory: MemoryProvider, tmp_path: Path) -> None:
    """A large file is uploaded in parts, within the limits of the manager that is given."""
    watched = FaultyProvider(memory)
    models = Models(watched, transfer=TransferConfig(part_size=2048, multipart_threshold=4096, max_concurrency=2))
    (tmp_path / "model.pt").write_bytes(noise(10_000, 1))
    await models.backup_model(tmp_path / "model.pt", "net")
    assert watched.calls["put_part"] == 5
    assert watched.most_running <= 2
    assert await restored(models, "net", "latest", tmp_path) == {"": noise(10_000, 1)}


async def test_progress_counts_all_files_together(memory: MemoryProvider, tmp_path: Path, net: Path) -> None:
    """Backup and restore report the bytes of the whole, and a backup only what it sends."""
    models = Models(memory)
    seen: list[Progress] = []
    await models.backup_model(net, "net", progress=seen.append)
    await models.restore_model("net", tmp_path / "out", progress=seen.append)
    (net / "sub/config").write_bytes(b"new")
    await models.backup_model(net, "net", progress=seen.append)
    assert [(one.transferred, one.total, one.key) for one in seen if one.transferred == one.total] == [
        (5_002, 5_002, "net"),
        (5_002, 5_002, "net"),
        (3, 3, "net"),
    ]


async def test_versions_can_have_names(models: Models, net: Path) -> None:
    """Given names and numbers live together; `latest` is the last, but a number never replaces a higher one."""
    for given in (None, "2026-01", "v7", None, "v3"):
        await models.backup_model(net, "net", version=given)
    assert await versions(models) == ["v1", "2026-01", "v3", "v7", "v8"]
    assert (await models.model_info("net")).version == "v8"
    await models.backup_model(net, "net", version="later")
    assert (await models.model_info("net")).version == "later"
    with pytest.raises(AlreadyExistsError, match="versions never change"):
        await models.backup_model(net, "net", version="2026-01")


async def test_a_long_number_is_a_name(models: Models, net: Path) -> None:
    """A name of `v` and so many digits that the next number may not fit is a name as any other."""
    await models.backup_model(net, "net", version="v" + "9" * 127)
    assert (await models.backup_model(net, "net")).version == "v1"


async def test_a_number_is_never_used_twice(models: Models, net: Path) -> None:
    """After the version with the highest number was pruned, the next backup takes the number above it."""
    for given in (None, None, "name"):
        await models.backup_model(net, "net", version=given)
    report = await models.prune_models("net", keep=1)
    assert (report.kept, report.removed) == (("name",), ("v1", "v2"))
    assert (await models.backup_model(net, "net")).version == "v3"


async def test_numbered_versions_keep_their_order(models: Models, net: Path) -> None:
    """Versions are ordered by number even if a machine's clock was wrong, and named ones by time among them."""
    made = await models.backup_model(net, "net")

    def at(version: str, minutes: int) -> Any:
        return replace(made, version=version, created=made.created + timedelta(minutes=minutes))

    several = [at("v10", 0), at("name", 30), at("v9", 60), at("v2", -60), at("b", 90), at("a", 90)]
    assert [one.version for one in in_order(several)] == ["v2", "name", "v9", "v10", "a", "b"]


async def test_tags_move_and_protect(models: Models, net: Path) -> None:
    """A tag names a version, moves, keeps its version from being pruned, and can be removed."""
    for _ in range(4):
        await models.backup_model(net, "net")
    assert (await models.tag_model("net", "v1", "prod")).version == "v1"
    assert (await models.tag_model("net", "prod", "old")).version == "v1"
    await models.tag_model("net", "v2", "prod")
    assert await models.model_tags("net") == {"latest": "v4", "old": "v1", "prod": "v2"}
    assert (await models.prune_models("net", keep=1)).kept == ("v1", "v2", "v4")
    await models.untag_model("net", "old")
    assert (await models.prune_models("net", keep=1)).removed == ("v1",)
    assert (await models.model_info("net", "prod")).version == "v2"
    await check_whole(models)


async def test_pruning_leaves_exactly_what_is_needed(memory: MemoryProvider, models: Models, tmp_path: Path) -> None:
    """Pruning to 3 of 6 versions removes the blobs of the others only, and says how much that was."""
    for number in range(6):
        write_model(tmp_path / "net", same=b"same", own=noise(100, number), pair=noise(10, number // 2))
        await models.backup_model(tmp_path / "net", "net")
    await memory.put("models/net/blobs/" + 64 * "0", b"left by a killed backup")
    report = await models.prune_models("net", keep=3)
    assert (report.kept, report.removed) == (("v4", "v5", "v6"), ("v1", "v2", "v3"))
    assert (report.blobs_removed, report.bytes_removed, report.blobs_in_use) == (3 + 1 + 1, 300 + 10 + 23, 0)
    assert await blobs(memory) == await needed(models)
    await check_whole(models)
    assert await leftovers(memory) == []
    again = await models.prune_models("net", keep=3)
    assert (again.removed, again.blobs_removed) == ((), 0)


async def test_models_are_listed(memory: MemoryProvider, models: Models, net: Path) -> None:
    """Models with a version are listed, sorted, and nothing else; the root can be changed."""

    class Elsewhere(Models):
        models_root = ""

    assert await models.list_models() == []
    for name in ("b", "a"):
        await models.backup_model(net, name)
    await memory.put("models/empty/blobs/x", b"")
    await memory.put("models/no name/versions/v1.json", b"")
    assert await models.list_models() == ["a", "b"]
    await Elsewhere(memory).backup_model(net, "top")
    assert await Elsewhere(memory).list_models() == ["top"]
    assert await memory.exists("top/versions/v1.json")


async def test_verification_reads_only_what_has_no_checksum(tmp_path: Path, net: Path) -> None:
    """Stored checksums are compared without reading; without them, every byte is read and hashed."""
    for row, reads in (({}, 0), ({"stored_checksums": ()}, 2)):
        memory = store(**row)
        watched = FaultyProvider(memory)
        models = Models(watched)
        made = await models.backup_model(net, "net")
        before = watched.calls["open_body"]
        report = await models.verify_model("net", "v1")
        assert (report.by_checksum, report.by_reading, report.bytes_read) == (2 - reads, reads, 5_002 * bool(reads))
        assert watched.calls["open_body"] - before == 1 + reads
        report.raise_for_failures()
        path = f"models/net/blobs/{made.files[1].blob}"
        await memory.put(path, noise(5_000, 9))
        damaged = await models.verify_model("net", "v1")
        assert list(damaged.failed) == ["weights"]
        await memory.put(path, b"short")
        with pytest.raises(IntegrityError, match="has 5 bytes"):
            (await models.verify_model("net", "v1")).raise_for_failures()
        with pytest.raises(IntegrityError, match="damaged"):
            await models.restore_model("net", tmp_path / "out")
        await memory.delete_many(await memory.list_files("models/net/blobs/"))
        gone = await models.verify_model("net", "v1")
        assert {path: type(error) for path, error in gone.failed.items()} == {
            "sub/config": NotFoundError,
            "weights": NotFoundError,
        }
        with pytest.raises(NotFoundError) as caught:
            gone.raise_for_failures()
        assert caught.value.__notes__ == ["and 1 more files are missing or damaged"]


@pytest.mark.parametrize("row", [{}, {"stored_checksums": ()}])
@pytest.mark.parametrize("wrong", [noise(5_000, 9), b"short"])
async def test_a_damaged_blob_is_repaired_by_the_next_backup(
    tmp_path: Path, net: Path, row: dict[str, Any], wrong: bytes
) -> None:
    """A blob that was overwritten is never reused: the next backup of the same files stores it again, once."""
    memory = store(**row)
    watched = FaultyProvider(memory)
    models = Models(watched)
    made = await models.backup_model(net, "net")
    key = f"models/net/blobs/{made.files[1].blob}"
    await memory.put(key, wrong)
    with pytest.raises(IntegrityError, match="back the same file up again"):
        await models.restore_model("net", tmp_path / "out")
    await models.backup_model(net, "net")
    assert await memory.get(key) == noise(5_000, 1)
    await check_whole(models)
    for version in ("v1", "v2"):
        assert (await restored(models, "net", version, tmp_path))["weights"] == noise(5_000, 1)
    before = watched.calls["put_object"]
    await models.backup_model(net, "net")
    assert watched.calls["put_object"] - before == 3  # the lease, the manifest, and `latest`


async def test_a_blob_of_an_older_version_is_compared_too(net: Path) -> None:
    """Without stored checksums, the etag is compared with all manifests that can be read, not with the latest only."""
    memory = store(stored_checksums=())
    models = Models(memory)
    made = await models.backup_model(net, "net")
    (net / "weights").write_bytes(noise(5_000, 2))
    await models.backup_model(net, "net")
    (net / "weights").write_bytes(noise(5_000, 3))
    await models.backup_model(net, "net")
    await memory.put("models/net/versions/v2.json", b"damaged")
    (net / "weights").write_bytes(noise(5_000, 1))
    watched = FaultyProvider(memory)
    await Models(watched).backup_model(net, "net")
    assert watched.calls["put_object"] == 3  # the blob is as v1 has recorded it, and is not sent
    key = f"models/net/blobs/{made.files[1].blob}"
    (net / "weights").write_bytes(noise(5_000, 3))
    await models.backup_model(net, "net")
    await memory.put(key, noise(5_000, 9))
    (net / "weights").write_bytes(noise(5_000, 1))
    await models.backup_model(net, "net")
    assert await memory.get(key) == noise(5_000, 1)


async def test_other_etags_do_not_send_what_a_checksum_proves(net: Path) -> None:
    """Blobs that were stored again with the same bytes, as by a copy of the bucket, are reused by their checksums."""
    memory = store()
    models = Models(memory)
    made = await models.backup_model(net, "net")
    for file in made.files:
        key = f"models/net/blobs/{file.blob}"
        await memory.put(key, await memory.get(key))
    watched = FaultyProvider(memory)
    again = await Models(watched).backup_model(net, "net")
    assert watched.calls["put_object"] == 3
    infos = [await memory.head(f"models/net/blobs/{file.blob}") for file in again.files]
    assert [file.etag for file in again.files] == [info.etag for info in infos]


async def test_a_manifest_without_etags_is_read(models: Models, memory: MemoryProvider, net: Path) -> None:
    """Manifests of earlier releases have no etags; then the checksum or the size of a blob is compared."""
    made = await models.backup_model(net, "net")
    plain = replace(made, files=tuple(replace(file, etag="") for file in made.files))
    data = manifest_of(plain)
    assert b"etag" not in data
    await memory.put("models/net/versions/v1.json", data)
    assert await models.model_info("net") == plain
    bare = store(stored_checksums=())
    for key in await memory.list_files():
        await bare.put(key, await memory.get(key))
    watched = FaultyProvider(bare)
    again = await Models(watched).backup_model(net, "net")
    assert watched.calls["put_object"] == 3
    assert [file.etag for file in again.files] == ["", ""]  # an etag is recorded only for bytes that are known


# --- what is in a directory ---------------------------------------------------------------------------


async def test_links_to_files_are_followed(models: Models, tmp_path: Path, net: Path) -> None:
    """A symbolic link to a file is stored as the file; a link to the whole model is followed, too."""
    (net / "link").symlink_to(net / "weights")
    (tmp_path / "current").symlink_to(net)
    await models.backup_model(tmp_path / "current", "net")
    assert (await restored(models, "net", "v1", tmp_path))["link"] == noise(5_000, 1)


async def test_empty_directories_and_own_files_are_left_out(models: Models, tmp_path: Path, net: Path) -> None:
    """Empty directories, `.bucketry` and staged files are not part of a version."""
    (net / "empty").mkdir()
    write_model(net / ".bucketry", state=b"x")
    (net / ".bucketry-0123456789abcdef.part").write_bytes(b"x")
    write_model(net / ".bucketry-0123456789abcdef.part.d", kept=b"x")
    write_model(net / ".bucketry-fedcba9876543210.part", old=b"x")
    made = await models.backup_model(net, "net")
    assert [file.path for file in made.files] == [".bucketry-0123456789abcdef.part.d/kept", "sub/config", "weights"]
    await models.restore_model("net", tmp_path / "out")
    assert not (tmp_path / "out/empty").exists()


async def unusable(net: Path, what: str) -> None:
    """Put something into a model that cannot be backed up."""
    match what:
        case "link to a directory":
            (net / "bad").symlink_to(net / "sub")
        case "broken link":
            (net / "bad").symlink_to(net / "nowhere")
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind("bad")
        case "not UTF-8":
            (net / os.fsdecode(b"\xff")).write_bytes(b"")
        case "drive":
            (net / "c:x").write_bytes(b"")


@pytest.mark.parametrize("what", ["link to a directory", "broken link", "socket", "not UTF-8", "drive"])
async def test_what_cannot_be_backed_up_is_an_error(
    memory: MemoryProvider, net: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that would not be whole, or not restorable everywhere, is refused before anything is sent."""
    monkeypatch.chdir(net)  # a socket's path is limited to some 100 bytes
    await unusable(net, what)
    with pytest.raises((LocalFileError, InvalidKeyError)):
        await Models(memory).backup_model(net, "net")
    assert await memory.list_files() == []


@pytest.mark.parametrize("below", ["", "store/models/net/blobs"])
async def test_a_model_is_not_backed_up_into_itself(tmp_path: Path, below: str) -> None:
    """A directory that contains the place of the model's objects, or is in it, is refused before anything is sent."""
    place = write_model(tmp_path / "place", a=b"x", store_models_net_blobs_x=b"y")
    models = Models(LocalProvider({"base_path": place / "store"}))
    before = sorted(place.rglob("*"))
    with pytest.raises(InvalidRequestError, match="overlaps"):
        await models.backup_model(place / below, "net")
    assert sorted(place.rglob("*")) == before


async def test_a_missing_path_and_an_empty_directory_are_errors(models: Models, tmp_path: Path) -> None:
    """There must be something to back up."""
    with pytest.raises(LocalFileNotFoundError, match="nothing"):
        await models.backup_model(tmp_path / "nothing", "net")
    (tmp_path / "empty/sub").mkdir(parents=True)
    with pytest.raises(InvalidRequestError, match="no file in this directory"):
        await models.backup_model(tmp_path / "empty", "net")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocalFileError, match="neither"):
        await models.backup_model(tmp_path / "pipe", "net")


@pytest.mark.parametrize("how", ["written", "added", "removed", "restored mtime"])
@pytest.mark.parametrize("when", [1, 2, 3])
async def test_a_model_that_changes_is_no_version(memory: MemoryProvider, net: Path, how: str, when: int) -> None:
    """A file that is written, added or removed before or between the uploads ends the backup without a version."""

    async def change() -> None:
        path = net / "weights"
        match how:
            case "written":
                path.write_bytes(noise(5_000, 2))
            case "added":
                (net / "new").write_bytes(b"")
            case "removed":
                path.unlink()
            case "restored mtime":
                before = path.stat()
                path.write_bytes(noise(5_000, 2))
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    models = Models(FaultyProvider(memory, (Fault(operation="put_object", nth=when, hook=change),)))
    with pytest.raises((IntegrityError, LocalFileNotFoundError)):
        await models.backup_model(net, "net")
    assert await versions(Models(memory)) == []
    assert await leftovers(memory) == []
    for blob in await blobs(memory):  # no blob has other bytes than its name says
        data = await memory.get(f"models/net/blobs/{blob}")
        assert data in (noise(5_000, 1), b"{}")


# --- bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", "", "..", "é", "a" * 129, 7])
async def test_bad_names_are_refused(models: Models, memory: MemoryProvider, net: Path, name: Any) -> None:
    """A name is one segment of a key: models, versions and tags alike."""
    await models.backup_model(net, "net")
    before = await memory.list_files()
    for call in (
        models.backup_model(net, name),
        models.backup_model(net, "net", version=name),
        models.tag_model("net", "v1", name),
        models.restore_model(name, net),
        models.prune_models(name, keep=1),
        models.model_info("net", name),
        models.untag_model("net", name),
    ):
        with pytest.raises(InvalidRequestError, match="name"):
            await call
    assert await memory.list_files() == before


async def test_names_with_a_meaning_are_refused(models: Models, net: Path) -> None:
    """`latest` is neither a version nor a tag to set; a tag is not named like a version, nor the reverse."""
    await models.backup_model(net, "net", version="first")
    await models.tag_model("net", "first", "prod")
    for call in (
        models.backup_model(net, "net", version="latest"),
        models.backup_model(net, "net", version="prod"),
        models.tag_model("net", "first", "latest"),
        models.tag_model("net", "first", "v9"),
        models.tag_model("net", "first", "first"),
        models.untag_model("net", "latest"),
    ):
        with pytest.raises(InvalidRequestError, match="choose another"):
            await call
    assert await models.model_tags("net") == {"latest": "first", "prod": "first"}


@pytest.mark.parametrize("keep", [0, -1, True, 1.5, None])
async def test_a_prune_keeps_at_least_one(models: Models, net: Path, keep: Any) -> None:
    """`keep` is a whole number of 1 or more."""
    await models.backup_model(net, "net")
    with pytest.raises(InvalidRequestError, match="at least 1"):
        await models.prune_models("net", keep=keep)
    assert await versions(models) == ["v1"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"x": float("nan")},
        {"x": object()},
        {1: "x"},
        ["x"],
        {"x": {1: 2}},
        {"x": (1, 2)},
        {"x": "a" * METADATA_LIMIT},
    ],
)
async def test_bad_metadata_is_refused(memory: MemoryProvider, net: Path, metadata: Any) -> None:
    """Metadata is what JSON gives back unchanged, up to a limit; nothing is sent otherwise."""
    with pytest.raises(InvalidRequestError, match="metadata"):
        await Models(memory).backup_model(net, "net", metadata=metadata)
    assert await memory.list_files() == []


async def test_what_is_unknown_names_the_nearest(memory: MemoryProvider, models: Models, net: Path) -> None:
    """An unknown model, version or tag is an error with the most similar names."""
    await models.backup_model(net, "resnet", version="spring")
    await models.tag_model("resnet", "spring", "prod")
    before = await memory.list_files()
    for call, nearest in (
        (models.model_info("resnet", "sprung"), "spring"),
        (models.restore_model("resnet", net, version="produ"), "prod"),
        (models.tag_model("resnet", "sprin", "x"), "spring"),
        (models.model_info("resnet50"), "resnet"),
        (models.list_model_versions("renset"), "resnet"),
        (models.prune_models("resne", keep=1), "resnet"),
        (models.verify_model("resnets"), "resnet"),
    ):
        with pytest.raises(NotFoundError, match=f"did you mean '{nearest}'") as caught:
            await call
        assert caught.value.provider == "memory"
        assert caught.value.operation is not None
    assert await memory.list_files() == before
    assert (net / "weights").exists()


async def test_a_tag_without_its_version_says_so(memory: MemoryProvider, models: Models, net: Path) -> None:
    """If somebody deleted the manifest that a tag names, the error names the missing version; other calls work."""
    await models.backup_model(net, "net")
    await models.backup_model(net, "net")
    await models.tag_model("net", "v2", "prod")
    await memory.delete("models/net/versions/v2.json")
    for tag in ("latest", "prod"):
        with pytest.raises(NotFoundError, match=f"the tag '{tag}' names version 'v2', which does not exist"):
            await models.model_info("net", tag)
    assert (await models.prune_models("net", keep=1)).kept == ("v1",)
    assert (await models.backup_model(net, "net")).version == "v3"


async def test_a_damaged_manifest_says_what_to_do(models: Models, memory: MemoryProvider, net: Path) -> None:
    """One damaged manifest stops lists and prunes; the error says that deleting it helps, and this is true."""
    for _ in range(3):
        await models.backup_model(net, "net")
    key = "models/net/versions/v2.json"
    await memory.put(key, b"{}")
    for call in (models.list_model_versions("net"), models.prune_models("net", keep=1), models.model_info("net", "v2")):
        with pytest.raises(IntegrityError, match="or delete it: then version 'v2' is gone") as caught:
            await call
        assert caught.value.key == key
    await memory.delete(key)
    assert await versions(models) == ["v1", "v3"]
    assert (await models.prune_models("net", keep=1)).removed == ("v1",)


@pytest.mark.parametrize("value", [float("nan"), {"x": [float("inf")]}, object(), (1, 2), {1: 2}])
async def test_the_error_names_the_entry_of_the_metadata(models: Models, net: Path, value: object) -> None:
    """What JSON cannot hold is refused, and the message names the entry."""
    with pytest.raises(InvalidRequestError, match=r"metadata\['loss'\]"):
        await models.backup_model(net, "net", metadata={"steps": 3, "loss": value})


async def test_a_tampered_or_newer_manifest_is_refused(memory: MemoryProvider, tmp_path: Path, net: Path) -> None:
    """A manifest that was edited, copied, or made by a newer version is refused by every method; nothing changes."""
    models = Models(memory)
    await models.backup_model(net, "net")
    made = await models.backup_model(net, "net")
    key = "models/net/versions/v2.json"
    good = await memory.get(key)
    content = json.loads(good)
    entries = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    unsafe = json.loads(json.dumps(entries["files"]))
    unsafe[0]["path"] = "../outside"
    own = json.loads(json.dumps(entries["files"]))
    own[0]["path"] = "sub/.bucketry/dataset.json"
    both = json.loads(json.dumps(entries["files"]))
    both[0]["path"] = both[1]["path"] + "/below"
    moved = json.loads(json.dumps(entries["files"]))
    moved[0]["blob"] = "0" * 64
    for data, kind in (
        (good.replace(b'"size":5000', b'"size":5001'), IntegrityError),
        (good[:-1], IntegrityError),
        (b"", IntegrityError),
        (json.dumps(content | {"format": 2}).encode(), UnsupportedError),
        (manifest_of(replace(made, version="v3")), IntegrityError),
        (manifest_of(replace(made, name="other")), IntegrityError),
        (manifest_of(replace(made, files=())), IntegrityError),
        (manifest_of(replace(made, files=(made.files[0],) * 2)), IntegrityError),
        (manifest_of(replace(made, kind="file")), IntegrityError),
        (to_json(entries | {"kind": "link"}), IntegrityError),
        (to_json(entries | {"metadata": "[]"}), IntegrityError),
        (to_json(entries | {"files": unsafe}), IntegrityError),
        (to_json(entries | {"files": own}), IntegrityError),
        (to_json(entries | {"files": both}), IntegrityError),
        (to_json(entries | {"files": moved}), IntegrityError),
    ):
        await memory.put(key, data)
        before = await memory.list_files()
        for call in (
            models.model_info("net"),
            models.list_model_versions("net"),
            models.verify_model("net"),
            models.restore_model("net", tmp_path / "out"),
            models.tag_model("net", "v2", "prod"),
            models.prune_models("net", keep=1),
        ):
            with pytest.raises(kind, match="v2"):
                await call
        assert await memory.list_files() == before
        assert not (tmp_path / "out").exists()
        assert (await models.model_info("net", "v1")).version == "v1"


async def test_a_failed_upload_leaves_no_version(memory: MemoryProvider, net: Path) -> None:
    """An error while the second file is sent ends the backup; its lease is removed, and the next backup works."""
    fault = Fault(operation="put_object", nth=3, error=IntegrityError("broken"))
    with pytest.raises(IntegrityError, match="broken"):
        await Models(FaultyProvider(memory, (fault,))).backup_model(net, "net")
    assert await leftovers(memory) == []
    assert (await Models(memory).backup_model(net, "net")).version == "v1"


async def test_an_error_after_publication_withdraws_the_version(memory: MemoryProvider, net: Path) -> None:
    """If the check after the publication fails, the version is taken back; if only `latest` fails, a note says so."""
    await Models(memory).backup_model(net, "net")
    watched = FaultyProvider(memory)
    await Models(watched).backup_model(net, "net")
    check = watched.calls["list_page"] - 3  # before it: the records and blobs; after it: the blobs, twice for `latest`
    fault = Fault(operation="list_page", nth=check, error=IntegrityError("broken"))
    with pytest.raises(IntegrityError, match="broken"):
        await Models(FaultyProvider(memory, (fault,))).backup_model(net, "net")
    assert await versions(Models(memory)) == ["v1", "v2"]
    fault = Fault(operation="put_object", nth=3, error=IntegrityError("broken"))
    with pytest.raises(IntegrityError, match="broken") as caught:
        await Models(FaultyProvider(memory, (fault,))).backup_model(net, "net")
    assert caught.value.__notes__ == ["version 'v3' was published, but 'latest' may not name it"]
    assert (await Models(memory).backup_model(net, "net")).version == "v4"


async def test_a_lost_answer_is_settled(memory: MemoryProvider, net: Path) -> None:
    """If the answer to the create-only write is lost, the backup finds that its version was published."""
    fault = Fault(operation="put_object", nth=4, error=RequestTimeoutError("lost"), after=True)
    made = await Models(FaultyProvider(memory, (fault,))).backup_model(net, "net")
    assert (made.version, await versions(Models(memory))) == ("v1", ["v1"])


class SlowNetwork(FaultyProvider):
    """Uploads a blob only after four writes of the lease, and fails the second one."""

    leases = 0

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """Count the writes of the lease."""
        if "/leases/" in key:
            self.leases += 1
            if self.leases == 2:
                message = "no network"
                raise ConnectionFailedError(message)
        elif "/blobs/" in key:
            await until(lambda: self.leases >= 4)
        return await super().put_object(key, body, options)


async def test_a_lease_is_renewed(memory: MemoryProvider, net: Path) -> None:
    """The lease of a backup is renewed while it runs, also after a renewal has failed, and removed at the end."""

    class Quick(Models):
        model_config = ModelConfig(lease_duration=0.003)

    watched = SlowNetwork(memory)
    await Quick(watched).backup_model(net, "net")
    assert watched.leases >= 4
    assert await leftovers(memory) == []


class LateListings(FaultyProvider):
    """Leaves new objects of one kind out of its first listings, as a server that keeps objects as files may do."""

    def __init__(self, inner: MemoryProvider, kind: str, times: int) -> None:
        super().__init__(inner)
        self.kind = kind
        self.times = times

    async def list_page(self, prefix: str = "", **options: Any) -> ListPage:
        """Leave them out."""
        page = await super().list_page(prefix, **options)
        if self.kind not in prefix or not page.entries or not self.times:
            return page
        self.times -= 1
        return ListPage(())


@pytest.mark.parametrize("kind", ["/leases/", "/claims/", "/prunes/"])
async def test_an_object_that_is_listed_late_counts(net: Path, kind: str) -> None:
    """A lease, a claim or a record that the first listings do not show is written again until they do."""
    memory = store(create_only=False)
    late = LateListings(memory, kind, 3)
    for version in ("v1", "v2"):
        assert (await Models(late).backup_model(net, "net")).version == version
    await Models(late).prune_models("net", keep=1)
    assert late.times == 0
    assert await leftovers(memory) == []
    await check_whole(Models(memory))


async def test_a_server_that_never_lists_is_an_error(memory: MemoryProvider, net: Path) -> None:
    """If the listings never show a lease or a record, the method ends with an error, and leaves nothing."""
    never = Models(LateListings(memory, "/leases/", 100))
    with pytest.raises(TransientError, match="does not list it"):
        await never.backup_model(net, "net")
    await Models(memory).backup_model(net, "net")
    with pytest.raises(TransientError, match="does not list it"):
        await Models(LateListings(memory, "/prunes/", 100)).prune_models("net", keep=1)
    assert await leftovers(memory) == []
    assert await versions(Models(memory)) == ["v1"]


async def test_a_tag_that_moves_while_it_is_read_is_read_again(memory: MemoryProvider, net: Path) -> None:
    """If a body breaks because its object was replaced, the object is read again."""
    await Models(memory).backup_model(net, "net")
    replaced = PreconditionFailedError("replaced")
    for nth in (1, 2):
        fault = Fault(operation="open_body", nth=nth, error=replaced)
        models = Models(FaultyProvider(memory, (fault,)))
        assert (await models.model_info("net")).version == "v1"
        assert await Models(FaultyProvider(memory, (fault,))).model_tags("net") == {"latest": "v1"}
    always = tuple(Fault(operation="open_body", nth=nth, error=replaced) for nth in range(1, 10))
    with pytest.raises(PreconditionFailedError):
        await Models(FaultyProvider(memory, always)).model_info("net")


async def test_the_record_of_a_killed_prune_is_removed_in_the_end(memory: MemoryProvider, net: Path) -> None:
    """A record stays for `dead_prune` seconds, and its blobs are not used meanwhile; then a prune removes it."""
    made = await Models(memory).backup_model(net, "net")
    names = [file.blob for file in made.files]
    record = "models/net/prunes/0123456789abcdef.json"
    await memory.put(record, to_json({"versions": "", "blobs": " ".join(names)}))
    again = await Models(memory).backup_model(net, "net")
    assert not {file.blob for file in again.files} & set(names)
    assert [file.sha256 for file in again.files] == [file.sha256 for file in made.files]
    await Models(memory).prune_models("net", keep=1)
    assert await leftovers(memory) == [record]
    assert await blobs(memory) == await needed(Models(memory))

    class Impatient(Models):
        model_config = ModelConfig(dead_prune=0)

    await Impatient(memory).prune_models("net", keep=1)
    assert await leftovers(memory) == []


async def test_a_model_without_a_version_can_be_pruned(memory: MemoryProvider) -> None:
    """What a killed first backup has left is removed, though the model has no version."""
    await memory.put("models/net/blobs/" + 64 * "a", b"left")
    report = await Models(memory).prune_models("net", keep=1)
    assert (report.kept, report.removed, report.blobs_removed, report.bytes_removed) == ((), (), 1, 4)
    assert await memory.list_files() == []
    with pytest.raises(NotFoundError, match="no version of a model"):
        await Models(memory).prune_models("net", keep=1)


def test_a_file_that_changes_before_it_is_hashed_is_an_error(net: Path) -> None:
    """The hashes are of the state in which the file was found, or there is an error."""
    _, found = find_files(str(net))
    (net / "weights").write_bytes(noise(5_000, 2))
    with pytest.raises(IntegrityError, match="changed while it was backed up"):
        list(hash_unchanged(found[1].local, (), found[1].state))
