"""Runs the command line inside this process, in a directory with named places: fast, and with providers of the test."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bucketry._cli.main import main
from tests.cli.conftest import files_below


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON Lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Inside:
    """The command line, in a directory with the places `st:` and `two:`, which are local stores there."""

    directory: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Said:
        """Run to the end."""
        code = main(list(words))
        printed = self.capsys.readouterr()
        return Said(code, printed.out, printed.err)

    def write(self, name: str, data: bytes = b"x", *, age: float = 0) -> Path:
        """Make a file that is some seconds old."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if age:
            moment = path.stat().st_mtime - age
            os.utime(path, (moment, moment))
        return path

    def files(self, name: str) -> dict[str, bytes]:
        """Return the bytes of each file below a directory, without what a local store keeps for itself."""
        found = files_below(self.directory / name)
        return {key: data for key, data in found.items() if not key.startswith(".bucketry")}


def configured(directory: Path, more: str = "") -> str:
    """Write the places into a configuration file, and return its path."""
    file = directory / "places.toml"
    file.write_text(f'[places.st]\nurl = "file://{directory}/st"\n[places.two]\nurl = "file://{directory}/two"\n{more}')
    file.chmod(0o600)
    return str(file)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    """Return the command line in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUCKETRY_CONFIG", configured(tmp_path))
    return Inside(tmp_path, capsys)
