"""No test patches the package: values that a test must vary are arguments or fields."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = "bucketry"
SETTERS = {"setattr", "delattr", "setitem", "delitem", "patch", "object", "dict", "multiple"}
"""The methods by which pytest's `monkeypatch` and `unittest.mock.patch` change something."""


def dotted(node: ast.AST) -> str:
    """Give a name with its attributes; empty: the node is neither."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def root(name: str | None) -> str:
    """Give the part before the first dot."""
    return (name or "").partition(".")[0]


def imported(tree: ast.Module) -> set[str]:
    """Give the names that a file imports from the package: modules, classes, functions, constants."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and root(node.module) == PACKAGE:
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or PACKAGE for alias in node.names if root(alias.name) == PACKAGE}
    return names


def changed(node: ast.AST) -> list[ast.expr]:
    """Give the names that a statement or a call changes."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return [target for target in targets if isinstance(target, ast.Attribute)]
        case ast.AugAssign(target=ast.Attribute() as target) | ast.AnnAssign(target=ast.Attribute() as target):
            return [target]
        case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] in SETTERS:
            return [first]
        case _:
            return []


def patches(source: str) -> list[str]:
    """Give each place of a file that changes something of the package, as `line: code`."""
    tree = ast.parse(source)
    names = imported(tree)

    def is_ours(target: ast.expr) -> bool:
        if isinstance(target, ast.Constant):
            return root(str(target.value)) == PACKAGE
        return root(dotted(target)) in names

    found = {
        node.lineno: ast.unparse(node)  # type: ignore[attr-defined]  # these nodes have a line number
        for node in ast.walk(tree)
        if any(is_ours(target) for target in changed(node))
    }
    return [f"{line}: {found[line]}" for line in sorted(found)]


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_patches_the_package(path: Path) -> None:
    """No test file sets an attribute of the package's modules and classes, or of modules reached through them."""
    assert patches(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr("bucketry._core.retry.FIRST_DELAY", 0.0)',
        'monkeypatch.setattr("bucketry._transfer.limits.asyncio.sleep", None)',
        'monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)',
        'monkeypatch.delattr(S3Provider, "head")',
        'monkeypatch.setattr(bucketry.S3Provider, "head", None)',
        'monkeypatch.setitem(retry.ONE_REPEAT, "x", 1)',
        'mock.patch("bucketry.S3Provider")',
        'mock.patch.object(S3Provider, "head")',
        "retry.FIRST_DELAY = 0.0",
        "retry.FIRST_DELAY += 1",
        "S3Provider.name: str = ''",
        "del S3Provider.head",
    ],
)
def test_a_patch_is_found(line: str) -> None:
    """Every form of a change to a module or a class is found."""
    source = f"import bucketry\nfrom bucketry import S3Provider\nfrom bucketry._core import retry\n{line}\n"
    assert patches(source) == [f"4: {ast.unparse(ast.parse(line))}"]


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(os, "fsync", None)',
        'monkeypatch.setenv("BUCKETRY_REGION", "x")',
        'provider = S3Provider({"bucket_name": "b"})',
        "self.provider = S3Provider",
        'object.__setattr__(self, "a", 1)',
    ],
)
def test_what_is_no_patch(line: str) -> None:
    """Names of other packages, and of the test itself, may be set."""
    assert patches(f"from bucketry import S3Provider\n{line}\n") == []
