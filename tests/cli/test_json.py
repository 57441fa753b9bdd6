"""The JSON output of each verb has the documented shape."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bucketry._cli.commands import all_commands
from tests.cli.conftest import Shell

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SCHEMAS = json.loads((REFERENCE / "json-schemas.json").read_text(encoding="utf-8"))
WITHOUT = {"cat"}
"""Verbs that write an object's bytes, so they refuse `--json`."""
VERBS = tuple(command.name for command in all_commands() if command.name not in WITHOUT)

RUNS: dict[str, tuple[str, ...]] = {
    "list": ("list", "list --delimiter /", "list -l --sort size"),
    "upload": ("upload tree up/", "upload tree/a.txt one.txt"),
    "download": ("download data/ out", "download k.txt out.txt"),
    "sync": (
        "sync --direction upload --local tree --remote data/ --dry-run",
        "sync --direction upload --local tree --remote new/ --save-plan plan.jsonl",
        "sync --direction upload --local tree --remote new/",
    ),
    "copy": ("copy k.txt k2.txt", "copy -r data/ copied/ --dry-run", "copy -r data/ copied/"),
    "move": ("move k.txt k2.txt --dry-run", "move k.txt k2.txt"),
    "info": ("info", "info k.txt"),
    "delete": ("delete k.txt", "delete --prefix data/ -r --dry-run", "delete --prefix data/ -r"),
    "head": ("head k.txt",),
    "du": ("du",),
    "presign": ("presign s3://bucket/k.txt",),
    "uploads list": ("uploads list --all", "uploads list --all --long"),
    "uploads abort": ("uploads abort --dry-run", "uploads abort --all --yes"),
    "datasets list": ("datasets list", "datasets list --long"),
    "datasets upload": ("datasets upload tree dogs",),
    "datasets download": ("datasets download cats out",),
    "datasets ensure": ("datasets ensure cats out",),
    "datasets info": ("datasets info cats",),
    "datasets delete": ("datasets delete cats --yes",),
    "models list": ("models list", "models list --long"),
    "models versions": ("models versions resnet",),
    "models info": ("models info resnet",),
    "models backup": ("models backup tree resnet",),
    "models restore": ("models restore resnet out",),
    "models verify": ("models verify resnet",),
    "models tag": ("models tag resnet v1 prod",),
    "models untag": ("models tag resnet v1 old", "models untag resnet old"),
    "models prune": ("models prune resnet --keep 1 --dry-run", "models prune resnet --keep 1 --yes"),
    "cost": ("cost --storage 1TB --egress 1TB", "cost data/"),
    "doctor": ("doctor --no-throughput",),
    "completion": ("completion bash",),
    "demo": ("demo", "demo --models"),
}
"""Command lines whose results are documents of the verb, or, in between, steps that it needs."""
OTHER = {"models tag resnet v1 old": "models tag"}


def check(document: Any, name: str) -> None:
    """Compare a document with the definition of a name."""
    schema = {**SCHEMAS, "$ref": f"#/$defs/{name}"}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)


def _store(bucketry: Shell, verb: str) -> None:
    """Make what the command lines of a verb find."""
    bucketry.environ |= {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    bucketry.write("tree/a.txt", b"text")
    bucketry.write("tree/sub/größe.bin", bytes(100_000))
    bucketry.write("data/storage/k.txt", b"text")
    bucketry.write("data/storage/data/a.txt", b"other")
    if verb.startswith("uploads"):
        made = bucketry.scripted(
            "import asyncio, sys\n"
            "from bucketry import LocalProvider\n"
            "asyncio.run(LocalProvider().start_upload('open'))\n"
            "sys.argv[1:] = ['--version']"
        )()
        assert made.code == 0, made.err
    if verb.startswith("datasets"):
        assert bucketry("datasets", "upload", "tree", "cats").code == 0
    if verb.startswith("models"):
        assert bucketry("models", "backup", "tree/a.txt", "resnet", "--metadata", "loss=0.1").code == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("verb", VERBS)
def test_the_output_of_a_verb_has_its_shape(bucketry: Shell, verb: str) -> None:
    """What a verb prints with --json is one document, or lines, as the reference describes it."""
    _store(bucketry, verb)
    documents = 0
    for line in RUNS[verb]:
        ran = bucketry(*line.split(), "--json")
        assert ran.code == 0, ran.err
        for document in ran.lines:
            check(document, OTHER.get(line, verb))
            documents += 1
    assert documents >= len(RUNS[verb])


@pytest.mark.slow
@pytest.mark.parametrize("words", [("lst",), ("info", "missing"), ("download", "missing", "out"), ("cat", "k")])
def test_an_error_has_its_shape(bucketry: Shell, words: tuple[str, ...]) -> None:
    """An error is one line on standard error, of the documented shape."""
    ran = bucketry(*words, "--json")
    assert (ran.code, ran.out) in {(2, b""), (3, b"")}
    document = json.loads(ran.err)
    check(document, "error")
    assert document["error"]["exit_code"] == ran.code


@pytest.mark.slow
def test_a_transfer_that_fails_in_part_has_its_shape(bucketry: Shell) -> None:
    """A file that cannot be sent is in the document, and is an error on standard error."""
    bucketry.write("tree/a", b"x")
    (bucketry.directory / "tree/link").symlink_to("..")
    ran = bucketry("upload", "tree", "k/", "--json")
    assert ran.code == 1
    check(ran.document, "upload")
    assert [one["key"] for one in ran.document["failed"]] == ["k/link"]
    check(json.loads(ran.err), "error")


@pytest.mark.slow
def test_what_writes_bytes_refuses_json(bucketry: Shell) -> None:
    """A verb without a document says that it has none."""
    bucketry.write("data/storage/k", b"x")
    for verb in WITHOUT:
        ran = bucketry(verb, "k", "--json")
        assert (ran.code, ran.out) == (2, b"")
        assert "--json cannot be used" in ran.err


def test_each_verb_has_a_shape() -> None:
    """The schemas describe exactly the verbs that have documents, and each field says what it is."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS)
    assert set(VERBS) <= set(SCHEMAS["$defs"])
    assert set(VERBS) == set(RUNS)
    for name, schema in SCHEMAS["$defs"].items():
        for field, value in schema.get("properties", {}).items():
            known = {"description", "$ref"} & set(value)
            assert known, f"{name}: {field} has no description"


def test_the_page_is_current() -> None:
    """The page of the JSON output is what its generator makes of the schemas."""
    generator = runpy.run_path(str(REFERENCE.parent / "generate_json.py"))
    written = (REFERENCE / "json.md").read_text(encoding="utf-8")
    assert written == generator["render"](), "run `python docs/generate_json.py`"
