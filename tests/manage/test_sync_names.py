"""Syncs of names that one side stores and the other side refuses, changes, or uses for its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._manage.sync.entries import BATCH
from tests.manage.planning import lines, skips, store
from tests.manage.syncing import RowOf, Site, counts

ODD = ("1:notes", "c:x", "\\share", "a\\..\\b", "d/e:f", "...")
"""Names that a download refuses, because another system would read them as other places; a file can have them here."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Give an empty directory and an empty provider."""
    (tmp_path / "d").mkdir()
    return Site(tmp_path / "d")


async def test_files_with_names_of_drives_are_uploaded(site: Site) -> None:
    """A name with a colon or a backslash is an ordinary name in a directory and in a bucket."""
    for name in ODD:
        site.write(name, name.encode())
    assert counts(await site.manager.sync(site.directory, "p")) == (len(ODD), 0, 0, 0, 0)
    assert await site.objects() == {name: name.encode() for name in ODD}
    assert counts(await site.manager.sync(site.directory, "p", delete=True)) == (0, 0, 0, 0, 0)


async def test_files_with_names_of_drives_are_skipped_by_a_local_provider(site: Site, tmp_path: Path) -> None:
    """A provider on the local disk refuses such keys, so these files are skipped, and all others are uploaded."""
    local = Site(site.directory, LocalProvider({"base_path": str(tmp_path / "store")}))
    for name in ("a:b.txt", "d/e:f", "x"):
        site.write(name, b"1")
    report = await local.manager.sync(local.directory, "p")
    assert report.skipped.keys() == {"a:b.txt", "d/e:f"}
    assert counts(report) == (1, 0, 0, 0, 0)


async def test_files_with_names_of_drives_are_removed(site: Site) -> None:
    """A download removes files with such names if only the directory has them."""
    await store(site.inner, "p/x", b"1")
    for name in ODD:
        site.write(name, b"old")
    report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
    assert counts(report) == (1, len(ODD), 0, 0, 0)
    assert site.files() == {"x": b"1"}


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def normalizing(tmp_path: Path) -> Site:
    """Give an empty directory and a provider that normalizes keys."""
    (tmp_path / "d").mkdir()
    return Site(tmp_path / "d", RowOf(key_normalization="NFC"))


async def test_what_cannot_be_read_protects_the_normalized_name(normalizing: Site) -> None:
    """A directory that cannot be read protects the objects below its name in the form of the target."""
    (normalizing.directory / DECOMPOSED).symlink_to("/")
    normalizing.write("x", b"1")
    await store(normalizing.inner, f"p/{COMPOSED}/y")
    await store(normalizing.inner, f"p/{COMPOSED}z")
    report = await normalizing.manager.sync(normalizing.directory, "p", delete=True)
    assert counts(report) == (1, 1, 0, 0, 0)
    assert (await normalizing.objects()).keys() == {"x", f"{COMPOSED}/y"}
    assert report.skipped.keys() == {DECOMPOSED}
    normalizing.write(COMPOSED, b"2")
    report = await normalizing.manager.sync(normalizing.directory, "p", delete=True)
    assert counts(report) == (0, 0, 0, 0, 0)
    assert report.skipped.keys() == {COMPOSED, DECOMPOSED}
    (normalizing.directory / COMPOSED).unlink()
    (normalizing.directory / "cafe\u0301\u0327").symlink_to("/")
    (normalizing.directory / "cafe\u0327\u0301").write_bytes(b"3")
    plan = await normalizing.manager.plan_sync(normalizing.directory, "p")
    assert skips(plan).keys() == {DECOMPOSED, "cafe\u0301\u0327", "cafe\u0327\u0301"}


@pytest.mark.parametrize("pattern", [COMPOSED, DECOMPOSED])
async def test_a_pattern_matches_a_name_in_each_form(normalizing: Site, pattern: str) -> None:
    """If the provider normalizes keys, a pattern in any form selects the entry on both sides."""
    normalizing.write(DECOMPOSED, b"ours")
    normalizing.write("x", b"1")
    await store(normalizing.inner, f"p/{COMPOSED}", b"theirs!")
    manager, directory = normalizing.manager, normalizing.directory
    assert lines(await manager.plan_sync(directory, "p", delete=True, exclude=[pattern])) == [("upload", "x", "new")]
    assert lines(await manager.plan_sync(directory, "p", include=[pattern])) == [("upload", DECOMPOSED, "size")]
    down = await manager.plan_sync(directory, "p", direction="download", exclude=[pattern], delete=True, force=True)
    assert lines(down) == [("delete", "x", "not in source")]
    copy = await manager.plan_sync_to(MemoryProvider(), "p", "", exclude=[pattern])
    assert lines(copy) == []


async def test_an_object_with_the_name_of_a_directory_hides_nothing(site: Site) -> None:
    """Some programs store a directory's mark with content: the mark is skipped, the objects below it are synced."""
    await store(site.inner, "p/a/", b"mark")
    await store(site.inner, "p/a/x", b"1")
    report = await site.manager.sync(site.directory, "p", direction="download")
    assert report.skipped.keys() == {"a/"}
    assert site.files() == {"a/x": b"1"}


async def test_an_object_with_the_name_of_the_prefix_hides_nothing(site: Site) -> None:
    """An object whose key is the prefix has no path, and is skipped; keys that begin with a slash are copied."""
    for key in ("p/", "p//x", "p/y"):
        await store(site.inner, key, key.encode())
    report = await site.manager.sync_to(site.inner, "p", "q")
    assert report.skipped.keys() == {""}
    assert await site.objects("q/") == {"/x": b"p//x", "y": b"p/y"}


async def test_keys_that_look_like_staged_files_are_left_out(site: Site) -> None:
    """A directory with the name of a staged file is left out on both sides."""
    name = ".bucketry-0123456789abcdef.part/x"
    await store(site.inner, f"p/{name}")
    site.write(name, b"1")
    site.write("x", b"1")
    manager, directory = site.manager, site.directory
    assert lines(await manager.plan_sync(directory, "p", delete=True)) == [("upload", "x", "new")]
    assert lines(await manager.plan_sync(directory, "p", direction="download", delete=True, force=True)) == [
        ("delete", "x", "not in source")
    ]


async def test_many_unsafe_keys_are_not_an_empty_source(site: Site) -> None:
    """Whether the source is empty is decided at its end, not at the first deletion."""
    for number in range(BATCH + 1):
        await store(site.inner, f"p/./{number}")
    await store(site.inner, "p/z")
    site.write("!", b"old")
    report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
    assert counts(report) == (1, 1, 0, 0, 0)
    assert len(report.skipped) == BATCH + 1


async def test_what_a_local_provider_keeps_for_itself_is_skipped(site: Site, tmp_path: Path) -> None:
    """A key in the directory of a local provider's own files is skipped; other directories of this name are copied."""
    local = LocalProvider({"base_path": str(tmp_path / "store")})
    for key in (".bucketry/x", "a/.bucketry/x"):
        await store(site.inner, key)
    report = await site.manager.sync_to(local, "", "")
    assert report.skipped.keys() == {".bucketry/x"}
    assert counts(report) == (1, 0, 0, 0, 0)
    assert report.skipped == (await site.manager.sync_to(local, "", "")).skipped
