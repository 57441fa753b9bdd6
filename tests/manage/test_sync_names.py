"""Syncs of names that one side stores and the other side refuses, changes, or uses for its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._manage.sync.methods import SyncMethods
from tests.manage.planning import lines, skips, store, write
from tests.manage.syncing import Site, counts

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


async def test_files_with_names_of_drives_are_removed(site: Site) -> None:
    """A download removes files with such names if only the directory has them."""
    await store(site.inner, "p/x", b"1")
    for name in ODD:
        site.write(name, b"old")
    report = await site.manager.sync(site.directory, "p", direction="download", delete=True)
    assert counts(report) == (1, len(ODD), 0, 0, 0)
    assert site.files() == {"x": b"1"}
