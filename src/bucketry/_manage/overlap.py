"""Refuses a local directory that overlaps the directory in which a local provider keeps the objects."""

from __future__ import annotations

import os

from bucketry.errors import InvalidRequestError

_LOCAL = "file://"


def refuse_overlap(url: str, local_dir: str) -> None:
    """Refuse a local directory that is, contains, or is inside the directory of the objects. Blocks.

    Args:
        url: The URL of the objects' prefix, as `locate` returns it; only the URL of a local provider can overlap.
        local_dir: The local directory.

    Raises:
        InvalidRequestError: The directories overlap.
    """
    place = local_place(url)
    real = os.path.realpath(local_dir)
    if place is not None and os.path.commonpath((place, real)) in (place, real):
        message = f"{local_dir}: overlaps {place}, where the provider keeps these objects; choose another directory"
        raise InvalidRequestError(message, path=local_dir)


def local_place(url: str) -> str | None:
    """Return the real path of a local provider's URL; `None`: it is the URL of another provider. Blocks."""
    return os.path.realpath(url.removeprefix(_LOCAL)) if url.startswith(_LOCAL) else None
