"""Directories: local files as keys and keys as local files, each pair safe or refused."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import unicodedata
from collections.abc import AsyncGenerator, Coroutine, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bucketry._core.checks import OWN, local_parts
from bucketry._core.facts import filled
from bucketry._core.os_errors import check_path, local_error
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry._transfer.one.staging import is_staged
from bucketry._transfer.workers import stop
from bucketry.errors import (
    InvalidKeyError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    StorageError,
    TransientError,
    UnsafeKeyError,
)

BATCH = 256  # directory entries read in one hop to a thread


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a directory, by the key it gets; or why it gets none."""

    key: str
    path: str
    error: StorageError | None = None


def as_directory(prefix: str) -> str:
    """Give the prefix of the keys "in" a directory: `"models"` means `"models/"`, never `"models-old"`."""
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


async def local_files(root: str, prefix: str) -> AsyncGenerator[Found, None]:
    """Give every file below `root`, in the order of their keys' names, read in worker threads.

    Symbolic links to files are followed; what cannot be uploaded (links to directories, broken links, sockets,
    names that are not UTF-8) is given with its error, so that nothing is left out silently: only staged files, and
    what a local provider keeps for itself in `.bucketry`, are no files of the user's.

    Raises:
        LocalFileNotFoundError: `root` does not exist.
        LocalNotADirectoryError: `root` is a file.
    """
    walk = _walk(root, as_directory(prefix))
    while batch := await in_thread(_take, walk):
        for found in batch:
            yield found


def _take(walk: Iterator[Found]) -> list[Found]:
    return list(islice(walk, BATCH))


def _walk(root: str, prefix: str) -> Iterator[Found]:
    check_path(root)
    if not os.path.isdir(root):
        if os.path.lexists(root):
            message = f"{root}: is not a directory; upload a single file with upload"
            raise LocalNotADirectoryError(message, path=root)
        message = f"{root}: there is no such directory"
        raise LocalFileNotFoundError(message, path=root)
    pending = [(root, prefix)]
    while pending:
        directory, below = pending.pop()
        try:
            with os.scandir(directory) as entries:
                ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as exc:
            yield Found(below, directory, local_error(exc, directory, "listing the directory to upload"))
            continue
        for entry in ordered:
            if not entry.is_dir(follow_symlinks=False) and not is_staged(entry.name):
                yield _found(entry, below + entry.name)
        pending.extend(
            (entry.path, f"{below}{entry.name}/")
            for entry in reversed(ordered)
            if entry.is_dir(follow_symlinks=False) and entry.name.casefold() != OWN
        )


def _found(entry: os.DirEntry[str], key: str) -> Found:
    try:
        key.encode()
        mode = entry.stat().st_mode
    except UnicodeEncodeError:
        message = f"{entry.path!r}: the name is not UTF-8, so it cannot be a key; rename the file"
        return Found(repr(key), entry.path, InvalidKeyError(message))
    except OSError as exc:
        return Found(key, entry.path, local_error(exc, entry.path, "looking at the file to upload"))
    if stat.S_ISREG(mode):
        return Found(key, entry.path)
    what = "a symbolic link to a directory" if stat.S_ISDIR(mode) else "not a regular file"
    message = f"{entry.path}: is {what} and was not uploaded; upload its target by itself"
    return Found(key, entry.path, LocalFileError(message, path=entry.path))


async def every_object(
    provider: ObjectRequests,
    prefix: str = "",
    *,
    delimiter: str | None = None,
    start_after: str | None = None,
) -> AsyncGenerator[ObjectInfo | CommonPrefix, None]:
    """Iterate over a listing; the next page is on its way while one is consumed, from its second entry on.

    Cost: 1 request for each page of `capabilities.max_list_keys` entries, and 1 when left early; 2 pages of memory.
    """

    def page_from(token: str | None) -> Coroutine[Any, Any, ListPage]:
        return provider.list_page(prefix, delimiter=delimiter, start_after=start_after, token=token)

    page = await page_from(None)
    marker = None
    pages = 0
    ahead: tuple[asyncio.Task[ListPage], ...] = ()
    try:
        while True:
            entries = iter(page.entries)
            for entry in entries:
                yield entry
                break  # who wanted to know whether there is any does not come back
            token = page.next_token
            if token is not None and token != marker:
                # A plain task, not a group: an async generator must not yield inside one. `finally` ends it.
                ahead = (asyncio.get_running_loop().create_task(page_from(token)),)
                await asyncio.sleep(0)  # lets it begin: whoever only takes entries would not
            for entry in entries:
                yield entry
            if token is None:
                return
            if token == marker:
                message = f"{provider.locate(prefix)}: the listing leads back to a page that it has given before"
                raise filled(TransientError(message), provider.name, "list")
            pages += 1
            if pages & (pages - 1) == 0:
                marker = token  # the tokens at powers of two: sooner or later one of them comes again in any circle
            await asyncio.wait(ahead)
            page = ahead[0].result()
    finally:
        await stop(ahead)


class DownloadDirectory:
    """A local directory that objects are put below, and never beside, whatever their keys."""

    def __init__(self, root: str, prefix: str) -> None:
        """Look where the directory really is. Blocks."""
        check_path(root)
        self._root = os.path.abspath(root)
        self._real = os.path.realpath(root)  # the root itself may be a link: that is the user's choice
        self._prefix = prefix
        self._safe: set[str] = set()
        self._names: dict[str, str] = {}
        self._folds: bool | None = None

    def path_of(self, key: str) -> str:
        """Give the path for a key; no I/O.

        Raises:
            UnsafeKeyError: It would leave the directory.
        """
        return os.path.join(self._root, *local_parts(key[len(self._prefix) :], f"below {self._root}"))

    def make_way(self, key: str, path: str) -> None:
        """Make the directories that the key's path needs. Blocks; runs in several threads at once.

        Raises:
            UnsafeKeyError: The path goes through a symbolic link, or differs from that of another key only by
                case or Unicode form on a file system that makes them one.
            LocalFileError: A directory cannot be made.
        """
        self._make(os.path.dirname(path), key)
        self._check_twin(key)

    def make_directory(self, key: str) -> None:
        """Make the directory that a key ending in `/` stands for. Blocks."""
        relative = key[len(self._prefix) :].rstrip("/")
        if relative:
            self._make(os.path.join(self._root, *local_parts(relative, f"below {self._root}")), key)

    def _make(self, directory: str, key: str) -> None:
        if directory in self._safe:
            return
        if directory != self._root:
            self._make(os.path.dirname(directory), key)  # else a link on the way would lead the making elsewhere
        try:
            os.makedirs(directory, exist_ok=True)
        except FileExistsError as exc:
            message = f"{directory}: is a file, and key {key!r} needs a directory there"
            raise UnsafeKeyError(message, key=key, path=directory) from exc
        except OSError as exc:
            if isinstance(exc, NotADirectoryError):
                message = f"{directory}: a part of this path is a file, and key {key!r} needs a directory there"
                raise UnsafeKeyError(message, key=key, path=directory) from exc
            raise local_error(exc, directory, "making a directory for the download") from exc
        if os.path.realpath(directory) != os.path.normpath(
            os.path.join(self._real, os.path.relpath(directory, self._root))
        ):
            message = f"{directory}: a symbolic link leads elsewhere, so key {key!r} was not written through it"
            raise UnsafeKeyError(message, key=key, path=directory)
        self._safe.add(directory)

    def _check_twin(self, key: str) -> None:
        if self._folds is None:
            self._folds = _folds_case(self._root)
        if not self._folds:
            return
        other = self._names.setdefault(folded(key[len(self._prefix) :]), key)  # one step: threads meet here
        if other != key:
            message = f"key {key!r} and {other!r} are one name on this file system; this one was not written"
            raise UnsafeKeyError(message, key=key)


def folded(name: str) -> str:
    """Give the form under which a case-insensitive, normalizing file system keeps a name."""
    return unicodedata.normalize("NFC", name).casefold()


def _folds_case(root: str) -> bool:
    """Tell whether names that differ by case are one file below `root`, by making one. Blocks."""
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".bucketry-Case-") as probe:
            head, name = os.path.split(probe.name)
            return os.path.exists(os.path.join(head, name.swapcase()))
    except OSError:
        return False  # nothing can be written there, as the first file will say
