"""Walks over a directory tree: yields its regular files in the order of their keys, beginning at any key.

Blocks: run a walk in a worker thread. This module does not know what the files are used for.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from bucketry._core.frozen import dataclass
from bucketry._core.os_errors import check_path, local_error
from bucketry.errors import (
    InvalidKeyError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
)

_WORTH_KEEPING = 2_000  # names; reading and sorting fewer takes about as long as the rest of a page of a listing
_KEPT = 4  # directories in the cache; the one that was added first is dropped
_SETTLED = 1_000_000_000  # ns of age, because two changes within one tick of a coarse clock give the same mtime

_NO_DIRECTORY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})


class FoundFile(NamedTuple):
    """A regular file, or a symbolic link to one.

    Attributes:
        key: The file's path relative to the walked directory, with "/" between the names.
        path: The file's path for the operating system.
        status: The file's status from the operating system; for a link, the status of the target.
        is_link: Whether the entry is a symbolic link.
    """

    key: str
    path: str
    status: os.stat_result
    is_link: bool

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return self.status.st_size

    @property
    def mtime(self) -> int:
        """The time of the file's last change, in nanoseconds since 1970."""
        return self.status.st_mtime_ns


class Unusable(NamedTuple):
    """An entry that is neither a regular file nor a readable directory.

    Attributes:
        key: The entry's path relative to the walked directory, with "/" at the end for a directory; empty for the
            walked directory itself. Lone surrogates replace bytes that are not UTF-8.
        path: The entry's path for the operating system.
        error: Why the entry cannot be used: `InvalidKeyError` for a name that is not UTF-8, else a `LocalFileError`.
    """

    key: str
    path: str
    error: LocalFileError | InvalidKeyError


class Walk:
    """The regular files below a directory, in the UTF-8 binary order of their relative paths.

    `a!` comes before `a/1`, and `a/1` before `b`. Links to files are followed, links to directories are not.
    Entries that cannot be used are yielded, too, in the same order and with their error: links to directories, broken
    links, sockets, pipes, devices, unreadable directories, and files and directories whose names are not UTF-8.

    The walk reads a directory only when it reaches this directory, and only if the directory may contain a requested
    key. It keeps only the names in the directories between the root and the current file.
    """

    def __init__(
        self,
        root: str,
        *,
        prefix: str = "",
        after: str = "",
        leave_out: Callable[[str], bool] | None = None,
        cache: NameCache | None = None,
    ) -> None:
        """Check the directory. Blocks.

        Args:
            root: The directory. It may be a symbolic link.
            prefix: Literal: only keys that begin with this text.
            after: Only keys that sort after this text.
            leave_out: Returns whether a key is skipped without an error. The key of a directory ends in "/"; everything
                below a skipped directory is skipped, too.
            cache: Keeps the names of large directories for the next walk.

        Raises:
            LocalFileNotFoundError: The directory does not exist.
            LocalNotADirectoryError: The path is a file.
            LocalFileError: The directory cannot be accessed.
        """
        check_path(root)
        self._root = root
        self._base = root if root.endswith("/") else f"{root}/"
        self._prefix = prefix
        self._after = after
        self._leave_out = leave_out
        self._names = read_names if cache is None else cache.names
        self._skip: str | None = None
        _check_root(root)
        top = prefix[: prefix.rfind("/") + 1]
        self._found = self._below(top) if self._leads_to_a_directory(top) else iter(())

    def __iter__(self) -> Self:
        """Return the walk itself, which can be iterated one time."""
        return self

    def __next__(self) -> FoundFile | Unusable:
        """Return the next file, or the next entry that cannot be used."""
        return next(self._found)

    def skip(self, prefix: str) -> None:
        """Skip the remaining keys that begin with `prefix`."""
        self._skip = prefix

    def _leads_to_a_directory(self, top: str) -> bool:
        """Return whether a walk from the root would reach the directory `top`."""
        key = ""
        for name in top.split("/")[:-1]:
            key = f"{key}{name}/"
            if name in ("", ".", "..") or "\0" in name or (self._leave_out is not None and self._leave_out(key)):
                return False
            try:
                if not stat.S_ISDIR(os.lstat(self._base + key[:-1]).st_mode):
                    return False
            except UnicodeEncodeError:
                return False
            except OSError as error:
                return error.errno not in _NO_DIRECTORY  # another error is reported when the directory is opened
        return True

    def _below(self, top: str) -> Iterator[FoundFile | Unusable]:
        """Yield the entries of the directory `top` and of all directories below it."""
        open_directories: list[Iterator[str]] = []
        try:
            open_directories.append(self._open(top))
        except OSError as error:
            yield self._unreadable(top, error)
        while open_directories:
            for key in open_directories[-1]:
                if not key.isascii() and not _is_text(key):
                    yield _not_utf8(key, self._base + key)
                elif key[-1] != "/":
                    yield self._entry_for(key)
                else:
                    try:
                        open_directories.append(self._open(key))
                    except OSError as error:
                        yield self._unreadable(key, error)
                        continue
                    break
            else:
                open_directories.pop()

    def _open(self, top: str) -> Iterator[str]:
        """Read a directory; return its requested keys: files, and directories that may contain requested files."""
        names = self._names(self._base + top)
        return self._candidates(top, names)

    def _candidates(self, top: str, names: list[str]) -> Iterator[str]:
        for index in range(self._first(top, names), len(names)):
            key = top + names[index]
            if not key.startswith(self._prefix):
                if key > self._prefix:
                    return
            elif not (
                (self._skip is not None and key.startswith(self._skip))
                or (key <= self._after and not (key[-1] == "/" and self._after.startswith(key)))
                or (self._leave_out is not None and self._leave_out(key))
            ):
                yield key

    def _first(self, top: str, names: list[str]) -> int:
        """Return the index of the first name that `after` and `prefix` do not exclude."""
        first = 0
        for bound in (self._after, self._prefix):
            if bound.startswith(top):
                # A directory sorts by its name and a slash: "a/" and all keys below it come after "a" and "a!".
                first = max(first, bisect_left(names, bound[len(top) :].partition("/")[0]))
        return first

    def _entry_for(self, key: str) -> FoundFile | Unusable:
        """Return the file, or the error, for a key that is not a directory."""
        path, is_link = self._base + key, False
        try:
            status = os.lstat(path)
            is_link = stat.S_ISLNK(status.st_mode)
            if is_link:
                status = os.stat(path)
        except OSError as exc:
            error = local_error(exc, path, "looking at the file")
            if is_link and isinstance(exc, FileNotFoundError):
                message = f"{path}: is a symbolic link whose target does not exist; remove the link, or make its target"
                error = LocalFileNotFoundError(message, path=path)
            return Unusable(key, path, error)
        if stat.S_ISREG(status.st_mode):
            return FoundFile(key, path, status, is_link)
        what = _LINK if is_link else _SPECIAL
        message = f"{path}: is {what}"
        return Unusable(key, path, LocalFileError(message, path=path))

    def _unreadable(self, key: str, error: OSError) -> Unusable:
        path = self._base + key[:-1] if key else self._root
        return Unusable(key, path, local_error(error, path, "listing the directory"))


_LINK = "a symbolic link to a directory, and those are not followed"
_SPECIAL = "not a regular file"


def can_never_be_read(error: BaseException) -> bool:
    """Return whether the error is that of a path that is no file, such as a pipe or a link to a directory."""
    return isinstance(error, LocalFileError) and str(error).endswith((_LINK, _SPECIAL))


@dataclass(frozen=True, slots=True)
class _Listed:
    identity: tuple[int, int, int]
    names: list[str]


class NameCache:
    """The sorted names of the large directories that were read last, valid while the directories do not change.

    Without this cache, each page of a listing of a directory with a million files would read all names again.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._kept: dict[str, _Listed] = {}

    def __reduce__(self) -> tuple[type[NameCache], tuple[()]]:
        """Pickle an empty cache."""
        return NameCache, ()

    def names(self, path: str) -> list[str]:
        """Return the same names as `read_names`, from memory if the directory has not changed."""
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
        kept = self._kept.get(path)
        if kept and kept.identity == identity:
            return kept.names
        names = read_names(path)
        if len(names) >= _WORTH_KEEPING and time.time_ns() - status.st_mtime_ns > _SETTLED:
            for oldest in list(self._kept)[: -_KEPT + 1]:
                self._kept.pop(oldest, None)
            self._kept[path] = _Listed(identity, names)
        else:
            self._kept.pop(path, None)
        return names


def read_names(path: str) -> list[str]:
    """Return the sorted names in a directory, as in keys: names of directories end in "/". Blocks."""
    with os.scandir(path) as entries:
        names = [f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries]
    names.sort()  # text sorts by code points, in the same order as its UTF-8 bytes
    return names


def _check_root(root: str) -> None:
    try:
        status = os.stat(root)
    except (FileNotFoundError, UnicodeEncodeError) as exc:
        message = f"{root}: there is no such directory"
        raise LocalFileNotFoundError(message, path=root) from exc
    except OSError as exc:
        raise local_error(exc, root) from exc
    if not stat.S_ISDIR(status.st_mode):
        message = f"{root}: is a file; name a directory"
        raise LocalNotADirectoryError(message, path=root)


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_utf8(key: str, path: str) -> Unusable:
    path = path.removesuffix("/")
    message = f"{path!r}: the name is not UTF-8, so it cannot be a key; rename it"
    return Unusable(key, path, InvalidKeyError(message))
