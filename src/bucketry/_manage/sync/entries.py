"""The two sides of a sync as sorted streams of entries: the files below a directory, the objects below a prefix.

Entries come in batches, because a stream of single entries would take longer to pass on than to compare.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

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

BATCH = 250  # entries: about 1 ms of work for each step, so that the event loop is not blocked for longer
_PLAIN = re.compile(r"[\w-][\w.-]{0,200}(?:/[\w-][\w.-]{0,200})*", re.ASCII)
"""Most keys: safe as a local path at first sight, which is ten times as fast to see as all checks."""

_new = tuple.__new__  # makes an `Entry` in a third of the time of its constructor

Form: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]


class Entry(NamedTuple):
    """A file or an object of one side.

    Attributes:
        path: Below the directory or the prefix, in the form in which both sides are compared.
        size: Length in bytes.
        mtime: Of a file: the time of its last change, in nanoseconds since 1970.
        info: Of an object: its entry in the listing.
        problem: Why it cannot be synced; `None`: it can.
        name: The path as it is on this side, if it differs from `path`.
        twins: Other names of this side that become the same path.
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
        entries: Files or objects, also those that are not selected; not those that cannot be synced.
        included: Those of them that an include pattern matches.
        selected: Those of them that are not excluded.
    """

    entries: int = 0
    included: int = 0
    selected: int = 0


async def local_entries(root: str, filters: Filter, found: Found, *, may_be_missing: bool) -> Batches:
    """Give the selected files below a directory; it is read in worker threads.

    Left out are staged files of downloads, directories named `.bucketry` and the manifest of a dataset. An entry that
    cannot be synced is given with its problem, unless it is excluded.

    Args:
        root: The directory.
        filters: Selects the files.
        found: Counts the files.
        may_be_missing: Whether a directory that does not exist counts as empty.

    Raises:
        LocalFileNotFoundError: The directory does not exist.
        LocalNotADirectoryError: It is a file.
        LocalFileError: It cannot be read.
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
    """Give the error's message, with what UTF-8 cannot encode as escapes."""
    return str(unusable.error).encode("utf-8", "backslashreplace").decode()


async def provider_entries(
    provider: StorageProvider, prefix: str, filters: Filter, found: Found, *, as_files: bool, other_is_local: bool
) -> Batches:
    """Give the selected objects below a prefix.

    Left out are the marks of directories: objects without bytes whose keys end in `/`.

    Args:
        provider: The provider.
        prefix: Empty, or ends in `/`.
        filters: Selects the objects.
        found: Counts the objects.
        as_files: Whether the objects become files: a key that is no safe path is given with its problem.
        other_is_local: Whether the other side is a directory: what `local_entries` leaves out is left out here, too.

    Raises:
        IntegrityError: The listing has a key outside the prefix.

    Cost: 1 request for each 1,000 objects.
    """
    async with aclosing(every_object(provider, prefix)) as listed:
        infos: list[ObjectInfo | CommonPrefix] = []
        async for info in listed:
            infos.append(info)
            if len(infos) == BATCH:
                yield _selected(_objects(infos, prefix, as_files=as_files, local=other_is_local), filters, found)
                infos = []
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
    """Tell whether a file of this path is left out of a walk."""
    *directories, name = path.split("/")
    return path == DATASET_MANIFEST or is_staged(name) or any(part.casefold() == OWN for part in directories)


def _unsafe(path: str) -> str | None:
    try:
        local_parts(path)
    except UnsafeKeyError as error:
        return str(error)
    return None


def _selected(batch: list[Entry], filters: Filter, found: Found) -> list[Entry]:
    """Remove what is not selected, and count."""
    if filters.selects_all:
        usable = len([entry for entry in batch if entry.problem is None])
        found.entries += usable
        found.included += usable
        found.selected += usable
        return batch
    selected = []
    for entry in batch:
        if entry.problem is not None:
            # A directory that cannot be read may contain included files, so only what is excluded is left out.
            selected.append(entry)
            continue
        found.entries += 1
        if filters.includes(entry.path):
            found.included += 1
            if not filters.excludes(entry.path):
                found.selected += 1
                selected.append(entry)
    return selected


async def in_form(form: Form, side: Callable[[Found], Batches], found: Found) -> Batches:
    """Give the entries of a side under the names that a target gives them which normalizes names, in their order.

    Names that become the same one are given as `twins` of the first of them, or of that which is in the form already.
    The side is read twice: names that change may move to an earlier place. Memory grows with their number only.

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
                        else first._replace(twins=(*first.twins, entry.path))
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
                    joined.append(entry._replace(twins=(str(twin.name), *twin.twins)))
                else:
                    joined.append(entry)
            yield joined
    yield waiting[::-1]


def _changes(form: Form, entry: Entry) -> bool:
    """Tell whether the target would store an entry under another name."""
    return not entry.path.isascii() and entry.problem is None and not unicodedata.is_normalized(form, entry.path)
