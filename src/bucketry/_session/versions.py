"""The versions of aiobotocore that are supported, and the one place for what differs between them.

Nothing of aiobotocore or botocore is imported here: what is said of a version that does not fit must be sayable.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from types import ModuleType
from typing import Any

from bucketry._session.frames import without_frames
from bucketry._wire.errors import WireError
from bucketry.errors import UnsupportedError

SUPPORTED = "aiobotocore>=2.25.1,<4"
"""As in `pyproject.toml`. The lower bound is what the newest aioboto3, 15.5, pins; both ends are tested."""


@contextmanager
def fitting() -> Iterator[None]:
    """Do what depends on the installed versions.

    Raises:
        WireError: They lack a module, a name or an argument.
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
    """Give those of a module's names that it has, where newer versions have more of them than older ones."""
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"
