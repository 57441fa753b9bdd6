"""The verb copy, between the local disk, local stores and S3."""

from __future__ import annotations

import asyncio
import os
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry import MemoryProvider, S3Provider, StorageProviderFactory
from bucketry.errors import AccessDeniedError
from bucketry.testing import EmbeddedS3, Fault, FaultyProvider, embedded_s3
from tests.cli.conftest import Shell
from tests.cli.inside import Inside, configured, inside

__all__ = ["inside"]

TREE = {"a.csv": b"1", "b.txt": b"22", "sub/c.csv": b"333", "sub/deep/größe +%": bytes(100_000)}


def tree(inside: Inside, name: str = "tree") -> None:
    """Make a directory with files."""
    for path, data in TREE.items():
        inside.write(f"{name}/{path}", data)


def test_a_directory_to_a_store_to_another_and_back(inside: Inside) -> None:
    """The files of a directory go directly below the destination, by each route, and stay where they were."""
    tree(inside)
    assert inside("copy", "-r", "tree", "st:data").code == 0
    assert inside("cp", "-r", "st:data", "two:x/y/").code == 0
    assert inside("cp", "-r", "two:x/y", "two:z").code == 0
    assert inside("cp", "-r", "two:z/", "out").code == 0
    assert inside.files("tree") == inside.files("st/data") == inside.files("out") == TREE
    assert inside.files("two") == {f"{where}/{name}": data for where in ("x/y", "z") for name, data in TREE.items()}


def test_where_one_file_goes(inside: Inside) -> None:
    """Without a slash the destination is the name; with one, or if it is a directory here, the file goes into it."""
    inside.write("some dir/f.bin", b"data")
    (inside.directory / "here").mkdir()
    for destination in ("st:", "st:k", "st:in/"):
        assert inside("cp", "some dir/f.bin", destination).code == 0
    assert inside.files("st") == dict.fromkeys(("f.bin", "k", "in/f.bin"), b"data")
    for destination in ("x", "new/", "here", "deep/er/y"):
        assert inside("cp", "st:in/f.bin", destination).code == 0
    for path in ("x", "new/f.bin", "here/f.bin", "deep/er/y"):
        assert (inside.directory / path).read_bytes() == b"data"


def test_several_sources(inside: Inside) -> None:
    """Several sources go into the destination, each under its own name; a directory keeps its name, too."""
    tree(inside)
    inside.write("one", b"1")
    assert inside("cp", "-r", "tree/sub", "one", "st:missing", "two:all/").code == 3
    assert inside.files("two") == {}
    ran = inside("cp", "-r", "tree/sub", "one", "two:all/", "--json")
    assert (ran.code, ran.document["files"]) == (0, 3)
    assert inside.files("two/all") == {"one": b"1", "sub/c.csv": b"333", "sub/deep/größe +%": bytes(100_000)}


def test_globs_in_the_source(inside: Inside) -> None:
    """What a glob matches goes below the destination, with its path below the glob's directory."""
    tree(inside, "st/run-1")
    tree(inside, "st/run-2")
    assert inside("cp", "st:run-*/*.csv", "out/").code == 0
    assert inside.files("out") == {"run-1/a.csv": b"1", "run-2/a.csv": b"1"}
    assert inside("cp", "-r", "st:run-?/", "two:").code == 0
    assert inside.files("two") == {f"run-{n}/{name}": data for n in (1, 2) for name, data in TREE.items()}
    assert inside("cp", "st:run-1/*.txt", "st:").code == 0
    assert (inside.directory / "st/b.txt").read_bytes() == b"22"


def test_a_glob_can_be_downloaded(inside: Inside) -> None:
    """`download` takes a glob, too: everything below the directories that match, with the same options."""
    tree(inside, "st/run-1")
    tree(inside, "st/run-2")
    inside.write("out/run-1/a.csv", b"old")
    ran = inside("download", "st:run-*/", "out", "--no-clobber", "--json")
    assert (ran.code, ran.document["verb"], ran.document["files"], ran.document["skipped"]) == (0, "download", 7, 1)
    expected = {f"run-{n}/{name}": data for n in (1, 2) for name, data in TREE.items()}
    assert inside.files("out") == expected | {"run-1/a.csv": b"old"}
    assert inside("download", "st:run-1/*.txt").code == 0
    assert (inside.directory / "b.txt").read_bytes() == b"22"
    ran = inside("download", "st:run-*", "-")
    assert (ran.code, "is a glob, but one object is needed" in ran.err) == (2, True)


def test_patterns_and_times_select(inside: Inside) -> None:
    """--include, --exclude, --newer and --older leave out files of a directory as well as objects."""
    tree(inside)
    inside.write("tree/old.csv", b"old", age=30 * 86_400)
    for source in ("tree", "st:all"):
        if source != "tree":
            assert inside("cp", "-r", "tree", source).code == 0
            os.utime(inside.directory / "st/all/old.csv", (1, 1))
        for number, (words, names) in enumerate(
            {
                ("--include", "*.csv", "--exclude", "sub/"): {"a.csv", "old.csv"},
                ("--older", "7d"): {"old.csv"},
                ("--newer", "7d", "--include", "*.csv"): {"a.csv", "sub/c.csv"},
            }.items()
        ):
            target = f"{source.partition(':')[0]}-{number}"
            assert inside("cp", "-r", source, f"two:{target}" if source == "tree" else target, *words).code == 0
            assert set(inside.files(f"two/{target}" if source == "tree" else target)) == names


def test_a_list_of_names(inside: Inside) -> None:
    """--files-from names what is below the source, as lines or as JSON of `list`; a missing name fails alone."""
    tree(inside, "st/d")
    inside.write("names", b'a.csv\nsub/c.csv\r\n\n{"key": "b.txt"}\na.csv\n')
    assert inside("cp", "--files-from", "names", "st:d", "out/").code == 0
    expected = {name: data for name, data in TREE.items() if "deep" not in name}
    assert inside.files("out") == expected
    assert inside("cp", "--files-from", "names", "out", "two:x/").code == 0
    assert inside.files("two/x") == expected
    inside.write("names", b"none\nb.txt\n../places.toml\n")
    ran = inside("cp", "--files-from", "names", "out", "two:y/")
    assert (ran.code, ran.err.count("\n")) == (1, 2)
    assert "failed: out/none: " in ran.err
    assert "failed: out/../places.toml: " in ran.err
    assert inside.files("two/y") == {"b.txt": b"22"}


@pytest.mark.slow
def test_names_from_a_pipe_and_standard_streams(bucketry: Shell) -> None:
    """--files-from - reads the keys that list --json prints; - copies standard input, and to standard output."""
    bucketry.environ["BUCKETRY_CONFIG"] = configured(bucketry.directory)
    for name in ("a", "b", "c"):
        assert bucketry("cp", "-", f"st:run/{name}", stdin=name.encode()).code == 0
    assert bucketry("cp", "st:run/b", "-").out == b"b"
    keys = bucketry("list", "st:run/", "--json", "--exclude", "b").out
    assert bucketry("cp", "--files-from", "-", "st:", "out/", stdin=keys).code == 0
    assert sorted(path.name for path in (bucketry.directory / "out/run").iterdir()) == ["a", "c"]
    assert bucketry("cp", "-", "k", stdin=b"usual").code == 0
    assert (bucketry.store / "k").read_bytes() == b"usual"


def test_no_clobber_keeps_what_exists(inside: Inside) -> None:
    """With --no-clobber existing files and objects are kept and counted, and the others are copied."""
    tree(inside)
    inside.write("st/d/a.csv", b"old")
    ran = inside("cp", "-r", "tree", "st:d", "--no-clobber", "--json")
    assert (ran.code, ran.document["files"], ran.document["skipped"]) == (0, 3, 1)
    inside.write("out/b.txt", b"old")
    ran = inside("cp", "-r", "st:d", "out", "--no-clobber", "--json")
    assert (ran.code, ran.document["files"], ran.document["skipped"]) == (0, 3, 1)
    assert inside.files("out") == TREE | {"a.csv": b"old", "b.txt": b"old"}
    ran = inside("cp", "tree/a.csv", "st:d/", "--no-clobber")
    assert (ran.code, "1 skipped" in ran.out) == (0, True)


@pytest.mark.parametrize("verb", ["copy", "move"])
def test_a_dry_run_only_says_what_would_be_done(inside: Inside, verb: str) -> None:
    """--dry-run prints each source with its destination, as lines or JSON Lines, and changes nothing."""
    tree(inside)
    ran = inside(verb, "-r", "tree", "st:d", "--dry-run", "--include", "*.csv")
    url = f"file://{inside.directory}/st/d"
    assert ran.out == f"{verb} tree/a.csv → st:d/a.csv\n{verb} tree/sub/c.csv → st:d/sub/c.csv\n"
    assert ran.err == f"would {verb} 2 files, 4 B; nothing was done\n"
    ran = inside(verb, "tree/b.txt", "st:d/", "--dry-run", "--json")
    assert ran.lines == [{"verb": verb, "source": "tree/b.txt", "destination": f"{url}/b.txt", "size": 2}]
    assert ran.err == ""
    assert inside.files("tree") == TREE
    assert not (inside.directory / "st").exists()


def test_a_dry_run_leaves_out_what_would_be_skipped(inside: Inside) -> None:
    """With --no-clobber a dry run names only what the destination does not have."""
    tree(inside)
    inside.write("st/d/a.csv", b"old")
    ran = inside("cp", "-r", "tree", "st:d", "--no-clobber", "--dry-run", "--json")
    assert [line["source"] for line in ran.lines] == ["tree/b.txt", "tree/sub/c.csv", "tree/sub/deep/größe +%"]


REFUSED = [
    (("tree", "st:x"), 2, "tree: is a directory; for everything below it, add --recursive"),
    (("st:d", "out"), 2, "st/d/: is a directory; for everything below it, add --recursive"),
    (("st:d/", "out"), 2, "add --recursive"),
    (("st:", "out"), 2, "add --recursive"),
    (("st:*/", "out/"), 2, "selects whole directories; for everything below them, add --recursive"),
    (("st:d/*.csv", "out"), 2, "may get several files, so it must be a directory: write out/"),
    (("st:d/a.csv", "st:top", "two:x"), 2, "must be a directory"),
    (("st:d/a.csv", "st:d/a.csv"), 2, "copied onto itself"),
    (("st:d/a.csv", "st:d/"), 2, "copied onto itself"),
    (("-r", "st:d", "st:d/"), 2, "copied onto itself"),
    (("-r", "st:d", "st/d"), 2, "copied onto itself"),
    (("st/d/a.csv", "st:d/"), 2, "copied onto itself"),
    (("st:d/*.csv", "st:d/"), 2, "copied onto itself"),
    (("-r", "st:d", "st:d/below"), 2, "copied into itself"),
    (("-r", "st:d", "st/d/below"), 2, "copied into itself"),
    (("-r", "st:", "st:d/"), 2, "copied into itself"),
    (("st:top", "st:d/top", "two:x/"), 2, "would both become"),
    (("-r", "st:d/d/", "st:d/"), 2, "would overwrite"),
    (("-r", "st:d", "f"), 2, "f: is a file, but a directory is needed"),
    (("st:d/a.csv", "f/"), 2, "f/: is a file, but a directory is needed"),
    (("st:d/*.csv", "f"), 2, "f: is a file, but a directory is needed"),
    (("st:top", "taken"), 2, "is a directory"),
    (("st:top", "f/x"), 2, "f"),
    (("missing", "st:x"), 3, "missing does not exist"),
    (("st:missing", "out"), 3, "missing: there is no such object"),
    (("f", "new"), 3, "there is no such object; to copy the local f, write the other word as a URL"),
    (("f", "s3x://bucket/k"), 2, "did you mean 's3'"),
    (("nowhere:k", "st:x"), 2, "has no place 'nowhere'"),
    (("f", "memory://x", "--provider", "s3"), 2, "names its provider; leave out --provider"),
    (("f", "memory://x", "--url", "s3://bucket"), 2, "names its provider; leave out --url"),
    (("f", "file:///tmp/x"), 2, "both local"),
    (("f", "st:top", "out/"), 2, "both local"),
    (("f",), 2, "needs SOURCE and DESTINATION"),
    ((), 2, "needs SOURCE and DESTINATION"),
    (("f", ""), 2, "a word is empty"),
    (("-r", "st:d/*", "st:x*/"), 2, "is a glob, but a key or prefix is needed"),
    (("st:top", "out", "--storage-class", "X"), 2, "--storage-class is a property of objects, and out is local"),
    (("f", "st:x", "--metadata", "a=1", "--metadata", "a=2"), 2, "a name twice"),
    (("f", "st:x", "--metadata", "a=ü"), 2, "printable ASCII"),
    (("f", "st:x", "--part-size", "1"), 2, "--part-size: 1 is not within"),
    (("-r", "tree", "st:x", "--include", "["), 2, "--include"),
    (("-r", "tree", "st:x", "--newer", "soon"), 2, "'soon' is not a time"),
    (("--files-from", "names", "f", "st:x/"), 2, "f: is a file; with --files-from"),
    (("--files-from", "names", "tree", "tree/sub", "st:x/"), 2, "one SOURCE"),
    (("--files-from", "none", "tree", "st:x/"), 3, "none"),
    (("--files-from", "names", "st:*", "two:"), 2, "with --files-from, give the directory"),
    (("-", "st:"), 2, "give the complete key"),
    (("-", "-"), 2, "standard input or output"),
    (("-", "f", "st:x/"), 2, "standard input or output"),
    (("st:top", "-", "--no-clobber"), 2, "leave out --no-clobber"),
    (("st:top", "-", "--json"), 2, "--json cannot be used"),
    (("st:d/", "-"), 2, "d/"),
    (("st:d/*", "-"), 2, "is a glob, but one object is needed"),
    (("-r", "-", "st:x"), 2, "is one object"),
]
"""Words of copy, its exit code, and a part of its message."""


@pytest.mark.parametrize(
    ("words", "code", "hint"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_what_is_refused(inside: Inside, words: tuple[str, ...], code: int, hint: str) -> None:
    """What cannot be meant, or would destroy something, is refused in one line before anything is changed."""
    tree(inside)
    tree(inside, "st/d")
    for name in ("f", "names", "st/top", "st/d/top", "st/d/d/top", "st/d/d/d/top", "taken/top/x"):
        inside.write(name)
    before = inside.files(".")
    ran = inside("copy", *words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith('{"error": ' if "--json" in words else "error: ")
    assert ran.err.count("\n") == 1
    assert hint in ran.err
    assert inside.files(".") == before


def test_a_move_up_is_possible(inside: Inside) -> None:
    """A directory goes to the one above it, if no object there is to be copied, too."""
    tree(inside, "st/d/sub")
    assert inside("cp", "-r", "st:d/sub/", "st:d/").code == 0
    assert set(TREE) < set(inside.files("st/d"))


def test_items_that_fail_do_not_stop_the_others(inside: Inside) -> None:
    """A broken link fails with a line, the other files are stored, and the exit code is 1."""
    tree(inside)
    (inside.directory / "tree/broken").symlink_to("nowhere")
    ran = inside("cp", "-r", "tree", "st:d")
    assert ran.code == 1
    assert ran.err.startswith("failed: tree/broken: ")
    assert "  files     4\n" in ran.out
    assert inside.files("st/d") == TREE


def test_a_replaced_object_is_copied_in_its_new_version(inside: Inside) -> None:
    """If an object is replaced after it was listed, the copy has the new bytes."""
    store = MemoryProvider()

    async def replace() -> None:
        await store.put("k", b"new bytes")

    provider = FaultyProvider(store, (Fault(operation="copy_object", hook=replace),))
    StorageProviderFactory.register("changing", lambda _, **__: provider)
    asyncio.run(store.put("k", b"old"))
    ran = inside("cp", "k", "copy", "--provider", "changing", "--json")
    assert (ran.code, ran.document["bytes"]) == (0, 9)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Return a running S3 server with the buckets `one` and `other`."""
    pytest.importorskip("moto")
    with embedded_s3("one") as running:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"{running.endpoint_url}/other", method="PUT")  # noqa: S310 - our own
        direct.open(request, timeout=10).close()
        yield running


@pytest.fixture
def clouds(inside: Inside, server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Add the places `one:`, `other:`, and `account:`, which is the bucket `other` with other credentials."""
    entries = f'endpoint_url = "{server.endpoint_url}"\nserver = "aws"\n'
    more = "".join(
        f'[places.{name}]\nurl = "s3://{bucket}"\n{entries}{keys}'
        for name, bucket, keys in (
            ("one", "one", ""),
            ("other", "other", ""),
            ("account", "other", 'access_key_id = "else"\nsecret_access_key = { env = "ELSE" }\n'),
        )
    )
    monkeypatch.setenv("BUCKETRY_CONFIG", configured(inside.directory, more))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ELSE"):
        monkeypatch.setenv(name, "embedded")
    return inside


def headers(server: EmbeddedS3, path: str) -> dict[str, str]:
    """Return the headers of an object."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    keys = {"Authorization": "AWS embedded:embedded"}
    request = urllib.request.Request(f"{server.endpoint_url}/{path}", headers=keys, method="HEAD")  # noqa: S310 - our own
    with direct.open(request, timeout=10) as response:
        return {name.lower(): value for name, value in response.headers.items()}


PROPERTIES = (
    "--storage-class",
    "STANDARD_IA",
    "--cache-control",
    "no-cache",
    "--metadata",
    "a=1",
    "--content-type",
    "x/y",
)


@pytest.mark.slow
def test_whole_buckets_and_globs_at_their_root(clouds: Inside) -> None:
    """A bucket is copied as a whole, also to a prefix of another, and a glob may begin at its root."""
    tree(clouds)
    assert clouds("cp", "-r", "tree", "one:whole/run-1").code == 0
    assert clouds("cp", "-r", "one:", "other:").code == 0
    assert clouds("cp", "-r", "other:", "one:backup").code == 0
    assert clouds("cp", "one:backup/whole/run-*/*.csv", "out/").code == 0
    assert clouds("cp", "-r", "one:whole*/", "whole/").code == 0
    assert clouds.files("out") == {"run-1/a.csv": b"1"}
    assert clouds.files("whole/whole/run-1") == TREE
    for words in (("one:", "one:"), ("one:", "one:below")):
        ran = clouds("cp", "-r", *words)
        assert (ran.code, "would be copied" in ran.err) == (2, True)
    assert clouds("rm", "-r", "one:", "other:", "--yes").code == 0


@pytest.mark.slow
def test_properties_on_s3(clouds: Inside, server: EmbeddedS3) -> None:
    """The options apply to each object: uploaded, copied by the server, and copied through this machine."""
    tree(clouds)
    large = clouds.write("tree/large", os.urandom(11 * 1024**2))
    sse = ("--sse", "aws:kms", "--sse-kms-key-id", "my-key", "--region", "eu-central-1")
    assert clouds("cp", "-r", "tree", "one:props", *PROPERTIES, *sse, "--part-size", "5MiB").code == 0
    assert clouds("cp", "-r", "tree", "one:plain").code == 0
    assert clouds("cp", "-r", "one:plain", "other:server", *PROPERTIES).code == 0
    assert clouds("cp", "-r", "one:plain", "account:streamed", *PROPERTIES, "--part-size", "5MiB").code == 0
    for path in ("one/props", "other/server", "other/streamed"):
        for name in ("a.csv", "sub/c.csv", "large"):
            found = headers(server, f"{path}/{name}")
            assert found["x-amz-storage-class"] == "STANDARD_IA"
            assert (found["cache-control"], found["x-amz-meta-a"]) == ("no-cache", "1")
            assert found["content-type"] == "x/y"
    ran = clouds("cp", "one:plain/large", "checked", "--json")
    assert ran.document["verified"].keys() & {"crc32", "crc64nvme", "md5", "sha256"}
    assert clouds("cp", "one:plain/large", "unchecked", "--no-verify", "--json").document["verified"] == {"length": 1}
    assert headers(server, "one/props/a.csv")["x-amz-server-side-encryption"] == "aws:kms"
    assert clouds("cp", "other:streamed/large", "back").code == 0
    assert (clouds.directory / "back").read_bytes() == large.read_bytes()


@pytest.mark.slow
def test_the_same_bucket_under_two_names(clouds: Inside) -> None:
    """A copy onto itself is refused also if a URL with other credentials names the same object."""
    clouds.write("f")
    assert clouds("cp", "f", "other:k/f").code == 0
    for words in (("other:k/f", "account:k/"), ("-r", "account:k", "other:k"), ("-r", "other:k", "account:k/below")):
        ran = clouds("cp", *words)
        assert (ran.code, "itself" in ran.err) == (2, True)
    ran = clouds("cp", "-r", "other:", "account:k/")
    assert (ran.code, "into itself" in ran.err) == (2, True)
    assert clouds("cp", "-r", "other:", "whole", "--exclude", "streamed/", "--exclude", "server/").code == 0
    assert clouds.files("whole") == {"k/f": b"x"}


@pytest.mark.slow
def test_keys_that_are_no_paths(clouds: Inside, server: EmbeddedS3) -> None:
    """Keys that would leave the directory fail, marks of directories become directories, the others are written."""

    async def fill() -> None:
        async with S3Provider({**server.config, "bucket_name": "one"}) as provider:
            for key in ("odd/../../escaped", "odd//b", "odd/mark/", "odd/good"):
                await provider.put(key, b"" if key.endswith("/") else b"x")

    asyncio.run(fill())
    ran = clouds("cp", "-r", "one:odd", "out")
    assert (ran.code, ran.err.count("failed: ")) == (1, 2)
    assert clouds.files("out") == {"good": b"x"}
    assert (clouds.directory / "out/mark").is_dir()
    assert not list(Path(clouds.directory).rglob("escaped"))


@pytest.mark.parametrize("verb", ["cp", "mv", "sync"])
def test_options_of_one_of_two_stores(inside: Inside, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Between stores of two kinds, an option of a provider is refused, and encryption is for the destination alone."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "embedded")
    tree(inside, "st/d")
    url = "http://127.0.0.1:9"  # no server answers there
    ran = inside(verb, "st:d/", "s3://bucket/d/", "--region", "r")
    hint = "--region would be for both st:d/ and s3://bucket/d/; write it in a URL, or use a named place"
    assert (ran.code, hint in ran.err) == (2, True)
    if verb != "sync":  # which has no options of encryption
        ran = inside(verb, "-r", "st:d/", f"s3://bucket/d/?endpoint_url={url}&server=aws", "--sse", "AES256")
        assert (ran.code, "cannot connect to" in ran.err) == (5, True)


def test_credentials_that_may_not_list(inside: Inside) -> None:
    """An object is copied without a listing; a missing one is reported as missing."""
    refused = AccessDeniedError("listing is not allowed")
    provider = FaultyProvider(
        MemoryProvider(), tuple(Fault(operation="list_page", nth=n, error=refused) for n in (1, 2))
    )
    StorageProviderFactory.register("unlisted", lambda _, **__: provider)
    asyncio.run(provider.inner.put("k", b"x"))
    assert inside("cp", "k", "copy", "--provider", "unlisted").code == 0
    ran = inside("cp", "none", "copy", "--provider", "unlisted")
    assert (ran.code, "no such object" in ran.err) == (3, True)


@pytest.mark.slow
def test_the_commands_of_the_page(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page works as it is written, in its order."""
    page = (Path(__file__).parents[2] / "docs/how-to/copy-and-move.md").read_text(encoding="utf-8")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "embedded")
    for name in ("model.pt", "data/a.csv", "data/b.txt", "data/sub/c.csv"):
        inside.write(name)
    with embedded_s3("my-bucket") as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        for line in (line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ ")):
            command, _, file = line.partition(" > ")
            program, *words = shlex.split(command)
            ran = inside(*words)
            assert (program, ran.code) == ("bucketry", 0), ran.err
            if file:
                inside.write(file, ran.out.encode())
    assert set(inside.files("tables")) == {"a.csv"}
    assert set(inside.files("subset")) == {"a.csv", "sub/c.csv"}
    assert set(inside.files("chosen")) == {"raw/a.csv", "raw/b.txt", "raw/sub/c.csv"}
    assert (inside.directory / "restored.pt").exists()
