"""Globs, patterns, dates and lists of keys; the requests that a selection costs."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry import MemoryProvider
from bucketry._cli.commands import UsageError
from bucketry._cli.globs import Glob
from bucketry._cli.place import Remote
from bucketry._cli.selection import SelectionArguments, base_of, keys_from, moment, selected, single_key
from bucketry.errors import LocalFileNotFoundError
from bucketry.providers.provider import StorageProvider
from bucketry.testing import FaultyProvider
from tests.manage.syncing import RowOf

KEYS = ("a.txt", "b/c.txt", "b/d/e.txt", "run-1", "run-1/x", "run-1/y/z", "run-10/x", "run-2/x", "s*ar", "star")


async def store(keys: Sequence[str], provider: StorageProvider | None = None) -> FaultyProvider:
    """Store empty objects, and return a provider that counts requests."""
    provider = provider or MemoryProvider()
    for key in keys:
        await provider.put(key, b"")
    return FaultyProvider(provider)


async def found(
    provider: StorageProvider, word: str, *, is_glob: bool = True, recursive: bool = False, **options: object
) -> list[str]:
    """Return the keys that a word selects."""
    arguments = SelectionArguments(**options)
    return [info.key async for info in selected(Remote(provider, word, is_glob), arguments, recursive=recursive)]


@pytest.mark.parametrize(
    ("glob", "keys"),
    [
        ("*", ["a.txt", "run-1", "s*ar", "star"]),
        ("*.txt", ["a.txt"]),
        ("**.txt", ["a.txt", "b/c.txt", "b/d/e.txt"]),
        ("**/*.txt", ["a.txt", "b/c.txt", "b/d/e.txt"]),
        ("b/**/e.txt", ["b/d/e.txt"]),
        ("b/**/c.txt", ["b/c.txt"]),
        ("run-*/", ["run-1/x", "run-1/y/z", "run-10/x", "run-2/x"]),
        ("run-?/", ["run-1/x", "run-1/y/z", "run-2/x"]),
        ("run-?/x", ["run-1/x", "run-2/x"]),
        ("run-[!2]/x", ["run-1/x"]),
        ("run-[^2]/x", ["run-1/x"]),
        ("*-[0-1]/*", ["run-1/x"]),
        ("*/*/*", ["b/d/e.txt", "run-1/y/z"]),
        ("s[*]ar", ["s*ar"]),
        ("s*ar", ["s*ar", "star"]),
        ("s[*t]ar", ["s*ar", "star"]),
        ("s[*-]*", ["s*ar"]),
        ("s[-&*]*", ["s*ar"]),
        ("run[]", []),
        ("run-1", ["run-1"]),
        ("run-1/", ["run-1/x", "run-1/y/z"]),
        ("nothing/*", []),
        ("b?c.txt", []),
        ("b[/]c.txt", []),
    ],
)
async def test_globs(glob: str, keys: list[str]) -> None:
    """A glob selects exactly these keys, in their order."""
    assert await found(await store(KEYS), glob) == keys


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("run-1", ["run-1", "run-1/x", "run-1/y/z"]),
        ("run-?", ["run-1", "run-1/x", "run-1/y/z", "run-2/x"]),
        ("*", list(KEYS)),
        ("*/d", ["b/d/e.txt"]),
        ("[r]un-1*", ["run-1", "run-1/x", "run-1/y/z", "run-10/x"]),
        ("", list(KEYS)),
    ],
)
async def test_recursive_selects_below_directories(word: str, keys: list[str]) -> None:
    """With `recursive`, a word also selects what is below the directories that it names, and no others."""
    assert await found(await store(KEYS), word, recursive=True) == keys
    assert await found(await store(KEYS, RowOf(max_list_keys=2)), word, recursive=True) == keys


async def test_a_key_that_is_no_glob_is_literal() -> None:
    """Only in URLs are * and ? wildcards."""
    provider = await store(KEYS)
    assert await found(provider, "s*ar", is_glob=False) == ["s*ar"]
    assert await found(provider, "run-?", is_glob=False) == []
    assert single_key(Remote(provider, "s*ar")) == "s*ar"
    assert single_key(Remote(provider, "s[*]ar", is_glob=True)) == "s*ar"
    for word in ("s*ar", ""):
        with pytest.raises(UsageError, match="one object is needed"):
            single_key(Remote(provider, word, is_glob=True))


async def test_a_set_with_a_reversed_range_is_an_error() -> None:
    """The message names the set and the right order."""
    with pytest.raises(UsageError, match=r"\[z-a\].*\[a-z\]"):
        await found(await store(()), "[z-a]")


@pytest.mark.parametrize(
    ("glob", "key"),
    [
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 60),
        ("**a**a**a**a**a**a**a*b", "a" * 1_000),
        ("**/a*/**/a*/**/a*/**/*b", "a/" * 500),
    ],
)
def test_many_wildcards_are_matched_quickly(glob: str, key: str) -> None:
    """A key that almost matches is refused after few steps; trying all ways would take minutes or years."""
    matches = Glob(glob).matcher()
    assert not matches(key)
    assert matches(f"{key}b")


WILDCARD = re.compile(r"(?<![^/])\*\*/|\*+|\?|\[..\]")
SIMPLE = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]", "[ab]": "[ab]", "[!a]": "[^/a]"}


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "?", "[ab]", "[!a]", "/**/"]), max_size=8),
    st.text("ab/", max_size=9),
)
def test_a_match_is_that_of_a_simple_expression(pieces: list[str], key: str) -> None:
    """The quick expression matches what the simple one matches, which tries all ways."""
    glob = "".join(pieces)
    simple = WILDCARD.sub(lambda found: SIMPLE.get(found[0], ".*"), glob)
    simple += ".*" if glob.endswith("/") else ""
    assert Glob(glob).matcher()(key) is (re.fullmatch(simple, key) is not None)


KEY = st.text("ab/-", min_size=1, max_size=7)
PIECE = st.sampled_from(["a", "b", "-", "/", "*", "**", "**/", "?", "[ab]", "[!a]", "*/", "a*"])


@given(st.sets(KEY, max_size=12), st.lists(PIECE, min_size=1, max_size=5), st.booleans(), st.sampled_from([2, 50]))
async def test_every_way_to_search_finds_the_same(keys: set[str], pieces: list[str], below: bool, large: int) -> None:
    """Listings of levels, listings of everything, and a test of each key select the same objects, in key order."""
    glob = Glob("".join(pieces))
    matches = glob.matcher(below=below)
    wanted = [key for key in sorted(keys) if matches(key)]
    for page in (3, 1_000):
        provider = RowOf(max_list_keys=page)
        for key in keys:
            await provider.put(key, b"")
        assert [info.key async for info in glob.search(provider, below=below, large=large)] == wanted


async def test_large_directories_that_do_not_match_are_not_listed() -> None:
    """Of 10 directories with 5 pages each, a glob for 2 of them lists the names and these 2."""
    keys = [f"run-{run}/{number:03}" for run in range(10) for number in range(250)]
    provider = await store([*keys, "other/x"], RowOf(max_list_keys=50))
    provider.calls.clear()
    assert len(await found(provider, "run-[57]/")) == 500
    # 1 page to see that directories are large, 1 page of names, 5 pages of each match.
    assert provider.calls == {"list_page": 12}


async def test_small_directories_are_listed_together() -> None:
    """A glob over many small directories costs the pages of one listing."""
    provider = await store([f"{run:03}/{name}" for run in range(300) for name in "xy"], RowOf(max_list_keys=100))
    provider.calls.clear()
    assert len(await found(provider, "??[05]/x")) == 60
    assert provider.calls == {"list_page": 6}


async def test_only_the_literal_part_is_listed() -> None:
    """Keys outside of the literal part, and directories below the last segment, cost no request."""
    below = [f"data/x/deep/{number}" for number in range(800)]
    provider = await store([*below, "data/a.gz", "data/b.gz", "z/1", *KEYS], RowOf(max_list_keys=200))
    for word, count, pages in (("data/*.gz", 2, 1), ("data/b.[g]z", 1, 1), ("data/*/nothing", 0, 3), ("run-2/", 1, 1)):
        provider.calls.clear()
        assert len(await found(provider, word)) == count
        assert provider.calls["list_page"] <= pages, word


async def test_patterns_are_relative_to_the_directory() -> None:
    """`/x` matches directly below the word's directory, and other patterns at any depth; exclusion wins."""
    provider = await store(KEYS)
    assert await found(provider, "run-1/", include=["/x"]) == ["run-1/x"]
    assert await found(provider, "run-1", recursive=True, include=["/x"]) == ["run-1/x"]
    assert await found(provider, "run-1", recursive=True, exclude=["y/"]) == ["run-1", "run-1/x"]
    assert await found(provider, "", include=["*.txt"], exclude=["/b/d"]) == ["a.txt", "b/c.txt"]
    assert await found(provider, "run-*/", include=["x"], exclude=["run-1/"]) == ["run-10/x", "run-2/x"]
    with pytest.raises(UsageError, match="--include: pattern"):
        await found(provider, "", include=["a["])
    words = ("a/b-*/c", "a/b", "a/", "*")
    assert [base_of(Remote(provider, word, is_glob=True)) for word in words] == ["a/", "a/", "a/", ""]


async def test_dates() -> None:
    """--newer and --older leave objects out by their times, and contradictory times are an error."""
    provider = await store(("k",))
    written = (await provider.head("k")).last_modified
    before, after = written - timedelta(seconds=1), written + timedelta(seconds=1)
    assert await found(provider, "", newer=before, older=after) == ["k"]
    assert await found(provider, "", newer=written) == []
    assert await found(provider, "", older=written) == []
    with pytest.raises(UsageError, match="exchange them"):
        await found(provider, "", newer=after, older=before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:30", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("2026-11-01T12:30:00+02:00", datetime(2026, 11, 1, 10, 30, tzinfo=UTC)),
        ("2026-11-01T12:30:00Z", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 10, 25, tzinfo=UTC)),
        ("1w1d12h30m10s", datetime(2026, 10, 23, 11, 29, 50, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    """A time is a date, an ISO time, or an age; without a zone it is in UTC."""
    assert moment(text, now=datetime(2026, 11, 1, tzinfo=UTC)) == expected


@pytest.mark.parametrize("text", ["", "7", "7 days", "d", "2026-13-01", "yesterday", "9999999999w", "-7d"])
def test_texts_that_are_no_times(text: str) -> None:
    """Another text is a usage error."""
    with pytest.raises(argparse.ArgumentTypeError):
        moment(text)


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    """Yield the chunks."""
    for chunk in chunks:
        yield chunk


async def keys_in(*chunks: bytes, **options: object) -> list[str]:
    """Return the keys that standard input gives."""
    arguments = SelectionArguments(files_from="-", **options)
    return [key async for key in keys_from(arguments, lambda: chunks_of(*chunks))]


async def test_keys_from_standard_input() -> None:
    """Keys come one a line, as text or JSON, however the chunks are cut; the last line end may be missing."""
    awkward = {"key": "line\nbreak", "size": 1}
    text = f"a b\n\nc\r\n{json.dumps(awkward)}\nlast €".encode()
    assert await keys_in(*(bytes([byte]) for byte in text)) == ["a b", "c", "line\nbreak", "last €"]
    assert await keys_in(text, exclude=["a*", "line*"]) == ["c", "last €"]
    assert await keys_in() == []


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"a\n\xff\n", {}, "standard input: line 2: is not UTF-8"),
        (b'{"prefix": "a/"}', {}, "line 1: is not JSON with a key"),
        (b"{a}", {}, "line 1: is not JSON with a key"),
        (b'{"key": "a", "upload_id": "u"}', {}, "line 1: is an open upload, not the object of that key"),
        (b'{"key": "a", "version_id": null, "is_latest": false}', {}, "line 1: is a version, not the object"),
        (b'{"key": "a", "version_id": null, "is_delete_marker": true}', {}, "line 1: is a version, not the object"),
        (b'{"key": "a", "version_id": "v"}', {}, "name one version with KEY --version-id ID"),
        (b"a" * 2_000_000, {}, "a line is longer"),
        (b"a", {"newer": datetime(2026, 1, 1, tzinfo=UTC)}, "leave out --newer"),
    ],
)
async def test_lists_of_keys_that_are_wrong(data: bytes, options: dict[str, object], message: str) -> None:
    """The error names the line."""
    with pytest.raises(UsageError, match=re.escape(message)):
        await keys_in(data, **options)


async def test_keys_from_a_file(tmp_path: Path) -> None:
    """A file is read like standard input; a missing one is an error."""
    (tmp_path / "keys").write_bytes(b"a\nb\n")
    options = SelectionArguments(files_from=str(tmp_path / "keys"))
    assert [key async for key in keys_from(options)] == ["a", "b"]
    with pytest.raises(LocalFileNotFoundError):
        await anext(keys_from(SelectionArguments(files_from=str(tmp_path / "nothing"))))
