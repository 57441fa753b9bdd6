"""Imports have one direction: this table is the architecture, and the tests check the package against it.

They read the installed package's source, so the same tests check a wheel. Imports for type checkers
(`if TYPE_CHECKING:`) count like all others, because a reader follows them too.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "bucketry"

BELOW_MANAGE = {"errors", "_core", "_runtime", "_vendors", "_session", "_providers", "_transfer", "providers"}

MAY_IMPORT = {
    "errors": set(),
    "_core": {"errors"},
    "_runtime": {"errors", "_core"},
    "_vendors": {"errors", "_core"},
    "_wire": {"errors", "_core", "_runtime"},
    "_session": {"errors", "_core", "_runtime", "_wire"},
    "_providers": {"errors", "_core", "_runtime", "_vendors", "_wire", "_session"},
    "_transfer": {"errors", "_core", "_runtime"},
    "providers": {"errors", "_core", "_runtime", "_vendors", "_session", "_providers", "_transfer"},
    "testing": {"errors", "_core", "_providers", "providers"},
    "_cost": {"errors", "_core", "_vendors", "_transfer"},
    "_manage": BELOW_MANAGE | {"_cost"},
    # Compares servers with rows, so it needs rows and requests; it moves no objects, so it needs no managers.
    "_doctor": BELOW_MANAGE - {"_session", "_transfer"},
    "_cli": BELOW_MANAGE | {"_cost", "_manage", "_doctor", "testing", "__init__"},
    "__main__": {"_cli"},
    "__init__": BELOW_MANAGE | {"_cost", "_manage", "testing"},
}
"""Per top-level module or subpackage, what it may import of the package; `__init__` is `bucketry` itself."""

ONLY_IN = {
    "aiobotocore": {"_session", "_providers"},
    "botocore": {"_session", "_providers"},
    "socket": {"_wire"},
}
"""Libraries with a fixed place."""

BACKENDS = {"s3", "local", "memory"}
"""Folders of `_providers` that must not know each other; what they share lives beside them."""

LONGEST_MODULE = 400  # lines; see STYLE.md: split a longer module by topic

LAZY = (
    "__init__.py",
    "__main__.py",  # so that the collector is off while the program loads
    "providers/__init__.py",
    "providers/builtin.py",
    "providers/factory.py",
    "providers/reads.py",  # the transfer manager, which a listing does not need
    "providers/provider.py",  # conditional writes, which few programs make
    "providers/secret_sources.py",  # keyring, which few programs need
    "providers/url.py",  # urllib.parse, which only a URL needs
    "_cli/",
    "testing.py",
    "_core/checksums.py",  # awscrt: its import takes 60 ms, and a CRC that needs it may never be computed
    "_core/entries.py",  # difflib, which only an error message needs
    "_core/retry.py",  # random, which only a retry needs
    "_core/content_types.py",  # mimetypes reads system files, which reading objects does not need
    "_session/versions.py",  # importlib.metadata, which only an error message needs
    "_session/environment.py",  # urllib.request, which only a proxy needs
    "_providers/local/own_files.py",  # json, hashlib and shutil, which a listing does not need
    "_providers/s3/dates.py",  # email, which only an unusual date needs
    "providers/s3.py",  # the requests of `bucketry doctor`
    "_session/pool.py",  # aiobotocore: half a second that most programs never need
    "_providers/s3/planes.py",  # as above
    "_providers/s3/requests.py",  # hedged reads, which few providers make
)
"""Where an import may wait until it is needed; everywhere else it would hide a cycle."""


@dataclass(frozen=True)
class Import:
    """One import: its place, its name, and whether it is inside a function."""

    file: str
    line: int
    target: str
    in_function: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"

    @property
    def layer(self) -> str:
        """The row of the importing module."""
        return Path(self.file).parts[0].removesuffix(".py")

    @property
    def library(self) -> str:
        """The first word of the imported name."""
        return self.target.split(".")[0]

    @property
    def module(self) -> str:
        """The importing file's module name, below the package."""
        return self.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _targets(node: ast.AST, package: list[str]) -> list[str]:
    """Name everything that one statement or call imports, absolutely."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            parent = package[: len(package) - level + 1] if level else []
            source = ".".join([*parent, module] if module else parent)
            return [f"{source}.{alias.name}" for alias in names]
        case ast.Call(func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module")):
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    return [".".join([*package, name.lstrip(".")]) if name.startswith(".") else name]
            return ["(computed)"]
    return []


def _walk(node: ast.AST, package: list[str], *, in_function: bool = False) -> Iterator[tuple[int, str, bool]]:
    for target in _targets(node, package):
        yield getattr(node, "lineno", 0), target, in_function
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, package, in_function=inside)


def read_imports(root: Path) -> list[Import]:
    """Return every import of all modules below `root`, also those for type checkers."""
    found = []
    for path in sorted(root.rglob("*.py")):
        file = path.relative_to(root)
        package = [PACKAGE, *file.parts[:-1]]
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        found += [Import(file.as_posix(), *found_import) for found_import in _walk(tree, package)]
    return found


def _imported_layer(target: str, rows: set[str]) -> str:
    """Return the row that `bucketry.x.y` belongs to; names of the package itself belong to `__init__`."""
    below = target.split(".")[1:]
    return below[0] if below and below[0] in rows else "__init__"


def unlisted(root: Path) -> list[str]:
    """Return top-level modules and subpackages that have no row in the table."""
    names = {path.name.removesuffix(".py") for path in root.iterdir() if path.is_dir() or path.suffix == ".py"}
    return sorted(names - MAY_IMPORT.keys() - {"__pycache__"})


def wrong_way(imports: list[Import]) -> list[str]:
    """Return imports within the package that the table does not allow."""
    rows = set(MAY_IMPORT)
    return [
        str(found)
        for found in imports
        if found.library == PACKAGE
        and (layer := _imported_layer(found.target, rows)) not in MAY_IMPORT.get(found.layer, set())
        and layer != found.layer
    ]


def misplaced_libraries(imports: list[Import]) -> list[str]:
    """Return imports of a library in modules that may not use it."""
    return [str(found) for found in imports if found.library in ONLY_IN and found.layer not in ONLY_IN[found.library]]


def hidden(imports: list[Import]) -> list[str]:
    """Return imports inside functions, and computed imports, in modules that may not have them."""
    return [
        str(found)
        for found in imports
        if (found.in_function or found.target == "(computed)") and not found.file.startswith(LAZY)
    ]


def _edges(imports: list[Import], modules: set[str]) -> dict[str, set[str]]:
    """Return which module of the package imports which; `from a.b import c` names `a.b.c` or, if none, `a.b`."""
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for found in imports:
        if found.library == PACKAGE and found.module in modules:
            below = found.target.removeprefix(PACKAGE).removeprefix(".")
            imported = below if below in modules else below.rpartition(".")[0]
            if imported in modules and imported != found.module:
                edges[found.module].add(imported)
    return edges


def _reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    queue = [start]
    while queue:
        reached |= (new := edges.get(queue.pop(), set()) - reached)
        queue += new
    return reached


def _modules(root: Path) -> set[str]:
    files = {path.relative_to(root).as_posix() for path in root.rglob("*.py")}
    return {file.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for file in files}


def _backend(module: str) -> str | None:
    """Return the backend that `_providers.local.paths` belongs to, here `local`."""
    package, _, below = module.partition(".")
    word = below.partition(".")[0]
    return word if package == "_providers" and word in BACKENDS else None


def mixed_backends(root: Path, imports: list[Import]) -> list[str]:
    """Return import paths, direct or through shared modules, from one backend of `_providers` to another."""
    edges = _edges(imports, _modules(root))
    return [
        f"{start} reaches {end}"
        for start in sorted(edges)
        if _backend(start)
        for end in sorted(_reached(start, edges))
        if _backend(end) not in {None, _backend(start)}
    ]


def cycles(root: Path, imports: list[Import]) -> list[str]:
    """Return the modules that import themselves through other modules."""
    edges = _edges(imports, _modules(root))
    return [module for module in sorted(edges) if module in _reached(module, edges)]


def too_long(root: Path) -> list[str]:
    """Return the modules with more lines than the limit."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(root.rglob("*.py"))}
    return [f"{path.relative_to(root)}: {lines} lines" for path, lines in lengths.items() if lines > LONGEST_MODULE]


def repeated_class_names(root: Path) -> list[str]:
    """Return the names that more than one class of the package has; each verb of the command line has `Options`."""
    seen: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            verb = isinstance(node, ast.ClassDef) and node.name == "Options" and "verbs" in path.parts
            if isinstance(node, ast.ClassDef) and not verb:
                seen.setdefault(node.name, []).append(path.relative_to(root).as_posix())
    return [f"{name}: {', '.join(files)}" for name, files in seen.items() if len(files) > 1]


def filled_inits(root: Path) -> list[str]:
    """Return the `__init__.py` of private packages that hold more than a docstring."""
    filled = []
    for path in sorted(root.rglob("__init__.py")):
        file = path.relative_to(root)
        if not any(part.startswith("_") for part in file.parts[:-1]):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if len(tree.body) > (ast.get_docstring(tree) is not None):
            filled.append(file.as_posix())
    return filled


@pytest.fixture(scope="module")
def root() -> Path:
    """Return the directory of the installed package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


@pytest.fixture(scope="module")
def imports(root: Path) -> list[Import]:
    """Return the imports of the installed package."""
    return read_imports(root)


def test_every_module_has_a_row(root: Path) -> None:
    """Each top-level module and subpackage has a row in the table of layers."""
    assert unlisted(root) == []


def test_imports_go_one_way(imports: list[Import]) -> None:
    """No module imports a layer that its row does not allow."""
    assert any(found.library == PACKAGE for found in imports)
    assert wrong_way(imports) == []


def test_libraries_stay_in_their_place(imports: list[Import]) -> None:
    """Only the layers made for it import botocore, aiobotocore and sockets."""
    assert misplaced_libraries(imports) == []


def test_no_import_hides_in_a_function(imports: list[Import]) -> None:
    """Only the few lazy modules import inside functions."""
    assert hidden(imports) == []


def test_backends_do_not_know_each_other(root: Path, imports: list[Import]) -> None:
    """No backend imports another one, directly or through shared modules."""
    assert mixed_backends(root, imports) == []


def test_there_is_no_cycle(root: Path, imports: list[Import]) -> None:
    """No module imports itself through others, not even for type checkers."""
    assert cycles(root, imports) == []


def test_no_module_is_too_long(root: Path) -> None:
    """No module has more lines than the limit."""
    assert too_long(root) == []


def test_no_two_classes_share_a_name(root: Path) -> None:
    """A class is found by its name alone."""
    assert repeated_class_names(root) == []


def test_private_packages_have_empty_inits(root: Path) -> None:
    """The `__init__.py` of a private package has nothing but a docstring."""
    assert filled_inits(root) == []


def _scratch(directory: Path, file: str, source: str) -> Path:
    path = directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("errors.py", "import bucketry._core.units"),
        ("_core/values.py", "from bucketry import _vendors"),
        ("_core/values.py", "from .._vendors import rows"),
        ("_core/values.py", "if TYPE_CHECKING:\n    import bucketry._wire.lanes"),
        ("_wire/lanes.py", "from bucketry._vendors.row import Vendor"),
        ("_wire/lanes.py", "from bucketry._session.pool import SessionPool"),
        ("_transfer/plan.py", "from bucketry._vendors.rows import AWS"),
        ("_transfer/plan.py", "if True:\n    from bucketry._providers import local"),
        ("_providers/s3.py", "from bucketry._transfer.manager import TransferManager"),
        ("providers/factory.py", "def make():\n    from bucketry._manage import sync"),
        ("_manage/sync.py", "from bucketry._wire.lanes import Lane"),
        ("_session/pool.py", "from bucketry import SessionPool"),
        ("testing.py", "from bucketry._cli.main import main"),
    ],
)
def test_an_import_the_wrong_way_is_found(tmp_path: Path, file: str, source: str) -> None:
    """The check finds absolute, relative, nested and function-level imports that the table does not allow."""
    assert len(wrong_way(read_imports(_scratch(tmp_path, file, source)))) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_core/values.py", "from bucketry.errors import ConfigError"),
        ("_core/values.py", "from bucketry._core import units"),
        ("_transfer/plan.py", "from bucketry import errors"),
        ("_cli/main.py", "from bucketry import SessionPool"),
    ],
)
def test_an_import_the_right_way_is_allowed(tmp_path: Path, file: str, source: str) -> None:
    """The check allows the layers in a module's row, its own layer, and types."""
    assert wrong_way(read_imports(_scratch(tmp_path, file, source))) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_transfer/download.py", "import botocore.exceptions"),
        ("_cli/main.py", "def run():\n    from aiobotocore.session import get_session"),
        ("_session/pool.py", "from socket import create_connection"),
    ],
)
def test_a_misplaced_library_is_found(tmp_path: Path, file: str, source: str) -> None:
    """The check finds a library in a module that may not use it, also inside a function."""
    assert len(misplaced_libraries(read_imports(_scratch(tmp_path, file, source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def late():\n    import json",
        "class Late:\n    async def load(self):\n        from json import loads",
        "import importlib\nNAME = 'json'\nimportlib.import_module(NAME)",
        "import importlib\ndef late():\n    return importlib.import_module('json')",
    ],
)
def test_a_hidden_import_is_found(tmp_path: Path, source: str) -> None:
    """The check finds imports in functions and methods, and imports made by a call."""
    assert len(hidden(read_imports(_scratch(tmp_path, "_core/late.py", source)))) == 1
    assert hidden(read_imports(_scratch(tmp_path / "lazy", "_cli/late.py", source))) == []


def test_a_way_between_backends_is_found(tmp_path: Path) -> None:
    """The check finds a backend that imports another one, also through a shared module."""
    _scratch(tmp_path, "_providers/s3/requests.py", "from bucketry._providers.stored import listing")
    _scratch(tmp_path, "_providers/local/requests.py", "from bucketry._providers.local.paths import resolve")
    _scratch(tmp_path, "_providers/local/paths.py", "import os")
    _scratch(tmp_path, "_providers/memory/requests.py", "import os")
    _scratch(tmp_path, "_providers/stored/listing.py", "import os")
    assert mixed_backends(tmp_path, read_imports(tmp_path)) == []
    _scratch(tmp_path, "_providers/stored/listing.py", "from bucketry._providers.memory.requests import Requests")
    assert mixed_backends(tmp_path, read_imports(tmp_path)) == [
        "_providers.s3.requests reaches _providers.memory.requests"
    ]


def test_a_cycle_is_found(tmp_path: Path) -> None:
    """The check finds a cycle of several modules, also if one import is for type checkers only."""
    _scratch(tmp_path, "_core/one.py", "from bucketry._core import two")
    _scratch(tmp_path, "_core/two.py", "from bucketry._core.three import Three")
    _scratch(tmp_path, "_core/three.py", "import os")
    assert cycles(tmp_path, read_imports(tmp_path)) == []
    _scratch(tmp_path, "_core/three.py", "if TYPE_CHECKING:\n    from bucketry._core.one import One")
    assert cycles(tmp_path, read_imports(tmp_path)) == ["_core.one", "_core.three", "_core.two"]


def test_a_long_module_is_found(tmp_path: Path) -> None:
    """The check counts lines."""
    _scratch(tmp_path, "_core/long.py", "\n" * LONGEST_MODULE)
    assert too_long(tmp_path) == []
    _scratch(tmp_path, "_core/long.py", "\n" * (LONGEST_MODULE + 1))
    assert too_long(tmp_path) == [f"_core/long.py: {LONGEST_MODULE + 1} lines"]


def test_a_repeated_class_name_is_found(tmp_path: Path) -> None:
    """The check sees two classes of one name in different modules."""
    _scratch(tmp_path, "_core/one.py", "class Part: ...")
    _scratch(tmp_path, "_wire/two.py", "class Part: ...\nclass Other: ...")
    assert repeated_class_names(tmp_path) == ["Part: _core/one.py, _wire/two.py"]


def test_an_unlisted_module_and_a_filled_init_are_found(tmp_path: Path) -> None:
    """The checks find a module without a row, and code in a private `__init__.py`."""
    _scratch(tmp_path, "_utils/__init__.py", '"""Odds and ends."""\nX = 1')
    _scratch(tmp_path, "providers/__init__.py", "X = 1")
    _scratch(tmp_path, "_core/__init__.py", '"""Values."""')
    assert unlisted(tmp_path) == ["_utils"]
    assert filled_inits(tmp_path) == ["_utils/__init__.py"]
