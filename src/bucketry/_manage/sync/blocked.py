"""Transfers that an entry of the target blocks: a file where a directory is needed, or the other way around. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bucketry._manage.sync.values import SyncAction
from bucketry.errors import LocalIsADirectoryError, StorageError, UnsafeKeyError

BLOCKED = (LocalIsADirectoryError, UnsafeKeyError)
"""The errors of such a transfer; both have other reasons, too."""


class Blocked:
    """The blocked transfers of a sync; they are few, so they are kept in memory.

    Attributes:
        errors: The error of each transfer, by its path.
        explained: The paths of those that a deletion of the plan can make possible.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.errors: dict[str, StorageError] = {}
        self.explained: set[str] = set()
        self._below: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, path: str, error: StorageError) -> None:
        """Add a transfer."""
        self.errors[path] = error
        for parent in _parents(path):
            self._below[parent].add(path)

    def by(self, deletion: SyncAction) -> bool:
        """Tell whether a deletion removes an entry that blocks a transfer."""
        found = {parent for parent in _parents(deletion.path) if parent in self.errors}
        found |= self._below.get(deletion.path, set())
        self.explained |= found
        return bool(found)

    def forget(self) -> None:
        """Forget all: no deletion removes what blocks them."""
        self.errors.clear()
        self._below.clear()


def _parents(path: str) -> Iterator[str]:
    """Give the directories of a path: `a` and `a/b` for `a/b/c`."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
