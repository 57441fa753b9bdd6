"""The command line inside this process, against a real S3 server on the loopback."""

from __future__ import annotations

import json
import os
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
    """Configure the provider by the environment alone."""
    monkeypatch.setenv("STORAGE_PROVIDER", "s3")
    monkeypatch.setenv("AWS_BUCKET_NAME", server.bucket)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_configured")
def test_a_directory_through_s3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Upload, list, info, download and delete work on S3 as on the disk, large objects in parts."""
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
    assert json.loads(capsys.readouterr().out) == {"deleted": 2, "failed": []}


@pytest.mark.usefixtures("_configured")
def test_a_missing_object_and_a_missing_bucket(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are exit code 3, and the message says which of them is missing, whatever the verb."""
    assert main(["info", "nothing"]) == 3
    assert "s3://bucketry-demo/nothing" in capsys.readouterr().err
    monkeypatch.setenv("AWS_BUCKET_NAME", "no-such-bucket")
    for words in (["list"], ["info", "k"], ["cat", "k"], ["download", "--remote", "k", "--local", "k"]):
        assert main(words) == 3
        assert "bucket" in capsys.readouterr().err.partition("no-such-bucket")[2]


@pytest.mark.usefixtures("_configured")
def test_a_condition_that_the_server_does_not_promise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a server of unknown kind create-only writes are refused before anything is sent."""
    (tmp_path / "f").write_bytes(b"x")
    assert main(["upload", "--local", "f", "--if-none-match"]) == 2
    assert "not enforced" in capsys.readouterr().err
    assert main(["list", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that cannot be made is a passing fault: exit code 5."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert main(["list", "--url", "s3://bucket"]) == 5
    assert capsys.readouterr().err.count("\n") == 1
