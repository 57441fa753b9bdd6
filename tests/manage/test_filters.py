"""The patterns that select the entries of a sync: those of `.gitignore` files, compared with git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketry._manage.sync.filters import Filter
from bucketry.errors import InvalidRequestError

PATHS = (
    "a.bin",
    "a.txt",
    "b/a.bin",
    "b/c/a.txt",
    "build/x",
    "src/build/x",
    "src/build/keep",
    "#note",
    "!bang",
    "blank ",
    "caf\u00e9/xy.bin",
    "line\nend/a.bin",
    "\nfirst",
)
PATTERN_LISTS = (
    ["*.bin"],
    ["/*.bin"],
    ["b/"],
    ["build/"],
    ["/build"],
    ["build/", "!keep"],
    ["src/build/*", "!src/build/keep"],
    ["b*", "!b/", "*.txt"],
    ["build", "!src"],
    ["src/**/"],
    ["**/", "!b/"],
    ["**/a.*"],
    ["b/**/a.txt"],
    ["*", "!*.txt"],
    ["?.bin"],
    ["[ab].bin"],
    ["[!a].bin"],
    ["\\#note", "\\!bang"],
    ["blank\\ "],
    ["# a comment", "", "a.bin"],
    ["caf\u00e9"],
    ["line*/"],
)


def excluded(patterns: list[str], paths: tuple[str, ...] = PATHS) -> set[str]:
    """Give the paths that the patterns exclude."""
    filters = Filter(exclude=patterns)
    return {path for path in paths if filters.excludes(path)}


def ignored(directory: Path, patterns: list[str], paths: Iterable[str]) -> set[str]:
    """Give the paths that git ignores with the patterns."""
    environment = {"HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    if not (directory / ".git").exists():
        subprocess.run(["git", "init", "-q", str(directory)], check=True, env=environment)  # noqa: S607 - this machine's
    (directory / ".gitignore").write_text("\n".join(patterns))
    answer = subprocess.run(
        ["git", "-C", str(directory), "check-ignore", "-z", "--no-index", "--stdin"],  # noqa: S607 - as above
        input="\0".join(paths).encode(),
        capture_output=True,
        check=False,
        env=environment,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return {path for path in answer.stdout.decode().split("\0") if path}


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@needs_git
@pytest.mark.slow
@pytest.mark.parametrize("patterns", PATTERN_LISTS, ids=repr)
def test_a_pattern_means_what_it_means_to_git(tmp_path: Path, patterns: list[str]) -> None:
    """The patterns exclude exactly the paths that git ignores with the same lines."""
    assert excluded(patterns) == ignored(tmp_path, patterns, PATHS)


NAMES = st.sampled_from(["a", "b", "*", "**", "a*", "?", "a.b", "[ab]"])
PATTERNS = st.builds(
    lambda back, start, names, end: f"{back}{start}{'/'.join(names)}{end}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(NAMES, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
)
DIRECTORY = st.lists(st.sampled_from(["a", "b", "ab", "a.b"]), min_size=1, max_size=3).map(
    lambda names: f"{'/'.join(names)}/"
)


@needs_git
@pytest.mark.slow
@settings(max_examples=30)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=4))
def test_any_patterns_mean_what_they_mean_to_git(tmp_path_factory: pytest.TempPathFactory, patterns: list[str]) -> None:
    """Random patterns, also those that take something back, exclude what git ignores."""
    names = ("a", "b", "ab", "a.b")
    paths = [
        *names,
        *(f"{one}/{two}" for one in names for two in names),
        *(f"a/{one}/{two}" for one in names for two in names),
    ]
    assert excluded(patterns, tuple(sorted(paths))) == ignored(tmp_path_factory.getbasetemp(), patterns, paths)


@pytest.mark.parametrize(
    ("include", "exclude", "selected"),
    [
        ((), (), {"a.bin", "a.txt", "b/a.bin"}),
        (["*.bin"], (), {"a.bin", "b/a.bin"}),
        ((), ["*.bin"], {"a.txt"}),
        (["*.bin"], ["b/"], {"a.bin"}),
        (["b/", "*.txt"], ["*.txt"], {"b/a.bin"}),
    ],
)
def test_an_entry_is_selected_if_it_is_included_and_not_excluded(
    include: list[str], exclude: list[str], selected: set[str]
) -> None:
    """Without include patterns all entries are included, and exclude has the last word."""
    filters = Filter(include, exclude)
    paths = ("a.bin", "a.txt", "b/a.bin")
    assert {path for path in paths if filters.includes(path) and not filters.excludes(path)} == selected
    assert filters.selects_all is (not include and not exclude)


@given(patterns=st.lists(PATTERNS, max_size=3), directory=DIRECTORY, below=DIRECTORY)
def test_a_directory_that_is_not_read_has_only_excluded_files(patterns: list[str], directory: str, below: str) -> None:
    """A directory that is excluded is not read, and each file in it is excluded, whatever is taken back."""
    filters = Filter(exclude=patterns)
    if filters.excludes(directory):
        assert filters.excludes(directory + below[:-1])


@pytest.mark.parametrize("name", ["include", "exclude"])
@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        ("*.bin", "one pattern"),
        ([b"*.bin"], "not bytes"),
        ([3], "not int"),
        (["a\nb"], "a pattern of its own"),
        (["a\0b"], "a pattern of its own"),
        (["ok", "[z-a]"], "malformed"),
        (["!"], "malformed"),
        (["/"], "malformed"),
        (["a\\"], "malformed"),
    ],
)
def test_a_bad_pattern_is_refused(name: str, patterns: Any, text: str) -> None:
    """A pattern that is no text, has several lines, or can match nothing is an error that shows it."""
    with pytest.raises(InvalidRequestError, match=text) as raised:
        Filter(**{name: patterns})
    assert name in str(raised.value)


def test_an_include_without_a_pattern_is_refused() -> None:
    """An include of comments and blank lines would select nothing; as an exclude they do nothing."""
    with pytest.raises(InvalidRequestError, match="no pattern"):
        Filter(include=["# none", " ", "\n"])
    assert Filter(exclude=["# none", " ", "\n"]).selects_all
