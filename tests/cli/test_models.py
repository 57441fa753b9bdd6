"""The verbs `models …`, on the local disk and on a real S3 server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bucketry import LocalProvider, StorageManager
from bucketry._cli.main import main
from tests.cli.conftest import Inside, Shell, files_below
from tests.cli.pseudo_terminal import at_terminal

pytestmark = pytest.mark.slow  # most tests start processes


async def _two_versions(bucketry: Shell) -> None:
    """Back up two versions of a directory, which both have the file `same`; without a process, which takes longer."""
    manager = StorageManager(LocalProvider({"base_path": str(bucketry.store)}), memo_dir=None)
    bucketry.write("out/same", b"s" * 2_000)
    for weight in (b"1", b"2"):
        bucketry.write("out/weights", weight * 100)
        await manager.backup_model(bucketry.directory / "out", "resnet")


def test_a_second_version_sends_only_what_is_new(inside: Inside) -> None:
    """`backup` says how much it sent, `versions` lists both versions, and `info` describes one."""
    inside.shell.write("model.pt", b"1" * 1_000)
    first = inside.document("models", "backup", "model.pt", "resnet", "--version", "first", "--metadata", "loss=0.5")
    assert set(first) == {
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
    assert (first["version"], first["sent_bytes"]) == ("first", 1_000)
    second = inside("models", "backup", "model.pt", "resnet")
    assert "version  v1\n" in second
    assert "0 B (1000 B stored already)" in second
    assert [line["version"] for line in inside.lines("models", "versions", "resnet")] == ["first", "v1"]
    found = inside.document("models", "info", "resnet", "--version", "first")
    assert (found["kind"], found["metadata"], len(found["entries"])) == ("file", {"loss": "0.5"}, 1)
    assert "metadata.loss  0.5" in inside("models", "info", "resnet", "--version", "first")


def test_models_are_listed(inside: Inside) -> None:
    """`list` prints the names, with --long the newest version of each."""
    asyncio.run(_two_versions(inside.shell))
    assert inside("models", "ls") == "resnet\n"
    assert inside.lines("models", "list") == [{"name": "resnet"}]
    (line,) = inside.lines("models", "list", "-l")
    assert (line["latest"], line["files"], line["bytes"]) == ("v2", 2, 2_100)
    assert "v2" in inside("models", "list", "-l")


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
    no = at_terminal(bucketry, "models", "restore", "resnet", "back", answer="no", width=400)
    assert no.code == 1
    assert files_below(bucketry.directory / "back") == before
    assert bucketry("models", "restore", "resnet", "back", "--yes").code == 0
    assert files_below(bucketry.directory / "back") == files_below(bucketry.directory / "out")


def test_tags(inside: Inside) -> None:
    """A tag names a version, is listed with it, and can be removed."""
    asyncio.run(_two_versions(inside.shell))
    assert inside.document("models", "tag", "resnet", "v1", "prod") == {
        "name": "resnet",
        "version": "v1",
        "tag": "prod",
    }
    tags = {line["version"]: line["tags"] for line in inside.lines("models", "versions", "resnet")}
    assert tags == {"v1": ["prod"], "v2": ["latest"]}
    assert inside.document("models", "info", "resnet", "--version", "prod")["version"] == "v1"
    assert inside("models", "untag", "resnet", "prod") == "removed tag prod of resnet, which named v1\n"
    assert inside("models", "untag", "resnet", "prod") == "resnet has no tag prod; nothing was changed\n"
    assert inside("models", "tag", "resnet", "v1", "old") == "tag old of resnet now names v1\n"
    inside("models", "info", "resnet", "--version", "prod", code=3)


async def test_pruning_shows_what_it_deletes_and_asks(bucketry: Shell) -> None:
    """A dry run and the question name the old version and its own bytes; `n` keeps it, `y` deletes exactly that."""
    await _two_versions(bucketry)
    before = files_below(bucketry.store)
    dry = bucketry("models", "prune", "resnet", "--keep", "1", "--dry-run", "--json").document
    assert (dry["dry_run"], dry["kept"], dry["removed"]) == (True, ["v2"], ["v1"])
    assert (dry["blobs_removed"], dry["bytes_removed"]) == (1, 100)
    refused = bucketry("models", "prune", "resnet", "--keep", "1")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    no = at_terminal(bucketry, "models", "prune", "resnet", "--keep", "1", answer="n", width=400)
    assert no.code == 1
    assert "1 version: v1 (1 object, 100 B)" in no.screen
    assert files_below(bucketry.store) == before
    yes = at_terminal(bucketry, "models", "prune", "resnet", "--keep", "1", "--json", answer="y")
    assert yes.code == 0
    assert json.loads(yes.screen.splitlines()[-1]) == {**dry, "dry_run": False}
    assert bucketry("models", "prune", "resnet", "--keep", "1").code == 0  # nothing is left to ask about


def test_verify_finds_a_damaged_file(inside: Inside) -> None:
    """`verify` succeeds for a whole version, and names the damaged file with exit code 1."""
    asyncio.run(_two_versions(inside.shell))
    assert inside.document("models", "verify", "resnet")["failed"] == []
    blobs = inside.shell.store.glob("models/resnet/blobs/*")
    (blob,) = (path for path in blobs if path.read_bytes() == b"2" * 100)
    blob.write_bytes(b"3" * 100)
    broken = inside.document("models", "verify", "resnet", code=1)
    assert [one["path"] for one in broken["failed"]] == ["weights"]
    assert "1 file missing or damaged" in inside("models", "verify", "resnet", code=1)
    assert inside.err.startswith("failed: weights: ")


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
def test_bad_input(inside: Inside, words: tuple[str, ...], code: int, hint: str) -> None:
    """A wrong name, version, path or option gives one line that says what to do, and changes nothing."""
    asyncio.run(_two_versions(inside.shell))
    inside.refused("models", *words, code=code, hint=hint)


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
    assert json.loads(capsys.readouterr().out)["destination"] == "s3://cli-session/models/cli/"
    assert main(["models", "verify", "cli", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == []
    assert main(["models", "restore", "cli", "back.pt"]) == 0
    assert (tmp_path / "back.pt").read_bytes() == bytes(10_000)


async def test_pruning_deletes_only_what_the_question_named(bucketry: Shell) -> None:
    """A version that becomes old while the question is on the screen is not deleted with those that it names."""
    await _two_versions(bucketry)
    words = ("models", "backup", "out", "resnet")
    ran = at_terminal(
        bucketry, "models", "prune", "resnet", "--keep", "1", answer="y", meanwhile=lambda: bucketry(*words)
    )
    assert ran.code == 1
    assert "resnet: versions or tags changed before the answer; nothing was deleted; run it again" in ran.screen
    versions = bucketry("models", "versions", "resnet", "--json").lines
    assert [line["version"] for line in versions] == ["v1", "v2", "v3"]
