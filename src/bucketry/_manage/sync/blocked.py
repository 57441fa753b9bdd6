"""Transfers that an entry of the target blocks: it is a file instead of a directory, or the reverse. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from bucketry._manage.sync.values import SyncAction
from bucketry.errors import LocalIsADirectoryError, StorageError, UnsafeKeyError

BLOCKED = (LocalIsADirectoryError, UnsafeKeyError)
"""The errors of a blocked transfer; other problems can also raise them."""


class Blocked:
    """The blocked transfers of a sync, kept in memory, because there are few.

    Attributes:
        errors: The error of each transfer, by its path.
        explained: The paths of the transfers that a deletion of the plan can make possible.
        deletions_below: The number of deletions below the path of a blocked transfer, where the target is a directory.
    """

    def __init__(self) -> None:
        """Begin without blocked transfers."""
        self.errors: dict[str, StorageError] = {}
        self.explained: set[str] = set()
        self.deletions_below: Counter[str] = Counter()
        self._below: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, path: str, error: StorageError) -> None:
        """Add a blocked transfer and its error."""
        self.errors[path] = error
        for parent in _parents(path):
            self._below[parent].add(path)

    def by(self, deletion: SyncAction) -> bool:
        """Return whether a deletion removes an entry that blocks a transfer."""
        return deletion.path in self._below or any(parent in self.errors for parent in _parents(deletion.path))

    def explain(self, deletion: SyncAction) -> None:
        """Store which transfers a deletion of the plan can make possible."""
        above = [parent for parent in _parents(deletion.path) if parent in self.errors]
        self.deletions_below.update(above)
        self.explained.update(above, self._below.get(deletion.path, ()))

    def forget(self) -> None:
        """Remove all blocked transfers, because they are not tried again."""
        self.errors.clear()
        self._below.clear()


def _parents(path: str) -> Iterator[str]:
    """Yield the directories above a path: `a` and `a/b` for `a/b/c`."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
