"""Content types by suffix: the same on every machine, and without cost for reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bucketry._core.content_types import content_type_of

SCRIPT = """
import asyncio, mimetypes, sys
mimetypes.init([sys.argv[1]])
from bucketry._core.content_types import content_type_of
print(mimetypes.guess_type("a.html")[0], content_type_of("a.html"), content_type_of("a.odd"))
"""
READS = """
import asyncio, sys
from bucketry import MemoryProvider
async def main():
    provider = MemoryProvider()
    await provider.put("key", b"1")
    await provider.get("key")
asyncio.run(main())
print("mimetypes" in sys.modules)
"""


def run(script: str, *arguments: str) -> str:
    """Run a script in its own process."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_machines_own_types_do_not_count(tmp_path: Path) -> None:
    """A `mime.types` of the machine changes nothing."""
    own = tmp_path / "mime.types"
    own.write_text("text/own html odd\n")
    assert run(SCRIPT, str(own)) == "text/own text/html None"


def test_reading_loads_no_table() -> None:
    """A program that reads, or writes keys without a suffix, does not load the table."""
    assert run(READS) == "False"


@pytest.mark.parametrize("key", ["", ".", "a.", "a/.html", "a.html/", "a.html/b", "x.\0", "data:,x.y:z"])
def test_names_without_a_suffix(key: str) -> None:
    """A dot at the beginning or the end of the name, or in a directory's name, makes no suffix."""
    assert content_type_of(key) is None
