"""Yields the files below a directory, or the objects below a prefix, as entries in the order of their paths.

Entries come in batches, because passing on each entry alone would take longer than comparing it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeAlias

from bucketry._core.capabilities import UnicodeForm
from bucketry._core.checks import OWN, local_parts
from bucketry._core.values import CommonPrefix, ObjectInfo
from bucketry._manage.managed import DATASET_MANIFEST
from bucketry._manage.sync.filters import Filter
from bucketry._runtime.threads import in_thread
from bucketry._runtime.walk import FoundFile, Unusable, Walk
from bucketry._transfer.listing import every_object
from bucketry._transfer.one.staging import is_staged
from bucketry._transfer.tree.local_files import is_internal
from bucketry.errors import IntegrityError, LocalFileNotFoundError, UnsafeKeyError
from bucketry.providers.provider import StorageProvider

BATCH = 250  # entries; about 1 ms of work, so that the event loop is not blocked for longer
_PLAIN = re.compile(r"[\w-][\w.-]{0,200}(?:/[\w-][\w.-]{0,200})*", re.ASCII)
"""Matches most keys; a key that matches is a safe local path. This is ten times as fast as all checks."""

_new = tuple.__new__  # makes an `Entry` in a third of the time of its constructor


class Entry(NamedTuple):
    """A file or an object of one side.

    Attributes:
        path: The path below the directory or prefix, in the Unicode form in which both sides are compared.
        size: Length in bytes.
        mtime: The time of a file's last change, in nanoseconds since 1970; `None` for an object.
        info: The object in the listing; `None` for a file.
        problem: Why the entry cannot be synced; `None`: there is no problem.
        name: The path in the Unicode form of this side, if it differs from `path`.
        twins: Other names on this side that have the same path in the Unicode form of the target.
    """

    path: str
    size: int = 0
    mtime: int | None = None
    info: ObjectInfo | None = None
    problem: str | None = None
    name: str | None = None
    twins: tuple[str, ...] = ()


Batches: TypeAlias = AsyncGenerator[list[Entry], None]


@dataclass(slots=True)
class Found:
    """Counts the entries of one side.

    Attributes:
        entries: All files or objects that can be synced, selected or not.
        included: The entries that an include pattern matches.
        selected: The included entries that no exclude pattern matches.
        listed: All objects of the listing, also those that are left out or cannot be synced; 0 for a directory.
    """

    entries: int = 0
    included: int = 0
    selected: int = 0
    listed: int = 0


async def local_entries(root: str, filters: Filter, found: Found, *, may_be_missing: bool) -> Batches:
    """Yield the selected files below a directory, which is read in worker threads.

    Staged files of downloads, directories named `.bucketry` and the manifest of a dataset are left out. An entry that
    cannot be synced is yielded with its problem, except in an excluded directory.

    Args:
        root: The directory.
        filters: Selects the files.
        found: Counts the files.
        may_be_missing: Whether a directory that does not exist counts as empty.

    Raises:
        LocalFileNotFoundError: The directory does not exist.
        LocalNotADirectoryError: The path is a file.
        LocalFileError: The directory cannot be read.
    """

    def leave_out(key: str) -> bool:
        return is_internal(key) or (key[-1] == "/" and filters.excludes(key)) or key == DATASET_MANIFEST

    try:
        walk = await in_thread(partial(Walk, root, leave_out=leave_out))
    except LocalFileNotFoundError:
        if may_be_missing:
            return
        raise
    while batch := await in_thread(_take, walk):
        yield _selected(batch, filters, found)


def _take(walk: Walk) -> list[Entry]:
    batch = []
    for file in islice(walk, BATCH):
        if isinstance(file, FoundFile):
            batch.append(Entry(file.key, file.status.st_size, file.status.st_mtime_ns))
        else:
            if not file.key:
                raise file.error
            batch.append(Entry(file.key, problem=_reason(file)))
    return batch


def _reason(unusable: Unusable) -> str:
    """Return the error's message, with escapes for characters that UTF-8 cannot encode."""
    return str(unusable.error).encode("utf-8", "backslashreplace").decode()


async def provider_entries(
    provider: StorageProvider, prefix: str, filters: Filter, found: Found, *, as_files: bool, other_is_local: bool
) -> Batches:
    """Yield the selected objects below a prefix.

    The marks of directories are left out: empty objects whose keys end in `/`.

    Args:
        provider: The provider.
        prefix: Empty, or with `/` at the end.
        filters: Selects the objects.
        found: Counts the objects.
        as_files: Whether the objects become files; then a key that is not a safe path is yielded with its problem.
        other_is_local: Whether the other side is a directory; then the names that `local_entries` leaves out are left
            out here, too.

    Raises:
        IntegrityError: The listing has a key outside the prefix.

    Cost: 1 request for each 1,000 objects.
    """
    async with aclosing(every_object(provider, prefix)) as listed:
        infos: list[ObjectInfo | CommonPrefix] = []
        async for info in listed:
            infos.append(info)
            if len(infos) == BATCH:
                found.listed += BATCH
                yield _selected(_objects(infos, prefix, as_files=as_files, local=other_is_local), filters, found)
                infos = []
        found.listed += len(infos)
        yield _selected(_objects(infos, prefix, as_files=as_files, local=other_is_local), filters, found)


def _objects(infos: Iterable[ObjectInfo | CommonPrefix], prefix: str, *, as_files: bool, local: bool) -> list[Entry]:
    batch: list[Entry] = []
    add = batch.append
    start = len(prefix)
    for info in infos:
        if isinstance(info, CommonPrefix):
            continue
        key, size = info.key, info.size
        if not size and key[-1] == "/":
            continue
        if start and not key.startswith(prefix):
            raise IntegrityError(
                f"the listing of {prefix!r} has the key {key!r}, which does not begin with it", key=key
            )
        path = key[start:]
        if local and (path[:1] == "." or "/." in path) and _is_internal(path):
            continue
        problem = None
        if not path:
            problem = f"the key {key!r} is the prefix itself, so the entry has no name"
        elif as_files and not _PLAIN.fullmatch(path):
            problem = _unsafe(path)
        add(_new(Entry, (path, size, None, info, problem, None, ())))
    return batch


def _is_internal(path: str) -> bool:
    """Return whether `local_entries` leaves out a file of this path."""
    *directories, name = path.split("/")
    return (
        path == DATASET_MANIFEST
        or is_staged(name)
        or any(part.casefold() == OWN or is_staged(part) for part in directories)
    )


def _unsafe(path: str) -> str | None:
    try:
        local_parts(path)
    except UnsafeKeyError as error:
        return str(error)
    return None


def _selected(batch: list[Entry], filters: Filter, found: Found) -> list[Entry]:
    """Return the selected entries of a batch, and count them."""
    if filters.selects_all:
        usable = len([entry for entry in batch if entry.problem is None])
        found.entries += usable
        found.included += usable
        found.selected += usable
        return batch
    selected = []
    for entry in batch:
        if entry.problem is not None:
            # An unreadable directory may have included files, so an entry with a problem is kept; the planner
            # filters it.
            selected.append(entry)
            continue
        found.entries += 1
        if filters.includes(entry.path):
            found.included += 1
            if not filters.excludes(entry.path):
                found.selected += 1
                selected.append(entry)
    return selected


async def in_form(form: UnicodeForm, side: Callable[[Found], Batches], found: Found) -> Batches:
    """Yield the entries of a side for a target that normalizes names, with normalized paths and sorted by them.

    If several names have the same normalized path, one entry is yielded, with the other names as `twins`. It has the
    name that is normalized already, else the first name; if one of them has a problem, the entry has the problem. The
    side is read twice, because a name that changes may move to an earlier place. Memory grows only with the number of
    names that change.

    Args:
        form: The Unicode form of the target's names.
        side: Begins to read the side, and counts its entries.
        found: Counts the entries.
    """
    moved: dict[str, Entry] = {}
    async with aclosing(side(Found())) as batches:
        async for batch in batches:
            for entry in batch:
                if _changes(form, entry):
                    path = unicodedata.normalize(form, entry.path)
                    first = moved.get(path)
                    moved[path] = (
                        entry._replace(path=path, name=entry.path)
                        if first is None
                        else first._replace(twins=(*first.twins, entry.path), problem=first.problem or entry.problem)
                    )
    waiting = sorted(moved.values(), key=lambda entry: entry.path, reverse=True)
    async with aclosing(side(found)) as batches:
        async for batch in batches:
            joined: list[Entry] = []
            for entry in batch:
                if _changes(form, entry):
                    continue
                while waiting and waiting[-1].path < entry.path:
                    joined.append(waiting.pop())
                if waiting and waiting[-1].path == entry.path:
                    twin = waiting.pop()
                    problem = entry.problem or twin.problem
                    joined.append(entry._replace(twins=(str(twin.name), *twin.twins), problem=problem))
                else:
                    joined.append(entry)
            yield joined
    yield waiting[::-1]


def _changes(form: UnicodeForm, entry: Entry) -> bool:
    """Return whether the target would store the entry under another name."""
    return not entry.path.isascii() and not unicodedata.is_normalized(form, entry.path)
