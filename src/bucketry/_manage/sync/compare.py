"""Compares a file or object of equal size at source and target: by the time of its content, or by its checksum."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass

from bucketry._core import checksums
from bucketry._core.checks import same_etag
from bucketry._core.mtimes import mtime_of, stored_at, stored_mtime
from bucketry._core.os_errors import local_error
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo
from bucketry._manage.sync.entries import Entry
from bucketry._manage.sync.pins import same_time
from bucketry._manage.sync.values import Compare, EntryState
from bucketry._runtime.threads import in_steps, in_thread
from bucketry.errors import NotFoundError
from bucketry.providers.provider import StorageProvider

READ_ALGORITHM = "sha256"  # of two contents that are both read, because no checksum is stored
_CHUNK = MiB


@dataclass(frozen=True, slots=True)
class Place:
    """One side of a sync: a directory, or a prefix of a provider.

    Attributes:
        url: Its name in the plan's header.
        provider: The provider; `None`: the place is a directory.
        prefix: Of the objects: empty, or ends in `/`.
        root: The directory's absolute path.
    """

    url: str
    provider: StorageProvider | None = None
    prefix: str = ""
    root: str = ""

    def key(self, entry: Entry) -> str:
        """Give the object's key."""
        return self.prefix + (entry.name or entry.path)

    def file(self, entry: Entry) -> str:
        """Give the file's path."""
        return os.path.join(self.root, entry.name or entry.path)

    async def head(self, entry: Entry) -> ObjectInfo | None:
        """Ask for the object's properties; `None`: it is gone.

        Cost: 1 HEAD.
        """
        assert self.provider is not None  # noqa: S101 - callers ask about objects
        try:
            return await self.provider.head(self.key(entry))
        except NotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison saw.

    Attributes:
        source: The source's state; `None`: it is gone.
        target: The target's state; `None`: it is gone.
        reason: Why it must be transferred: as in `SyncAction`; `None`: both are in step, or the source is gone.
    """

    source: EntryState | None
    target: EntryState | None
    reason: str | None


def state_of(entry: Entry, head: ObjectInfo | None = None) -> EntryState:
    """Give the state of an entry, of an object with its time if there is the answer to a HEAD."""
    if head is not None:
        return EntryState(size=head.size, mtime=mtime_of(head), etag=head.etag)
    if entry.info is not None:
        return EntryState(size=entry.size, etag=entry.info.etag)
    return EntryState(size=entry.size, mtime=entry.mtime)


class Comparer:
    """Compares entries of equal size of two places.

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

        Cost: 1 HEAD for each object. By checksum: a file is read, unless it is empty; an object is read only if no
            checksum is stored that this installation can compute, or that both objects have.
        """
        source_head = target_head = None
        if source.info is not None and (source_head := await self._source.head(source)) is None:
            return Compared(None, None, None)
        if target.info is not None and (target_head := await self._target.head(target)) is None:
            return Compared(state_of(source, source_head), None, "new")
        states = state_of(source, source_head), state_of(target, target_head)
        if states[0].size != states[1].size:  # one was replaced since it was listed
            return Compared(*states, "size")
        if self._compare == "size-mtime":
            same = _same_mtime(states[0], states[1], target_head)
            return Compared(*states, None if same else "mtime")
        ours = _ComparedSide(self._source, source, source_head)
        theirs = _ComparedSide(self._target, target, target_head)
        same = not states[0].size or await _same_content(ours, theirs)
        return Compared(*states, None if same else "checksum")


def _same_mtime(source: EntryState, target: EntryState, target_head: ObjectInfo | None) -> bool:
    """Tell whether both have the same time, or the target was stored after the source's last change."""
    if target_head is not None and stored_mtime(target_head) is None:
        return source.mtime is not None and stored_at(target_head) >= source.mtime
    return same_time(source.mtime, target.mtime)


@dataclass(frozen=True, slots=True)
class _ComparedSide:
    """The content of one side, whose checksum is stored or computed.

    Attributes:
        place: The side.
        entry: Its file or object.
        head: Of an object, the answer to a HEAD.
    """

    place: Place
    entry: Entry
    head: ObjectInfo | None

    def stored(self, algorithm: str) -> str | None:
        """Give the stored checksum; `None`: there is none."""
        return None if self.head is None else self.head.checksums.get(algorithm)

    def usable(self) -> str | None:
        """Give the best of the stored checksums that can be computed here; `None`: there is none."""
        if self.head is None or self.place.provider is None:
            return None
        return checksums.first_usable(self.place.provider.capabilities.stored_checksums, self.head.checksums)

    async def sum(self, algorithm: str) -> str:
        """Give the checksum: the stored one, or the computed one."""
        if (stored := self.stored(algorithm)) is not None:
            return stored
        if self.head is None:
            return await in_steps(_file_sum(self.place.file(self.entry), algorithm))
        return await self._object_sum(self.head, algorithm)

    async def _object_sum(self, head: ObjectInfo, algorithm: str) -> str:
        assert self.place.provider is not None  # noqa: S101 - only an object has an answer to a HEAD
        digest = checksums.new(algorithm)
        async with self.place.provider.stream(self.place.key(self.entry), chunk_size=_CHUNK) as reader:
            if not same_etag(reader.info.etag, head.etag):
                return ""  # replaced meanwhile: it differs from what was seen, and applying the plan finds it changed
            async for chunk in reader:
                await in_thread(digest.update, chunk)
        return digest.hexdigest()


async def _same_content(source: _ComparedSide, target: _ComparedSide) -> bool:
    """Compare by a checksum that both sides have stored, else by one that a side has stored, else by SHA-256."""
    if source.head is not None and target.head is not None:
        for algorithm in source.head.checksums:
            if (stored := target.stored(algorithm)) is not None:
                return stored == source.stored(algorithm)
    algorithm = source.usable() or target.usable() or READ_ALGORITHM
    return await source.sum(algorithm) == await target.sum(algorithm)


def _file_sum(path: str, algorithm: str) -> Generator[None, None, str]:
    """Read a file and give its checksum; blocks between its steps."""
    digest = checksums.new(algorithm)
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                yield
    except OSError as exc:
        raise local_error(exc, path, "reading the file for its checksum") from exc
    return digest.hexdigest()
