"""The verb `list` with words, globs, columns, orders, levels and versions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry._cli.main import main
from bucketry.testing import embedded_s3
from tests.cli.conftest import Shell
from tests.cli.pseudo_terminal import at_terminal

pytest.importorskip("moto")
pytestmark = pytest.mark.slow  # servers and processes


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a local store with objects in it, in the current directory."""
    root = tmp_path / "data/storage"
    for number, (key, size) in enumerate({"run-1/a": 3, "run-1/b/c": 5000, "run-10/d": 1, "top": 2}.items()):
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    monkeypatch.chdir(tmp_path)
    return root


def listed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    """Return the keys, prefixes and version ids that `list --json` prints."""
    assert main(["list", "--json", *words]) == code, capsys.readouterr().err
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line.get("key") or line["prefix"] for line in lines]


def test_words(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word names an object and what is below it as a directory; in a URL it may be a glob; their order is kept."""
    assert listed(capsys, "run-1") == ["run-1/a", "run-1/b/c"]
    assert listed(capsys, "top", "run-1/b/") == ["top", "run-1/b/c"]
    assert listed(capsys, f"file://{store}/run-*/") == ["run-1/a", "run-1/b/c", "run-10/d"]
    assert listed(capsys, f"file://{store}/run-?/*") == ["run-1/a", "run-1/b/c"]
    assert listed(capsys, f"file://{store}/top") == ["top"]
    assert listed(capsys, f"file://{store}") == ["run-1/a", "run-1/b/c", "run-10/d", "top"]
    assert listed(capsys, "run-1", "--exclude", "b/", "--bytes", "top") == ["run-1/a", "top"]


def test_a_word_without_objects_is_an_error(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The word is named, the others are listed: code 3 if all are missing, else 1; filters may leave out everything."""
    assert main(["list", "nope", "top"]) == 1
    ran = capsys.readouterr()
    assert ran.out.endswith("  top\n")
    assert ran.err == f"error: list: file://{store}/nope: there is no such object, and none below it\n1 object, 2 B\n"
    assert listed(capsys, "nope", code=3) == []
    assert listed(capsys, "run-1", "--newer", "1h") == []


def test_levels(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a delimiter, one level of the word's directory is listed, and nothing of a directory with a longer name."""
    assert listed(capsys, "--delimiter", "/") == ["run-1/", "run-10/", "top"]
    assert listed(capsys, "run-1", "--delimiter", "/") == ["run-1/a", "run-1/b/"]
    assert listed(capsys, "--prefix", "run-1", "--delimiter", "/") == ["run-1/", "run-10/"]
    assert main(["ls", "--delimiter", "/"]) == 0
    assert capsys.readouterr().err.startswith("2 prefixes, 1 object, ")
    assert main(["ls", "nope"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["list", f"file://{store}/run-*", "--delimiter", "/"]) == 2
    assert "--delimiter lists one level" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_orders(capsys: pytest.CaptureFixture[str]) -> None:
    """--sort orders by key, size or time, prefixes first, and --reverse turns the order round."""
    assert listed(capsys, "--sort", "size") == ["run-10/d", "top", "run-1/a", "run-1/b/c"]
    assert listed(capsys, "--sort", "time", "--reverse") == ["top", "run-10/d", "run-1/b/c", "run-1/a"]
    assert listed(capsys, "--reverse") == ["top", "run-10/d", "run-1/b/c", "run-1/a"]
    assert listed(capsys, "--sort", "time", "--delimiter", "/", "run-1") == ["run-1/b/", "run-1/a"]


@pytest.mark.usefixtures("store")
def test_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """`-l` adds storage class and etag, and --bytes shows exact sizes."""
    assert main(["ls", "-l", "run-1/b", "--bytes"]) == 0
    size, day, _, storage_class, etag, key = capsys.readouterr().out.split()
    assert (size, day, storage_class, key) == ("5000", "2023-11-14", "–", "run-1/b/c")
    assert len(etag) > 5
    assert main(["ls", "--delimiter", "/", "-l"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["–", "–", "–", "–", "run-1/"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("a", "--prefix", "b"), "give words, or --prefix"),
        (("--versions", "--delimiter", "/"), "leave out --delimiter"),
        (("--delimiter", ""), "--delimiter is empty"),
        (("--include", "a["), "--include: pattern 'a['"),
        (("--newer", "soon"), "is not a time"),
        (("--newer", "1h", "--older", "2h"), "exchange them"),
        (("--versions",), "no versions"),
        (("file:///tmp/[b-a]",), "is not a set of characters"),
    ],
)
@pytest.mark.usefixtures("store")
def test_contradictory_options(words: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are a usage error in one line, and nothing is listed."""
    assert main(["list", *words]) == 2
    ran = capsys.readouterr()
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert hint in ran.err


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a bucket with versions on an S3 server."""
    with embedded_s3(versioning=True) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("BUCKETRY_SERVER", "aws")
        monkeypatch.chdir(tmp_path)
        for key in ("run-1/a", "run-1/a", "run-2/a", "run-2/b?"):
            (tmp_path / "f").write_bytes(key.encode())
            assert main(["upload", "--local", "f", "--remote", key, "--url", f"s3://{server.bucket}"]) == 0
        yield f"s3://{server.bucket}"


def test_words_on_s3(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """URLs, globs with ? and a query, and --versions work on S3; the storage class is shown."""
    capsys.readouterr()
    assert listed(capsys, f"{bucket}/run-?/a") == ["run-1/a", "run-2/a"]
    assert listed(capsys, f"{bucket}/run-2/b?region=us-east-1", code=3) == []
    assert listed(capsys, f"{bucket}/run-?/b%3F?region=us-east-1") == ["run-2/b?"]
    assert main(["list", f"{bucket}/run-2/", "-l"]) == 0
    assert "STANDARD" in capsys.readouterr().out
    assert main(["delete", "--url", bucket, "run-1/a"]) == 0
    capsys.readouterr()
    assert main(["list", f"{bucket}/*1/", "--versions", "--json"]) == 0
    versions = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["is_delete_marker"], one["is_latest"]) for one in versions] == [
        (True, True),
        (False, False),
        (False, False),
    ]
    assert main(["list", f"{bucket}/run-1", "--versions"]) == 0
    ran = capsys.readouterr()
    assert ran.out.splitlines()[0].split()[-2:] == ["deleted", "run-1/a"]
    assert ran.err == "3 versions, 14 B\n"


def test_a_listing_fits_the_terminal(bucketry: Shell) -> None:
    """With -l, etags are shortened on a terminal of 80 columns, and a key that does not fit is cut in the middle."""
    bucketry.write(f"data/storage/{'long' * 20}.bin", b"1")
    narrow = at_terminal(bucketry, "ls", "-l", width=80).screen.splitlines()[0]
    assert len(narrow) == 80
    assert narrow.endswith(".bin")
    assert narrow.count("…") == 2
    wide = at_terminal(bucketry, "ls", "-l", width=200).screen.splitlines()[0]
    assert "…" not in wide
    assert wide.endswith(f"  {'long' * 20}.bin")


def test_a_listing_is_a_list_of_keys_for_other_verbs(bucketry: Shell) -> None:
    """JSON Lines of list are read by --files-from - of another process."""
    bucketry.write("data/storage/line\nbreak", b"1")
    bucketry.write("data/storage/b", b"2")
    assert bucketry("cat", "--files-from", "-", stdin=bucketry("list", "--json").out).out == b"21"
