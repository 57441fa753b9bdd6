"""Where a local object's bytes are: keys as paths below the base directory, and files' identities."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import OWN, check_key, local_parts
from bucketry._core.os_errors import local_error
from bucketry.errors import NotFoundError, StorageError, UnsafeKeyError

# O_NONBLOCK: opening a named pipe must not wait for a writer. It changes nothing for regular files.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_IS_A_LINK = frozenset({errno.ELOOP, errno.EMLINK})  # the answers of Linux and macOS, and of FreeBSD
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENXIO})


@dataclass(frozen=True, slots=True)
class LocalRoot:
    """A base directory, and how its objects are named in messages."""

    base: str
    limits: Capabilities

    def locate(self, key: str = "") -> str:
        """Give the URL of the object for messages."""
        return f"file://{self.base}/{key}" if key else f"file://{self.base}"

    def own(self, *names: str) -> str:
        """Give a path in the provider's own directory."""
        return os.path.join(self.base, OWN, *names)

    def check(self, key: str) -> tuple[str, ...]:
        """Split the key into the names of its path.

        Raises:
            InvalidKeyError: No provider could store it.
            UnsafeKeyError: It would leave the base directory, or meet the provider's own files.
        """
        check_key(key, self.limits, self.locate())
        names = local_parts(key, self.locate())
        if names[0].casefold() == OWN:  # also where the file system ignores case
            raise UnsafeKeyError(
                f"{self.locate()}: key {key!r} is refused: {OWN}/ is the provider's own; use another name",
                key=key,
            )
        return names

    def path(self, key: str) -> str:
        """Give the path of the key's file, whose directory need not exist.

        Raises:
            UnsafeKeyError: As `check`, or a symbolic link on the way leads out of the base directory.
        """
        names = self.check(key)
        parent = self.base
        for name in names[:-1]:
            parent = f"{parent}/{name}"
            try:
                status = os.lstat(parent)
            except OSError:  # what is not there leads nowhere; what may not be seen fails on use
                break
            if stat.S_ISLNK(status.st_mode):
                self._inside(os.path.join(self.base, *names[:-1]), key)
                break
        return os.path.join(self.base, *names)

    def open(self, key: str) -> tuple[int, os.stat_result]:
        """Open the object for reading; the caller closes the descriptor.

        Raises:
            NotFoundError: There is no regular file.
            UnsafeKeyError: A symbolic link leads out of the base directory.
            LocalFileError: The file may not be read.
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
        """Give the etag of the object at `path`, `None` where there is none."""
        try:
            status = os.stat(path)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
        return etag_of(status) if stat.S_ISREG(status.st_mode) else None

    def holds(self, path: str) -> bool:
        """Tell whether following every link of `path` ends below the base directory, beside the own files."""
        base, real = os.path.realpath(self.base), os.path.realpath(path)
        if real == base:
            return True
        below = real.removeprefix(base.rstrip("/") + "/")
        return below != real and below.split("/", 1)[0].casefold() != OWN

    def not_found(self, key: str) -> NotFoundError:
        """Give the error for a key without an object."""
        return NotFoundError(f"{self.locate(key)}: there is no such object", key=key)

    def error(self, exc: OSError, path: str, key: str) -> StorageError:
        """Give the error for what the operating system said about the key's file."""
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
    """Name one version of a file: it survives a rename, and changes whenever the file is written."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def etag_of(status: os.stat_result) -> str:
    """Give the etag of a file."""
    return f'"{fingerprint(status)}"'
