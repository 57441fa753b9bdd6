"""What a plan says for each state of source and target, and what it costs to make it."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._manage.sync.methods import SyncMethods
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import EntryState, SyncAction
from bucketry.errors import (
    TransientError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.manage.planning import OLD, lines, skips, store, write
from tests.transfer.doubles import RowOf


async def test_an_upload_has_what_is_new_what_differs_and_what_is_too_much(memory: MemoryProvider, root: Path) -> None:
    """Each path has the right action and both pinned states, in the order of the paths."""
    for name in ("new", "same", "size", "time"):
        write(root, name)
    await store(memory, "data/same", mtime=OLD)
    size = await store(memory, "data/size", b"longer", mtime=OLD)
    time = await store(memory, "data/time", mtime=OLD + 1_000)
    gone = await store(memory, "data/gone", b"12")
    await store(memory, "data-old/gone")
    plan = await SyncMethods(memory).plan_sync(root, "data", delete=True)
    file = EntryState(size=4, mtime=OLD)
    assert list(plan) == [
        SyncAction(kind="delete", path="gone", reason="not in source", target=EntryState(size=2, etag=gone.etag)),
        SyncAction(kind="upload", path="new", reason="new", source=file),
        SyncAction(kind="upload", path="size", reason="size", source=file, target=EntryState(size=6, etag=size.etag)),
        SyncAction(
            kind="upload",
            path="time",
            reason="mtime",
            source=file,
            target=EntryState(size=4, mtime=OLD + 1_000, etag=time.etag),
        ),
    ]
    totals = plan.summary
    assert (totals.transfers, totals.transfer_bytes, totals.deletions, totals.deletion_bytes) == (3, 12, 1, 2)
    assert (totals.unchanged, totals.skipped) == (1, 0)


async def test_a_download_is_planned_the_same_way(memory: MemoryProvider, root: Path) -> None:
    """In the other direction the objects are the source and the files the target."""
    for name in ("same", "size", "time", "gone"):
        write(root, name)
    infos = {
        "new": await store(memory, "data/new"),
        "same": await store(memory, "data/same", mtime=OLD),
        "size": await store(memory, "data/size", b"longer", mtime=OLD),
        "time": await store(memory, "data/time", mtime=OLD - 1_000),
    }
    plan = await SyncMethods(memory).plan_sync(root, "data/", direction="download", delete=True)
    file = EntryState(size=4, mtime=OLD)
    assert list(plan) == [
        SyncAction(kind="delete", path="gone", reason="not in source", target=file),
        SyncAction(kind="download", path="new", reason="new", source=EntryState(size=4, etag=infos["new"].etag)),
        SyncAction(
            kind="download", path="size", reason="size", source=EntryState(size=6, etag=infos["size"].etag), target=file
        ),
        SyncAction(
            kind="download",
            path="time",
            reason="mtime",
            source=EntryState(size=4, mtime=OLD - 1_000, etag=infos["time"].etag),
            target=file,
        ),
    ]


async def test_a_copy_is_planned_the_same_way(memory: MemoryProvider) -> None:
    """Between providers, both sides are objects; each is pinned to its etag."""
    other = MemoryProvider()
    source = await store(memory, "a/time", mtime=OLD)
    target = await store(other, "b/time", mtime=OLD + 5_000)
    await store(memory, "a/same", mtime=OLD)
    await store(other, "b/same", mtime=OLD)
    await store(other, "b/gone")
    plan = await SyncMethods(memory).plan_sync_to(other, "a", "b", delete=True)
    assert lines(plan) == [("delete", "gone", "not in source"), ("copy", "time", "mtime")]
    assert list(plan)[1].source == EntryState(size=4, mtime=OLD, etag=source.etag)
    assert list(plan)[1].target == EntryState(size=4, mtime=OLD + 5_000, etag=target.etag)
    header = plan.header
    assert (header.direction, header.source_prefix, header.prefix) == ("copy", "a/", "b/")


async def test_the_header_says_what_the_plan_is_for(
    memory: MemoryProvider, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header has absolute places, the prefix as a directory, and the arguments."""
    monkeypatch.chdir(root.parent)
    before = datetime.now(UTC)
    write(root, "a.bin")
    plan = await SyncMethods(memory).plan_sync(
        "root", "data", delete=True, max_delete=3, include=["*.bin"], exclude=["b"], compare="checksum"
    )
    header = plan.header
    assert (header.direction, header.source, header.target) == ("upload", str(root), "memory:///data/")
    assert (header.prefix, header.source_prefix, header.compare) == ("data/", "", "checksum")
    assert (header.delete, header.max_delete, header.include, header.exclude) == (True, 3, ("*.bin",), ("b",))
    assert before <= header.created <= datetime.now(UTC)
    down = await SyncMethods(memory).plan_sync("other", "data", direction="download", force=True)
    assert (down.header.source, down.header.target) == ("memory:///data/", str(root.parent / "other"))


async def test_without_delete_nothing_is_deleted(memory: MemoryProvider, root: Path) -> None:
    """What only the target has is not in the plan."""
    write(root, "a")
    await store(memory, "gone")
    assert lines(await SyncMethods(memory).plan_sync(root, "")) == [("upload", "a", "new")]


async def test_marks_of_directories_are_ignored(memory: MemoryProvider, root: Path) -> None:
    """Empty objects whose keys end in a slash are neither transferred nor deleted, on either side."""
    (root / "empty").mkdir()
    write(root, "a")
    for key in ("data/", "data/dir/", "data/a"):
        await store(memory, key, b"data" if key.endswith("a") else b"", mtime=OLD)
    other = MemoryProvider()
    manager = SyncMethods(memory)
    for plan in (
        await manager.plan_sync(root, "data", delete=True),
        await manager.plan_sync(root, "data", direction="download", delete=True),
        await SyncMethods(memory).plan_sync_to(other, "data/dir", "", delete=True),
    ):
        assert (lines(plan), plan.summary.skipped) == ([], 0)


UNSAFE = ("../a", "/a", "a//b", "c:/a", "dir/", "x/../y", "./z")


async def test_keys_that_are_no_safe_path_are_skipped_in_a_download(memory: MemoryProvider, root: Path) -> None:
    """Such a key has an action `skip` with the reason, also if the target is a provider of files; a copy has it."""
    for key in UNSAFE:
        await store(memory, key)
    manager = SyncMethods(memory)
    plan = await manager.plan_sync(root, "", direction="download", delete=True, force=True)
    assert {action.kind for action in plan} == {"skip"}
    assert skips(plan).keys() == set(UNSAFE)
    assert "'..'" in skips(plan)["../a"]
    files = LocalProvider({"base_path": str(root)})
    assert skips(await manager.plan_sync_to(files, "", "x")).keys() == set(UNSAFE)
    assert {action.kind for action in await manager.plan_sync_to(MemoryProvider(), "", "")} == {"copy"}


async def test_an_unsafe_key_at_the_target_of_an_upload_is_an_ordinary_key(memory: MemoryProvider, root: Path) -> None:
    """With delete, it is deleted as any other object that the source does not have; the plan loads again."""
    write(root, "a")
    await store(memory, "data/../x")
    plan = await SyncMethods(memory).plan_sync(root, "data", delete=True)
    assert lines(plan) == [("delete", "../x", "not in source"), ("upload", "a", "new")]
    await plan.save(root / "plan")
    assert list(await SyncPlan.load(root / "plan")) == list(plan)


async def test_what_cannot_be_read_is_skipped_and_protects_what_is_below(memory: MemoryProvider, root: Path) -> None:
    """A link to a directory, a socket and a bad name are skipped; objects at and below their paths stay."""
    write(root, "a")
    (root / "link").symlink_to(root.parent)
    os.mkdir(os.fsencode(root) + b"/\xff")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        (root / "broken").symlink_to("nowhere")
        for key in ("broken", "link", "link!", "link/x/y", "linked", "socket", "socket/x"):
            await store(memory, key)
        plan = await SyncMethods(memory).plan_sync(root, "", delete=True)
    assert [line for line in lines(plan) if line[0] == "delete"] == [
        ("delete", "link!", "not in source"),
        ("delete", "linked", "not in source"),
    ]
    reasons = skips(plan)
    assert reasons.keys() == {"broken", "link", "socket", "\udcff/"}
    assert "symbolic link to a directory" in reasons["link"]
    assert "not UTF-8" in reasons["\udcff/"]
    await plan.save(root.parent / "plan")
    assert list(await SyncPlan.load(root.parent / "plan")) == list(plan)


async def test_what_cannot_be_read_at_the_target_is_not_overwritten(memory: MemoryProvider, root: Path) -> None:
    """An object at or below the path of a link to a directory is skipped in a download, and nothing is deleted."""
    (root / "link").symlink_to(root.parent)
    (root / "alone").symlink_to(root.parent)
    for key in ("link/x", "link", "z"):
        await store(memory, key)
    plan = await SyncMethods(memory).plan_sync(root, "", direction="download", delete=True)
    assert [line for line in lines(plan) if line[0] != "skip"] == [("download", "z", "new")]
    reasons = skips(plan)
    assert reasons.keys() == {"alone", "link", "link/x"}
    assert "the target cannot be changed" in reasons["link"]
    assert "below 'link'" in reasons["link/x"]


async def test_a_problem_is_reported_if_it_may_be_selected(memory: MemoryProvider, root: Path) -> None:
    """A link to a directory that may have included files is reported; an excluded one is not, but still protects."""
    write(root, "a.bin")
    (root / "link").symlink_to(root.parent)
    await store(memory, "link/x.bin")
    await store(memory, "../b.txt")
    manager = SyncMethods(memory)
    assert skips(await manager.plan_sync(root, "", include=["*.bin"])).keys() == {"link"}
    plan = await manager.plan_sync(root, "", exclude=["link", "!link/x.bin"], delete=True)
    assert lines(plan) == [("delete", "../b.txt", "not in source"), ("upload", "a.bin", "new")]
    plan = await manager.plan_sync(root / "none", "", direction="download", include=["*.bin"])
    assert lines(plan) == [("download", "link/x.bin", "new")]


async def test_internals_are_left_out_on_both_sides(memory: MemoryProvider, root: Path) -> None:
    """Staged files, directories `.bucketry` and the manifest of a dataset are not synced with a directory."""
    internals = (
        ".bucketry/state",
        "dir/.bucketry/deep/state",
        "dir/.bucketry-0123456789abcdef.part",
        ".bucketry-dataset.json",
    )
    others = ("dir/.bucketry-dataset.json", ".bucketry-x.part", "dir/.hidden/x")
    for name in (*internals, *others):
        write(root, name)
    empty = MemoryProvider()
    plan = await SyncMethods(empty).plan_sync(root, "")
    assert [action.path for action in plan] == sorted(others)
    for name in (*internals, *others):
        await store(memory, f"data/{name}")
    plan = await SyncMethods(memory).plan_sync(root / "none", "data", direction="download")
    assert [action.path for action in plan] == sorted(others)
    plan = await SyncMethods(memory).plan_sync(root / "dir", "data", delete=True)
    assert {action.path for action in plan if action.kind == "delete"} == {*others}
    plan = await SyncMethods(memory).plan_sync_to(empty, "data", "")
    assert [action.path for action in plan] == sorted((*internals, *others))


async def test_filters_hold_for_both_sides(memory: MemoryProvider, root: Path) -> None:
    """What is not selected is neither transferred nor deleted."""
    for name in ("a.bin", "a.txt", "tmp/b.bin"):
        write(root, name)
    for key in ("c.bin", "c.txt", "tmp/c.bin"):
        await store(memory, key)
    plan = await SyncMethods(memory).plan_sync(root, "", delete=True, include=["*.bin"], exclude=["tmp/"])
    assert lines(plan) == [("upload", "a.bin", "new"), ("delete", "c.bin", "not in source")]


async def test_an_excluded_directory_is_not_read(memory: MemoryProvider, root: Path) -> None:
    """Nothing below an excluded directory is looked at, so what cannot be read there is no problem."""
    write(root, "a")
    (root / "cache").mkdir()
    (root / "cache" / "link").symlink_to(root.parent)
    assert lines(await SyncMethods(memory).plan_sync(root, "", exclude=["cache/"])) == [("upload", "a", "new")]


async def test_a_file_above_another_is_kept_where_keys_are_paths(memory: MemoryProvider, root: Path) -> None:
    """If a bucket has `a` and `a/b`, only `a` can become a file; the other is skipped, and names the first."""
    for key in ("a", "a!", "a/b", "a/c/d", "b/c"):
        await store(memory, key)
    manager = SyncMethods(memory)
    files = LocalProvider({"base_path": str(root)})
    for plan in (
        await manager.plan_sync(root, "", direction="download"),
        await manager.plan_sync_to(files, "", "x"),
    ):
        assert [action.path for action in plan if action.kind != "skip"] == ["a", "a!", "b/c"]
        assert skips(plan).keys() == {"a/b", "a/c/d"}
        assert "'a' is a file" in skips(plan)["a/b"]
    assert skips(await manager.plan_sync_to(MemoryProvider(), "", "")) == {}


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


async def test_a_target_that_normalizes_keys_gets_each_name_once(root: Path) -> None:
    """A file whose name the target changes is compared with the changed one; of two names that meet, one is skipped."""
    target = RowOf(key_normalization="NFC")
    write(root, DECOMPOSED, b"decomposed")
    write(root, "cafz")
    await store(target, COMPOSED, b"decomposed", mtime=OLD)
    await store(target, "cafz", mtime=OLD)
    manager = SyncMethods(target)
    assert lines(await manager.plan_sync(root, "", delete=True)) == []
    write(root, DECOMPOSED, b"changed")
    assert lines(await manager.plan_sync(root, "", delete=True)) == [("upload", DECOMPOSED, "size")]
    write(root, COMPOSED, b"decomposed")
    plan = await manager.plan_sync(root, "", delete=True)
    assert lines(plan) == [("skip", DECOMPOSED, skips(plan)[DECOMPOSED])]
    assert repr(COMPOSED) in skips(plan)[DECOMPOSED]
    assert skips(await manager.plan_sync(root, "", compare="size")).keys() == {DECOMPOSED}


async def test_a_copy_to_a_target_that_normalizes_keys_lists_the_source_twice(memory: MemoryProvider) -> None:
    """The second listing is needed to know which names move; if the source normalizes in the same way, it is not."""
    await store(memory, DECOMPOSED)
    faulty = FaultyProvider(memory)
    plan = await SyncMethods(faulty).plan_sync_to(RowOf(key_normalization="NFC"), "", DECOMPOSED)
    assert lines(plan) == [("copy", DECOMPOSED, "new")]
    assert plan.header.prefix == f"{COMPOSED}/"
    assert faulty.calls["list_page"] == 2
    same = FaultyProvider(RowOf(key_normalization="NFC"))
    await SyncMethods(same).plan_sync_to(RowOf(key_normalization="NFC"), "", "")
    assert same.calls["list_page"] == 1


async def test_what_the_target_does_not_store_is_skipped(root: Path) -> None:
    """Keys that are too long and files that are too large are skipped with the reason."""
    small = RowOf(max_key_length=10, max_object_size=5, min_part_size=1)
    write(root, "long-name", b"1")
    write(root, "large", b"123456")
    write(root, "ok", b"1")
    plan = await SyncMethods(small).plan_sync(root, "x")
    assert [line for line in lines(plan) if line[0] == "upload"] == [("upload", "ok", "new")]
    reasons = skips(plan)
    assert "the limit is 10" in reasons["long-name"]
    assert "6 bytes are more" in reasons["large"]
    write(root, "c:", b"1")
    plan = await SyncMethods(LocalProvider({"base_path": str(root.parent / "files")})).plan_sync(root, "x")
    assert skips(plan).keys() == {"c:"}


async def test_an_object_that_goes_while_the_plan_is_made_is_no_error(memory: MemoryProvider, root: Path) -> None:
    """A source that is removed between listing and HEAD is skipped; a target that is removed is new."""
    write(root, "a")
    await store(memory, "a")

    async def remove() -> None:
        await memory.delete("a")

    faulty = FaultyProvider(memory, (Fault(operation="head", hook=remove),))
    assert lines(await SyncMethods(faulty).plan_sync(root, "")) == [("upload", "a", "new")]
    await store(memory, "a")
    faulty = FaultyProvider(memory, (Fault(operation="head", hook=remove),))
    plan = await SyncMethods(faulty).plan_sync(root, "", direction="download")
    assert "removed while the plan was made" in skips(plan)["a"]


async def test_an_object_that_is_replaced_while_the_plan_is_made_is_pinned_as_it_was_seen_last(
    memory: MemoryProvider, root: Path
) -> None:
    """The HEAD's size and etag count, not the listing's."""
    write(root, "a")
    await store(memory, "a", mtime=OLD)

    async def overwrite() -> None:
        await store(memory, "a", b"longer", mtime=OLD)

    faulty = FaultyProvider(memory, (Fault(operation="head", hook=overwrite),))
    plan = await SyncMethods(faulty).plan_sync(root, "")
    assert lines(plan) == [("upload", "a", "size")]
    assert next(iter(plan)).target == EntryState(size=6, mtime=OLD, etag=(await memory.head("a")).etag)


async def test_a_file_that_cannot_be_summed_is_skipped(memory: MemoryProvider, root: Path) -> None:
    """A file that vanished, or cannot be read for its checksum, is skipped with the reason."""
    file = write(root, "a")
    await store(memory, "a")

    async def remove() -> None:
        file.unlink()

    faulty = FaultyProvider(memory, (Fault(operation="head", hook=remove),))
    plan = await SyncMethods(faulty).plan_sync(root, "", compare="checksum")
    assert "does not exist" in skips(plan)["a"]


async def test_a_failed_request_ends_the_plan(memory: MemoryProvider, root: Path, tmp_path: Path) -> None:
    """An error of a listing or a HEAD is raised, names provider and operation, and leaves no file."""
    write(root, "a")
    await store(memory, "a")
    for operation in ("list_page", "head"):
        faulty = FaultyProvider(memory, (Fault(operation=operation, error=TransientError("lost")),))
        with pytest.raises(TransientError, match="lost") as raised:
            await SyncMethods(faulty).plan_sync(root, "", path=tmp_path / "plan")
        assert raised.value.provider == "memory"
        assert os.listdir(tmp_path) == ["root"]


async def test_a_plan_is_written_to_its_path(memory: MemoryProvider, root: Path, tmp_path: Path) -> None:
    """With `path`, the file has the whole plan."""
    write(root, "a")
    plan = await SyncMethods(memory).plan_sync(root, "", path=tmp_path / "new" / "plan")
    loaded = await SyncPlan.load(tmp_path / "new" / "plan")
    assert (loaded.header, loaded.summary, list(loaded)) == (plan.header, plan.summary, list(plan))
