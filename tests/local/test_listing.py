"""Listings of a directory tree, in the order of the keys."""

# ruff: noqa: ASYNC240 - the tests look at the disk between calls, and nothing else runs meanwhile

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bucketry._core.config import LocalConfig
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from tests.local.disk import PLAIN, names

TREE = sorted(
    (
        "a",
        "a!",
        "a-/x",
        "a.b",
        "a0",
        "b/1",
        "b/a/deep",
        "b/a!",
        "b/a-",
        "b/z",
        "c/d/e/f",
        "c/d/e.f",
        "é/x",
        "日本",
        "😀",
    )
)


@pytest.fixture
async def tree(local: LocalRequests, base: Path) -> LocalRequests:
    """Give a provider with two entries a page, and with directories whose names are hard to sort."""
    for key in TREE:
        await local.put_object(key, b"", PLAIN)
    (base / "empty" / "too").mkdir(parents=True)
    return LocalRequests(
        LocalConfig(base_path=base), replace(VENDOR, capabilities=replace(VENDOR.capabilities, max_list_keys=2))
    )


async def test_pages_join_to_the_whole(tree: LocalRequests) -> None:
    """Pages of two entries give every key once, in UTF-8 order, for any prefix and any start key."""
    assert await names(tree) == sorted(TREE, key=str.encode)
    for prefix in ("", "a", "b/", "b/a", "c/d", "c/d/e", "empty", "none/", "../", "b/../b/", "日", "a\0", "\ud800/"):
        expected = [key for key in TREE if key.startswith(prefix)]
        assert await names(tree, prefix) == expected
        for after in (*TREE, "", "b", "b/", "b/a/", "c/d/e/zz", "zz", "\U0010ffff"):
            assert await names(tree, prefix, start_after=after) == [key for key in expected if key > after]


@pytest.mark.parametrize("delimiter", ["/", "e", "a/", "!", "none"])
async def test_any_delimiter(tree: LocalRequests, delimiter: str) -> None:
    """Each common prefix is given once over all pages, for any delimiter."""
    for prefix in ("", "b", "b/", "c/d/", "é"):
        expected = dict.fromkeys(
            key if (end := key.find(delimiter, len(prefix))) < 0 else key[: end + len(delimiter)]
            for key in TREE
            if key.startswith(prefix)
        )
        assert await names(tree, prefix, delimiter=delimiter) == list(expected)


async def test_a_page_does_not_read_the_whole_tree(
    tree: LocalRequests, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page reads the directories that it touches and no other.

    `os.scandir` is watched: which directories were read leaves no trace on the disk.
    """
    scanned: list[str] = []
    scandir = os.scandir

    def counting(path: str) -> object:
        scanned.append(os.path.relpath(path, base))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    await tree.list_page()
    assert scanned == [".", "a-"]
    scanned.clear()
    await tree.list_page("c/d/e")
    assert scanned == ["c/d", "c/d/e"]
    scanned.clear()
    await tree.list_page(start_after="c/d/e.f")
    assert scanned == [".", "c", "c/d", "c/d/e", "empty", "empty/too", "é"]
    scanned.clear()
    await tree.list_page("empty/too/")
    await tree.list_page(".bucketry/")
    await tree.list_page("none/")
    assert scanned == ["empty/too"]


@pytest.mark.slow
async def test_large_directories_are_read_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a large directory at rest share one reading of it; a change is seen all the same.

    `os.scandir` is watched: how often a directory was read leaves no trace on the disk.
    """
    base.mkdir()
    for number in range(2_500):
        (base / f"{number:04}").touch()
    os.utime(base, (1_000, 1_000))
    local = LocalRequests(LocalConfig(base_path=base), VENDOR)
    scanned: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(path), scandir(path))[1])
    assert len(await names(local)) == 2_500
    assert len(scanned) == 1
    (base / "new").touch()
    assert len(await names(local)) == 2_501


async def test_a_tree_as_deep_as_keys_can_be(local: LocalRequests) -> None:
    """The deepest possible key can be stored, listed and deleted, with its directories."""
    key = "/".join("d" * 512)
    await local.put_object(key, b"x", PLAIN)
    assert await names(local) == [key]
    assert await names(local, delimiter="/") == ["d/"]
    await local.delete(key)
    assert await names(local) == []
