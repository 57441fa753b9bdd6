"""Checks the pages for users of aioboto3, s3fs and obstore: both sides run, do the same, and differ as the pages say.

The other libraries are in the extra `peers`; without one, its tests are skipped. `nox -s peers` installs them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(110)]  # each side runs in its own process, with its own server


def library(name: str) -> Any:
    """Give a parameter that is skipped where the library is missing."""
    reason = f"{name} is not installed; the extra `peers` has it"
    return pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=reason))


LIBRARIES = [library("aioboto3"), library("obstore"), library("s3fs")]


def ask(program: str, argument: str, cwd: Path) -> Any:
    """Run a program of this directory in an empty one, and give the JSON that it printed."""
    cwd.mkdir(exist_ok=True)
    command = [sys.executable, str(Path(__file__).with_name(program)), argument]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", LIBRARIES)
def test_both_sides_of_a_page_do_the_same(name: str, tmp_path: Path) -> None:
    """The code of the other library and ours, run on equal servers, see the same and leave the same objects."""
    theirs = ask("everyday.py", str(EXAMPLES / f"with_{name}.py"), tmp_path / "theirs")
    ours = ask("everyday.py", str(EXAMPLES / "with_bucketry.py"), tmp_path / "ours")
    assert theirs == ours
    assert ours["file"]
    assert ours["open uploads"] == []


def test_our_side_does_what_the_pages_say(tmp_path: Path) -> None:
    """Our side of the pages works by itself, also where no other library is installed."""
    seen = ask("everyday.py", str(EXAMPLES / "with_bucketry.py"), tmp_path / "ours")
    assert seen["stored"] == ["text/plain", {"author": "me"}]
    assert seen["directory"] == {"one.txt": "1", "deep/two.txt": "2"}
    assert seen["ranges"] == ["line 0"] * 3
    assert seen["objects"]["archive/parts.bin"] == 5 * 1024 * 1024 + 7
    assert "parts.bin" not in seen["objects"]
    assert seen["create"] is False


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_table_of_differences_is_what_both_libraries_do(name: str, tmp_path: Path) -> None:
    """Each row of a page's table of behaviour has the answers that the two libraries gave just now."""
    page = (ROOT / "docs" / "how-to" / f"coming-from-{name}.md").read_text(encoding="utf-8")
    table = page.partition("## What behaves differently\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    asked = ask("differences.py", name, tmp_path / "asked")
    assert {question: [theirs, ours] for question, theirs, ours in rows} == asked
