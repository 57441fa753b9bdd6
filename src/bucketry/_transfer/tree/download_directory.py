"""A local directory as the target of many objects: keys as paths, each safe or refused."""

from __future__ import annotations

import os
import tempfile
import unicodedata

from bucketry._core.checks import local_parts
from bucketry._core.os_errors import check_path, local_error
from bucketry.errors import UnsafeKeyError


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
