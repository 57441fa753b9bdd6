"""The walk over a directory: the order of the keys, from any of them on, and what becomes of what is no file."""

from __future__ import annotations

import os
import socket
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._runtime.walk import FoundFile, NameCache, Unusable, Walk
from bucketry.errors import (
    InvalidKeyError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    LocalPermissionError,
)

NAMES = ("a", "a!", "a-", "a.b", "a0", "A", "b", "!", " ", "~", "é", "e\u0301", "\ue000", "\uffee", "😀", "日本")
KEYS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)


def make(root: Path, keys: list[str]) -> list[str]:
    """Make those files that can exist together, and give their keys."""
    made = []
    for key in keys:
        path = root / key
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            made.append(key)
    return made


def keys_of(walk: Walk) -> list[str]:
    """Give the keys of all entries."""
    return [found.key for found in walk]


@st.composite
def walked(draw: st.DrawFn) -> tuple[list[str], str, str]:
    """Draw keys, a prefix and a start key; the latter two are mostly parts of the keys."""
    keys = draw(st.lists(KEYS, max_size=12, unique=True))
    bounds = []
    for _ in range(2):
        bound = draw(st.sampled_from([*keys, ""]) | KEYS)
        bounds.append(bound[: draw(st.integers(0, len(bound)))] + draw(st.sampled_from(["", "", "", "/", "!", "0"])))
    return keys, bounds[0], bounds[1]


@pytest.mark.slow
@given(drawn=walked(), cached=st.booleans())
def test_keys_come_in_the_order_of_their_bytes(drawn: tuple[list[str], str, str], *, cached: bool) -> None:
    """For any tree, start key and prefix, the walk gives `sorted(keys, key=str.encode)`."""
    keys, prefix, after = drawn
    with tempfile.TemporaryDirectory() as root:
        made = make(Path(root), keys)
        wanted = [key for key in made if key.startswith(prefix) and key.encode() > after.encode()]
        cache = NameCache() if cached else None
        walk = Walk(root, prefix=prefix, after=after, cache=cache)
        assert keys_of(walk) == sorted(wanted, key=str.encode)


@pytest.mark.slow
@given(drawn=walked(), at=st.integers(0, 8))
def test_a_prefix_is_skipped(drawn: tuple[list[str], str, str], at: int) -> None:
    """At any file, the remaining keys with a prefix can be skipped, and no others are."""
    keys, skipped, _ = drawn
    with tempfile.TemporaryDirectory() as root:
        whole = sorted(make(Path(root), keys), key=str.encode)
        walk = Walk(root)
        found = []
        for number, file in enumerate(walk):
            found.append(file.key)
            if number == at:
                walk.skip(skipped)
        assert found == whole[: at + 1] + [key for key in whole[at + 1 :] if not key.startswith(skipped)]


def test_a_name_before_its_directory(tmp_path: Path) -> None:
    """`a!` comes before `a/1`, and `a/1` before `b`: a directory sorts by its name and a slash."""
    make(tmp_path, ["b", "a/1", "a0", "a!", "a-b/c"])
    assert keys_of(Walk(str(tmp_path))) == ["a!", "a-b/c", "a/1", "a0", "b"]


def test_what_is_said_of_a_file(tmp_path: Path) -> None:
    """Each file has its key, path, size and time; a link has the size and time of its target."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_bytes(b"12345")
    os.utime(tmp_path / "d" / "file", ns=(0, 1_234_567_890_123_456_789))
    (tmp_path / "link").symlink_to("d/file")
    file, link = Walk(str(tmp_path))
    assert isinstance(file, FoundFile)
    assert isinstance(link, FoundFile)
    assert (file.key, file.path, file.is_link) == ("d/file", str(tmp_path / "d" / "file"), False)
    assert (link.key, link.path, link.is_link) == ("link", str(tmp_path / "link"), True)
    for found in (file, link):
        assert (found.size, found.mtime) == (5, 1_234_567_890_123_456_789)


def test_what_cannot_be_used_is_given_with_its_error(tmp_path: Path) -> None:
    """Links to directories, broken links, sockets, pipes and names that are not UTF-8 are given with errors."""
    make(tmp_path, ["dir/file", "good"])
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to-dir").symlink_to("dir")
    os.mkfifo(tmp_path / "fifo")
    for name in ("bad-\udcff", "bad-\udcfe/"):
        path = f"{tmp_path}/{name}"
        os.mkdir(path) if name.endswith("/") else Path(path).touch()
    Path(f"{tmp_path}/bad-\udcfe/file").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        found = list(Walk(str(tmp_path)))
    assert [(one.key, type(one.error) if isinstance(one, Unusable) else None) for one in found] == [
        ("bad-\udcfe/", InvalidKeyError),
        ("bad-\udcff", InvalidKeyError),
        ("broken", LocalFileNotFoundError),
        ("dir/file", None),
        ("fifo", LocalFileError),
        ("good", None),
        ("loop", LocalFileError),
        ("sock", LocalFileError),
        ("to-dir", LocalFileError),
    ]
    assert all(one.path == f"{tmp_path}/{one.key.rstrip('/')}" for one in found)
    (broken,) = [one.error for one in found if isinstance(one, Unusable) and one.key == "broken"]
    assert str(broken).startswith(f"{tmp_path}/broken: is a symbolic link whose target does not exist; remove the link")


def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """A directory without permission is given with its error, and the walk continues after it."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    make(tmp_path, ["a", "closed/file", "z"])
    (tmp_path / "closed").chmod(0)
    try:
        first, closed, last = Walk(str(tmp_path))
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert (first.key, last.key) == ("a", "z")
    assert isinstance(closed, Unusable)
    assert (closed.key, closed.path) == ("closed/", str(tmp_path / "closed"))
    assert isinstance(closed.error, LocalPermissionError)


def test_a_directory_that_vanishes(tmp_path: Path) -> None:
    """A directory that is removed before the walk reaches it, or while it begins, is given with its error."""
    make(tmp_path, ["a", "b/file", "c"])
    walk = Walk(str(tmp_path))
    assert next(walk).key == "a"
    (tmp_path / "b" / "file").unlink()
    (tmp_path / "b").rmdir()
    gone = next(walk)
    assert isinstance(gone, Unusable)
    assert (gone.key, type(gone.error)) == ("b/", LocalFileNotFoundError)
    assert keys_of(walk) == ["c"]
    root = tmp_path / "root"
    root.mkdir()
    walk = Walk(str(root))
    root.rmdir()
    (gone,) = walk
    assert isinstance(gone, Unusable)
    assert (gone.key, gone.path, type(gone.error)) == ("", str(root), LocalFileNotFoundError)


@pytest.mark.parametrize("root", ["missing", "broken", "bad-\ud800"])
def test_there_is_no_such_directory(tmp_path: Path, root: str) -> None:
    """A missing directory, or a broken link to one, is an error at once."""
    (tmp_path / "broken").symlink_to("nowhere")
    with pytest.raises(LocalFileNotFoundError, match="there is no such directory"):
        Walk(f"{tmp_path}/{root}")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A file in place of the directory is an error at once."""
    make(tmp_path, ["file"])
    with pytest.raises(LocalNotADirectoryError, match="is a file; name a directory"):
        Walk(str(tmp_path / "file"))


def test_the_directory_may_be_a_link(tmp_path: Path) -> None:
    """The walked directory may be a link, and its path may end in a slash."""
    make(tmp_path, ["real/a/b"])
    (tmp_path / "link").symlink_to("real")
    for root in ("real", "real/", "link", "link/"):
        (found,) = Walk(f"{tmp_path}/{root}")
        assert (found.key, found.path) == ("a/b", f"{tmp_path}/{root.rstrip('/')}/a/b")


@pytest.mark.parametrize("prefix", ["to-dir/", "../", "./", "//", "\0/", "file/", "\ud800/", "no/", "none/"])
def test_a_prefix_that_the_walk_would_not_come_to(tmp_path: Path, prefix: str) -> None:
    """A prefix through a link, a file, a parent directory or a skipped directory has no keys."""
    make(tmp_path, ["dir/file", "file", "no/file"])
    (tmp_path / "to-dir").symlink_to("dir")
    assert keys_of(Walk(str(tmp_path), prefix=prefix, leave_out=lambda key: key == "no/")) == []


def test_what_is_left_out(tmp_path: Path) -> None:
    """`leave_out` skips files and directories without an error, and skipped directories are not read."""
    make(tmp_path, ["keep/a", "keep/no", "no/a", "z"])
    assert keys_of(Walk(str(tmp_path), leave_out=lambda key: key in ("no/", "keep/no"))) == ["keep/a", "z"]


def test_a_directory_is_read_when_the_walk_comes_to_it(tmp_path: Path) -> None:
    """A file that is made in a directory before the walk reaches it is found: directories are read late."""
    make(tmp_path, ["a/1", "b/1"])
    walk = Walk(str(tmp_path))
    assert next(walk).key == "a/1"
    make(tmp_path, ["b/2"])
    assert keys_of(walk) == ["b/1", "b/2"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_tree(tmp_path: Path) -> None:
    """Only one directory's names are in memory at a time: far less than those of 40 directories."""
    for directory in range(40):
        (tmp_path / f"{directory:02}").mkdir()
        for file in range(100):
            (tmp_path / f"{directory:02}" / f"{file:0200}").touch()
    tracemalloc.start()
    try:
        assert sum(1 for _ in Walk(str(tmp_path))) == 4_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000  # all names together have 800,000 bytes
