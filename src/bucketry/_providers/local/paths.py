"""Paths of local objects: a key is a path below the base directory; a fingerprint identifies a file's version."""

from __future__ import annotations

import errno
import os
import stat

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import OWN, check_key, local_parts
from bucketry._core.frozen import dataclass
from bucketry._core.os_errors import local_error
from bucketry.errors import NotFoundError, StorageError, UnsafeKeyError

# O_NONBLOCK is set, because opening a named pipe must not wait for a writer. It changes nothing for regular files.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_IS_A_LINK = frozenset({errno.ELOOP, errno.EMLINK})  # ELOOP on Linux and macOS, EMLINK on FreeBSD
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENXIO})


@dataclass(frozen=True, slots=True)
class LocalRoot:
    """A base directory, with the paths of its objects and the URLs that name them in messages."""

    base: str
    limits: Capabilities

    def locate(self, key: str = "") -> str:
        """Return the URL of the object, or of the base directory, for messages."""
        return f"file://{self.base}/{key}" if key else f"file://{self.base}"

    def own(self, *names: str) -> str:
        """Return a path in the provider's own directory."""
        return os.path.join(self.base, OWN, *names)

    def check(self, key: str) -> tuple[str, ...]:
        """Check the key, and return the names in its path.

        Raises:
            InvalidKeyError: No provider can store this key.
            UnsafeKeyError: The path would leave the base directory, or name one of the provider's own files.
        """
        check_key(key, self.limits, self.locate())
        names = local_parts(key, self.locate())
        if names[0].casefold() == OWN:  # casefold, because some file systems ignore case
            raise UnsafeKeyError(
                f"{self.locate()}: key {key!r} is refused: {OWN}/ is for the provider's own files; use another name",
                key=key,
            )
        return names

    def path(self, key: str) -> str:
        """Return the path of the key's file; its directory need not exist.

        Raises:
            UnsafeKeyError: See `check`; or a symbolic link in the path leads out of the base directory.
        """
        names = self.check(key)
        parent = self.base
        for name in names[:-1]:
            parent = f"{parent}/{name}"
            try:
                status = os.lstat(parent)
            except OSError:  # a missing directory is no link; a forbidden directory raises an error when it is used
                break
            if stat.S_ISLNK(status.st_mode):
                self._inside(os.path.join(self.base, *names[:-1]), key)
                break
        return os.path.join(self.base, *names)

    def open(self, key: str) -> tuple[int, os.stat_result]:
        """Open the object for reading, and return descriptor and status; the caller closes the descriptor.

        Raises:
            NotFoundError: There is no regular file.
            UnsafeKeyError: A symbolic link leads out of the base directory.
            LocalFileError: The file cannot be read.
        """
        path = self.path(key)
        try:
            fd = self._open(path, key)
        except OSError as error:
            if error.errno in ABSENT:
                raise self.not_found(key) from error
            raise self.error(error, path, key) from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise self.not_found(key)
        return fd, status

    def etag(self, path: str) -> str | None:
        """Return the etag of the object at `path`; `None`: there is no object."""
        try:
            status = os.stat(path)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
        return etag_of(status) if stat.S_ISREG(status.st_mode) else None

    def holds(self, path: str) -> bool:
        """Return whether `path`, with all links followed, is in the base directory, but not in the provider's own."""
        base, real = os.path.realpath(self.base), os.path.realpath(path)
        if real == base:
            return True
        below = real.removeprefix(base.rstrip("/") + "/")
        return below != real and below.split("/", 1)[0].casefold() != OWN

    def not_found(self, key: str) -> NotFoundError:
        """Return the error for a key without an object."""
        return NotFoundError(f"{self.locate(key)}: there is no such object", key=key)

    def error(self, exc: OSError, path: str, key: str) -> StorageError:
        """Return the error for an operating system's error about the key's file."""
        problem = None
        if exc.errno in (errno.ENOTDIR, errno.EEXIST):
            problem = "a part of it before the last '/' is an object already; rename one of them"
        elif exc.errno in (errno.EISDIR, errno.ENOTEMPTY):
            problem = "it is a directory, with other objects below it; rename one of them"
        elif exc.errno == errno.ENAMETOOLONG:
            problem = "its path is longer than the file system allows; shorten it"
        if problem:
            return UnsafeKeyError(f"{self.locate()}: key {key!r} cannot be a file: {problem}", key=key)
        return local_error(exc, path, self.locate(key))

    def _inside(self, path: str, key: str) -> None:
        if not self.holds(path):
            raise UnsafeKeyError(
                f"{self.locate()}: key {key!r} is refused: a symbolic link leads out of the base directory",
                key=key,
            )

    def _open(self, path: str, key: str) -> int:
        try:
            return os.open(path, _OPEN_FLAGS)
        except OSError as error:
            if error.errno not in _IS_A_LINK:
                raise
        self._inside(path, key)
        return os.open(os.path.realpath(path), _OPEN_FLAGS)


def fingerprint(status: os.stat_result) -> str:
    """Return an identifier of a file's version, which a rename keeps and every write changes."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def etag_of(status: os.stat_result) -> str:
    """Return the etag of a file."""
    return f'"{fingerprint(status)}"'
