"""Walking a local directory in key order, from any key on, reading no more of it than a page needs.

Blocking: a walk runs in a worker thread.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from bucketry._core.checks import OWN
from bucketry._core.os_errors import local_error
from bucketry._core.values import ObjectInfo
from bucketry._providers.local.paths import ABSENT, LocalRoot, etag_of
from bucketry._providers.local.store import modified
from bucketry.errors import InvalidKeyError

_WORTH_KEEPING = 2_000  # names: reading and sorting fewer takes about as long as the rest of a page
_KEPT = 4  # directories: the deepest ones of a walk
_SETTLED = 1_000_000_000  # ns: a directory changed in the same tick of a coarse clock has the same mtime
_log = logging.getLogger("bucketry")


@dataclass(frozen=True, slots=True)
class _Listed:
    identity: tuple[int, int, int]
    names: list[str]


class NameCache:
    """The sorted names of the large directories that were read last, valid as long as those do not change.

    Without it each page of a directory with a million files would read all of them again.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Listed] = {}

    def __reduce__(self) -> tuple[type[NameCache], tuple[()]]:
        """Pickle empty."""
        return NameCache, ()

    def names(self, path: str) -> list[str]:
        """Give the names in a directory as parts of keys, sorted: those of directories end in "/"."""
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
        kept = self._kept.get(path)
        if kept and kept.identity == identity:
            return kept.names
        names = _read_names(path)
        if len(names) >= _WORTH_KEEPING and time.time_ns() - status.st_mtime_ns > _SETTLED:
            for oldest in list(self._kept)[: -_KEPT + 1]:
                self._kept.pop(oldest, None)
            self._kept[path] = _Listed(identity, names)
        else:
            self._kept.pop(path, None)
        return names


class Walk:
    """The objects whose keys begin with `prefix` and sort after `after`, in UTF-8 binary order.

    Symbolic links to regular files inside the base are objects; those to directories are not followed.
    """

    def __init__(self, root: LocalRoot, cache: NameCache, *, prefix: str, after: str) -> None:
        self._root = root
        self._cache = cache
        self._prefix = prefix
        self._after = after
        self._skip: str | None = None
        top = prefix[: prefix.rfind("/") + 1]
        self._objects = self._below(top) if self._leads_to_a_directory(top) else iter(())

    def __iter__(self) -> Self:
        """Give itself: it is walked once."""
        return self

    def __next__(self) -> ObjectInfo:
        """Give the next object."""
        return next(self._objects)

    def skip(self, prefix: str) -> None:
        """Leave out what is still to come of the keys that begin with `prefix`."""
        self._skip = prefix

    def _leads_to_a_directory(self, top: str) -> bool:
        path = self._root.base
        try:
            if not stat.S_ISDIR(os.stat(path).st_mode):
                wrong = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                raise local_error(wrong, path, self._root.locate())
        except FileNotFoundError:
            return False  # nothing was stored yet
        except OSError as error:
            raise local_error(error, path, self._root.locate()) from error
        for number, name in enumerate(top.split("/")[:-1]):
            if name in ("", ".", "..") or "\0" in name or (number == 0 and name.casefold() == OWN):
                return False
            path = f"{path}/{name}"
            try:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    return False
            except (OSError, UnicodeEncodeError):
                return False
        return True

    def _below(self, top: str) -> Iterator[ObjectInfo]:
        """Give the objects below the directory whose keys begin with `top`."""
        open_directories = [self._candidates(top)]
        while open_directories:
            key = next(open_directories[-1], None)
            if key is None:
                open_directories.pop()
            elif key.endswith("/"):
                open_directories.append(self._candidates(key))
            elif info := self._describe(key):
                yield info

    def _candidates(self, top: str) -> Iterator[str]:
        """Give the keys in one directory, and those that its directories' keys begin with."""
        path = os.path.join(self._root.base, top)
        try:
            names = self._cache.names(path)
        except OSError as error:
            if error.errno in ABSENT:  # just removed
                return
            raise local_error(error, path, self._root.locate()) from error
        for index in range(self._first(top, names), len(names)):
            key = top + names[index]
            if not key.startswith(self._prefix):
                if key > self._prefix:
                    return
            elif not (
                (self._skip is not None and key.startswith(self._skip))
                or (key <= self._after and not (key.endswith("/") and self._after.startswith(key)))
                or (key.endswith("/") and len(key) > self._root.limits.max_key_length)
                or (not top and key.rstrip("/").casefold() == OWN)
            ):
                yield key

    def _first(self, top: str, names: list[str]) -> int:
        """Give the index of the first name that `after` and `prefix` do not rule out."""
        first = 0
        for bound in (self._after, self._prefix):
            if bound.startswith(top):
                # A directory sorts behind its name alone: "a/" with all below it, after "a" and "a!".
                first = max(first, bisect_left(names, bound[len(top) :].partition("/")[0]))
        return first

    def _describe(self, key: str) -> ObjectInfo | None:
        """Say what listings say of an object; `None` for what is none."""
        path = os.path.join(self._root.base, key)
        try:
            if "\\" in key or ":" in key[:2] or len(key) > self._root.limits.max_key_length // 4:
                self._root.check(key)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode) and self._root.holds(path):
                status = os.stat(path)
        except InvalidKeyError as error:
            _log.warning("%s is left out of the listing: %s", path, error)
            return None
        except OSError:  # just removed, or a link to nothing
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return ObjectInfo(key=key, size=status.st_size, etag=etag_of(status), last_modified=modified(status))


def _read_names(path: str) -> list[str]:
    names = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if not name.isascii() and not _is_text(name):
                _log.warning("%r is left out of the listing: its name is not UTF-8; rename it", entry.path)
                continue
            names.append(f"{name}/" if entry.is_dir(follow_symlinks=False) else name)
    names.sort()  # code points sort as their UTF-8 does
    return names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
