"""The verbs upload and download, on the local disk."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from contextlib import suppress

import pytest

from bucketry import BatchResult
from bucketry._cli.output import Output
from bucketry._cli.report import report
from bucketry.errors import (
    AccessDeniedError,
    LocalFileError,
    LocalFileNotFoundError,
    NotFoundError,
    StorageError,
    ThrottledError,
)
from tests.cli.conftest import COMMAND, ENVIRON, Shell, files_below
from tests.cli.inside import Inside, inside

__all__ = ["inside"]

pytestmark = pytest.mark.slow  # each test starts processes

SUMMARY = [
    "verb",
    "source",
    "destination",
    "files",
    "skipped",
    "bytes",
    "parts",
    "retries",
    "verified",
    "seconds",
    "bytes_per_second",
    "objects",
    "failed",
]


def _tree(bucketry: Shell) -> dict[str, bytes]:
    bucketry.write("tree/a.txt", b"text")
    bucketry.write("tree/empty", b"")
    bucketry.write("tree/sub dir/größe.bin", bytes(range(256)) * 1_000)
    bucketry.write("tree/sub dir/deep/er/x", b"\x00\xff")
    return files_below(bucketry.directory / "tree")


@pytest.mark.parametrize("remote", ["models/v1", "models/v1/"])
def test_a_directory_comes_back_identical(bucketry: Shell, remote: str) -> None:
    """Uploading a directory and downloading its prefix gives the same files, with or without the slash."""
    expected = _tree(bucketry)
    up = bucketry("upload", "--local", "tree", "--remote", remote)
    assert (up.code, up.err) == (0, "")
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == sorted(
        f"models/v1/{name}" for name in expected
    )
    down = bucketry("download", "--remote", remote, "--local", "out")
    assert (down.code, down.err) == (0, "")
    assert files_below(bucketry.directory / "out") == expected


def test_the_summary_says_what_was_moved(bucketry: Shell) -> None:
    """After a transfer, its files, bytes, parts, verification, time and rate are printed."""
    _tree(bucketry)
    for words in (
        ("upload", "--local", "tree", "--remote", "r"),
        ("download", "--remote", "r", "--local", "out"),
    ):
        rows = dict(line.split(maxsplit=1) for line in bucketry(*words).text.splitlines()[1:])
        assert rows["files"] == "4"
        assert rows["bytes"] == "256,006 (250.0 KiB)"
        assert rows["verified"] == "length (4 files)"
        assert {"parts", "time"} <= set(rows)


def test_the_summary_as_json_is_one_document(bucketry: Shell) -> None:
    """With --json the summary is one document with the same data, also for each object."""
    _tree(bucketry)
    up = bucketry("upload", "--local", "tree", "--remote", "r", "--json")
    down = bucketry("download", "--remote", "r", "--local", "out", "--json")
    assert (up.err, down.err) == ("", "")
    for ran, verb in ((up, "upload"), (down, "download")):
        assert list(ran.document) == SUMMARY
        assert (ran.document["verb"], ran.document["files"], ran.document["bytes"]) == (verb, 4, 256_006)
        assert ran.document["verified"] == {"length": 4}
        assert ran.document["failed"] == []
        assert {entry["key"] for entry in ran.document["objects"]} == {
            "r/a.txt",
            "r/empty",
            "r/sub dir/größe.bin",
            "r/sub dir/deep/er/x",
        }


def test_the_remote_name_of_a_file(bucketry: Shell) -> None:
    """Without --remote, or with one that ends in a slash, the file's name is used."""
    bucketry.write("some dir/f.bin", b"data")
    for words in (("--remote", "k"), ("--remote", "dir/"), (), ("--remote", "")):
        assert bucketry("upload", "--local", "some dir/f.bin", *words).code == 0
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["dir/f.bin", "f.bin", "k"]


def test_the_remote_name_of_a_directory(bucketry: Shell) -> None:
    """Without --remote, a directory keeps its name; with an empty one, its files are stored without a prefix."""
    bucketry.write("d/f", b"data")
    assert bucketry("upload", "--local", "d/").code == 0
    assert bucketry("upload", "--local", "d", "--remote", "").code == 0
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["d/f", "f"]


def test_the_local_name_of_a_download(bucketry: Shell) -> None:
    """One object is written to the named file, or under its own name into the named directory."""
    bucketry.write("data/storage/a/f.bin", b"data")
    (bucketry.directory / "here").mkdir()
    for local in ("x", "new/", "here", "deep/er/y"):
        assert bucketry("download", "--remote", "a/f.bin", "--local", local).code == 0
    for path in ("x", "new/f.bin", "here/f.bin", "deep/er/y"):
        assert (bucketry.directory / path).read_bytes() == b"data"


def test_words_instead_of_options(bucketry: Shell) -> None:
    """LOCAL and REMOTE are words, too: keys, and URLs of another store; a download goes to the object's own name."""
    bucketry.write("some dir/f.bin", b"data")
    elsewhere = f"file://{bucketry.directory}/elsewhere"
    for words in (("some dir/f.bin",), ("some dir", "k"), ("some dir", f"{elsewhere}/"), ("some dir/f.bin", "x/")):
        assert bucketry("upload", *words).code == 0
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["f.bin", "k/f.bin", "x/f.bin"]
    assert files_below(bucketry.directory / "elsewhere")["f.bin"] == b"data"
    assert bucketry("download", f"{elsewhere}/f.bin").code == 0
    assert (bucketry.directory / "f.bin").read_bytes() == b"data"
    assert bucketry("download", "k", "out").code == 0
    assert bucketry("download", "x/f.bin", "new/name").code == 0
    assert (bucketry.directory / "out/f.bin").read_bytes() == (bucketry.directory / "new/name").read_bytes() == b"data"


def test_each_object_of_a_directory_has_the_options(bucketry: Shell) -> None:
    """Metadata and content type apply to each object below a directory, and to a single object."""
    _tree(bucketry)
    words = ("--metadata", "run=7", "--content-type", "text/x", "--cache-control", "no-cache")
    assert bucketry("upload", "tree", "r", *words).code == 0
    assert bucketry("upload", "tree/a.txt", "one", *words).code == 0
    for key in ("r/a.txt", "r/sub dir/deep/er/x", "one"):
        found = bucketry("info", key, "--json").document
        assert (found["metadata"].keys(), found["metadata"]["run"]) == ({"mtime", "run"}, "7")
        assert found["content_type"] == "text/x"


def test_no_clobber_keeps_objects(bucketry: Shell) -> None:
    """With --no-clobber existing objects are kept and counted, and the other files are uploaded."""
    _tree(bucketry)
    bucketry.write("data/storage/r/a.txt", b"old")
    ran = bucketry("upload", "tree", "r", "--no-clobber", "--json")
    assert (ran.code, ran.document["files"], ran.document["skipped"]) == (0, 3, 1)
    ran = bucketry("upload", "tree/a.txt", "r/", "--no-clobber", "--json")
    assert (ran.code, ran.document["files"], ran.document["skipped"]) == (0, 0, 1)
    assert bucketry("cat", "r/a.txt").out == b"old"


def test_a_store_is_not_uploaded_into_itself(inside: Inside) -> None:
    """If the directory contains the local store, the store is left out; a directory of the store is refused."""
    inside.write("data/a")
    inside.write("data/storage/old/b")
    ran = inside("upload", "--local", "data/", "--remote", "datasets/")
    assert (ran.code, ran.err) == (0, "upload: leaving out storage in data/: the store keeps its objects there\n")
    expected = {"datasets/a": b"x", "old/b": b"x"}
    assert inside.files("data/storage") == expected
    for words in (("data/storage", "k"), ("data/storage/old", "old"), ("data/storage/old", "old/k")):
        ran = inside("upload", *words)
        assert (ran.code, "would be uploaded into itself" in ran.err, ran.err.count("\n")) == (2, True, 1)
    assert inside.files("data/storage") == expected
    assert inside("upload", "data/storage/old", "new").code == 0
    assert inside.files("data/storage") == {**expected, "new/b": b"x"}


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (ThrottledError("slow down"), "1; to try only these again, run the same command again"),
        (AccessDeniedError("denied"), "1; to try only these again, run the same command again"),
        (NotFoundError("s3://b/k: nothing"), "1"),
        (LocalFileNotFoundError("dangling"), "1"),
        (LocalFileError("t/pipe: is not a regular file"), "1"),
    ],
)
def test_how_to_try_again(error: StorageError, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says how to try again only if this can help; a failed item is named one time."""
    output = Output(as_json=False, debug=False)
    report(output, "copy", ("a", "b"), BatchResult(failed={"k": error}), 1.0)
    ran = capsys.readouterr()
    assert ran.out.splitlines()[-1].removeprefix("  failed").strip() == hint
    assert ran.err.count("k: ") == 1


def test_a_failure_names_its_item_one_time(capsys: pytest.CaptureFixture[str]) -> None:
    """A message that begins with the item, or with its URL, is not printed behind the item once more."""
    output = Output(as_json=False, debug=False)
    failed = {
        "s3://b/x.csv": NotFoundError("s3://b/x.csv: head was answered with 404"),
        "d/x.csv": NotFoundError("s3://b/d/x.csv: there is no such object"),
        "x": AccessDeniedError("the file of x: denied"),
    }
    output.failures(BatchResult(failed=failed))
    assert capsys.readouterr().err.splitlines() == [
        "failed: s3://b/x.csv: head was answered with 404",
        "failed: d/x.csv: there is no such object",
        "failed: x: the file of x: denied",
    ]


def test_upload_and_download_accept_recursive(inside: Inside) -> None:
    """`-r` changes nothing, because a directory or prefix is always sent as a whole."""
    inside.write("d/a", b"x")
    assert inside("upload", "-r", "d", "k").code == 0
    assert inside("download", "-r", "k/", "out").code == 0
    assert inside.files("out") == {"a": b"x"}


def test_many_failures_are_shown_in_part(bucketry: Shell) -> None:
    """Of many failed files 20 are shown, then their number; --json shows all."""
    bucketry.write("tree/good", b"x")
    for number in range(23):
        (bucketry.directory / f"tree/link{number}").symlink_to("nowhere")
    ran = bucketry("upload", "tree", "r")
    assert ran.code == 1
    assert ran.err.count("failed: r/link") == 20
    assert ran.err.endswith("… and 3 more failed; --json shows all\n")
    assert "failed    23\n" in ran.text  # another run cannot upload them either
    ran = bucketry("upload", "tree", "r", "--json")
    assert (ran.err.count("\n"), len(ran.document["failed"])) == (23, 23)


def test_a_limited_rate(bucketry: Shell) -> None:
    """With --bwlimit a transfer still moves all bytes, in smaller parts; the limit reaches the manager."""
    bucketry.write("f", bytes(100_000))
    ran = bucketry("upload", "f", "--bwlimit", "1GiB/s", "--part-size", "10KiB", "--json")
    assert (ran.code, ran.document["parts"]) == (0, 10)  # without a limit, the local disk gets the file in one piece
    ran = bucketry("upload", "f", "--bwlimit", "100")
    assert (ran.code, "--bwlimit: " in ran.err) == (2, True)


def test_parts_and_their_size(bucketry: Shell) -> None:
    """--part-size splits a stream into parts of that size."""
    data = bytes(range(256)) * 4_096  # 1 MiB
    words = ("--part-size", "256KiB", "--concurrency", "3", "--json")
    up = bucketry("upload", "--local", "-", "--remote", "k", *words, stdin=data)
    assert up.document["parts"] == 4
    down = bucketry("download", "--remote", "k", "--local", "k", *words)
    assert down.document["bytes"] == len(data)
    assert (bucketry.directory / "k").read_bytes() == data


def test_parts_larger_than_the_usual_memory(bucketry: Shell) -> None:
    """--part-size may exceed the default memory budget, and --concurrency the default connections."""
    bucketry.write("f", b"x")
    assert bucketry("upload", "--local", "f", "--part-size", "1GiB", "--concurrency", "40").code == 0


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_standard_streams(bucketry: Shell, size: int) -> None:
    """Standard input of any length becomes an object, and `-` prints the same bytes."""
    data = os.urandom(size)
    assert bucketry("upload", "--local", "-", "--remote", "k", stdin=data).code == 0
    ran = bucketry("download", "--remote", "k", "--local", "-")
    assert (ran.code, ran.out) == (0, data)
    assert ran.err.startswith("download: ")


def test_standard_input_may_be_a_file_or_nothing(bucketry: Shell) -> None:
    """Redirected from a file or from /dev/null, standard input works as from a pipe."""
    bucketry.write("f", b"from a file")
    shell = Shell(bucketry.directory, ("sh", "-c"))
    command = f"{' '.join(COMMAND)} upload --local - --remote"
    assert shell(f"{command} a < f").code == 0
    assert shell(f"{command} b < /dev/null").code == 0
    assert files_below(bucketry.store)["a"] == b"from a file"
    assert files_below(bucketry.store)["b"] == b""


def test_metadata_and_create_only(bucketry: Shell) -> None:
    """--if-none-match creates an object once; the second time is refused and changes nothing."""
    words = ("upload", "--local", "-", "--remote", "k", "--metadata", "a=1", "--metadata", "b=x=y")
    assert bucketry(*words, "--if-none-match", stdin=b"first").code == 0
    again = bucketry(*words, "--if-none-match", "*", stdin=b"second")
    assert again.code == 1
    assert "exists already" in again.err
    assert bucketry("cat", "k").out == b"first"
    assert bucketry("info", "k", "--json").document["metadata"] == {"a": "1", "b": "x=y"}


def test_items_that_fail_are_listed_and_the_others_arrive(bucketry: Shell) -> None:
    """A link to a directory is listed with its error, the other files are stored, and the exit code is 1."""
    _tree(bucketry)
    (bucketry.directory / "tree/link").symlink_to("sub dir")
    ran = bucketry("upload", "--local", "tree", "--remote", "r")
    assert ran.code == 1
    assert ran.err.startswith("failed: r/link: ")
    assert ran.err.count("\n") == 1
    assert "  files     4\n" in ran.text
    ran = bucketry("upload", "--local", "tree", "--remote", "r", "--json")
    assert [entry["key"] for entry in ran.document["failed"]] == ["r/link"]
    assert ran.document["files"] == 4


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("upload", "--local", "missing"), 3, "missing does not exist"),
        (("upload", "--local", ""), 2, "--local is empty"),
        (("upload", "--local", "-"), 2, "give the complete key"),
        (("upload", "--local", "-", "--remote", "d/"), 2, "give the complete key"),
        (("upload", "--local", "f", "--remote", "/abs"), 2, "cannot be a local path"),
        (("upload", "--local", "f", "--metadata", "a=1", "--metadata", "a=2"), 2, "a name twice"),
        (("upload", "--local", "f", "--metadata", "a=ü"), 2, "printable ASCII"),
        (("upload", "tree", "--metadata", "a=ü"), 2, "printable ASCII"),
        (("upload", "tree", "--cache-control", "ü"), 2, "cache_control"),
        (("upload", "f", "--sse-kms-key-id", "k"), 2, "is for --sse aws:kms"),
        (("upload", "f", "--sse", "AES256"), 2, "--sse is for a store in a cloud"),
        (("upload", "f", "--bwlimit", "fast"), 2, "'fast' is not a size"),
        (("upload", "f", "--no-clobber", "--if-none-match"), 2, "give one"),
        (("upload", "f", "--remote", "k2"), 2, "either as words or with --local and --remote"),
        (("upload", "f", "k2", "--local", "f"), 2, "either as words or with --local and --remote"),
        (("upload", "f", "ftp://bucket/k"), 2, "scheme 'ftp' is unknown"),
        (("upload", "f", "memory://x", "--provider", "s3"), 2, "names its provider; leave out --provider"),
        (("upload", "f", "memory://x/a*"), 2, "is a glob"),
        (("upload", "-", "memory://"), 2, "give the complete key"),
        (("upload", "f", "k2", "k3"), 2, "unrecognized arguments: k3"),
        (("download", "d/"), 2, "needs LOCAL"),
        (("download", "k", "taken", "--local", "out"), 2, "either as words or with --local and --remote"),
        (("upload", "--local", "/dev/null", "--remote", "k"), 1, "not a regular file"),
        (("download", "--remote", "nothing", "--local", "out"), 3, "no such object"),
        (("download", "--remote", "nothing/", "--local", "out"), 3, "no object below"),
        (("download", "--remote", "k", "--local", ""), 2, "--local is empty"),
        (("download", "--remote", "d", "--local", "f"), 2, "many objects need a directory"),
        (("download", "--remote", "d/", "--local", "f"), 2, "many objects need a directory"),
        (("download", "--remote", "d/", "--local", "-"), 2, "standard output takes one object only"),
        (("download", "--remote", "d", "--local", "-"), 3, "no such object"),
        (("download", "--remote", "k", "--local", "-", "--json"), 2, "--json cannot be used"),
        (("download", "--remote", "k", "--local", "taken"), 2, "is a directory"),
    ],
)
def test_what_cannot_be_moved(bucketry: Shell, words: tuple[str, ...], code: int, hint: str) -> None:
    """An impossible transfer gives a one-line error, and stores nothing."""
    _tree(bucketry)
    bucketry.write("f", b"data")
    bucketry.write("data/storage/k", b"x")
    bucketry.write("data/storage/d/1", b"x")
    (bucketry.directory / "taken/k").mkdir(parents=True)
    ran = bucketry(*words, stdin=b"input")
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.count("\n") == 1
    assert hint in ran.err
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["d/1", "k"]
    assert not (bucketry.directory / "out").exists()


def test_a_directory_as_the_parent_is_said(bucketry: Shell) -> None:
    """If the target is a directory, the file is written into it; stderr says so unless the target ends in a slash."""
    bucketry.write("data/storage/a/f", b"new")
    bucketry.write("docs/f", b"old")
    assert bucketry("download", "--remote", "a/f", "--local", "docs").err == (
        "download: docs is a directory: writing docs/f\n"
    )
    assert (bucketry.directory / "docs/f").read_bytes() == b"new"
    assert bucketry("download", "--remote", "a/f", "--local", "docs/").err == ""
    assert bucketry("download", "--remote", "a", "--local", "docs").err == ""


def test_no_clobber_keeps_what_exists(bucketry: Shell) -> None:
    """With --no-clobber existing files are kept and counted, and the others are downloaded."""
    for name in ("one", "two", "sub/three"):
        bucketry.write(f"data/storage/r/{name}", b"new")
    bucketry.write("out/one", b"old")
    ran = bucketry("download", "--remote", "r", "--local", "out", "--no-clobber")
    assert ran.code == 0
    assert "2 (1 skipped: already there)" in ran.text
    assert files_below(bucketry.directory / "out") == {"one": b"old", "two": b"new", "sub/three": b"new"}
    ran = bucketry("download", "--remote", "r/", "--local", "out", "--no-clobber", "--json")
    assert (ran.document["files"], ran.document["skipped"]) == (0, 3)
    for target in ("out/one", "out"):
        ran = bucketry("download", "--remote", "r/one", "--local", target, "--no-clobber", "--json")
        assert (ran.code, ran.document["files"], ran.document["skipped"], ran.err) == (0, 0, 1, "")
    assert bucketry("download", "--remote", "none", "--local", "out/one", "--no-clobber").code == 3
    assert (bucketry.directory / "out/one").read_bytes() == b"old"


def test_no_clobber_fetches_nothing_of_what_exists(bucketry: Shell) -> None:
    """An existing file is not downloaded at all: a body that cannot be read causes no error."""
    broken = bucketry.scripted(
        "from bucketry import MemoryProvider, StorageProviderFactory, errors\n"
        "from bucketry.testing import Fault, FaultyProvider\n"
        "import asyncio\n"
        "inner = MemoryProvider()\n"
        "asyncio.run(inner.put('r/one', b'new'))\n"
        "error = errors.IntegrityError('fetched')\n"
        "faults = [Fault(operation=name, error=error) for name in ('fetch_range', 'open_body')]\n"
        "StorageProviderFactory.register('broken', lambda config, **options: FaultyProvider(inner, faults))"
    )
    bucketry.write("out/one", b"old")
    for remote in ("r/", "r/one"):
        ran = broken("download", "--remote", remote, "--local", "out", "--no-clobber", "--provider", "broken")
        assert (ran.code, ran.err) == (0, "")


def test_progress_is_shown_on_a_terminal_only(bucketry: Shell) -> None:
    """A terminal on stderr shows a progress bar, but not with --json."""
    bucketry.write("f", bytes(100_000))
    pytest.importorskip("rich")
    assert "upload" in _on_a_terminal(bucketry, "upload", "--local", "f")
    shown = _on_a_terminal(bucketry, "download", "--remote", "f", "--local", "g")
    assert "100 %  97.7 KiB of 97.7 KiB" in shown
    assert "files 1 of 1" in shown
    assert _on_a_terminal(bucketry, "upload", "--local", "f", "--json") == ""


def test_progress_of_a_directory_knows_its_end(bucketry: Shell) -> None:
    """For a directory the totals of files and bytes are complete; for a prefix they are those known so far."""
    _tree(bucketry)
    pytest.importorskip("rich")
    shown = _on_a_terminal(bucketry, "upload", "--local", "tree", "--remote", "r")
    assert "100 %  250.0 KiB of 250.0 KiB" in shown
    assert "files 4 of 4" in shown
    shown = _on_a_terminal(bucketry, "download", "--remote", "r/", "--local", "out")
    assert "download" in shown
    assert "files 4 of " in shown


def _on_a_terminal(bucketry: Shell, *words: str) -> str:
    """Run with a terminal as standard error, and give what it shows."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, **ENVIRON, "TERM": "xterm", "COLUMNS": "120"}
    try:
        with subprocess.Popen(
            [*COMMAND, *words], cwd=bucketry.directory, env=environ, stdout=subprocess.DEVNULL, stderr=theirs
        ) as running:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # EIO: the process has closed its end
                while select.select([ours], [], [], 15)[0] and (chunk := os.read(ours, 65_536)):
                    shown += chunk
            assert running.wait() == 0
    finally:
        os.close(ours)
    return shown.decode()


def test_without_rich_there_is_no_progress_and_no_error(bucketry: Shell) -> None:
    """Without rich, a transfer on a terminal works without a display."""
    bucketry.write("f", b"data")
    without = bucketry.scripted("import sys\nsys.modules['rich.console'] = None\nsys.stderr.isatty = lambda: True")
    ran = without("upload", "--local", "f")
    assert (ran.code, ran.err) == (0, "")
