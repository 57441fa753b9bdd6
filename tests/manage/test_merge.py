"""Two sorted streams of entries, joined by path; paths that are protected, and files in the place of directories."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._manage.sync.entries import Batches, Entry, Found, in_form
from bucketry._manage.sync.merge import FilesAbove, Protected, merged
from bucketry.errors import IntegrityError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.text("a/!\u00e9e\u0301", max_size=6)
SIDES = st.dictionaries(NAMES, st.integers(0, 9), max_size=30)


async def batches(entries: Iterable[Entry], width: int = 3) -> Batches:
    """Give entries in batches, with an empty one between them."""
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == width:
            yield batch
            yield []
            batch = []
    yield batch


def as_entries(side: dict[str, int]) -> list[Entry]:
    """Give the entries of a side in order."""
    return [Entry(path, side[path]) for path in sorted(side, key=str.encode)]


@given(source=SIDES, target=SIDES, widths=st.tuples(st.integers(1, 7), st.integers(1, 7)))
async def test_a_merge_equals_the_one_of_dictionaries(
    source: dict[str, int], target: dict[str, int], widths: tuple[int, int]
) -> None:
    """For any names, each path comes once, in UTF-8 binary order, with the entries of both sides."""
    found = [
        pair
        async for pairs in merged(batches(as_entries(source), widths[0]), batches(as_entries(target), widths[1]))
        for pair in pairs
    ]
    paths = sorted({**source, **target}, key=str.encode)
    assert found == [
        (
            Entry(path, source[path]) if path in source else None,
            Entry(path, target[path]) if path in target else None,
        )
        for path in paths
    ]


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("paths", [["b", "a"], ["a", "a"], ["a", "b", "c", "bb"]])
async def test_a_stream_out_of_order_is_an_error(side: str, paths: list[str]) -> None:
    """A stream that goes back or repeats a path, within a batch or between two, ends the merge with an error."""
    wrong, right = batches(Entry(path) for path in paths), batches([Entry("m")])
    streams = (wrong, right) if side == "source" else (right, wrong)
    with pytest.raises(IntegrityError, match=f"{side}'s entries are not in UTF-8 binary order"):
        async for _ in merged(*streams):
            pass


def protects(top: str, path: str) -> bool:
    """Tell whether a path is a protected one, or below it."""
    return path == top or path.startswith(f"{top}/")


@given(
    paths=st.lists(st.text("ab/!", min_size=1, max_size=6), unique=True).map(sorted), tops=st.sets(st.integers(0, 9))
)
def test_protected_paths_are_those_at_or_below_a_protected_one(paths: list[str], tops: set[int]) -> None:
    """Each path in order is protected exactly if an earlier protected one is equal to it or above it."""
    protected = Protected()
    added: list[str] = []
    for index, path in enumerate(paths):
        if index in tops:
            protected.add(path, path)
            added.append(path.removesuffix("/"))
        assert (protected.reason(path) is not None) is any(protects(top, path) for top in added), path


def test_protected_paths_are_forgotten_when_no_path_can_be_below_them() -> None:
    """The memory of protected paths does not grow with the number of paths."""
    protected = Protected()
    for number in range(1_000):
        protected.add(f"{number:04}", "unreadable")
        protected.reason(f"{number:04}/a")
        assert len(protected.paths) <= 2


def test_many_protected_paths_need_no_memory() -> None:
    """A path is forgotten when a later one is added, also if no other path comes between them."""
    protected = Protected()
    for number in range(1_000):
        protected.add(f"{number:04}", "r")
    assert len(protected.paths) == 1


@given(paths=st.lists(st.from_regex(r"[ab!]{1,2}(/[ab!]{1,2}){0,2}", fullmatch=True), unique=True).map(sorted))
def test_a_file_above_a_path_is_found(paths: list[str]) -> None:
    """A path is refused exactly if an earlier path that was not refused would have to be its directory."""
    files = FilesAbove()
    kept: list[str] = []
    for path in paths:
        above = files.add(path)
        assert (above is not None) is any(path.startswith(f"{file}/") for file in kept), path
        assert above is None or above in kept
        if above is None:
            kept.append(path)


def normalized(side: dict[str, int]) -> dict[str, tuple[int, set[str]]]:
    """Group names by their NFC form: the size of the one that is kept, and all names."""
    from unicodedata import normalize  # noqa: PLC0415 - the model in the test, apart from the code

    found: dict[str, tuple[int, set[str]]] = {}
    for path in sorted(side):
        form = normalize("NFC", path)
        size, names = found.get(form, (side[path], set()))
        found[form] = (side[path] if path == form else size, {*names, path})
    return found


@given(side=SIDES)
async def test_names_that_a_target_changes_come_in_its_order(side: dict[str, int]) -> None:
    """Each NFC name comes once, in order, with the entry that has this name, or the first one that becomes it."""
    found = [entry async for batch in in_form("NFC", lambda _: batches(as_entries(side)), Found()) for entry in batch]
    expected = normalized(side)
    assert [entry.path for entry in found] == sorted(expected)
    for entry in found:
        size, names = expected[entry.path]
        kept = entry.name or entry.path
        assert (entry.size, {kept, *entry.twins}) == (size, names)
        assert len(entry.twins) == len(names) - 1
