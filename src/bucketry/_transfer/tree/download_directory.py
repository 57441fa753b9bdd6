"""A local directory as the target of many objects: maps keys to paths, and refuses unsafe keys."""

from __future__ import annotations

import os
import tempfile
import unicodedata

from bucketry._core.checks import local_parts
from bucketry._core.os_errors import check_path, local_error
from bucketry.errors import UnsafeKeyError


class DownloadDirectory:
    """A local directory for downloaded objects; no key can lead to a path outside it."""

    def __init__(self, root: str, prefix: str) -> None:
        """Resolve the directory's real path. Blocks."""
        check_path(root)
        self._root = os.path.abspath(root)
        self._real = os.path.realpath(root)  # the root itself may be a link, because the user chose it
        self._prefix = prefix
        self._safe: set[str] = set()
        self._names: dict[str, str] = {}
        self._folds: bool | None = None

    def path_of(self, key: str) -> str:
        """Return the path for a key; no I/O.

        Raises:
            UnsafeKeyError: The path would be outside the directory.
        """
        return os.path.join(self._root, *local_parts(key[len(self._prefix) :], f"below {self._root}"))

    def make_way(self, key: str, path: str) -> None:
        """Make the directories that the key's path needs. Blocks; runs in several threads at once.

        Raises:
            UnsafeKeyError: The path goes through a symbolic link, or another key has the same path on a file system
                that ignores case and Unicode form.
            LocalFileError: A directory cannot be made.
        """
        self._make(os.path.dirname(path), key)
        self._check_same_name(key)

    def make_directory(self, key: str) -> None:
        """Make the directory for a key that ends in `/`. Blocks."""
        relative = key[len(self._prefix) :].rstrip("/")
        if relative:
            self._make(os.path.join(self._root, *local_parts(relative, f"below {self._root}")), key)

    def _make(self, directory: str, key: str) -> None:
        if directory in self._safe:
            return
        if directory != self._root:
            self._make(os.path.dirname(directory), key)  # first check that the parent is not a link to elsewhere
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
            message = f"{directory}: the path goes through a symbolic link, so key {key!r} was not written"
            raise UnsafeKeyError(message, key=key, path=directory)
        self._safe.add(directory)

    def _check_same_name(self, key: str) -> None:
        if self._folds is None:
            self._folds = _folds_case(self._root)
        if not self._folds:
            return
        other = self._names.setdefault(folded(key[len(self._prefix) :]), key)  # atomic, as several threads do this
        if other != key:
            message = f"key {key!r} has the same file name as {other!r} on this file system, and was not written"
            raise UnsafeKeyError(message, key=key)


def folded(name: str) -> str:
    """Return the form in which a file system that ignores case and Unicode form compares a name."""
    return unicodedata.normalize("NFC", name).casefold()


def _folds_case(root: str) -> bool:
    """Return whether names that differ only by case are one file below `root`; make a temporary file. Blocks."""
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".bucketry-Case-") as probe:
            head, name = os.path.split(probe.name)
            return os.path.exists(os.path.join(head, name.swapcase()))
    except OSError:
        return False  # the directory is not writable, so the first download will raise the error
