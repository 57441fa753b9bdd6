"""No test changes the package under its feet: what a test needs to vary is an argument or a field."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = "bucketry"


def _name(node: ast.AST) -> str:
    """Give a dotted name as it is written; empty where it is no name."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _ours(tree: ast.Module) -> dict[str, bool]:
    """Give the names that the file imports from the package, and whether each is a module, class or function."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            found |= {alias.asname or alias.name: True for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or PACKAGE: True for alias in node.names if alias.name.split(".")[0] == PACKAGE}
    return found


def _is_patch(call: ast.Call) -> bool:
    name = _name(call.func)
    return name.rpartition(".")[2] in {"setattr", "delattr", "setitem", "delitem"} or "patch" in name.split(".")


def patched(source: str) -> list[str]:
    """Give the lines that change a module, class or function of the package: `line: statement`."""
    tree = ast.parse(source)
    ours = _ours(tree)
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Call) and _is_patch(node) and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and str(first.value).split(".")[0] == PACKAGE:
                found[node.lineno] = ast.unparse(node)
            elif _name(first).split(".")[0] in ours:
                found[node.lineno] = ast.unparse(node)
        elif isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Delete):
            targets = node.targets
        if any(isinstance(one, ast.Attribute) and _name(one).split(".")[0] in ours for one in targets):
            found[node.lineno] = ast.unparse(node)
    return [f"{line}: {found[line]}" for line in sorted(found)]
