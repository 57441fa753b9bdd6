"""Joins two sorted streams of entries, and stores which paths must not be changed. No I/O of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeAlias

from bucketry._manage.sync.entries import Batches, Entry
from bucketry.errors import IntegrityError

Pair: TypeAlias = tuple[Entry | None, Entry | None]
"""The entries of one path at source and target; `None`: there is no entry on this side."""


async def merged(source: Batches, target: Batches) -> AsyncGenerator[list[Pair], None]:
    """Join two streams: yield one pair of entries for each path, in batches, in the order of the paths.

    Raises:
        IntegrityError: A stream is not sorted, or has a path twice.

    Cost: memory for one batch of each stream.
    """
    async with aclosing(source), aclosing(target):
        left, right = _Side(source, "source"), _Side(target, "target")
        while True:
            await left.fill()
            await right.fill()
            if left.ended and right.ended:
                return
            if left.ended:
                yield [(None, entry) for entry in right.take()]
            elif right.ended:
                yield [(entry, None) for entry in left.take()]
            else:
                yield _joined(left, right)


class _Side:
    """One of the two streams, and its present batch."""

    def __init__(self, batches: Batches, name: str) -> None:
        self.entries: list[Entry] = []
        self.at = 0
        self.ended = False
        self._batches = batches
        self._name = name
        self._last: str | None = None

    async def fill(self) -> None:
        """Read the next batch if all entries of the present batch were joined."""
        while self.at == len(self.entries) and not self.ended:
            self.at = 0
            try:
                self.entries = await anext(self._batches)
            except StopAsyncIteration:
                self.entries = []
                self.ended = True
            self._check()

    def take(self) -> list[Entry]:
        """Return the rest of the batch."""
        rest = self.entries[self.at :]
        self.at = len(self.entries)
        return rest

    def _check(self) -> None:
        last = self._last
        for entry in self.entries:
            if last is not None and entry[0] <= last:
                raise IntegrityError(
                    f"the {self._name}'s entries are not in UTF-8 binary order: {entry.path!r} came after {last!r}; "
                    "a plan needs sorted listings, and nothing was changed"
                )
            last = entry[0]
        self._last = last


def _joined(left: _Side, right: _Side) -> list[Pair]:
    """Join the batches of both sides until one of them is used up, and return the pairs."""
    pairs: list[Pair] = []
    add = pairs.append
    ours, theirs = left.entries, right.entries
    i, j, ends, their_ends = left.at, right.at, len(ours), len(theirs)
    while i < ends and j < their_ends:
        source, target = ours[i], theirs[j]
        if source[0] == target[0]:
            add((source, target))
            i += 1
            j += 1
        elif source[0] < target[0]:
            add((source, None))
            i += 1
        else:
            add((None, target))
            j += 1
    left.at, right.at = i, j
    return pairs


class Protected:
    """Paths of entries that cannot be synced; nothing at or below such a path is changed.

    The methods must be called in the order of the paths.
    """

    def __init__(self) -> None:
        """Begin without paths."""
        self.paths: dict[str, str] = {}

    def add(self, path: str, reason: str) -> None:
        """Protect a path and everything below it."""
        self.reason(path)  # forgets earlier paths, so that many of them one after another need no memory
        self.paths[path.removesuffix("/")] = reason

    def reason(self, path: str) -> str | None:
        """Return why a path is protected; `None`: the path is not protected."""
        for top, reason in list(self.paths.items()):
            below = f"{top}/"
            if path == top or path.startswith(below):
                return reason
            if path > below:
                del self.paths[top]  # no later path is below it
        return None


class FilesAbove:
    """Finds paths below a path that is a file. A bucket can have the keys `a` and `a/b`, a file system cannot.

    `add` must be called in the order of the paths.
    """

    def __init__(self) -> None:
        """Begin without files."""
        self._below: list[str] = []

    def add(self, path: str) -> str | None:
        """Return the file above this path; `None`: there is no such file, and this path now counts as a file."""
        below = self._below
        while below and path > below[-1]:
            if path.startswith(below[-1]):
                return below[-1][:-1]
            below.pop()
        below.append(f"{path}/")
        return None
