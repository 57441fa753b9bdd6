"""Only public functions read the environment; other code gets it as an argument."""

from __future__ import annotations

import ast
from pathlib import Path

import bucketry

PACKAGE = Path(bucketry.__file__).parent
DOORS = {
    "_cli/main.py",  # a command
    "_cli/terminal.py",  # `TERM` and `NO_COLOR`, which describe the terminal
    "_manage/manager.py",  # `StorageManager`
    "_session/pool.py",  # `SessionPool`
    "providers/factory.py",  # `storage_provider_from_env` and `open_storage`
}
READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def reads_environment(source: str) -> bool:
    """Tell whether a module uses the process's environment."""
    tree = ast.parse(source)
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "os"
        for alias in node.names
    }
    return bool(READERS & (named | imported))


def test_the_environment_is_read_at_the_doors_only() -> None:
    """Only the listed modules use `os.environ` and `os.getenv`; all others get variables as arguments."""
    readers = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if reads_environment(file.read_text(encoding="utf-8"))
    }
    assert readers == DOORS


def test_every_spelling_is_found() -> None:
    """The test above finds every form of access."""
    for source in ("import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"):
        assert reads_environment(source)
    assert not reads_environment("import os\nos.fspath('environ')")
