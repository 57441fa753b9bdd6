"""The commands of a day, as the documentation lists them, in order."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry._cli.commands import COMMANDS
from bucketry.testing import embedded_s3
from tests.cli import forks
from tests.cli.conftest import ENVIRON, s3_variables
from tests.cli.test_reference import programs

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "commands-of-a-day.md"
ROW = re.compile(r"^\| [^|]+ \| `(.+)` \|$", re.MULTILINE)
LINES = [line.replace("\\|", "|") for line in ROW.findall(PAGE.read_text(encoding="utf-8"))]
RARE = {"completion", "head", "demo"}
"""Verbs that nobody needs every day."""


@pytest.fixture
def day(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Make the files of the page, its bucket, its named place and a program `bucketry`; return the environment."""
    pytest.importorskip("moto")
    for name, data in (("data/a.csv", b"a,b\n"), ("data/sub/b.csv", b"c\n"), ("data/c.bin", bytes(100_000))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "model.pt").write_bytes(os.urandom(1_000))
    program = tmp_path / "bin" / "bucketry"
    forks.program(program)
    places = tmp_path / "config.toml"
    places.write_text('[places.prod]\nurl = "s3://my-bucket"\n', encoding="utf-8")
    places.chmod(0o600)
    with embedded_s3("my-bucket") as server:
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        ours = {"BUCKETRY_CONFIG": str(places), "BUCKETRY_SERVER": "aws", "PATH": path}
        yield {**os.environ, **ENVIRON, **s3_variables(server), **ours}


def test_there_are_thirty_and_every_verb_is_among_them() -> None:
    """The page lists 30 commands, with all verbs that are for every day."""
    assert len(LINES) == 30
    used = {words[1] for line in LINES for words in programs(line) if words[0] == "bucketry"}
    assert [one.name for one in COMMANDS if not used & set(one.words) and one.name not in RARE] == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_commands_of_a_day(day: dict[str, str], tmp_path: Path) -> None:
    """Each command of the page succeeds after those above it, and the results are what the page says."""
    for line in LINES:
        ran = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=day, capture_output=True, check=False)
        assert ran.returncode == 0, f"{line}\n{ran.stderr.decode()}"
        assert b"Traceback" not in ran.stderr
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n"
    for copy in ("copy", "back", "train"):
        assert (tmp_path / copy / "sub/b.csv").read_bytes() == b"c\n"
