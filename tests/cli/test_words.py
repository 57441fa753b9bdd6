"""What words that name a place mean: their keys are relative to the place, in what is read and in what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketry.testing import EmbeddedS3
from tests.cli.conftest import Inside, s3_variables

pytestmark = pytest.mark.slow


@pytest.fixture
def placed(inside: Inside, s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Return the command line with two places that are prefixes of one bucket; `one:` holds `data/a` and `data/b`."""
    for name, value in s3_variables(s3_server).items():
        if name in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
            monkeypatch.setenv(name, value)
    base = f"s3://{s3_server.bucket}/{inside.directory.name}"
    config = inside.directory / "config.toml"
    config.write_text(
        "".join(
            f'[places.{name}]\nurl = "{base}/{prefix}"\nendpoint_url = "{s3_server.endpoint_url}"\n'
            for name, prefix in (("one", "one"), ("two", "two*"))
        )
    )
    config.chmod(0o600)
    monkeypatch.setenv("BUCKETRY_CONFIG", str(config))
    for name in ("a", "b"):
        Path(name).write_text(name)
        inside("upload", name, f"one:data/{name}")
    return inside


def test_keys_are_relative_to_the_place(placed: Inside) -> None:
    """A listing prints the keys that can be written after `NAME:`, as with --url; a URL counts from the bucket."""
    keys = [one["key"] for one in placed.lines("list", "one:data/")]
    assert keys == [one["key"] for one in placed.lines("list", "--url", "one:")] == ["data/a", "data/b"]
    assert placed.shell("cat", f"one:{keys[0]}").text == "a"
    found = placed.document("info", "one:data/a")
    assert (found["key"], found["url"].endswith("/one/data/a")) == ("data/a", True)


@pytest.mark.parametrize(("verb", "more"), [("delete", ("one:",)), ("delete", ("--url", "one:"))])
def test_a_listing_is_a_list_of_keys_to_delete(placed: Inside, verb: str, more: tuple[str, ...]) -> None:
    """--files-from takes what list --json prints for the same place."""
    Path("keys").write_text(placed("list", "one:data/a", "--json"))
    placed(verb, *more, "--files-from", "keys")
    assert [one["key"] for one in placed.lines("list", "one:")] == ["data/b"]


def test_a_listing_is_a_list_of_keys_to_read_and_to_copy(placed: Inside) -> None:
    """Between two places of one bucket, too; the prefix of a place has no wildcards."""
    Path("keys").write_text(placed("list", "one:", "--json"))
    assert placed.shell("cat", "one:", "--files-from", "keys").text == "ab"
    placed("copy", "one:", "two:picked/", "--files-from", "keys")
    assert [one["key"] for one in placed.lines("list", "two:pick*/**")] == ["picked/data/a", "picked/data/b"]
    placed.refused("move", "-r", "one:data", "one:data", code=2, hint="onto itself")


def test_a_whole_place(placed: Inside) -> None:
    """`NAME:` is the place: info shows the provider, list prints nothing if it is empty, and delete asks."""
    shown = placed.document("info", "one:")
    assert shown["stored"] == {"objects": 2, "bytes": 2}
    assert shown["place"].endswith("/one/")
    assert placed("list", "two:") == ""
    assert placed.err == "0 objects, 0 B\n"
    assert "--yes" in (placed("delete", "-r", "one:", code=2) or placed.err)
    assert len(placed.lines("list", "one:")) == 2
    placed("delete", "-r", "one:", "--yes")
    assert placed.lines("list", "one:") == []


def test_a_sync_with_a_place(placed: Inside) -> None:
    """A place may be one side of a sync or both, and a saved plan can be applied."""
    placed("sync", "one:data", "back", "--save-plan", "plan")
    placed("sync", "one:data", "back", "--apply", "plan")
    assert Path("back/b").read_text() == "b"
    placed("sync", "one:data", "two:d")
    assert [one["key"] for one in placed.lines("list", "two:")] == ["d/a", "d/b"]


def test_a_place_without_its_colon(placed: Inside) -> None:
    """If a word names no object but a place, the second line says what to write."""
    for verb in ("list", "head", "du"):
        placed(verb, "one", code=3)
        assert placed.err.endswith("\none is a place of your configuration: did you mean 'one:'?\n")
    placed("list", "other", code=3)
    assert "did you mean" not in placed.err


@pytest.mark.parametrize("word", ["s3:/bucket/x", "s3//bucket/x", "s3:bucket/x"])
def test_a_mistyped_url(placed: Inside, word: str) -> None:
    """A word that is meant as a URL is neither a key nor a local path, unless an option names the provider."""
    for words in (("copy", "a", word), ("upload", "a", word), ("list", word), ("copy", "one:data/a", word)):
        placed.refused(*words, code=2, hint=f"{word} is not a URL; write s3://bucket/x")
    if "//" not in word:  # the local disk has no names with an empty part
        placed("upload", "a", word, "--provider", "local")
        assert placed.lines("list", word, "--provider", "local")[0]["key"] == word


@pytest.mark.parametrize("words", [("list", "s3://"), ("list", "--url", "s3://"), ("list", "s3:///")])
def test_buckets_cannot_be_listed(placed: Inside, words: tuple[str, ...]) -> None:
    """A URL without a bucket is an error that says so."""
    placed.refused(*words, code=2, hint="names no bucket, and bucketry does not list buckets; write s3://BUCKET")


@pytest.mark.parametrize("verb", ["cat", "head", "info"])
def test_a_directory_in_the_place_of_an_object(placed: Inside, verb: str) -> None:
    """A key that is only a directory is not just missing."""
    placed.refused(verb, "one:data", code=3, hint="one/data: is a directory, not an object; see what is below it")
    placed.refused(verb, "one:dat", code=3, hint="one/dat")
    assert "is a directory" not in placed.err


def test_a_download_of_a_directory(placed: Inside) -> None:
    """Without LOCAL the error says that it is needed; a local directory of the same name changes nothing."""
    placed.refused("download", "one:data", code=2, hint="needs LOCAL (or --local): the directory for the objects below")
    Path("data").mkdir()
    placed.refused("download", "one:data", code=2, hint="needs LOCAL (or --local): the directory for the objects below")
    placed.refused("download", "one:none", code=3, hint="one/none")
    placed("download", "-r", "one:data", "out")
    Path("out/data").mkdir()
    placed("download", "one:data", "out/")
    assert Path("out/a").read_text() == "a"
    placed("upload", "-r", "out", "two:copy")
    placed("upload", "a", "one:data")
    placed.refused("download", "one:data", code=2, hint="is a directory; name the file to write")


def test_the_words_in_the_wrong_order(placed: Inside) -> None:
    """Upload takes the local path first, and download the object."""
    placed.refused("upload", "two:x", "a", code=2, hint="upload takes LOCAL first: write `bucketry upload a two:x`")
    placed.refused("download", "a", "two:x", code=2, hint="takes it first: write `bucketry download two:x a`")
