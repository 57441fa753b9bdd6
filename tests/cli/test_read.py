"""The verbs that show one object or the provider: cat, head, info, presign."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry._cli.main import main
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli.conftest import Shell

pytest.importorskip("moto")
pytestmark = pytest.mark.slow  # servers and processes


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a local store, in the current directory."""
    for key, data in {"a": "0123456789", "logs/x": "x1", "logs/y": "y2", "empty": ""}.items():
        path = tmp_path / "data/storage" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data/storage"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EmbeddedS3]:
    """Run an S3 server whose bucket keeps versions, and configure it by variables."""
    with embedded_s3(versioning=True) as running:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
        monkeypatch.setenv("BUCKETRY_SERVER", "aws")
        monkeypatch.chdir(tmp_path)
        yield running


def put(server: EmbeddedS3, key: str, text: str) -> None:
    """Store an object with the command line."""
    Path("f").write_text(text)
    words = ["--content-type", "text/x-test", "--metadata", "a=b"]
    assert main(["upload", "--local", "f", "--remote", key, "--url", f"s3://{server.bucket}", *words]) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("a", "logs/x", "a"), b"0123456789x10123456789"),
        (("a", "--range", "0-0"), b"0"),
        (("a", "--range", "3-5"), b"345"),
        (("a", "--range", "8-"), b"89"),
        (("a", "--range", "-3"), b"789"),
        (("a", "--range", "-300"), b"0123456789"),
        (("a", "--range", "5-300"), b"56789"),
        (("empty", "a", "--range", "-1"), b"9"),
        (("file://{store}/logs/*",), b"x1y2"),
        (("file://{store}/[a]", "logs/y"), b"0123456789y2"),
    ],
)
def test_cat(store: Path, words: tuple[str, ...], expected: bytes, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Cat writes several objects one after the other, and of each only the wanted range."""
    assert main(["cat", *(word.format(store=store) for word in words)]) == 0
    assert capfdbinary.readouterr().out == expected


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ((), 2, "needs a KEY"),
        (("a", "--range", "5-3"), 2, "is not a range"),
        (("a", "--range", "-"), 2, "is not a range"),
        (("a", "--range", "100-"), 2, "100"),
        (("a", "--version-id", "v", "b"), 2, "--version-id is for one KEY"),
        (("a", "--version-id", "v"), 2, "no versions"),
        (("a", "--files-from", "keys"), 2, "give no key: a is one"),
        (("--files-from", "nothing"), 3, "nothing does not exist"),
        (("file://{store}/nope-*",), 3, "matches no object"),
        (("file://{store}",), 2, "one object is needed"),
        (("nope",), 3, "there is no such object"),
    ],
)
def test_cat_refuses(
    store: Path, words: tuple[str, ...], code: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written is an error in one line."""
    assert main(["cat", *(word.format(store=store) for word in words)]) == code
    ran = capsys.readouterr()
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert hint in ran.err


def test_cat_of_several_objects_into_a_pipe_that_closes(bucketry: Shell) -> None:
    """A reader that takes only the first bytes is no error, also if more objects follow."""
    bucketry.write("data/storage/big", bytes(3_000_000))
    words = " ".join([*bucketry.command, "cat", "big", "big"])
    ran = Shell(bucketry.directory, ("bash", "-c"))(f"set -o pipefail; {words} | head -c 10 | wc -c")
    assert (ran.code, ran.text.strip(), ran.err) == (0, "10", "")


@pytest.mark.usefixtures("store")
def test_head(capsys: pytest.CaptureFixture[str]) -> None:
    """Head shows the headers of one object."""
    assert main(["head", "a"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (rows["key"], rows["size"]) == ("a", "10 bytes")
    assert main(["head", "a", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["key"], found["size"], found["content_encoding"]) == ("a", 10, None)
    assert main(["head", "nope"]) == 3
    assert main(["head", "a", "--version-id", "v"]) == 2


def test_head_makes_one_request(bucketry: Shell) -> None:
    """Head makes one HEAD request and no other; info also reads the tags."""
    counted = bucketry.scripted(
        "import atexit, sys\n"
        "from bucketry import MemoryProvider, StorageProviderFactory\n"
        "from bucketry.testing import FaultyProvider\n"
        "from bucketry._core.values import NOTHING\n"
        "class Stored(MemoryProvider):\n"
        "    async def head(self, key, **rest):\n"
        "        await self.put(key, b'12', metadata={'a': 'b'}, tags={'team': 'ml'})\n"
        "        return await super().head(key, **rest)\n"
        "counting = FaultyProvider(Stored())\n"
        "atexit.register(lambda: print(dict(counting.calls), file=sys.stderr))\n"
        "StorageProviderFactory.register('counting', lambda config, **options: counting)"
    )
    ran = counted("head", "k", "--provider", "counting")
    assert ran.err == "{'head': 1}\n"
    assert ["metadata.a", "b"] in [line.split() for line in ran.text.splitlines()]
    ran = counted("info", "k", "--provider", "counting", "--json")
    assert ran.document["tags"] == {"team": "ml"}
    assert ran.err == "{'connect': 1, 'head': 1, 'get_tags': 1}\n"


def test_info_of_a_store(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key, info says how much is stored, unless it should not count."""
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stored"] == {"objects": 4, "bytes": 14}
    assert main(["info", f"file://{store}"]) == 0
    assert "stored                  4 objects, 14 B\n" in capsys.readouterr().out
    assert main(["info", "--no-count", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stored"] is None
    for words in (["a", "--no-count"], ["--versions"]):
        assert main(["info", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_info_without_the_right_to_list(bucketry: Shell) -> None:
    """If the credentials may not list, the rest is printed, the error is on stderr, and the code is 4."""
    refusing = bucketry.scripted(
        "from bucketry import MemoryProvider, StorageProviderFactory, errors\n"
        "from bucketry.testing import Fault, FaultyProvider\n"
        "faults = (Fault(operation='list_page', error=errors.AccessDeniedError('may not list')),)\n"
        "StorageProviderFactory.register('faulty', lambda config, **options: FaultyProvider(MemoryProvider(), faults))"
    )
    ran = refusing("info", "--provider", "faulty")
    assert (ran.code, ran.err) == (4, "error: info: may not list\n")
    assert ran.text.startswith("provider ")
    assert "stored  " not in ran.text


def test_versions_and_tags_on_s3(server: EmbeddedS3, capsys: pytest.CaptureFixture[str]) -> None:
    """On a bucket with versions, info lists them, and head and cat take a version's id."""
    url = f"s3://{server.bucket}/k"
    put(server, "k", "old")
    put(server, "k", "new!")
    put(server, "k2", "other")
    capsys.readouterr()
    assert main(["info", url, "--versions", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["size"], found["tags"], found["content_type"]) == (4, {}, "text/x-test")
    newest, oldest = found["versions"]
    assert (newest["is_latest"], newest["size"], oldest["size"]) == (True, 4, 3)
    assert main(["info", url, "--versions"]) == 0
    assert capsys.readouterr().out.count("\nversion ") == 2
    assert main(["head", url, "--version-id", oldest["version_id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 3


def test_cat_of_a_version(server: EmbeddedS3, capfd: pytest.CaptureFixture[str]) -> None:
    """Cat writes the bytes of the version, or a range of them."""
    put(server, "k", "old")
    put(server, "k", "new!")
    capfd.readouterr()
    url = f"s3://{server.bucket}/k"
    assert main(["info", url, "--versions", "--json"]) == 0
    oldest = json.loads(capfd.readouterr().out)["versions"][-1]["version_id"]
    assert main(["cat", url, "--version-id", oldest]) == 0
    assert main(["cat", url, "--version-id", oldest, "--range", "-2"]) == 0
    assert capfd.readouterr().out == "oldld"


def test_presign(server: EmbeddedS3, capsys: pytest.CaptureFixture[str]) -> None:
    """The URL, and nothing else, is printed; it works without credentials."""
    put(server, "k", "data")
    capsys.readouterr()
    url = f"s3://{server.bucket}/k"
    assert main(["presign", url, "--content-disposition", "attachment"]) == 0
    signed = capsys.readouterr().out.removesuffix("\n")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(signed, timeout=10) as response:
        assert response.read() == b"data"
        assert response.headers["Content-Disposition"] == "attachment"
    assert main(["presign", url, "--method", "put", "--expires-in", "2h", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["expires_in"], found["key"]) == ("PUT", 7200, "k")
    assert "X-Amz-Expires=7200" in found["url"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--expires-in", "soon"), "is not a time"),
        (("--expires-in", "8d"), "--expires-in 691200 must be within 1 and 604800 seconds"),
        (("--method", "PUT", "--content-type", "a/b"), "leave out --method"),
        (("--method", "PATCH"), "PATCH"),
    ],
)
def test_presign_refuses(
    words: tuple[str, ...], hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be signed is a usage error in one line."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
    assert main(["presign", "s3://bucket/k", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert hint in said
