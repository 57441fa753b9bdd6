"""The verbs `datasets …`, on the local disk and on a real S3 server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bucketry import LocalProvider, StorageManager
from bucketry._cli.main import main
from bucketry.errors import AccessDeniedError
from bucketry.testing import Fault, FaultyProvider
from tests.cli.conftest import Inside, Shell, files_below
from tests.cli.pseudo_terminal import at_terminal

pytestmark = pytest.mark.slow  # most tests start processes


async def _store(bucketry: Shell) -> dict[str, bytes]:
    """Store a dataset of two files, and return the files; without a process, because a process takes longer."""
    bucketry.write("cats/a.bin", b"a" * 1_000)
    bucketry.write("cats/sub/b.bin", b"b" * 500)
    manager = StorageManager(LocalProvider({"base_path": str(bucketry.store)}), memo_dir=None)
    await manager.upload_dataset("cats", bucketry.directory / "cats", metadata={"licence": "CC0"})
    return files_below(bucketry.directory / "cats")


def _objects(bucketry: Shell) -> dict[str, bytes]:
    """Return the bytes of each object, by its key."""
    return {key: data for key, data in files_below(bucketry.store).items() if not key.startswith(".bucketry/")}


async def test_a_dataset_goes_up_and_comes_back(bucketry: Shell) -> None:
    """`upload` stores a directory, `ensure` brings another one in step, and a second `ensure` has nothing to do."""
    expected = await _store(bucketry)
    again = bucketry("datasets", "upload", "cats", "cats", "--json").document
    assert (again["files"], again["bytes"], again["sent_files"], again["sent_bytes"]) == (2, 1_500, 0, 0)
    assert again["metadata"] == {"licence": "CC0"}
    first = bucketry("datasets", "ensure", "cats", "out", "--json").document
    assert (first["verb"], first["downloaded"], first["downloaded_bytes"]) == ("datasets ensure", 2, 1_500)
    assert files_below(bucketry.directory / "out").items() >= expected.items()
    second = bucketry("datasets", "ensure", "cats", "out")
    assert (second.code, second.err) == (0, "")
    assert "nothing: the directory was in step" in second.text


def test_a_download_repairs_what_an_ensure_trusts(inside: Inside) -> None:
    """`download` reads every local file, and says which files it replaced and which it left alone."""
    asyncio.run(_store(inside.shell))
    inside("datasets", "ensure", "cats", "out")
    inside.shell.write("out/a.bin", b"edited")
    inside.shell.write("out/own", b"mine")
    inside.refused("datasets", "download", "cats", "out", "--exact", code=2, hint="leave out --exact")
    done = inside.document("datasets", "download", "cats", "out")
    assert (done["replaced"], done["foreign"], done["removed"]) == (["a.bin"], ["own"], [])
    assert (inside.directory / "out/a.bin").read_bytes() == b"a" * 1_000


def test_datasets_are_listed_and_described(inside: Inside) -> None:
    """`list` prints the names, with --long the sizes; `info` prints one dataset, with --files its files."""
    asyncio.run(_store(inside.shell))
    assert inside("datasets", "ls") == "cats\n"
    assert inside.err.startswith("1 dataset below file://")
    assert inside.lines("datasets", "list") == [{"name": "cats"}]
    (line,) = inside.lines("datasets", "list", "--long")
    assert (line["files"], line["bytes"], line["has_manifest"]) == (2, 1_500, True)
    assert "1.5 KiB" in inside("datasets", "list", "-l")
    found = inside.document("datasets", "info", "cats", "--files")
    assert set(found) == {"name", "url", "files", "bytes", "created", "has_manifest", "metadata", "entries"}
    assert [entry["path"] for entry in found["entries"]] == ["a.bin", "sub/b.bin"]
    shown = inside("datasets", "info", "cats", "--files")
    assert "metadata.licence  CC0" in shown
    assert shown.endswith("500 B  sub/b.bin\n")


async def test_deleting_a_dataset_asks(bucketry: Shell) -> None:
    """Without a terminal --yes is needed; at a terminal `n` keeps the dataset and `y` deletes it."""
    await _store(bucketry)
    before = _objects(bucketry)
    refused = bucketry("datasets", "delete", "cats")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--yes" in refused.err
    no = at_terminal(bucketry, "datasets", "delete", "cats", answer="n", width=400)
    assert no.code == 1
    assert "2 files, 1.5 KiB? [y/N]" in no.screen
    assert _objects(bucketry) == before
    yes = at_terminal(bucketry, "datasets", "delete", "cats", answer="y", width=400)
    assert yes.code == 0
    assert "deleted the dataset cats" in yes.screen
    assert _objects(bucketry) == {}


async def test_what_an_interrupted_upload_has_left_can_be_deleted(bucketry: Shell) -> None:
    """The question says that the dataset is not complete; a name of which nothing is stored is an error instead."""
    bucketry.write("cats/a.bin", b"a")
    faults = (Fault(operation="put_object", nth=2, error=AccessDeniedError("not allowed")),)
    provider = FaultyProvider(LocalProvider({"base_path": str(bucketry.store)}), faults)
    with pytest.raises(AccessDeniedError):
        await StorageManager(provider, memo_dir=None).upload_dataset("cats", bucketry.directory / "cats")
    assert bucketry("datasets", "delete", "dogs").code == 3
    yes = at_terminal(bucketry, "datasets", "delete", "cats", answer="y", width=400)
    assert yes.code == 0
    assert "whose first upload is under way or was interrupted? [y/N]" in yes.screen
    assert _objects(bucketry) == {}


async def test_yes_deletes_without_a_terminal(bucketry: Shell) -> None:
    """With -y nothing is asked, and the report says what was deleted."""
    await _store(bucketry)
    ran = bucketry("datasets", "rm", "cats", "-y", "--json")
    assert (ran.code, ran.document["name"], ran.document["deleted"]) == (0, "cats", True)
    assert _objects(bucketry) == {}


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("info", "catz"), 3, "did you mean 'cats'"),
        (("ensure", "catz", "out"), 3, "did you mean 'cats'"),
        (("delete", "catz", "--yes"), 3, "did you mean 'cats'"),
        (("upload", "cats", "big/cats"), 2, "letters, digits"),
        (("upload", "nowhere", "cats"), 3, "nowhere"),
        (("upload", "cats", "cats", "--include", "*.png"), 2, "include and exclude"),
        (("upload", "cats", "cats", "--metadata", "a=1", "--metadata", "a=2"), 2, "gives a name twice"),
        (("upload", "cats"), 2, "NAME"),
        (("fetch", "cats"), 2, "unknown verb 'fetch' of datasets"),
        (("ensure", "cats", "out", "--exakt"), 2, "did you mean '--exact'"),
    ],
)
def test_bad_input(inside: Inside, words: tuple[str, ...], code: int, hint: str) -> None:
    """A wrong name, version, path or option gives one line that says what to do, and changes nothing."""
    asyncio.run(_store(inside.shell))
    inside.refused("datasets", *words, code=code, hint=hint)


@pytest.mark.usefixtures("s3_environment")
def test_datasets_on_s3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verbs work on S3 as on the disk."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").write_bytes(b"1")
    assert main(["datasets", "upload", "in", "cli", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["destination"] == "s3://cli-session/datasets/cli/"
    assert main(["datasets", "ensure", "cli", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["downloaded"] == 1
    assert main(["datasets", "delete", "cli", "--yes"]) == 0
    assert main(["datasets", "info", "cli"]) == 3


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("upload", "cats", "st:cats"), "write cats here, and add --url st:"),
        (("ensure", "st:", "out"), "write the name here, and add --url st:"),
        (("info", "s3://bucket/p/cats"), "write cats here, and add --url s3://bucket/p"),
        (("delete", "s3://bucket"), "write the name here, and add --url s3://bucket"),
        (("list", "st:"), "write --url st:"),
    ],
)
def test_a_place_is_no_name(inside: Inside, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], hint: str) -> None:
    """A place in the word of a dataset is refused with the option to write."""
    places = inside.shell.write("places.toml", f'[places.st]\nurl = "file://{inside.directory}/st"\n'.encode())
    places.chmod(0o600)
    monkeypatch.setenv("BUCKETRY_CONFIG", str(places))
    inside.refused("datasets", *words, code=2, hint=hint)
