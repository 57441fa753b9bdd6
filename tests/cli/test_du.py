"""The verb `du`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from bucketry._cli.main import main
from bucketry._cli.objects import CountingDisplay, Tally
from tests.cli.conftest import Shell

SIZES = {"a/1": 1, "a/b/2": 20, "a/b/c/3": 300, "d/4": 4_000, "top": 50_000}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a local store with objects of known sizes, in the current directory."""
    for key, size in SIZES.items():
        path = tmp_path / "data/storage" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data/storage"


def added(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[int, int]]:
    """Return bytes and objects of each directory, and of `""`, the total."""
    assert main(["du", "--json", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["directory"]: (row["bytes"], row["objects"]) for row in found["directories"]}
    assert sum(row["bytes"] for row in found["storage_classes"]) == found["bytes"]
    return {**rows, "": (found["bytes"], found["objects"])}


def test_directories_include_those_below(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each directory down to the depth has the bytes and objects of everything below; the total has all."""
    total = {"": (54_321, 5)}
    assert added(capsys, "--depth", "0") == total
    assert added(capsys) == {"a/": (321, 3), "d/": (4_000, 1), **total}
    assert added(capsys, "--depth", "2") == {"a/": (321, 3), "a/b/": (320, 2), "d/": (4_000, 1), **total}
    assert added(capsys, "a/") == {"a/b/": (320, 2), "": (321, 3)}
    assert added(capsys, f"file://{store}/?/", "--exclude", "c/") == {"a/": (21, 2), "d/": (4_000, 1), "": (4_021, 3)}
    assert added(capsys, "--newer", "2100-01-01") == {"": (0, 0)}


@pytest.mark.usefixtures("store")
def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has sizes, objects and directories, in the wanted order, and the total last."""
    assert main(["du", "--sort", "size", "--reverse"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["3.9", "KiB", "1", "d/"], ["321", "B", "3", "a/"], ["53.0", "KiB", "5", "total"]]
    assert main(["du", "--sort", "objects", "--bytes"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["4,000", "1", "d/"], ["321", "3", "a/"], ["54,321", "5", "total"]]
    assert main(["du", "nope", "a/b"]) == 1
    assert capsys.readouterr().err.startswith("error: du: ")
    assert main(["du", "nope"]) == 3
    assert main(["du", "--depth", "-1"]) == 2


def test_a_long_count_is_shown_on_the_terminal() -> None:
    """The tally is shown at most 5 times a second, and its line is removed before anything else is printed."""
    now, screen, tally = [0.0], io.StringIO(), Tally()
    display = CountingDisplay(tally, screen, lambda: now[0])
    for moment in (0.1, 0.3, 0.4, 0.6):
        now[0] = moment
        tally.add(600)
        display.update()
    assert screen.getvalue() == "\rso far 2 objects, 1.2 KiB\rso far 4 objects, 2.3 KiB"
    display.clear()
    assert screen.getvalue().endswith("\r" + " " * 25 + "\r")
    display = CountingDisplay(tally, None, lambda: now[0] + 9)
    display.update()
    display.clear()


@pytest.mark.slow
def test_storage_classes(bucketry: Shell) -> None:
    """If objects have several storage classes, each is added up."""
    mixed = bucketry.scripted(
        "from dataclasses import replace\n"
        "from bucketry import MemoryProvider, StorageProviderFactory\n"
        "class Mixed(MemoryProvider):\n"
        "    async def list_page(self, prefix='', **rest):\n"
        "        for key in 'abc':\n"
        "            await self.put(key, b'12')\n"
        "        page = await super().list_page(prefix, **rest)\n"
        "        kinds = {'a': 'GLACIER', 'b': 'STANDARD', 'c': 'GLACIER'}\n"
        "        return replace(page, entries=tuple(replace(e, storage_class=kinds[e.key]) for e in page.entries))\n"
        "StorageProviderFactory.register('mixed', Mixed)"
    )
    rows = [line.split() for line in mixed("du", "--provider", "mixed").text.splitlines()]
    assert rows == [
        ["4", "B", "2", "(class", "GLACIER)"],
        ["2", "B", "1", "(class", "STANDARD)"],
        ["6", "B", "3", "total"],
    ]


def test_nothing_has_no_total(bucketry: Shell) -> None:
    """A word that selects nothing is an error, and nothing is printed as its sum; of several words, the others are."""
    bucketry.write("data/storage/k", b"x")
    ran = bucketry("du", "none")
    assert (ran.code, ran.out, ran.err.count("\n")) == (3, b"", 1)
    ran = bucketry("du", "none", "k")
    assert (ran.code, ran.text.split()) == (1, ["1", "B", "1", "total"])
