"""The verbs about objects on the local disk: list, info, delete, cat."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow  # each test starts processes

AWKWARD = ("a b", "größe & 100% +.txt", 'say "hi"', "tab\there", "line\nbreak", "-dash", "percent%2Fslash")


def test_list_of_an_empty_store_is_empty_and_makes_nothing(bucketry: Shell) -> None:
    """Listing a store that does not exist prints nothing on stdout, a count on stderr, and makes no directory."""
    ran = bucketry("list")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err == "0 objects, 0 B\n"
    assert bucketry("list", "--json").out == b""
    assert list(bucketry.directory.iterdir()) == []


def test_list_shows_size_time_and_key(bucketry: Shell) -> None:
    """Each object has a line, in the order of keys, and the total is on stderr."""
    bucketry.write("data/storage/b", b"12")
    bucketry.write("data/storage/a/x", bytes(1536))
    ran = bucketry("list")
    assert [[*line.split()[0:2], line.split()[-1]] for line in ran.text.splitlines()] == [
        ["1.5", "KiB", "a/x"],
        ["2", "B", "b"],
    ]
    assert ran.err == "2 objects, 1.5 KiB\n"


def test_list_json_is_a_document_for_each_object(bucketry: Shell) -> None:
    """With --json each line is a JSON object for one stored object, and stderr is empty."""
    bucketry.write("data/storage/a", b"123")
    ran = bucketry("list", "--json")
    assert ran.err == ""
    (entry,) = ran.lines
    assert list(entry) == ["key", "size", "etag", "last_modified", "storage_class"]
    assert (entry["key"], entry["size"]) == ("a", 3)
    assert datetime.fromisoformat(entry["last_modified"]).tzinfo == UTC


def test_list_takes_the_prefix_literally_and_groups_by_a_delimiter(bucketry: Shell) -> None:
    """--prefix matches the beginning of keys, and --delimiter groups keys by common prefixes."""
    for key in ("bus/1", "bus/2", "bush", "car"):
        bucketry.write(f"data/storage/{key}", b"x")
    assert [entry["key"] for entry in bucketry("list", "--prefix", "bus", "--json").lines] == ["bus/1", "bus/2", "bush"]
    grouped = bucketry("list", "--prefix", "bus", "--delimiter", "/", "--json").lines
    assert [entry.get("key") or entry["prefix"] for entry in grouped] == ["bus/", "bush"]
    assert "bus/" in bucketry("list", "--delimiter", "/").text


def test_awkward_keys_survive(bucketry: Shell) -> None:
    """Keys that a shell, a terminal or a URL could misread are stored and returned unchanged."""
    bucketry.write("f", b"-dash")
    assert bucketry("upload", "--local", "f", "--remote=-dash").code == 0
    for key in AWKWARD:
        bucketry.write(f"tree/{key}", key.encode())
    assert bucketry("upload", "--local", "tree", "--remote", "").code == 0
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == sorted(AWKWARD)
    assert len(bucketry("list").text.splitlines()) == len(AWKWARD)
    for key in AWKWARD:
        assert bucketry("cat", "--", key).out == key.encode()
    assert bucketry("delete", "--", *AWKWARD).code == 0
    assert bucketry("list").out == b""


def test_a_listing_never_controls_the_terminal(bucketry: Shell) -> None:
    """Control characters in a key are escaped in the table and in errors."""
    bucketry.write("data/storage/red\x1b[31m", b"x")
    assert bucketry("list").text.endswith('"red\\u001b[31m"\n')
    missing = bucketry("cat", "no\nsuch\x1b")
    assert missing.err.count("\n") == 1
    assert "\x1b" not in missing.err


def test_info_of_an_object(bucketry: Shell) -> None:
    """Info prints an object's properties, with user metadata, as a table or as JSON."""
    written = bucketry.write("f", b"12345")
    os.utime(written, (1_700_000_000, 1_700_000_000))
    bucketry("upload", "--local", "f", "--remote", "k", "--metadata", "version=1.0", "--content-type", "text/csv")
    facts = bucketry("info", "k", "--json").document
    assert (facts["key"], facts["size"], facts["content_type"]) == ("k", 5, "text/csv")
    assert facts["metadata"].keys() == {"version", "mtime"}
    assert (facts["metadata"]["version"], float(facts["metadata"]["mtime"])) == ("1.0", 1_700_000_000)
    assert facts["url"] == f"file://{bucketry.store}/k"
    rows = dict(line.split(maxsplit=1) for line in bucketry("info", "k").text.splitlines())
    assert rows["size"] == "5 bytes"
    assert rows["metadata.version"] == "1.0"


def test_info_of_the_provider(bucketry: Shell) -> None:
    """Without a key, info prints provider, location and capabilities."""
    facts = bucketry("info", "--json").document
    assert (facts["provider"], facts["place"]) == ("local", f"file://{bucketry.store}")
    assert facts["capabilities"]["plain_paths"] is True
    rows = dict(line.split(maxsplit=1) for line in bucketry("info").text.splitlines())
    assert (rows["provider"], rows["max_metadata_size"], rows["plain_paths"]) == ("local", "8.0 KiB", "yes")
    assert (rows["max_parts"], rows["key_normalization"], rows["stored_checksums"]) == ("10,000", "none", "none")


def test_cat_gives_exactly_the_bytes(bucketry: Shell) -> None:
    """Cat prints every byte unchanged, even bytes that are not text, and adds none."""
    data = bytes(range(256)) * 20_000 + b"\r\n\x00"
    bucketry.write("data/storage/k", data)
    ran = bucketry("cat", "k")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == data
    bucketry.write("data/storage/empty", b"")
    assert bucketry("cat", "empty").out == b""


def test_cat_into_a_file_gives_exactly_the_bytes(bucketry: Shell) -> None:
    """If stdout is a file open for appending, cat appends to it."""
    data = bytes(range(256)) * 10_000
    bucketry.write("data/storage/k", data)
    shell = f"(printf begin; {sys.executable} -m bucketry cat k) > out"
    assert Shell(bucketry.directory, ("sh", "-c"))(shell).code == 0
    assert (bucketry.directory / "out").read_bytes() == b"begin" + data


def test_delete_removes_keys_and_says_no_more_than_it_knows(bucketry: Shell) -> None:
    """Delete takes several keys; without a check their existence is unknown, so it counts the requested keys."""
    for key in ("a", "b", "c"):
        bucketry.write(f"data/storage/{key}", b"x")
    ran = bucketry("delete", "a", "nothing", "a")
    assert (ran.code, ran.text, ran.err) == (0, "asked to delete 2 keys: a, nothing\n", "")
    assert bucketry("delete", "b", "--json").document == {"requested": 1, "deleted": None, "failed": []}
    assert bucketry("delete", "nothing").text == "asked to delete 1 key: nothing\n"
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["c"]


def test_delete_names_the_first_keys(bucketry: Shell) -> None:
    """The result names the keys, of more than three the first three."""
    assert bucketry("rm", "d", "c", "b", "a").text == "asked to delete 4 keys: d, c, b, …\n"
    assert bucketry("rm", "d", "c", "b").text == "asked to delete 3 keys: d, c, b\n"
    assert bucketry("rm", "--files-from", "-", stdin=b"").text == "asked to delete 0 keys\n"


def test_delete_strict_looks_first(bucketry: Shell) -> None:
    """With --strict a missing key is named, and only existing objects are counted: code 1, or 3 if all are missing."""
    for key in ("a", "b", "c", "d"):
        bucketry.write(f"data/storage/{key}", b"x")
    ran = bucketry("delete", "a", "b", "--strict")
    assert (ran.code, ran.text, ran.err) == (0, "deleted 2 objects\n", "")
    ran = bucketry("delete", "c", "nope", "--strict")
    assert (ran.code, ran.text) == (1, "deleted 1 object, 1 failed\n")
    assert ran.err.startswith("failed: nope: ")
    ran = bucketry("delete", "nope", "--strict", "--json")
    assert (ran.code, ran.document["requested"], ran.document["deleted"]) == (3, 1, 0)
    assert ran.document["failed"][0]["type"] == "NotFoundError"
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["d"]


def test_delete_takes_a_star_literally_and_says_so(bucketry: Shell) -> None:
    """A key with a * deletes no other object, and stderr says why."""
    bucketry.write("data/storage/mine/a", b"x")
    ran = bucketry("delete", "mine/*")
    assert (ran.code, ran.text) == (0, "asked to delete 1 key: mine/*\n")
    assert ran.err == "delete: the * in mine/* is a plain character; to delete keys by their beginning, use --prefix\n"
    assert (bucketry.store / "mine/a").exists()


def test_delete_below_a_prefix(bucketry: Shell) -> None:
    """Delete --prefix --recursive removes all keys with the prefix, page after page, and no others."""
    for number in range(1_005):
        bucketry.write(f"data/storage/many/{number}", b"")
    bucketry.write("data/storage/man", b"x")
    ran = bucketry("delete", "--prefix", "many/", "--recursive", "--json")
    assert ran.document == {"requested": 1_005, "deleted": 1_005, "failed": []}
    assert [entry["key"] for entry in bucketry("list", "--json").lines] == ["man"]
    assert bucketry("delete", "--all", "--recursive").err.endswith("to agree, add --yes\n")
    assert bucketry("delete", "--all", "--recursive", "--yes").text == "deleted 1 object\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "needs keys to delete"),
        (("--prefix", "k"), "add --recursive"),
        (("--all",), "add --recursive"),
        (("--recursive",), "needs keys to delete"),
        (("--prefix", "", "--recursive"), "write --all --recursive"),
        (("--prefix", "k", "--all", "--recursive"), "contradict"),
        (("k", "--prefix", "k", "--recursive"), "give keys, or"),
        (("--prefix", "k", "--recursive", "--strict"), "--strict works with keys only"),
        (("",), "the key is empty"),
        (("k", ""), "the key is empty"),
    ],
)
def test_delete_refuses_what_may_not_be_meant(bucketry: Shell, words: tuple[str, ...], hint: str) -> None:
    """A dangerous or contradictory delete is a usage error, and deletes nothing."""
    bucketry.write("data/storage/k", b"x")
    ran = bucketry("delete", *words)
    assert ran.code == 2
    assert hint in ran.err
    assert (bucketry.store / "k").exists()


def test_a_failed_delete_is_listed(bucketry: Shell) -> None:
    """An object that cannot be deleted is named with its reason, and the exit code is 1."""
    faulty = bucketry.scripted(
        "from bucketry import BatchResult, MemoryProvider, StorageProviderFactory as Factory\n"
        "from bucketry.errors import AccessDeniedError\n"
        "class Stubborn(MemoryProvider):\n"
        "    async def delete_batch(self, keys):\n"
        "        return BatchResult(succeeded=keys[1:], failed={keys[0]: AccessDeniedError('locked')})\n"
        "Factory.register('stubborn', Stubborn)"
    )
    ran = faulty("delete", "a", "b", "--provider", "stubborn")
    assert (ran.code, ran.text, ran.err) == (1, "asked to delete 2 keys, 1 failed\n", "failed: a: locked\n")
    ran = faulty("delete", "a", "b", "--provider", "stubborn", "--json")
    assert (ran.document["requested"], ran.document["deleted"]) == (2, None)
    assert ran.document["failed"][0]["key"] == "a"
    assert ran.document["failed"][0]["type"] == "AccessDeniedError"


def test_list_of_a_local_store_loads_no_s3_client(bucketry: Shell) -> None:
    """Start-up is cheap: for the local disk without a terminal, botocore, rich, dotenv and moto are not imported."""
    watched = bucketry.scripted(
        "import atexit, sys\n"
        "heavy = {'aiobotocore', 'botocore', 'rich', 'dotenv', 'moto', 'aiohttp'}\n"
        "atexit.register(lambda: print('loaded:', sorted(heavy & set(sys.modules)), file=sys.stderr))"
    )
    assert watched("list").err.endswith("loaded: []\n")
    bucketry.write("f", b"x")
    assert watched("upload", "--local", "f").err == "loaded: []\n"


def test_a_reader_that_stops_reading_is_no_error(bucketry: Shell) -> None:
    """`| head` gets its lines, and bucketry ends without an error."""
    for number in range(3_000):
        bucketry.write(f"data/storage/some-long-name-to-fill-the-pipe-{number:05}", b"")
    bucketry.write("data/storage/big", bytes(1_000_000))
    for verb in ("list", "cat big", "list --json"):
        shell = f"{sys.executable} -m bucketry {verb} | head -c 100 > /dev/null"
        assert Shell(bucketry.directory, ("sh", "-c"))(shell).err in {"", "3,001 objects, 976.6 KiB\n"}
    bash = f"set -o pipefail; {sys.executable} -m bucketry list | head -1 > /dev/null"
    assert Shell(bucketry.directory, ("bash", "-c"))(bash).code == 0


def test_a_full_disk_behind_stdout_is_reported(bucketry: Shell) -> None:
    """Output that cannot be written is an error in one line, not a traceback at exit."""
    bucketry.write("data/storage/k", b"x")
    for verb in ("list", "cat k"):
        ran = Shell(bucketry.directory, ("sh", "-c"))(f"{sys.executable} -m bucketry {verb} > /dev/full")
        assert ran.code == 1
        assert f"error: {verb.split()[0]}: OSError: [Errno 28] No space left on device\n" in ran.err
        assert "Traceback" not in ran.err
