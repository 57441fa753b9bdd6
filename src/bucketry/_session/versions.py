"""The supported versions of aiobotocore, and the code for differences between versions.

This module imports neither aiobotocore nor botocore, so that it can report a version that does not work.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from bucketry._session.frames import without_frames
from bucketry._wire.errors import WireError
from bucketry.errors import UnsupportedError

SUPPORTED = "aiobotocore>=2.25.1,<4"
"""The same range as in `pyproject.toml`. The lower bound is the version that the newest aioboto3, 15.5, requires. The
lowest and the highest version are tested."""


@contextmanager
def fitting() -> Iterator[None]:
    """Run a `with` block that depends on the installed versions, and report a version that does not work.

    Raises:
        WireError: An installed version lacks a module, a name or an argument.
    """
    outer = sys.exception()
    try:
        yield
    except (ImportError, AttributeError, TypeError) as exc:
        installed = " and ".join(f"{name} {_version(name)}" for name in ("aiobotocore", "botocore"))
        problem = (
            f"bucketry does not work with {installed}, which are installed ({type(exc).__name__}: {exc}); "
            f'it needs {SUPPORTED}: python -m pip install "{SUPPORTED}"'
        )
        raise WireError(UnsupportedError, problem) from without_frames(exc, outer)


def present(module: ModuleType, *names: str) -> tuple[Any, ...]:
    """Return the values of `names` in the module, without names that the module lacks, as older versions do."""
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def _version(name: str) -> str:
    metadata = import_module("importlib.metadata")  # takes 15 ms, and is only needed for this message
    try:
        return str(metadata.version(name))
    except metadata.PackageNotFoundError:
        return "(not installed)"
