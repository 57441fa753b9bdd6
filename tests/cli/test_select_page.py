"""Every command of the page about selecting objects works as written."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import pytest

from bucketry import S3Provider
from bucketry._cli.main import main
from bucketry.testing import EmbeddedS3, embedded_s3

pytest.importorskip("moto")
pytestmark = pytest.mark.slow

RUNS = ("run-1/metrics.csv", "run-1/old/a.csv", "run-10/a", "run-2/metrics.csv", "run-2/w.bin")


async def _fill(server: EmbeddedS3) -> None:
    async with S3Provider(server.config) as provider:
        for key in ("notes*.txt", "notes1.txt", *RUNS):
            await provider.put(key, b"1")


def test_the_commands_of_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each command ends with code 0, and what it prints is what the page says."""
    page = (Path(__file__).parents[2] / "docs/how-to/select-objects.md").read_text(encoding="utf-8")
    lines = [line.removeprefix("$ bucketry ") for line in page.splitlines() if line.startswith("$ bucketry ")]
    printed: dict[str, str] = {}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text("notes1.txt\nrun-10/a\n")
    with embedded_s3(bucket="my-bucket") as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        asyncio.run(_fill(server))
        for line in lines:
            assert main(shlex.split(line)) == 0, (line, capfd.readouterr().err)
            printed[line] = capfd.readouterr().out
    assert [row.split()[-1] for row in printed["list s3://my-bucket/run-1"].splitlines()] == [
        "run-1/metrics.csv",
        "run-1/old/a.csv",
    ]
    assert printed["list s3://my-bucket/run-1/ --include '*.csv' --exclude 'old/'"].count("\n") == 1
    assert printed["list 's3://my-bucket/notes[*].txt'"].endswith("  notes*.txt\n")
    assert printed["cat 's3://my-bucket/run-?/metrics.csv'"] == "11"
    assert printed["cat s3://my-bucket --files-from keys.txt"] == "11"
    assert printed["delete -r s3://my-bucket --yes"] == "deleted 5 objects\n"
    assert "delete s3://my-bucket --files-from keys.txt --dry-run" in printed
