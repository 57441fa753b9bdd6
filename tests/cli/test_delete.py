"""The verb `delete` with words, globs, lists of keys and versions; what it asks and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry._cli.main import main
from bucketry.testing import embedded_s3
from tests.cli.conftest import Shell
from tests.cli.pseudo_terminal import at_terminal

pytest.importorskip("moto")
pytestmark = pytest.mark.slow  # servers and processes

KEYS = ("run-1/a", "run-1/b/c", "run-1/t.tmp", "run-10/d", "top.tmp", "x?")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a bucket with objects on an S3 server."""
    monkeypatch.chdir(tmp_path)
    with embedded_s3(versioning=True) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("BUCKETRY_SERVER", "aws")
        (tmp_path / "f").write_bytes(b"123")
        for key in KEYS:
            assert main(["upload", "--local", "f", "--remote", key, "--url", f"s3://{server.bucket}"]) == 0
        yield f"s3://{server.bucket}"


def left(capsys: pytest.CaptureFixture[str], place: str) -> set[str]:
    """Return the keys that are left; drop what was printed so far."""
    capsys.readouterr()
    assert main(["list", place, "--json"]) == 0
    return {json.loads(line)["key"] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (["{}/run-1/a", "{}/nothing"], {"run-1/a"}),
        (["{}/*.tmp"], {"top.tmp"}),
        (["{}/run-?/*", "--exclude", "/run-?/*/"], {"run-1/a", "run-1/t.tmp"}),
        (["-r", "{}/run-1"], {"run-1/a", "run-1/b/c", "run-1/t.tmp"}),
        (["-r", "{}/run-1/"], {"run-1/a", "run-1/b/c", "run-1/t.tmp"}),
        (["-r", "{}/run-*/", "--include", "*.tmp"], {"run-1/t.tmp"}),
        (["-r", "{}/**", "--yes", "--exclude", "run-*"], {"top.tmp", "x?"}),
        (["-r", "{}", "--yes"], set(KEYS)),
        (["{}/*", "-y", "--exclude", "/*/"], {"top.tmp", "x?"}),
        (["{}/x?"], {"x?"}),
        (["-r", "{}/run-1", "--newer", "2100-01-01"], set()),
        (["{}/run-1/a", "--older", "2100-01-01", "{}/run-10/d"], {"run-1/a", "run-10/d"}),
    ],
)
def test_what_is_deleted(place: str, words: list[str], gone: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exactly the selected objects are deleted; a dry run before it prints them and deletes nothing."""
    words = [word.format(place) for word in words]
    capsys.readouterr()
    assert main(["rm", *words, "--dry-run", "--json"]) == 0
    shown = {json.loads(line)["key"] for line in capsys.readouterr().out.splitlines()}
    assert shown == gone | ({"nothing"} if any("nothing" in word for word in words) else set())
    assert left(capsys, place) == set(KEYS)
    assert main(["rm", *words]) == 0
    assert left(capsys, place) == set(KEYS) - gone


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["{}/run-1/"], "is a prefix; to delete them all, add --recursive"),
        (
            ["{}/run-1/a", "{}/run-1"],
            "there is no such object, but there are objects below it; to delete them, add --r",
        ),
        (["{}/run-1/a", "{}/run-*/"], "selects all objects below directories"),
        (["{}/**.tmp"], "selects all objects below directories"),
        (["{}"], "is a whole bucket or directory; to delete everything in it, add --recursive"),
        (["-r", "{}"], "to agree, add --yes"),
        (["-r", "{}/*"], "would delete everything in {}"),
        (["-r", "{}/?*"], "would delete all matching objects in {}"),
        (["-r", "{}/[!z]*"], "to agree, add --yes"),
        (["-r", "{}/*-1*/"], "to agree, add --yes"),
        (["-r", "--url", "{}", "--all"], "would delete everything in {}"),
        (["-r", "--url", "{}", "--all", "--exclude", "a"], "would delete all matching objects in {}"),
        (["{}/*/"], "add --recursive"),
        (["{}/run-*/a", "--strict"], "--strict works with keys only"),
        (["{}/a", "{}/b", "--version-id", "v"], "--version-id is for one KEY"),
        (["{}/a*", "--version-id", "v"], "--version-id works with keys only"),
        (["{}/a", "--prefix", "a", "-r"], "give keys, or --prefix"),
        (["{}/a", "--files-from", "f"], "give no key"),
        (["--files-from", "f", "--strict"], "not with --files-from"),
        (["-r", "{}/a", "--exclude", "a["], "--exclude: pattern"),
    ],
)
def test_what_is_refused(place: str, words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What could delete more than the user means is a usage error in one line, and nothing is deleted."""
    capsys.readouterr()
    assert main(["rm", *(word.format(place) for word in words)]) == 2
    ran = capsys.readouterr()
    assert (ran.out, ran.err.count("\n")) == ("", 1)
    assert hint.format(place) in ran.err
    assert left(capsys, place) == set(KEYS)


def test_keys_from_a_file(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys in a file are deleted, patterns leave keys out, and no key is a wildcard."""
    (tmp_path / "keys").write_text('run-1/a\nrun-*\n\n{"key": "x?"}\nrun-10/d\n')
    capsys.readouterr()
    assert main(["rm", place, "--files-from", "keys", "--exclude", "run-10/", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"requested": 3, "deleted": None, "failed": []}
    assert left(capsys, place) == set(KEYS) - {"run-1/a", "x?"}


def test_words_in_a_local_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file URL names a file or a glob, which need no question, or a directory, which needs one."""
    for key in KEYS:
        path = tmp_path / "store" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"123")
    url = f"file://{tmp_path}/store"
    for words, hint in (([f"{url}/run-1"], "add --recursive"), (["-r", f"{url}/run-1"], "add --yes")):
        assert main(["rm", *words]) == 2
        assert hint in capsys.readouterr().err
    assert left(capsys, url) == set(KEYS)
    assert main(["rm", f"{url}/run-1/a", f"{url}/*.tmp"]) == 0
    assert main(["rm", "-r", f"{url}/run*1/"]) == 0
    assert left(capsys, url) == {"run-10/d", "x?"}


def test_plain_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is no URL is literal; it needs --recursive if it ends in /, and then names a directory."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data/storage"
    (root / "dir/sub").mkdir(parents=True)
    for key in ("dir/a", "dir/sub/b", "dir*"):
        (root / key).write_bytes(b"1")
    for word in ("dir", "dir/"):
        assert main(["rm", word]) == 2
        assert "add --recursive" in capsys.readouterr().err
    assert main(["rm", "dir*"]) == 0
    assert (root / "dir/a").exists()
    assert main(["rm", "-r", "dir", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"requested": 2, "deleted": 2, "failed": []}


def test_a_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--version-id deletes one version, so that the version before it is the latest again."""
    monkeypatch.chdir(tmp_path)
    with embedded_s3(versioning=True) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("BUCKETRY_SERVER", "aws")
        for size in (1, 22):
            (tmp_path / "f").write_bytes(bytes(size))
            assert main(["upload", "--local", "f", "--remote", "k", "--url", f"s3://{server.bucket}"]) == 0
        url = f"s3://{server.bucket}/k"
        capsys.readouterr()
        assert main(["head", url, "--json"]) == 0
        version = json.loads(capsys.readouterr().out)["version_id"]
        assert main(["rm", url, "--version-id", version]) == 0
        assert capsys.readouterr().out == f"asked to delete version {version} of k\n"
        assert main(["head", url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["size"] == 1


def test_it_asks_before_everything_is_deleted(bucketry: Shell) -> None:
    """On a terminal, `rm -r` of a whole store asks; only the answer y deletes."""
    bucketry.write("store/a", b"1")
    for answer, code in (("n", 1), ("y", 0)):
        ran = at_terminal(bucketry, "rm", "-r", f"file://{bucketry.directory}/store", answer=answer)
        assert ran.code == code
        assert f"delete everything in file://{bucketry.directory}/store? [y/N]" in ran.screen
        assert (bucketry.directory / "store/a").exists() == bool(code)


def test_a_delete_that_stops_says_what_is_done(bucketry: Shell) -> None:
    """If a later request fails, stderr says how many keys are deleted already."""
    faulty = bucketry.scripted(
        "from bucketry import MemoryProvider, StorageProviderFactory, errors\n"
        "from bucketry.testing import Fault, FaultyProvider\n"
        "faults = (Fault(operation='delete_batch', nth=2, error=errors.AccessDeniedError('no more')),)\n"
        "StorageProviderFactory.register('faulty', lambda config, **options: FaultyProvider(MemoryProvider(), faults))"
    )
    keys = "".join(f"{number}\n" for number in range(1_001)).encode()
    ran = faulty("rm", "--files-from", "-", "--provider", "faulty", stdin=keys)
    assert (ran.code, ran.out) == (4, b"")
    assert ran.err == (
        "delete: stopped; 1,000 keys had been deleted; the same command continues\nerror: delete: no more\n"
    )


def test_a_listing_in_a_pipe_is_deleted(bucketry: Shell) -> None:
    """The JSON Lines of list are the keys of delete --files-from -."""
    for key in ("a b", "line\nbreak", "{"):
        bucketry.write(f"data/storage/{key}", b"")
    listing = bucketry("list", "--json").out
    assert bucketry("rm", "--files-from", "-", stdin=listing).text == 'asked to delete 3 keys: a b, "line\\nbreak", {\n'
    assert bucketry("list").out == b""


def test_a_listing_of_versions_or_uploads_deletes_no_object(
    place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The JSON Lines of versions and of open uploads are refused as keys: the objects of those keys are not meant."""
    (tmp_path / "keys").write_text('{"key": "run-1/a", "upload_id": "u", "initiated": null, "own": true}\n')
    capfd.readouterr()
    assert main(["rm", place, "--files-from", "keys"]) == 2
    assert "end uploads with `bucketry uploads abort`" in capfd.readouterr().err
    assert main(["list", place, "--versions", "--json"]) == 0
    (tmp_path / "keys").write_text(capfd.readouterr().out)
    for words in (["rm", place], ["mv", place, "moved/"], ["cp", place, "copied/"], ["cat", place]):
        assert main([*words, "--files-from", "keys"]) == 2
        ran = capfd.readouterr()
        assert ran.out == ""
        assert "line 1: is a version, not the object of that key" in ran.err
    assert left(capfd, place) == set(KEYS)


def test_a_code_of_a_wildcard_is_a_plain_character(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """%2A, %3F and %5B in a URL name the one key with that character, and the characters themselves are wildcards."""
    monkeypatch.chdir(tmp_path)
    keys = {"a*b", "aXb", "a?b", "a[b]", "ab"}
    for key in keys:
        (tmp_path / key).write_bytes(b"1")
    url = f"file://{tmp_path}"
    for word, gone in (("a%2Ab", "a*b"), ("a%3fb", "a?b"), ("a%5Bb%5D", "a[b]"), ("[a]%2a*", None), ("a[b%5D", None)):
        assert main(["rm", f"{url}/{word}"]) == (3 if word == "[a]%2a*" else 0)  # a glob that matches nothing
        keys -= {gone}
        assert left(capsys, url) == keys
    assert main(["rm", f"{url}/a?b"]) == 0
    assert left(capsys, url) == {"ab"}


def test_a_wrong_key_in_a_list_is_reported(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that cannot exist is reported, and the keys before and after it are deleted."""
    (tmp_path / "keys").write_text(f"run-1/a\n{'x' * 2_000}\nrun-10/d\n")
    capsys.readouterr()
    assert main(["rm", place, "--files-from", "keys", "--dry-run"]) == 1
    assert main(["rm", place, "--files-from", "keys", "--json"]) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["requested"], [one["type"] for one in found["failed"]]) == (3, ["InvalidKeyError"])
    assert left(capsys, place) == set(KEYS) - {"run-1/a", "run-10/d"}


def test_a_directory_with_nothing_in_it(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is not there is an error with the exit code of list; what others name is deleted."""
    for words in ([f"{place}/nope"], [f"{place}/nope/"], [f"{place}/nope/", "--dry-run"]):
        assert main(["rm", "-r", *words]) == 3
        assert "there is no such object, and none below it" in capsys.readouterr().err
    assert main(["rm", "-r", f"{place}/nope", f"{place}/run-1"]) == 1
    assert left(capsys, place) == {"run-10/d", "top.tmp", "x?"}
    assert main(["rm", "-r", place, "--yes"]) == 0
    assert main(["rm", "-r", place, "--yes"]) == 0


def test_a_list_of_keys_of_a_place(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keys that list prints for a place with a prefix are the keys that delete takes for it."""
    config = tmp_path / "config.toml"
    config.write_text(f'[places.base]\nurl = "{place}/run-1"\n')
    config.chmod(0o600)
    monkeypatch.setenv("BUCKETRY_CONFIG", str(config))
    capsys.readouterr()
    assert main(["rm", "-r", "base:"]) == 2
    assert f"would delete everything in base: ({place}/run-1/, http://127.0.0.1:" in capsys.readouterr().err
    assert main(["list", "base:", "--json"]) == 0
    (tmp_path / "keys").write_text(capsys.readouterr().out)
    assert main(["rm", "base:", "--files-from", "keys"]) == 0
    assert left(capsys, place) == {"run-10/d", "top.tmp", "x?"}
