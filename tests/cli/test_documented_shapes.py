"""The JSON documents of sync, datasets and models have exactly the fields that their docstrings name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from bucketry import LocalProvider, StorageManager
from bucketry._cli.bring_dataset import bring
from bucketry._cli.commands import find_command
from bucketry._cli.sync_report import ShownPlan, SyncTally
from tests.cli.conftest import Inside

pytestmark = pytest.mark.slow  # each test stores a dataset and two versions of a model

CASES: dict[str, tuple[tuple[str, ...], Callable[..., Any] | None]] = {
    "datasets list": ((), None),
    "datasets upload": (("src", "d"), None),
    "datasets download": (("cats", "out"), bring),
    "datasets ensure": (("cats", "out"), bring),
    "datasets info": (("cats",), None),
    "datasets delete": (("cats", "--yes"), None),
    "models list": ((), None),
    "models versions": (("resnet",), None),
    "models info": (("resnet",), None),
    "models backup": (("src", "resnet"), None),
    "models restore": (("resnet", "out"), None),
    "models verify": (("resnet",), None),
    "models tag": (("resnet", "v1", "prod"), None),
    "models untag": (("resnet", "prod"), None),
    "models prune": (("resnet", "--keep", "1", "--yes"), None),
    "sync": (("src", "{store}"), SyncTally.print_report),
}
"""The words after each verb, and the function whose docstring has the shape; `None`: the verb's `run`."""


def documented(function: Callable[..., Any]) -> set[str]:
    """Return the fields in the first braces of a docstring."""
    found = re.search(r"\{(.*?)\}", function.__doc__ or "", re.DOTALL)
    assert found is not None
    return set(re.findall(r'"(\w+)"', found[1]))


async def _store(inside: Inside) -> None:
    inside.shell.write("src/a", b"1")
    manager = StorageManager(LocalProvider({"base_path": str(inside.shell.store)}), memo_dir=None)
    await manager.upload_dataset("cats", inside.directory / "src")
    for content in (b"1", b"2"):
        await manager.backup_model(inside.shell.write("model.pt", content), "resnet")


@pytest.mark.parametrize("verb", CASES)
def test_the_document_of_a_verb(inside: Inside, verb: str) -> None:
    """A document, or the first JSON line, has the fields that the verb's docstring names, and no others."""
    asyncio.run(_store(inside))
    words, function = CASES[verb]
    store = f"file://{inside.directory}/store"
    line, *_ = inside.lines(*verb.split(), *(word.format(store=store) for word in words))
    assert set(line) == documented(function or _run_of(verb))


@pytest.mark.parametrize(
    ("words", "function"),
    [
        (("--dry-run",), ShownPlan.print_actions),
        (("--save-plan", "plan.jsonl"), ShownPlan.print_saved),
    ],
)
def test_the_other_documents_of_sync(inside: Inside, words: tuple[str, ...], function: Callable[..., Any]) -> None:
    """A dry run and a saved plan have the fields that their docstrings name."""
    inside.shell.write("src/a", b"1")
    line, *_ = inside.lines("sync", "src", f"file://{inside.directory}/store", *words)
    assert set(line) == documented(function)


def test_every_verb_of_datasets_and_models_is_here() -> None:
    """A new verb of datasets or models needs a line in the table above."""
    for group in ("datasets", "models"):
        assert {command.name for command in find_command(group).verbs} == {
            verb for verb in CASES if verb.startswith(group)
        }


def _run_of(verb: str) -> Callable[..., Any]:
    run: Callable[..., Any] = import_module(f"bucketry._cli.verbs.{verb.replace(' ', '.')}").run
    return run
