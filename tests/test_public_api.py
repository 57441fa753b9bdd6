"""The public names are those in `__all__`, are documented, and are quick to import."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from types import ModuleType

import pytest

PUBLIC_MODULES = ("bucketry", "bucketry.errors", "bucketry.providers", "bucketry.testing")

PROVIDERS = {
    "BackblazeProvider",
    "CloudflareR2Provider",
    "DigitalOceanProvider",
    "IStorageProvider",
    "LocalProvider",
    "MemoryProvider",
    "S3Provider",
    "StorageProviderFactory",
    "WasabiProvider",
}

PROMISED = {
    "bucketry": PROVIDERS
    | {
        "BatchResult",
        "CommonPrefix",
        "ObjectInfo",
        "Progress",
        "SessionPool",
        "TransferConfig",
        "TransferManager",
        "TransferResult",
        "open_storage",
        "storage_provider_from_env",
    },
    "bucketry.errors": {
        "AccessDeniedError",
        "AlreadyExistsError",
        "AuthenticationError",
        "BucketNotFoundError",
        "ConfigError",
        "ConnectionFailedError",
        "IntegrityError",
        "InvalidRangeError",
        "NotFoundError",
        "PreconditionFailedError",
        "RequestTimeoutError",
        "StorageError",
        "ThrottledError",
        "TransientError",
        "UnsafeKeyError",
        "UnsupportedError",
    },
    "bucketry.providers": PROVIDERS - {"IStorageProvider"},
    "bucketry.testing": {"FaultyProvider"},
}
"""The documented public names; removing one is a breaking change, and starts with this list."""

HEAVY = ("botocore", "aiobotocore", "rich", "moto")


@pytest.fixture(params=PUBLIC_MODULES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    """Return each public module in turn."""
    return importlib.import_module(request.param)


def _exports(module: ModuleType) -> dict[str, object]:
    return {name: getattr(module, name) for name in module.__all__}


def _is_documented(item: object) -> bool:
    """Tell whether a docstring was written, and is not the signature that `dataclass` adds."""
    text = vars(item).get("__doc__") if isinstance(item, type) else inspect.getdoc(item)
    name = getattr(item, "__name__", "")
    return bool(text and text.strip()) and not str(text).startswith(f"{name}(")


def _members(kind: type) -> dict[str, object]:
    """Return the public functions and properties that a class itself defines."""
    return {
        name: getattr(kind, name)
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
    }


def test_all_is_sorted_and_has_no_twins(module: ModuleType) -> None:
    """`__all__` lists every name once, in order, and none that is private."""
    names = list(module.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if name.startswith("_") and name != "__version__"] == []


def test_every_listed_name_exists(module: ModuleType) -> None:
    """Every name in `__all__` can be imported, and `dir()` shows it."""
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []
    assert set(module.__all__) <= set(dir(module))


def test_every_promised_name_is_listed(module: ModuleType) -> None:
    """Every documented public name is in `__all__`."""
    assert PROMISED[module.__name__] - set(module.__all__) == set()


def test_nothing_public_is_left_out(module: ModuleType) -> None:
    """Every name of our own in a public module is in `__all__` or begins with an underscore."""
    shown = {
        name
        for name, item in inspect.getmembers(module)
        if not name.startswith("_")
        and not isinstance(item, ModuleType)
        and str(getattr(item, "__module__", "")).split(".")[0] == "bucketry"
        # Other modules import names to use them; only a package's `__init__` imports names to export them.
        and (hasattr(module, "__path__") or item.__module__ == module.__name__)
    }
    assert shown - set(module.__all__) == set()


def test_everything_public_is_documented(module: ModuleType) -> None:
    """Each public class and function has a docstring, and so has each of their public methods: not just "See …"."""
    assert _is_documented(module)
    bare = []
    for name, item in _exports(module).items():
        if not isinstance(item, type) and not inspect.isroutine(item):
            continue
        bare += [] if _is_documented(item) else [name]
        if isinstance(item, type) and item.__module__.startswith("bucketry"):
            texts = {member: inspect.getdoc(code) or "" for member, code in _members(item).items()}
            bare += [f"{name}.{member}" for member, text in texts.items() if not text or text.startswith("See ")]
    assert bare == []


def test_errors_of_the_package_are_storage_errors() -> None:
    """Every name that `bucketry.errors` exports is a `StorageError`."""
    errors = importlib.import_module("bucketry.errors")
    strangers = [name for name, item in _exports(errors).items() if not issubclass(item, errors.StorageError)]
    assert strangers == []


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    """An unknown name of the lazy package is the same error as for any module."""
    bucketry = importlib.import_module("bucketry")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bucketry.no_such_name


@pytest.mark.parametrize(
    "statement",
    [
        "import bucketry",
        "import bucketry.errors",
        "from bucketry import LocalProvider",
        "from bucketry import MemoryProvider",
    ],
)
def test_importing_stays_cheap(statement: str) -> None:
    """Importing the package, its errors or a simple provider loads no cloud, terminal or test-server library."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(json.loads(answer.stdout))
    assert "bucketry" in loaded
    assert loaded & set(HEAVY) == set()
