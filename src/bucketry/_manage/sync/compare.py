"""Compares two entries of equal size, one at the source and one at the target, by their times or checksums."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bucketry._core import checksums
from bucketry._core.checks import same_etag
from bucketry._core.mtimes import mtime_of
from bucketry._core.os_errors import local_error
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._manage.sync.entries import Entry
from bucketry._manage.sync.memo import StoredTime, TimeMemo, stored_time
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
        memo: The remembered times of the provider's objects; `None`: there are none.
    """

    url: str
    provider: StorageProvider | None = None
    prefix: str = ""
    root: str = ""
    memo: TimeMemo | None = None

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
        self._source_times: Mapping[str, StoredTime] = {}
        self._target_times: Mapping[str, StoredTime] = {}

    async def prepare(self, pairs: Sequence[tuple[Entry, Entry]]) -> None:
        """Look up the remembered times of the objects that are compared next.

        Cost: no request.
        """
        if self._compare == "size-mtime":
            self._source_times = await _remembered(self._source, (source for source, _ in pairs))
            self._target_times = await _remembered(self._target, (target for _, target in pairs))

    async def save(self) -> None:
        """Remember the times in the answers to HEADs.

        Cost: no request.
        """
        for place in (self._source, self._target):
            if place.memo is not None:
                await place.memo.flush()

    async def compare(self, source: Entry, target: Entry) -> Compared:
        """Compare the entries of one path.

        Raises:
            LocalFileError: A file cannot be read.

        Cost: 1 HEAD for each object; by time, only if the object's time is not known. By checksum: a file is read,
            unless it is empty. An object is read if it is not empty and has no stored checksum of the algorithm that is
            compared, see `_same_content`.
        """
        ours = await _look(self._source, source, self._source_times)
        if ours is None:
            return Compared(None, None, None)
        theirs = await _look(self._target, target, self._target_times)
        if theirs is None:
            return Compared(ours.state, None, "new")
        states = ours.state, theirs.state
        if ours.state.size != theirs.state.size:  # an entry was replaced after it was listed
            return Compared(*states, "size")
        if self._compare == "size-mtime":
            return Compared(*states, None if _same_mtime(ours, theirs) else "mtime")
        same = not ours.state.size or await _same_content(ours, theirs)
        return Compared(*states, None if same else "checksum")


@dataclass(frozen=True, slots=True)
class _ComparedSide:
    """The entry of one side, with a checksum that is stored or computed.

    Attributes:
        place: The side.
        entry: The file or object.
        state: The entry's state, with its time.
        head: The response to a HEAD of the object; `None` for a file, and for an object whose time is remembered.
        keeps_mtime: Whether the state's time is the time of the last change, and not the time when it was stored.
    """

    place: Place
    entry: Entry
    state: EntryState
    head: ObjectInfo | None = None
    keeps_mtime: bool = True

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


async def _remembered(place: Place, entries: Iterable[Entry]) -> Mapping[str, StoredTime]:
    if place.memo is None:
        return {}
    return await place.memo.look_up(entry.info for entry in entries if entry.info is not None)


async def _look(place: Place, entry: Entry, times: Mapping[str, StoredTime]) -> _ComparedSide | None:
    """Return the entry with its time; `None`: the object no longer exists.

    Cost: 1 HEAD for an object whose time is not in `times`.
    """
    if entry.info is None:
        return _ComparedSide(place, entry, state_of(entry))
    known = times.get(entry.info.key)
    if known is not None:
        state = EntryState(size=entry.size, mtime=known.mtime, etag=entry.info.etag)
        return _ComparedSide(place, entry, state, keeps_mtime=known.in_metadata)
    head = await place.head(entry)
    if head is None:
        return None
    found = stored_time(head)
    if place.memo is not None and head.size == entry.size and same_etag(head.etag, entry.info.etag):
        place.memo.note(entry.info, found)
    return _ComparedSide(place, entry, state_of(entry, head), head, keeps_mtime=found.in_metadata)


def _same_mtime(source: _ComparedSide, target: _ComparedSide) -> bool:
    """Return whether the times are equal, or a target without `mtime` was stored after the source's last change."""
    one, other = source.state.mtime, target.state.mtime
    if not target.keeps_mtime:
        return one is not None and other is not None and other >= one
    return same_time(one, other)


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
