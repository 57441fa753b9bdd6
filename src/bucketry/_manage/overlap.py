"""Refuses a local directory that overlaps the directory in which a local provider keeps the objects."""

from __future__ import annotations

import os
from collections.abc import Callable

from bucketry._manage.sync.filters import exact_pattern
from bucketry.errors import InvalidRequestError

_LOCAL = "file://"


def refuse_overlap(url: str, local_dir: str, *, excludes: Callable[[str], bool] | None = None) -> None:
    """Refuse a local directory that is, contains, or is inside the directory of the objects. Blocks.

    Args:
        url: The URL of the objects' prefix, as `locate` returns it; only the URL of a local provider can overlap.
        local_dir: The local directory.
        excludes: Returns whether a directory below the local directory is left out, from its path with `/` at the end.
            If it leaves the directory of the objects out, they do not overlap.

    Raises:
        InvalidRequestError: The directories overlap.
    """
    place = local_place(url)
    real = os.path.realpath(local_dir)
    if place is None or os.path.commonpath((place, real)) not in (place, real):
        return
    advice = "choose another directory"
    if excludes is not None and _is_below(place, real):
        inside = f"{os.path.relpath(place, real)}/"
        if excludes(inside):
            return
        advice += f", or leave it out with exclude=[{exact_pattern(inside)!r}]"
    message = f"{local_dir}: overlaps {place}, where the provider keeps these objects; {advice}"
    raise InvalidRequestError(message, path=local_dir)


def store_below(url: str, local_dir: str) -> str | None:
    """Return the path of a local provider's directory relative to a local directory that contains it. Blocks.

    Args:
        url: The URL of the provider, as `locate` returns it.
        local_dir: The local directory.

    Returns:
        The path; `None`: it is another provider, or its directory is elsewhere.
    """
    place = local_place(url)
    real = os.path.realpath(local_dir)
    return os.path.relpath(place, real) if place is not None and _is_below(place, real) else None


def _is_below(place: str, directory: str) -> bool:
    return place != directory and os.path.commonpath((place, directory)) == directory


def local_place(url: str) -> str | None:
    """Return the real path of a local provider's URL; `None`: it is the URL of another provider. Blocks."""
    return os.path.realpath(url.removeprefix(_LOCAL)) if url.startswith(_LOCAL) else None
