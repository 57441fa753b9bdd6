"""The files and objects that the sources of `copy` and `move` select."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from bucketry._cli.commands import UsageError
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.words import End, Local
from bucketry._cli.glob_check import check_glob
from bucketry._cli.globs import Glob
from bucketry._cli.objects import nothing_there
from bucketry._cli.place import Remote
from bucketry._cli.selection import Filters, base_of, keys_from, narrows, selected
from bucketry._core.checks import local_parts
from bucketry._core.os_errors import local_error
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry._runtime.walk import FoundFile
from bucketry._transfer.tree.local_files import walk_to_upload
from bucketry.errors import AccessDeniedError, LocalNotADirectoryError, NotFoundError, StorageError

_BATCH = 256  # files found in one call in a thread


@dataclass(frozen=True, slots=True)
class Item:
    """One file or object to copy.

    Attributes:
        name: Its path below the destination, if the destination is a directory or prefix.
        label: Its path or URL, for messages.
        path: The local file; `None`: it is an object.
        provider: The provider of the object.
        key: The object.
        entry: The object's entry in a listing or from a HEAD; `None`: not known yet.
        size: The length in bytes; `None`: not known yet.
        error: Why it cannot be copied.
    """

    name: str
    label: str
    path: str | None = None
    provider: IStorageProvider | None = None
    key: str = ""
    entry: ObjectInfo | None = None
    size: int | None = None
    error: StorageError | None = None


@dataclass(frozen=True, slots=True)
class CopySource:
    """A source.

    Attributes:
        end: The local path, or the place; the key of a directory ends in `/` or is empty.
        name: The last part of the path or key.
        kind: One file or object; everything below a directory; what a glob matches; or the names of `--files-from`
            below a directory.
        item: The file or object, if it is one.
    """

    end: End
    name: str
    kind: Literal["one", "directory", "glob", "list"]
    item: Item | None = None

    @property
    def base(self) -> str:
        """What the paths or keys of all items begin with; for a glob, its directory."""
        if isinstance(self.end, Local):
            return self.end.path
        return base_of(self.end) if self.kind != "one" else self.end.key


async def find_source(end: End, options: CopyArguments) -> CopySource:
    """Look at a source, and return what it is; nothing is changed.

    Raises:
        UsageError: It is a directory, a prefix or a glob that matches directories, and there is no `--recursive`.
        NotFoundError, LocalFileNotFoundError: There is no such object or file, and nothing below it.

    Cost: for an object 1 HEAD, and 1 listing page with `--recursive` or if there is none. A prefix: 1 listing page. A
    glob: as `check_glob`.
    """
    if isinstance(end, Local):
        return await in_thread(_local_source, end, options)
    glob = Glob(end.key)
    if end.is_glob and not glob.is_plain:
        if options.files_from is not None:
            message = f"{end.url}: is a glob; with --files-from, give the directory of the names"
            raise UsageError(message)
        if glob.across and not options.recursive:
            message = f"{end.url}: selects whole directories; for everything below them, add --recursive"
            raise UsageError(message)
        await check_glob(end, options, recursive=options.recursive)
        return CopySource(end, "", "glob")
    return await _remote_source(replace(end, key=glob.literal if end.is_glob else end.key, is_glob=False), options)


async def _remote_source(end: Remote, options: CopyArguments) -> CopySource:
    provider, key = end.provider, end.key
    name = key.rstrip("/").rpartition("/")[2]
    if options.files_from is not None:
        return CopySource(replace(end, key=key if not key or key.endswith("/") else f"{key}/"), name, "list")
    if not key or key.endswith("/"):
        if not options.recursive:
            raise UsageError(_needs_recursive(end.url))
        if key and not narrows(options) and not (await provider.list_page(key)).entries:
            raise nothing_there(end)
        return CopySource(end, name, "directory")
    if options.recursive and await _any_below(provider, key):
        return CopySource(replace(end, key=f"{key}/"), name, "directory")
    try:
        entry = await provider.head(key)
    except NotFoundError:
        below = False
        with suppress(AccessDeniedError):  # these credentials may read objects, but not list them
            below = not options.recursive and await _any_below(provider, key)
        if below:
            raise UsageError(_needs_recursive(f"{end.url}/")) from None
        if await in_thread(os.path.lexists, key):
            message = f"{end.url}: there is no such object; to copy the local {key}, write the other word as a URL"
            raise NotFoundError(message, key=key) from None
        raise
    return CopySource(end, name, "one", _object_item(provider, entry, name))


def _local_source(end: Local, options: CopyArguments) -> CopySource:
    try:
        found = os.stat(end.path)
    except OSError as error:
        raise local_error(error, end.path) from error
    name = os.path.basename(os.path.abspath(end.path))
    is_directory = stat.S_ISDIR(found.st_mode)
    if options.files_from is not None:
        if not is_directory:
            message = f"{end.path}: is a file; with --files-from, give the directory of the names"
            raise LocalNotADirectoryError(message, path=end.path)
        return CopySource(end, name, "list")
    if is_directory:
        if not options.recursive:
            raise UsageError(_needs_recursive(end.path))
        return CopySource(end, name, "directory")
    return CopySource(end, name, "one", Item(name, end.path, path=end.path, size=found.st_size))


def _needs_recursive(what: str) -> str:
    return f"{what}: is a directory; for everything below it, add --recursive"


async def _any_below(provider: IStorageProvider, key: str) -> bool:
    return bool((await provider.list_page(f"{key}/")).entries)


async def items_of(source: CopySource, options: CopyArguments) -> AsyncGenerator[Item, None]:
    """Yield what a source selects and the options do not leave out, in the order of names.

    Raises:
        UsageError: A pattern or a line of `--files-from` is malformed.

    Cost: for objects as `selected`; with `--files-from` none.
    """
    filters = Filters(options)
    if source.item is not None:
        if await _keeps(filters, source.item):
            yield source.item
        return
    found = _listed(source, options) if source.kind == "list" else _found(source, options, filters)
    async with aclosing(found):
        async for item in found:
            yield item


async def _keeps(filters: Filters, item: Item) -> bool:
    if item.entry is not None:
        return filters.keeps(item.entry, item.name)
    found = await in_thread(os.stat, item.path or item.label)
    return filters.in_time(_time_of(found)) and filters.matches(item.name)


async def _found(source: CopySource, options: CopyArguments, filters: Filters) -> AsyncGenerator[Item, None]:
    """Yield everything below a directory, or what a glob matches."""
    if isinstance(source.end, Local):
        files = _files(source.end.path, filters)
        while batch := await in_thread(_take, files):
            for item in batch:
                yield item
        return
    base, provider = len(source.base), source.end.provider
    entries = selected(source.end, options, recursive=source.kind == "directory" or options.recursive)
    async with aclosing(entries):
        async for entry in entries:
            yield _object_item(provider, entry, entry.key[base:])


async def _listed(source: CopySource, options: CopyArguments) -> AsyncGenerator[Item, None]:
    """Yield the names of `--files-from`, each once."""
    seen: set[str] = set()
    async with aclosing(keys_from(options)) as names:
        async for name in names:
            if name in seen:
                continue
            seen.add(name)
            if isinstance(source.end, Local):
                yield _local_item(source.end.path, name)
            else:
                remote = Remote(source.end.provider, f"{source.end.key}{name}")
                yield Item(name, remote.url, provider=remote.provider, key=remote.key)


def _local_item(root: str, name: str) -> Item:
    path = os.path.join(root, name)
    try:
        return Item(name, path, path=os.path.join(root, *local_parts(name, f"below {root}")))
    except StorageError as error:
        return Item(name, path, path=path, error=error)


def _files(root: str, filters: Filters) -> Iterator[Item]:
    for found in walk_to_upload(root):
        if not filters.matches(found.key):
            continue
        if not isinstance(found, FoundFile):
            yield Item(found.key, found.path, error=found.error)
        elif filters.in_time(_time_of(found.status)):
            yield Item(found.key, found.path, path=found.path, size=found.size)


def _take(files: Iterator[Item]) -> list[Item]:
    return list(islice(files, _BATCH))


def _object_item(provider: IStorageProvider, entry: ObjectInfo, name: str) -> Item:
    return Item(name, provider.locate(entry.key), provider=provider, key=entry.key, entry=entry, size=entry.size)


def _time_of(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)
