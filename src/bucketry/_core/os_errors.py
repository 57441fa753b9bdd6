"""Translates the operating system's errors for local files into the package's errors; no I/O."""

from __future__ import annotations

import errno
import os

from bucketry.errors import (
    DiskFullError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalIsADirectoryError,
    LocalNotADirectoryError,
    LocalPermissionError,
)

_KINDS: dict[int, tuple[type[LocalFileError], str]] = {
    errno.ENOENT: (LocalFileNotFoundError, "does not exist"),
    errno.EISDIR: (LocalIsADirectoryError, "is a directory; name a file"),
    errno.ENOTDIR: (LocalNotADirectoryError, "needs a directory where there is a file"),
    errno.EACCES: (LocalPermissionError, "may not be used by this user; check its owner and mode"),
    errno.EPERM: (
        LocalPermissionError,
        "may not be changed by this user; check its owner, mode and attributes",
    ),
    errno.EROFS: (LocalPermissionError, "is on a read-only file system"),
    errno.ENOSPC: (DiskFullError, "does not fit: the disk is full; free some space"),
    errno.EDQUOT: (DiskFullError, "does not fit: the quota is used up; free some space"),
    errno.EFBIG: (DiskFullError, "is larger than the file system or `ulimit -f` allows"),
}


def local_error(exc: OSError, path: str | os.PathLike[str], where: str = "") -> LocalFileError:
    """Return the error for `exc` about the local file `path`; the caller raises it `from exc`.

    Args:
        exc: The operating system's error.
        path: The local file.
        where: The beginning of the message, such as `"s3://bucket/key"`.
    """
    name = os.fspath(path)
    kind, meaning = _KINDS.get(exc.errno or 0, (LocalFileError, f"failed: {exc.strerror or exc}"))
    error = kind(f"{where}{': ' if where else ''}{name} {meaning}", path=name)
    error.errno = exc.errno or error.errno
    return error


def check_path(path: str) -> None:
    """Raise an error for a text that cannot be a local path, before any disk access or request.

    Raises:
        LocalFileError: The path is empty, or contains a NUL.
    """
    if not path:
        message = "the local path is empty; name a file or a directory ('.' is the current one)"
        raise LocalFileError(message, path=path)
    if "\0" in path:
        message = f"{path!r}: no path holds a NUL"
        raise LocalFileError(message, path=path)
