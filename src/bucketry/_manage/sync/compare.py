"""Compares two entries of equal size, one at the source and one at the target, by their times or checksums."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass

from bucketry._core import checksums
from bucketry._core.mtimes import mtime_of, stored_at, stored_mtime
from bucketry._core.os_errors import local_error
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._manage.sync.entries import Entry
from bucketry._manage.sync.pins import object_at, same_time
from bucketry._manage.sync.values import Compare, EntryState
from bucketry._runtime.threads import in_steps, in_thread
from bucketry.providers.provider import StorageProvider

READ_ALGORITHM = "sha256"  # used if both contents must be read, because no checksum is stored
_CHUNK = MiB


@dataclass(frozen=True, slots=True)
class Place:
    """One side of a sync: a directory, or a prefix of a provider.

    Attributes:
        url: The URL or path in the plan's header.
        provider: The provider; `None`: this side is a directory.
        prefix: The prefix of the objects: empty, or with `/` at the end.
        root: The directory's absolute path.
    """

    url: str
    provider: StorageProvider | None = None
    prefix: str = ""
    root: str = ""

    def key(self, entry: Entry) -> str:
        """Return the object's key."""
        return self.prefix + (entry.name or entry.path)

    def file(self, entry: Entry) -> str:
        """Return the file's path."""
        return os.path.join(self.root, entry.name or entry.path)

    async def head(self, entry: Entry) -> ObjectInfo | None:
        """Request the object's properties; `None`: the object no longer exists.

        Cost: 1 HEAD.
        """
        assert self.provider is not None  # noqa: S101 - callers ask about objects
        return await object_at(self.provider, self.key(entry))


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of a comparison.

    Attributes:
        source: The state of the source's entry; `None`: it no longer exists.
        target: The state of the target's entry; `None`: it no longer exists.
        reason: Why the entry must be transferred, as in `SyncAction`; `None`: both sides are equal, or the source's
            entry no longer exists.
    """

    source: EntryState | None
    target: EntryState | None
    reason: str | None


def state_of(entry: Entry, head: ObjectInfo | None = None) -> EntryState:
    """Return the state of an entry; for an object, the state has a time only if the response to a HEAD is given."""
    if head is not None:
        return EntryState(size=head.size, mtime=mtime_of(head), etag=head.etag)
    if entry.info is not None:
        return EntryState(size=entry.size, etag=entry.info.etag)
    return EntryState(size=entry.size, mtime=entry.mtime)


class Comparer:
    """Compares entries of equal size at two places.

    Args:
        source: The source.
        target: The target.
        compare: `"size-mtime"` or `"checksum"`.
    """

    def __init__(self, source: Place, target: Place, compare: Compare) -> None:
        """Store the arguments; no I/O."""
        self._source = source
        self._target = target
        self._compare = compare

    async def compare(self, source: Entry, target: Entry) -> Compared:
        """Compare the entries of one path.

        Raises:
            LocalFileError: A file cannot be read.

        Cost: 1 HEAD for each object. By checksum: a file is read, unless it is empty. An object is read if it is not
            empty and has no stored checksum of the algorithm that is compared, see `_same_content`.
        """
        source_head = target_head = None
        if source.info is not None and (source_head := await self._source.head(source)) is None:
            return Compared(None, None, None)
        if target.info is not None and (target_head := await self._target.head(target)) is None:
            return Compared(state_of(source, source_head), None, "new")
        states = state_of(source, source_head), state_of(target, target_head)
        if states[0].size != states[1].size:  # an entry was replaced after it was listed
            return Compared(*states, "size")
        if self._compare == "size-mtime":
            same = _same_mtime(states[0], states[1], target_head)
            return Compared(*states, None if same else "mtime")
        ours = _ComparedSide(self._source, source, source_head)
        theirs = _ComparedSide(self._target, target, target_head)
        same = not states[0].size or await _same_content(ours, theirs)
        return Compared(*states, None if same else "checksum")


def _same_mtime(source: EntryState, target: EntryState, target_head: ObjectInfo | None) -> bool:
    """Return whether the times are equal, or a target without `mtime` was stored after the source's last change."""
    if target_head is not None and stored_mtime(target_head) is None:
        return source.mtime is not None and stored_at(target_head) >= source.mtime
    return same_time(source.mtime, target.mtime)


@dataclass(frozen=True, slots=True)
class _ComparedSide:
    """The entry of one side, with a checksum that is stored or computed.

    Attributes:
        place: The side.
        entry: The file or object.
        head: The response to a HEAD of the object; `None` for a file.
    """

    place: Place
    entry: Entry
    head: ObjectInfo | None

    def stored(self, algorithm: str) -> str | None:
        """Return the stored checksum; `None`: there is none."""
        return None if self.head is None else self.head.checksums.get(algorithm)

    def usable(self) -> str | None:
        """Return the best algorithm that has a stored checksum and can be computed here; `None`: there is none."""
        if self.head is None or self.place.provider is None:
            return None
        return checksums.first_usable(self.place.provider.capabilities.stored_checksums, self.head.checksums)

    async def sum(self, algorithm: str) -> str:
        """Return the stored checksum; if there is none, read the content and compute it."""
        if (stored := self.stored(algorithm)) is not None:
            return stored
        if self.head is None:
            return await in_steps(_file_sum(self.place.file(self.entry), algorithm))
        return await self._object_sum(algorithm)

    async def _object_sum(self, algorithm: str) -> str:
        assert self.place.provider is not None  # noqa: S101 - only an object has an answer to a HEAD
        digest = checksums.new(algorithm)
        async with self.place.provider.stream(self.place.key(self.entry), chunk_size=_CHUNK) as reader:
            async for chunk in reader:
                await in_thread(digest.update, chunk)
        return digest.hexdigest()


async def _same_content(source: _ComparedSide, target: _ComparedSide) -> bool:
    """Compare a checksum that both sides have stored, else a checksum that one side has stored, else SHA-256."""
    if source.head is not None and target.head is not None:
        for algorithm in source.head.checksums:
            if (stored := target.stored(algorithm)) is not None:
                return stored == source.stored(algorithm)
    algorithm = source.usable() or target.usable() or READ_ALGORITHM
    return await source.sum(algorithm) == await target.sum(algorithm)


def _file_sum(path: str, algorithm: str) -> Generator[None, None, str]:
    """Read a file in steps, for `in_steps`, and return its checksum."""
    digest = checksums.new(algorithm)
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                yield
    except OSError as exc:
        raise local_error(exc, path, "reading the file for its checksum") from exc
    return digest.hexdigest()
