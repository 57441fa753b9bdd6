"""The verbs `models …`, on the local disk and on a real S3 server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bucketry import LocalProvider, StorageManager
from bucketry._cli.main import main
from tests.cli.conftest import Shell, files_below
from tests.cli.pseudo_terminal import at_terminal

pytestmark = pytest.mark.slow  # most tests start processes


async def _two_versions(bucketry: Shell) -> None:
    """Back up two versions of a directory, which both have the file `same`; without a process, which takes longer."""
    manager = StorageManager(LocalProvider({"base_path": str(bucketry.store)}), memo_dir=None)
    bucketry.write("out/same", b"s" * 2_000)
    for weight in (b"1", b"2"):
        bucketry.write("out/weights", weight * 100)
        await manager.backup_model(bucketry.directory / "out", "resnet")


def test_a_second_version_sends_only_what_is_new(bucketry: Shell) -> None:
    """`backup` says how much it sent, `versions` lists both versions, and `info` describes one."""
    bucketry.write("model.pt", b"1" * 1_000)
    first = bucketry("models", "backup", "model.pt", "resnet", "--version", "first", "--metadata", "loss=0.5", "--json")
    assert (first.code, first.err) == (0, "")
    assert set(first.document) == {
        "verb",
        "name",
        "version",
        "source",
        "destination",
        "kind",
        "files",
        "bytes",
        "sent_bytes",
        "created",
        "metadata",
        "seconds",
    }
    assert (first.document["version"], first.document["sent_bytes"]) == ("first", 1_000)
    second = bucketry("models", "backup", "model.pt", "resnet")
    assert "version  v1\n" in second.text
    assert "0 B (1000 B stored already)" in second.text
    assert [line["version"] for line in bucketry("models", "versions", "resnet", "--json").lines] == ["first", "v1"]
    found = bucketry("models", "info", "resnet", "--version", "first", "--json").document
    assert (found["kind"], found["metadata"], len(found["entries"])) == ("file", {"loss": "0.5"}, 1)
    assert "metadata.loss  0.5" in bucketry("models", "info", "resnet", "--version", "first").text


async def test_models_are_listed(bucketry: Shell) -> None:
    """`list` prints the names, with --long the newest version of each."""
    await _two_versions(bucketry)
    assert bucketry("models", "ls").text == "resnet\n"
    assert bucketry("models", "list", "--json").lines == [{"name": "resnet"}]
    (line,) = bucketry("models", "list", "-l", "--json").lines
    assert (line["latest"], line["files"], line["bytes"]) == ("v2", 2, 2_100)
    assert "v2" in bucketry("models", "list", "-l").text


async def test_a_restore_replaces_the_directory_as_a_whole(bucketry: Shell) -> None:
    """A restore to a new path asks nothing; for a directory that is not empty it asks, because it removes all of it."""
    await _two_versions(bucketry)
    done = bucketry("models", "restore", "resnet", "back", "--version", "v1", "--json").document
    assert (done["version"], done["files"], done["bytes"]) == ("v1", 2, 2_100)
    assert (bucketry.directory / "back/weights").read_bytes() == b"1" * 100
    bucketry.write("back/own", b"mine")
    before = files_below(bucketry.directory / "back")
    refused = bucketry("models", "restore", "resnet", "back")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    no = at_terminal(bucketry, "models", "restore", "resnet", "back", answer="no")
    assert no.code == 1
    assert files_below(bucketry.directory / "back") == before
    assert bucketry("models", "restore", "resnet", "back", "--yes").code == 0
    assert files_below(bucketry.directory / "back") == files_below(bucketry.directory / "out")


async def test_tags(bucketry: Shell) -> None:
    """A tag names a version, is listed with it, and can be removed."""
    await _two_versions(bucketry)
    ran = bucketry("models", "tag", "resnet", "v1", "prod", "--json")
    assert (ran.code, ran.document) == (0, {"name": "resnet", "version": "v1", "tag": "prod"})
    tags = {line["version"]: line["tags"] for line in bucketry("models", "versions", "resnet", "--json").lines}
    assert tags == {"v1": ["prod"], "v2": ["latest"]}
    assert bucketry("models", "info", "resnet", "--version", "prod", "--json").document["version"] == "v1"
    assert bucketry("models", "untag", "resnet", "prod").code == 0
    assert bucketry("models", "info", "resnet", "--version", "prod").code == 3


async def test_pruning_shows_what_it_deletes_and_asks(bucketry: Shell) -> None:
    """A dry run and the question name the old version and its own bytes; `n` keeps it, `y` deletes exactly that."""
    await _two_versions(bucketry)
    before = files_below(bucketry.store)
    dry = bucketry("models", "prune", "resnet", "--keep", "1", "--dry-run", "--json").document
    assert (dry["dry_run"], dry["kept"], dry["removed"]) == (True, ["v2"], ["v1"])
    assert (dry["blobs_removed"], dry["bytes_removed"]) == (1, 100)
    refused = bucketry("models", "prune", "resnet", "--keep", "1")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    no = at_terminal(bucketry, "models", "prune", "resnet", "--keep", "1", answer="n")
    assert no.code == 1
    assert "1 version: v1 (1 object, 100 B)" in no.screen
    assert files_below(bucketry.store) == before
    yes = at_terminal(bucketry, "models", "prune", "resnet", "--keep", "1", "--json", answer="y")
    assert yes.code == 0
    assert json.loads(yes.screen.splitlines()[-1]) == {**dry, "dry_run": False}
    assert bucketry("models", "prune", "resnet", "--keep", "1").code == 0  # nothing is left to ask about


async def test_verify_finds_a_damaged_file(bucketry: Shell) -> None:
    """`verify` succeeds for a whole version, and names the damaged file with exit code 1."""
    await _two_versions(bucketry)
    whole = bucketry("models", "verify", "resnet", "--json")
    assert (whole.code, whole.document["failed"]) == (0, [])
    (blob,) = (path for path in bucketry.store.glob("models/resnet/blobs/*") if path.read_bytes() == b"2" * 100)
    blob.write_bytes(b"3" * 100)
    broken = bucketry("models", "verify", "resnet", "--json")
    assert (broken.code, [one["path"] for one in broken.document["failed"]]) == (1, ["weights"])
    shown = bucketry("models", "verify", "resnet")
    assert shown.code == 1
    assert "failed: weights: " in shown.err
    assert "1 file missing or damaged" in shown.text


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("backup", "out", "team/resnet"), 2, "model name 'team/resnet'"),
        (("backup", "out", "resnet", "--version", "v2"), 1, "version 'v2' exists"),
        (("backup", "out", "resnet", "--version", "latest"), 2, "choose another name"),
        (("backup", "nowhere", "resnet"), 3, "nowhere"),
        (("backup", "out", "resnet", "--metadata", "a=1", "--metadata", "a=2"), 2, "gives a name twice"),
        (("restore", "resnett", "back"), 3, "did you mean 'resnet'"),
        (("restore", "resnet", "back", "--version", "v9"), 3, "no version or tag 'v9'"),
        (("restore", "resnet", "out/weights"), 2, "out/weights"),
        (("tag", "resnet", "v2", "v7"), 2, "choose another name"),
        (("prune", "resnet", "--keep", "0"), 2, "--keep 0"),
        (("prune", "resnet"), 2, "--keep"),
        (("bakup", "out", "resnet"), 2, "did you mean 'backup'"),
        (("verify", "resnet", "--verson", "v1"), 2, "did you mean '--version'"),
    ],
)
def test_bad_input(
    bucketry: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    hint: str,
) -> None:
    """A wrong name, version, path or option gives one line that says what to do, and changes nothing."""
    monkeypatch.chdir(bucketry.directory)
    asyncio.run(_two_versions(bucketry))
    before = files_below(bucketry.directory)
    assert main(["models", *words]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert hint in err
    assert files_below(bucketry.directory) == before


def test_the_verbs_of_models_have_their_own_help(bucketry: Shell) -> None:
    """`models --help` lists the verbs; `models backup --help` has its own options and examples."""
    overview = bucketry("models", "--help").text
    assert all(f"  {verb}" in overview for verb in ("list, ls", "versions", "backup", "restore", "prune"))
    assert bucketry("models", "--version").text.startswith("bucketry ")
    own = bucketry("models", "backup", "--help").text
    assert "--version V" in own
    assert own.count("  bucketry models backup ") == 3


@pytest.mark.usefixtures("s3_environment")
def test_models_on_s3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verbs work on S3 as on the disk."""
    (tmp_path / "model.pt").write_bytes(bytes(10_000))
    assert main(["models", "backup", "model.pt", "cli", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["destination"] == "s3://bucketry-demo/models/cli/"
    assert main(["models", "verify", "cli", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == []
    assert main(["models", "restore", "cli", "back.pt"]) == 0
    assert (tmp_path / "back.pt").read_bytes() == bytes(10_000)
