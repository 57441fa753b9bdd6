"""The verb `demo`, end to end with a real S3 server on the loopback."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest

from bucketry._cli.parser import parse
from bucketry._cli.sample import differences
from bucketry._cli.verbs import demo
from tests.cli.conftest import Shell, files_below

pytest.importorskip("moto")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]  # some 300 requests to a server in Python


def test_the_demo_moves_every_byte(bucketry: Shell, tmp_path: Path) -> None:
    """The demo prints its steps and the large object's transfer, says identical, and leaves no files."""
    bucketry.environ["TMPDIR"] = str(tmp_path)
    ran = bucketry("demo")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.text.splitlines() if line]
    assert [line[0] for line in lines[1:7]] == ["step", "make", "upload", "list", "download", "compare"]
    assert ["parts", "5"] in lines
    assert ["part", "size", "5.0", "MiB"] in lines
    assert ["concurrency", "8"] in lines
    assert ["download", "verified", "crc32"] in lines
    assert ["directories", "identical:", "yes"] in lines
    assert lines[lines.index(["to", "try", "next:"]) + 1] == ["bucketry", "demo", "--models"]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_as_json(bucketry: Shell) -> None:
    """With --json the demo prints one document, without the server's request log."""
    ran = bucketry("demo", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.document["identical"] is True
    assert [step["name"] for step in ran.document["steps"]] == ["make", "upload", "list", "download", "compare"]
    assert len({(step["files"], step["bytes"]) for step in ran.document["steps"]}) == 1
    large = ran.document["large_object"]
    assert large["size"] > 24 * 1024**2
    assert (large["parts"], large["concurrency"], large["verified"]) == (5, 8, "crc32")


def test_the_demo_with_files_of_ones_own(bucketry: Shell, tmp_path: Path) -> None:
    """--local uses those files, and --keep keeps the downloaded ones."""
    bucketry.environ["TMPDIR"] = str(tmp_path)
    bucketry.write("mine/a", b"1")
    bucketry.write("mine/b/c", b"22")
    ran = bucketry("demo", "--local", "mine", "--keep", "--json")
    assert ran.code == 0
    assert ran.document["source"] == "mine"
    restored = Path(ran.document["restored"])
    assert files_below(restored) == {"a": b"1", "b/c": b"22"}


def test_the_demo_fails_where_not_all_came_back(bucketry: Shell) -> None:
    """A file that cannot be transferred is named, and the exit code is 1."""
    bucketry.write("mine/a", b"1")
    (bucketry.directory / "mine/broken").symlink_to("nowhere")
    ran = bucketry("demo", "--local", "mine")
    assert ran.code == 1
    assert "failed: demo/broken" in ran.err
    assert "directories identical: NO\n" in ran.text


@pytest.mark.parametrize(("local", "code"), [("missing", 3), ("file", 2)])
def test_the_demo_needs_a_directory(bucketry: Shell, local: str, code: int) -> None:
    """--local must be an existing directory."""
    bucketry.write("file", b"x")
    ran = bucketry("demo", "--local", local)
    assert (ran.code, ran.err.count("\n")) == (code, 1)


def test_the_demo_without_moto_says_what_to_install(bucketry: Shell) -> None:
    """If the server is not installed, the message names the extra, and the exit code is 2."""
    ran = bucketry.scripted("import sys\nsys.modules['moto.server'] = None")("demo")
    assert ran.code == 2
    assert 'pip install ".[demo]"' in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_demo_leaves_nothing(bucketry: Shell, tmp_path: Path) -> None:
    """SIGINT in the middle of the demo removes its directories and ends with 130."""
    bucketry.environ["TMPDIR"] = str(tmp_path)
    with bucketry.start("demo") as running:
        while not [*tmp_path.glob("*/restored/*")]:
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate()
    assert (running.returncode, out) == (130, b"")
    assert [*tmp_path.iterdir()] == []


def test_the_demo_of_models(bucketry: Shell, tmp_path: Path) -> None:
    """--models takes a dataset and three versions of a model through all steps, and says what they show."""
    bucketry.environ["TMPDIR"] = str(tmp_path)
    ran = bucketry("demo", "--models")
    assert (ran.code, ran.err) == (0, "")
    assert "a dataset that is in step costs 1 request before each training\n" in ran.text
    assert "24.0 MiB of v2 and v3 were not sent again\n" in ran.text
    assert "restored files identical: yes\n" in ran.text
    assert "removed v1, kept v2, v3\n" in ran.text
    assert all(len(line) <= 80 for line in ran.text.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_the_demo_of_models_as_json(bucketry: Shell) -> None:
    """With --json it is one document with every step; --keep keeps the files."""
    ran = bucketry("demo", "--models", "--keep", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = ran.document
    assert [step["name"] for step in found["steps"]] == [
        "upload_dataset",
        "ensure_dataset",
        "ensure_dataset",
        "training_run",
        "backup_model",
        "backup_model",
        "tag_model",
        "verify_model",
        "restore_model",
        "prune_models",
    ]
    assert (found["steps"][2]["requests"], found["steps"][2]["sent"]) == (1, 0)
    assert (found["requests_when_in_step"], found["not_sent_again"]) == (1, 24 * 1024**2)
    assert (found["verified"], found["identical"], found["differing"]) == (True, True, [])
    assert (found["removed"], found["kept"]) == (["v1"], ["v2", "v3"])
    assert files_below(Path(found["work"], "restored")) == files_below(Path(found["work"], "model"))
    shutil.rmtree(found["work"])


def test_the_demo_of_models_makes_its_own_files(bucketry: Shell) -> None:
    """--models and --local contradict each other."""
    ran = bucketry("demo", "--models", "--local", "mine")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, b"", 1)
    assert "leave out --local" in ran.err


@pytest.mark.parametrize("line", [line for line, _ in (*demo.NEXT, *demo.NEXT_OF_MODELS)])
def test_what_the_demo_proposes_can_be_run(line: str) -> None:
    """Each command line that the demo proposes has the options of its verb."""
    parse(line.split())


def test_the_comparison_finds_every_difference(tmp_path: Path) -> None:
    """A file that is missing, shorter, longer or different is named; equal files are not."""
    here, there = Shell(tmp_path / "here"), Shell(tmp_path / "there")
    for shell, files in (
        (here, {"same": b"1", "missing": b"1", "bytes": b"12", "shorter": b"12", "longer": b"1"}),
        (there, {"same": b"1", "extra": b"1", "bytes": b"13", "shorter": b"1", "longer": b"12"}),
    ):
        for name, data in files.items():
            shell.write(name, data)
    found = differences(str(here.directory), str(there.directory))
    assert found == ["bytes", "extra", "longer", "missing", "shorter"]
