"""A word selects the same objects in every verb; where a verb would take fewer without a word, it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.inside import Inside, configured

KEYS = ("g/run", "g/run-1/a.txt", "g/run-1/b/c.txt", "g/run-10/z.txt", "g/x.txt", "other")
GLOBS = ("st:g/run*", "st:g/run-*", "st:g/*", "st:g/*.txt", "st:g/run-1?", "st:*/run", "st:g/run-*/*.txt", "st:*")


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    """Return the command line in an empty directory; `cat` writes to the descriptor of standard output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUCKETRY_CONFIG", configured(tmp_path))
    return Inside(tmp_path, capfd)


def filled(inside: Inside) -> None:
    """Store objects, each with its key as its bytes."""
    for key in KEYS:
        inside.write(f"st/{key}", key.encode())


def listed(inside: Inside, glob: str, *options: str) -> list[str]:
    """Return the keys that `list` shows."""
    return [line["key"] for line in inside("list", glob, *options, "--json").lines]


@pytest.mark.parametrize("glob", GLOBS)
def test_a_glob_selects_the_same_in_every_verb(inside: Inside, glob: str) -> None:
    """What `list` shows is what du counts, cat prints, and a recursive copy, move, delete and download take."""
    filled(inside)
    keys = listed(inside, glob)
    assert keys
    base = glob.removeprefix("st:").split("*")[0].rpartition("/")[0]
    names = sorted(key.removeprefix(f"{base}/") for key in keys)
    assert inside("du", glob, "--json").document["objects"] == len(keys)
    assert inside("cat", glob).out == "".join(keys)
    assert sorted(inside.files("st")) == sorted(KEYS)
    assert inside("download", glob, "out/").code == 0
    assert sorted(inside.files("out")) == names
    assert inside("copy", "-r", glob, "two:c/").code == 0
    assert inside("move", "-r", glob, "two:m/").code == 0
    assert sorted(inside.files("two/c")) == sorted(inside.files("two/m")) == names
    assert sorted(inside.files("st")) == sorted(set(KEYS) - set(keys))
    filled(inside)
    assert inside("delete", "-r", "--yes", glob).code == 0
    assert sorted(inside.files("st")) == sorted(set(KEYS) - set(keys))


@pytest.mark.parametrize("verb", [("copy",), ("move",), ("delete", "--yes"), ("copy", "--dry-run")])
@pytest.mark.parametrize("glob", GLOBS)
def test_without_recursive_a_glob_takes_all_or_is_refused(inside: Inside, glob: str, verb: tuple[str, ...]) -> None:
    """A glob that also matches a directory is refused before anything is changed; else all that is listed is taken."""
    filled(inside)
    keys, direct = listed(inside, glob), glob in {"st:g/*.txt", "st:*/run", "st:g/run-*/*.txt"}
    ran = inside(*verb, "st:other", glob, *([] if verb[0] == "delete" else ["two:"]))
    if direct:
        assert ran.code == 0
        gone = () if verb[0] == "copy" else {*keys, "other"}
        assert sorted(inside.files("st")) == sorted(set(KEYS).difference(gone))
    else:
        assert (ran.code, ran.out) == (2, "")
        assert "also matches directories: it selects g/run" in ran.err
        assert "add --recursive; to leave them out, add --exclude '/" in ran.err
        assert (sorted(inside.files("st")), inside.files("two")) == (sorted(KEYS), {})


@pytest.mark.parametrize(
    ("glob", "pattern", "taken"),
    [
        ("st:g/run*", "/run*/", ["g/run"]),
        ("st:g/*", "/*/", ["g/run", "g/x.txt"]),
        ("st:*/run*", "/*/run*/", ["g/run"]),
    ],
)
def test_the_hint_leaves_directories_out(inside: Inside, glob: str, pattern: str, taken: list[str]) -> None:
    """The pattern that the error names leaves the directories out, in `list` as in the verb that was refused."""
    filled(inside)
    assert f"add --exclude '{pattern}'\n" in inside("delete", "--yes", glob).err
    assert listed(inside, glob, "--exclude", pattern) == taken
    assert inside("delete", "--yes", glob, "--exclude", pattern).code == 0
    assert sorted(inside.files("st")) == sorted(set(KEYS) - set(taken))


@pytest.mark.parametrize("word", ["st:nosuch*", "st:g/nosuch-*/", "st:**/nosuch", "st:nosuch", "st:nosuch/"])
@pytest.mark.parametrize("verb", ["list", "du", "cat", "copy", "move", "delete", "download"])
@pytest.mark.parametrize("recursive", [False, True])
def test_a_word_that_matches_nothing(inside: Inside, verb: str, word: str, *, recursive: bool) -> None:
    """It is not found: exit code 3 and one error that names the word, with and without --recursive, in every verb."""
    filled(inside)
    if (
        (recursive and verb in {"du", "cat", "download"})
        or (not recursive and verb in {"copy", "move", "delete"} and (word.endswith("/") or "**" in word))
        or (verb == "delete" and word == "st:nosuch" and not recursive)
        or (verb == "cat" and word == "st:nosuch/")
    ):
        return  # there is no such option; or refused with the hint --recursive; or a server does not say it
    options = (["-r"] if recursive else []) + (["--yes"] if verb == "delete" else [])
    ran = inside(verb, *options, word, *(["out/"] if verb in {"copy", "move", "download"} else []))
    assert ran.code == 3
    assert "no object" in ran.err or "no such object" in ran.err
    assert ran.err.count("\n") == 1
    assert word.removeprefix("st:") in ran.err
    assert not (inside.directory / "out").exists()


def test_options_that_leave_all_out_are_no_error(inside: Inside) -> None:
    """If an option leaves out what a glob matches, there is nothing to do, which a script that cleans up expects."""
    filled(inside)
    for verb in (["delete"], ["copy"], ["list"], ["du"]):
        assert inside(*verb, "st:g/*.txt", "--newer", "2999-01-01", *(["two:"] if verb == ["copy"] else [])).code == 0


def test_a_directory_is_refused_with_a_pattern_too(inside: Inside) -> None:
    """A directory with --include, but without --recursive, is refused: nothing would be deleted, and nothing said."""
    filled(inside)
    ran = inside("delete", "st:g", "--include", "*.txt")
    assert ran.code == 2
    assert "add --recursive" in ran.err
