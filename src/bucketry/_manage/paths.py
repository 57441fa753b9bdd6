"""Relative paths of the files of a dataset, a model or a checkpoint. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from bucketry._core.checks import OWN, local_parts
from bucketry._transfer.one.staging import is_staged
from bucketry.errors import UnsafeKeyError


def directories_of(path: str) -> list[str]:
    """Return the directories above a path, the highest first: for `"a/b/c"`, `["a", "a/b"]`."""
    return [path[:index] for index, letter in enumerate(path) if letter == "/"]


def check_paths(paths: Iterable[str], where: str) -> None:
    """Refuse paths that cannot all be files below one local directory.

    Args:
        paths: Relative paths, with `/` between the names.
        where: A URL or path for the beginning of messages.

    Raises:
        UnsafeKeyError: A path leads outside the directory, is a name of bucketry's own files, is given twice, or is
            also a directory of another path.
    """
    checked = []
    for path in paths:
        names = local_parts(path, where)
        if any(name.casefold() == OWN or is_staged(name) for name in names):
            message = f"{where}: {path!r} is a name that bucketry uses for its own files; rename the object"
            raise UnsafeKeyError(message, key=path)
        checked.append(names)
    checked.sort()  # as lists of names, so that a path comes directly before the paths below it
    for names, following in pairwise(checked):
        if names == following[: len(names)]:
            path, other = "/".join(names), "/".join(following)
            problem = "is given twice" if path == other else f"is a file, and {other!r} needs a directory there"
            message = f"{where}: {path!r} {problem}; rename one of the objects"
            raise UnsafeKeyError(message, key=path)
