"""The verbs `uploads list` and `uploads abort`, and the records of a machine's own uploads."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bucketry import S3Provider
from bucketry._cli.journal import KEPT, JournaledProvider, OwnUpload, UploadJournal, journaled
from bucketry._cli.main import main
from bucketry._core.options import WriteOptions
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli.conftest import Shell
from tests.cli.pseudo_terminal import at_terminal

pytest.importorskip("moto")
pytestmark = pytest.mark.slow  # servers and processes


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EmbeddedS3]:
    """Run an S3 server, and configure it by variables."""
    with embedded_s3() as running:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "embedded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded")
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
        monkeypatch.setenv("BUCKETRY_SERVER", "aws")
        monkeypatch.chdir(tmp_path)
        yield running


@pytest.fixture
async def provider(server: EmbeddedS3) -> AsyncIterator[S3Provider]:
    """Return a provider that records nothing: its uploads are foreign."""
    async with S3Provider(server.config) as connected:
        yield connected


def own(capsys: pytest.CaptureFixture[str], url: str) -> dict[str, bool]:
    """Return whether each of the own uploads is running, by its key."""
    assert main(["uploads", "list", url, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["key"]: line["running"] for line in lines}


async def _open_foreign(server: EmbeddedS3) -> None:
    async with S3Provider(server.config) as provider:
        for key in ("run-1/a", "run-10/b", "top"):
            upload = await provider.create_multipart(key, WriteOptions())
            await provider.put_part(upload, 1, b"12345")


def test_foreign_uploads(bucketry: Shell, server: EmbeddedS3, capsys: pytest.CaptureFixture[str]) -> None:
    """Foreign uploads are only listed and aborted with --all, and only after a question or with --yes."""
    asyncio.run(_open_foreign(server))
    url = f"s3://{server.bucket}"

    def keys(*words: str) -> list[str]:
        assert main(["uploads", "list", "--json", *words]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert not any(line["own"] or line["running"] for line in lines)
        return [line["key"] for line in lines]

    assert main(["uploads", "list", url]) == 0
    assert capsys.readouterr() == ("", "0 uploads; 3 foreign not shown, see --all\n")
    assert keys(url, "--all") == ["run-1/a", "run-10/b", "top"]
    assert keys(f"{url}/run-1", "--all") == ["run-1/a"]
    assert keys(f"{url}/run-*/", "--all") == ["run-1/a", "run-10/b"]
    assert keys(url, "--all", "--older", "2001-01-01") == []  # the server says that all are of 2010
    assert main(["uploads", "list", f"{url}/top", "--all", "-l"]) == 0
    assert capsys.readouterr().out.split()[2:8] == ["foreign", "1", "part", "5", "B", "top"]
    assert main(["uploads", "abort", url]) == 0
    assert capsys.readouterr() == (
        "aborted 0 uploads\n",
        "3 foreign uploads left alone; to abort them, too, add --all\n",
    )
    assert main(["uploads", "abort", url, "--all"]) == 2
    assert "to agree, add --yes" in capsys.readouterr().err
    assert main(["uploads", "abort", url, "--all", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "would abort 3 uploads"
    assert at_terminal(bucketry, "uploads", "abort", f"{url}/top", "--all", answer="n").code == 1
    assert len(keys(url, "--all")) == 3
    assert at_terminal(bucketry, "uploads", "abort", f"{url}/top", "--all", answer="y").code == 0
    assert main(["uploads", "abort", url, "--all", "--yes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(one["key"] for one in found["aborted"]) == ["run-1/a", "run-10/b"]
    assert (found["failed"], found["dry_run"]) == ([], False)
    assert keys(url, "--all") == []


def test_an_upload_of_a_killed_process_is_ones_own(
    bucketry: Shell, server: EmbeddedS3, capsys: pytest.CaptureFixture[str]
) -> None:
    """An upload is left alone while its process runs; after a SIGKILL, abort takes it without a question."""
    url = f"s3://{server.bucket}"
    asyncio.run(_open_foreign(server))
    with bucketry.start("upload", "--local", "-", "--remote", "p/own", "--url", url) as running:
        assert running.stdin is not None
        running.stdin.write(os.urandom(40 * 1024**2))
        running.stdin.flush()
        seen: dict[str, bool] = {}
        while not seen and running.poll() is None:
            seen = own(capsys, url)
        assert seen == {"p/own": True}
        assert main(["uploads", "abort", url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["running"] == 1
        running.kill()
        running.wait()
    assert own(capsys, url) == {"p/own": False}
    assert main(["uploads", "abort", "--url", f"{url}/p"]) == 0  # a place with a prefix has the same records
    assert capsys.readouterr() == ("aborted 1 upload\n", "")
    assert own(capsys, url) == {}


def test_two_uploads_of_one_key_that_cannot_be_aborted(bucketry: Shell) -> None:
    """Each upload that cannot be aborted is a failure of its own, also if another one has the same key."""
    code = """
from bucketry import MemoryProvider, StorageProviderFactory
from bucketry._core.options import WriteOptions
from bucketry.errors import AccessDeniedError
class Cloud(MemoryProvider):
    def __init__(self, config, **options):
        super().__init__()
    async def list_multiparts(self, prefix="", *, after=None):
        if after is None:
            for _ in range(2):
                await self.create_multipart("k", WriteOptions())
        return await super().list_multiparts(prefix, after=after)
    async def abort_multipart(self, upload):
        raise AccessDeniedError("no", provider="cloud", bucket="b", key=upload.key, operation="abort_multipart")
StorageProviderFactory.register("cloud", Cloud)
"""
    cloud = bucketry.scripted(code)
    done = cloud("uploads", "abort", "--provider", "cloud", "--all", "--yes", "--json")
    assert done.code == 1
    failed = done.document["failed"]
    assert [one["key"] for one in failed] == ["k", "k"]
    assert len({one["upload_id"] for one in failed}) == 2
    plain = cloud("uploads", "abort", "--provider", "cloud", "--all", "--yes")
    assert plain.text == "aborted 0 uploads, 2 failed\n"
    assert plain.err.count("failed: k") == 2


async def test_records_end_with_their_uploads(provider: S3Provider, tmp_path: Path) -> None:
    """A record is removed when its upload is completed or aborted, or is not listed and a year old; others stay."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    recording = journaled(provider, environ)
    assert isinstance(recording, JournaledProvider)
    uploads = [await recording.create_multipart(key, WriteOptions()) for key in "abcd"]
    records = tmp_path / "bucketry/uploads"
    assert len(list(records.rglob("*.json"))) == 4
    await recording.complete_multipart(uploads[0], [await recording.put_part(uploads[0], 1, b"1")], WriteOptions())
    await recording.abort_multipart(uploads[1])
    assert [await recording.find(upload) is not None for upload in uploads] == [False, False, True, True]
    recording.journal.close()  # as at the end of the process
    await provider.abort_multipart(uploads[2])
    later = journaled(provider, environ)
    assert isinstance(later, JournaledProvider)
    kept = await later.find(uploads[3])
    assert kept is not None
    assert not kept.running
    await later.remove_old([])  # a server may list only the uploads of one key
    assert [await later.find(upload) is not None for upload in uploads] == [False, False, True, True]
    for record in records.rglob("*.json"):
        os.utime(record, (0, time.time() - (KEPT + 1) * 86_400))
    await later.remove_old([kept])
    assert [await later.find(upload) is not None for upload in uploads] == [False, False, False, True]


async def test_a_record_that_cannot_be_written_is_no_error(provider: S3Provider, tmp_path: Path) -> None:
    """An upload works without a record, and is foreign then."""
    (tmp_path / "bucketry").write_text("a file in the way")
    recording = journaled(provider, {"XDG_CACHE_HOME": str(tmp_path)})
    assert isinstance(recording, JournaledProvider)
    upload = await recording.create_multipart("k", WriteOptions())
    assert await recording.find(upload) is None
    await recording.abort_multipart(upload)
    assert journaled(provider, {}) is provider


def test_a_record_that_cannot_be_locked_is_left_out(tmp_path: Path) -> None:
    """Without a lock, the upload is foreign: it must not look like one that was left. No file stays."""

    def refuse(descriptor: int, operation: int) -> None:
        del descriptor, operation
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    journal = UploadJournal(str(tmp_path), lock=refuse)
    journal.add("key", "1")
    assert journal.find("key", "1") is None
    assert os.listdir(tmp_path) == []
    journal.close()


def test_a_record_has_its_name_only_when_it_is_locked(tmp_path: Path) -> None:
    """While the lock is taken, other processes do not see the record; afterwards they see a running upload."""
    seen: list[OwnUpload | None] = []

    def look(descriptor: int, operation: int) -> None:
        seen.append(UploadJournal(str(tmp_path)).find("key", "1"))
        fcntl.flock(descriptor, operation)

    journal = UploadJournal(str(tmp_path), lock=look)
    journal.add("key", "1")
    assert seen == [None]
    found = UploadJournal(str(tmp_path)).find("key", "1")
    assert found is not None
    assert found.running
    journal.remove("key", "1")
    assert os.listdir(tmp_path) == []


def test_a_record_that_cannot_be_opened_counts_as_running(tmp_path: Path) -> None:
    """If the record cannot be opened, its process may still run, so the upload is left alone."""
    journal = UploadJournal(str(tmp_path))
    journal.add("key", "1")
    found = journal.find("key", "1")
    assert found is not None
    journal.close()
    os.unlink(found.path)
    os.mknod(found.path, stat.S_IFSOCK | 0o600)  # a file that nobody can open, root included
    again = journal.find("key", "1")
    assert again is not None
    assert again.running


def test_a_store_without_uploads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a local store there is nothing to list at first; wrong words are usage errors in one line."""
    monkeypatch.chdir(tmp_path)
    assert main(["uploads", "list"]) == 0
    assert capsys.readouterr() == ("", "0 uploads\n")
    for words in (("list", "--older", "soon"), ("abort", "a", "b"), ("stop",)):
        assert main(["uploads", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
