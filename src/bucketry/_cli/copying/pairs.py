"""Where each file or object goes, and the checks that nothing is overwritten by accident."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from bucketry._cli.commands import UsageError
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.items import CopySource, Item, items_of
from bucketry._cli.copying.words import End, Local
from bucketry._cli.place import Remote
from bucketry._cli.selection import literal_key, narrows
from bucketry._core.provider import IStorageProvider
from bucketry._runtime.threads import in_thread
from bucketry._transfer.one.copy import as_stored
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry.errors import LocalNotADirectoryError, StorageError

_FILE = "file://"
_AWS = "amazonaws.com"


@dataclass(frozen=True, slots=True)
class Pair:
    """An item, and the path or key to write.

    Attributes:
        item: What is copied.
        target: The path or key.
    """

    item: Item
    target: str


Pairs: TypeAlias = Callable[[], AsyncGenerator[Pair, None]]
"""Begins a new iteration over the pairs."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination.

    Attributes:
        provider: The provider; `None`: the local disk.
        path: The path or key; a directory's key ends in `/` or is empty.
        is_directory: Whether what is copied goes into it, each under its own name.
        directory: The local directory that what is copied goes into.
    """

    provider: IStorageProvider | None
    path: str
    is_directory: bool
    directory: DownloadDirectory | None = None

    def url(self, target: str) -> str:
        """The full name of a path or key to write."""
        return target if self.provider is None else self.provider.locate(target)

    def target(self, name: str) -> str:
        """The path or key for an item with this name.

        Raises:
            UnsafeKeyError: The path would be outside the directory.
        """
        if not self.is_directory:
            return self.path
        if self.directory is None:
            return self.path + name
        return self.directory.path_of(name.rstrip("/"))


async def find_destination(end: End, sources: Sequence[CopySource], options: CopyArguments) -> Destination:
    """Look at the destination, and decide whether it is a directory; nothing is changed.

    Raises:
        UsageError: Several sources need a directory.
        LocalNotADirectoryError: A directory is needed, and there is a file.
    """
    several = len(sources) > 1 or sources[0].kind in {"glob", "list"}
    many = several or sources[0].kind == "directory"
    if isinstance(end, Local):
        found = await in_thread(_look_at, end.path)
        into = found == "directory" or end.path.endswith("/")
        if found == "file" and (many or into):
            message = f"{end.path}: is a file, but a directory is needed; name another destination"
            raise LocalNotADirectoryError(message, path=end.path)
    else:
        key = literal_key(end)
        into = not key or key.endswith("/")
    if several and not into and not options.recursive:
        message = f"{end.url}: may get several files, so it must be a directory: write {end.url}/"
        raise UsageError(message)
    if isinstance(end, Remote):
        return Destination(end.provider, f"{key}/" if many and not into else key, many or into)
    directory = await in_thread(DownloadDirectory, end.path, "") if many or into else None
    return Destination(None, end.path, many or into, directory)


async def plan_pairs(sources: Sequence[CopySource], destination: Destination, options: CopyArguments) -> Pairs:
    """Return the pairs, after a check that no file or object is both a source and a target.

    Raises:
        UsageError: Something would be copied onto itself, two sources have the same target, or a target is a source.

    Cost: what the sources cost. The pairs are kept in memory if there are several sources, or if a source and the
    destination overlap. If the destination changes the Unicode form of keys, the sources are listed twice, and the
    targets, or with `--files-from` the pairs, are in memory.
    """

    async def pairs() -> AsyncGenerator[Pair, None]:
        for source in sources:
            below = f"{source.name}/" if len(sources) > 1 and source.kind == "directory" else ""
            async with aclosing(items_of(source, options)) as items:
                async for item in items:
                    pair = _pair(destination, item, below)
                    if pair is not None:
                        yield pair

    overlaps = [await in_thread(_overlaps, source, destination, options) for source in sources]
    if len(sources) == 1 and not overlaps[0]:
        if not _may_join(sources[0], destination):
            return pairs
        if options.files_from is None:  # names from standard input can be read one time only
            await _check_targets(pairs, destination)
            return pairs
    found = [pair async for pair in pairs()]
    await in_thread(_check, found, destination)

    async def kept() -> AsyncGenerator[Pair, None]:
        for pair in found:
            yield pair

    return kept


def _pair(destination: Destination, item: Item, below: str) -> Pair | None:
    name = below + item.name
    if item.error is not None:
        return Pair(item, destination.path + name)
    try:
        if not name and destination.is_directory:  # the mark of the source directory itself
            return Pair(item, destination.path) if destination.path and destination.provider is not None else None
        return Pair(item, destination.target(name))
    except StorageError as error:
        return Pair(replace(item, error=error), name)


def _overlaps(source: CopySource, destination: Destination, options: CopyArguments) -> bool:
    """Return whether targets may be sources. Blocks.

    Raises:
        UsageError: CopySource and destination are the same, or a directory would be copied into itself.
    """
    if source.kind == "one":
        target = destination.target(source.name)
        from_store, path = _identity(source.end, source.base)
        to_store, goal = _identity_of_target(destination, target)
        if (from_store, path) == (to_store, goal):
            message = f"{source.end.url}: would be copied onto itself; name another destination"
            raise UsageError(message)
        return False
    from_store, path = _identity(source.end, source.base)
    to_store, goal = _identity_of_target(destination, destination.path)
    if from_store != to_store:
        return False
    path, goal = _as_directory(path), _as_directory(goal)
    if path == goal and not narrows(options):
        message = f"{source.end.url}: would be copied onto itself; name another destination"
        raise UsageError(message)
    if source.kind == "directory" and goal.startswith(path) and not narrows(options):
        message = f"{source.end.url}: would be copied into itself; name a destination that is not below it"
        raise UsageError(message)
    return path.startswith(goal) or goal.startswith(path)


def _check(pairs: Sequence[Pair], destination: Destination) -> None:
    """Check each target against all sources and all other targets. Blocks."""
    sources = {_identity_of_item(pair.item): pair.item for pair in pairs}
    targets: dict[str, Item] = {}
    for pair in pairs:
        if pair.item.error is not None:
            continue
        target = _identity_of_target(destination, pair.target)
        other = sources.get(target)
        if other is pair.item:
            message = f"{pair.item.label}: would be copied onto itself; nothing was done"
            raise UsageError(message)
        if other is not None:
            message = f"{pair.item.label}: would overwrite {other.label}, which is to be copied, too; nothing was done"
            raise UsageError(message)
        first = targets.setdefault(target[1], pair.item)
        if first is not pair.item:
            message = f"{first.label} and {pair.item.label} would both become {destination.url(pair.target)}"
            raise UsageError(message)


def _may_join(source: CopySource, destination: Destination) -> bool:
    """Return whether two names of one source can become one key, because the vendor changes their Unicode form."""
    to = destination.provider and destination.provider.capabilities.key_normalization
    already = source.end.provider.capabilities.key_normalization if isinstance(source.end, Remote) else None
    return source.kind != "one" and to is not None and to != already


async def _check_targets(pairs: Pairs, destination: Destination) -> None:
    """Check each target against all others, as the destination stores them."""
    assert destination.provider is not None  # noqa: S101 - only a store changes keys
    targets: set[str] = set()
    async with aclosing(pairs()) as found:
        async for pair in found:
            if pair.item.error is not None:
                continue
            target = as_stored(pair.target, destination.provider)
            if target in targets:
                message = f"{pair.item.label} and another one would both become {destination.url(target)}"
                raise UsageError(f"{message}; rename one of them, or leave it out with --exclude; nothing was done")
            targets.add(target)


def _identity_of_item(item: Item) -> tuple[Hashable, str]:
    if item.provider is None:
        return _local(item.path or item.label)
    return _object(item.provider, item.key)


def _identity_of_target(destination: Destination, target: str) -> tuple[Hashable, str]:
    return _local(target) if destination.provider is None else _object(destination.provider, target)


def _identity(end: End, path: str) -> tuple[Hashable, str]:
    return _local(path) if isinstance(end, Local) else _object(end.provider, path)


def _object(provider: IStorageProvider, key: str) -> tuple[Hashable, str]:
    """Return a store and a name in it, which are equal for the same object, whatever word names it. Blocks."""
    name = key or "-"  # for a whole bucket the key of an object in it, because a key cannot be empty
    source = provider.copy_source(name)
    if source is not None:
        stored = as_stored(source.key.removesuffix("" if key else name), provider)
        return (_server(source.endpoint), source.bucket), stored
    url = provider.locate(key)
    return _local(url.removeprefix(_FILE)) if url.startswith(_FILE) else (id(provider), as_stored(key, provider))


def _server(endpoint: str | None) -> str:
    """Return a value that is equal for two URLs of one server. Not for all: a move looks at the objects, too."""
    parts = urlsplit(endpoint or "")
    host = parts.hostname or _AWS
    if host.endswith(f".{_AWS}"):
        return _AWS  # a bucket of AWS has its name alone, whatever the region
    return f"{host}:{parts.port}" if parts.port else host


def _local(path: str) -> tuple[Hashable, str]:
    """Return the real path of a directory or file; a link to a file is a file of its own."""
    if os.path.isdir(path):
        return "local", os.path.realpath(path)
    head, name = os.path.split(os.path.abspath(path))
    return "local", os.path.join(os.path.realpath(head), name)


def _as_directory(path: str) -> str:
    return path if not path or path.endswith("/") else f"{path}/"


def _look_at(path: str) -> str | None:
    if os.path.isdir(path):
        return "directory"
    return "file" if os.path.lexists(path.rstrip("/")) else None
