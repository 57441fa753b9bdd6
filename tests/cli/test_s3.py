"""The command line inside this process, against a real S3 server on the loopback."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry._cli.main import main
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli.conftest import files_below

pytest.importorskip("moto")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Return a running server with one bucket."""
    with embedded_s3() as running:
        yield running


@pytest.fixture
def _configured(server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configure the provider by environment variables only."""
    monkeypatch.setenv("STORAGE_PROVIDER", "s3")
    monkeypatch.setenv("AWS_BUCKET_NAME", server.bucket)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_configured")
def test_a_directory_through_s3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Upload, list, info, download and delete work on S3 as on the disk, with parts for large objects."""
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/small").write_bytes(b"1")
    (tmp_path / "in/sub/large +%").write_bytes(os.urandom(18 * 1024**2))
    options = ("--json", "--part-size", "5MiB", "--concurrency", "40")
    assert main(["upload", "--local", "in", "--remote", "r", *options]) == 0
    up = json.loads(capsys.readouterr().out)
    assert {one["key"]: one["parts"] for one in up["objects"]} == {"r/small": 1, "r/sub/large +%": 4}
    assert main(["list", "--prefix", "r/", "--json"]) == 0
    assert [json.loads(line)["key"] for line in capsys.readouterr().out.splitlines()] == ["r/small", "r/sub/large +%"]
    assert main(["info", "r/small"]) == 0
    assert "1 bytes" in capsys.readouterr().out
    assert main(["download", "--remote", "r", "--local", "out", *options]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 2
    assert files_below(tmp_path / "out") == files_below(tmp_path / "in")
    assert main(["delete", "--prefix", "r/", "--recursive", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"requested": 2, "deleted": 2, "failed": []}


@pytest.mark.usefixtures("_configured")
def test_a_missing_object_and_a_missing_bucket(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both give exit code 3, and for every verb the message says which of them is missing."""
    assert main(["info", "nothing"]) == 3
    assert "s3://bucketry-demo/nothing" in capsys.readouterr().err
    monkeypatch.setenv("AWS_BUCKET_NAME", "no-such-bucket")
    for words in (["list"], ["info", "k"], ["head", "k"], ["cat", "k"], ["download", "--remote", "k", "--local", "k"]):
        assert main(words) == 3
        assert "bucket" in capsys.readouterr().err.partition("no-such-bucket")[2]


@pytest.mark.usefixtures("_configured")
def test_a_condition_that_the_server_does_not_promise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For an unknown server, create-only writes are refused before any byte is sent."""
    (tmp_path / "f").write_bytes(b"x")
    assert main(["upload", "--local", "f", "--if-none-match"]) == 2
    assert "not enforced" in capsys.readouterr().err
    assert main(["list", "--json"]) == 0
    assert capsys.readouterr().out == ""


PLACES = {
    "options": ["--url", "s3://{bucket}/p", "--endpoint-url", "{url}", "--region", "eu-1", "--server", "aws"],
    "query": ["--url", "s3://{bucket}/p?endpoint_url={url}&server=aws&region=eu-1&addressing_style=path"],
    "both": ["--url", "s3://{bucket}/p?endpoint_url={url}", "--server", "aws", "--addressing-style", "path"],
    "provider": ["--provider", "s3", "--endpoint-url", "{url}", "--server", "aws"],
    "variables": ["--url", "s3://{bucket}/p"],
}
"""All forms of a command line for your own server."""


@pytest.mark.parametrize("way", PLACES)
def test_a_server_of_ones_own_takes_one_line(
    way: str,
    server: EmbeddedS3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Options, a URL's query or variables set a server and its features, and replace AWS's variable."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
    monkeypatch.setenv("AWS_BUCKET_NAME", server.bucket)
    if way == "variables":
        monkeypatch.setenv("BUCKETRY_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("BUCKETRY_SERVER", "aws")
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # no server listens there
    options = [word.format(bucket=server.bucket, url=server.endpoint_url) for word in PLACES[way]]
    (tmp_path / "f").write_bytes(b"x")
    # A condition works on a server with AWS's features, and is refused for any other.
    words = ["upload", "--local", str(tmp_path / "f"), "--remote", way, "--if-none-match", *options]
    assert main(words) == 0, capsys.readouterr().err
    assert main(words) == 1
    assert main(["delete", way, "--strict", *options]) == 0
    assert main(["delete", way, "--strict", *options]) == 3
    assert "deleted 1 object\ndeleted 0 objects, 1 failed\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--url", "s3://bucket?region=a", "--region", "b"], "s3: region: the URL gives one value"),
        (["--url", "s3://bucket?secret_access_key=canary"], "s3: secret_access_key: is a secret"),
        (["--url", "s3://bucket?regin=a"], "did you mean 'region'"),
        (["--url", "s3://bucket", "--endpoint-url", "http://minio:9000"], "--allow-http"),
        (["--url", "s3://bucket", "--anonymous", "--profile", "work"], "s3: anonymous: profile is given too"),
        (["--url", "memory://", "--region", "b"], "memory: region: unknown configuration entry"),
        (["--region", "b"], "--region is for a store in a cloud"),
        (["--addressing-style", "host"], "invalid choice: 'host'"),
        (["--region", "b", "--region", "b"], "--region is given twice"),
        (["--regin", "b"], "unknown option --regin; did you mean '--region'"),
    ],
)
def test_wrong_options_are_one_line(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Contradictory, unknown or repeated options, and a secret in an option, give a one-line error with advice."""
    assert main(["list", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert hint in said
    assert "canary" not in said


@pytest.mark.parametrize("allowed", [["--allow-http"], []])
def test_plain_http_can_be_allowed(
    allowed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option or a variable allows plain HTTP to other machines: the command then tries to resolve the host."""
    if not allowed:
        monkeypatch.setenv("BUCKETRY_ALLOW_HTTP", "1")
    monkeypatch.setenv("BUCKETRY_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.invalid:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert main(["list", "--url", "s3://bucket", *allowed]) == 5
    assert "plain http" not in capsys.readouterr().err


@pytest.mark.usefixtures("_configured")
def test_an_error_names_the_verb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For every failed request, the message begins with the command's verb."""
    (tmp_path / "f").write_bytes(b"x")
    monkeypatch.setenv("AWS_BUCKET_NAME", "no-such-bucket")
    for words in (["upload", "--local", "f"], ["list"], ["download", "--remote", "k", "--local", "k"]):
        assert main(words) == 3
        said = capsys.readouterr().err
        assert said.startswith(f"error: {words[0]}: ")
        assert said.count("\n") == 1
    assert main(["list", "--json"]) == 3
    assert json.loads(capsys.readouterr().err)["error"]["verb"] == "list"


def test_the_commands_of_the_page_on_servers_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of the page works as written, with the address of a local server."""
    page = (Path(__file__).parents[2] / "docs/how-to/self-hosted.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/f").write_bytes(b"x")
    with embedded_s3(bucket="my-bucket") as server:
        lines = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ ")]
        for line in lines:
            program, *words = shlex.split(line.replace("http://minio:9000", server.endpoint_url))
            if program == "export":
                for word in words:
                    monkeypatch.setenv(*word.replace("…", "example").split("=", 1))
            else:
                assert (program, main(words)) == ("bucketry", 0), capsys.readouterr().err
        capsys.readouterr()
        assert main(["list", "--url", "s3://my-bucket", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["key"] == "backups/documents/f"


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that cannot be opened is a temporary fault: exit code 5."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert main(["list", "--url", "s3://bucket"]) == 5
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("_configured")
def test_the_cost_of_a_listed_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The listing's storage classes are priced; a server of one's own has no price for the plan of a sync."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").write_bytes(bytes(1000))
    assert main(["upload", "in", "cost/warm"]) == 0
    assert main(["upload", "in", "cost/cold", "--storage-class", "STANDARD_IA"]) == 0
    capsys.readouterr()
    assert main(["cost", "cost/", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["usage"]["stored"] == {
        "STANDARD_IA": {"bytes": 1000, "objects": 1},
        "STANDARD": {"bytes": 1000, "objects": 1},
    }
    assert {one["vendor"]: one["total"] for one in document["vendors"]} == {
        "backblaze": "0.00",
        "cloudflare_r2": "0.01",
        "digitalocean": "5.00",
        "wasabi": "7.99",
        "s3": None,
    }
    assert main(["sync", "in", f"s3://{os.environ['AWS_BUCKET_NAME']}/cost/warm", "--save-plan", "plan.jsonl"]) == 0
    capsys.readouterr()
    assert main(["cost", "--plan", "plan.jsonl"]) == 2
    assert "neither side is a cloud with list prices" in capsys.readouterr().err
    assert main(["delete", "--prefix", "cost/", "--recursive"]) == 0
