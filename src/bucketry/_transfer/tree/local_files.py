"""The files below a local directory to upload, each with its key, or with an error if it cannot be uploaded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from bucketry._core.checks import OWN
from bucketry._runtime.threads import in_thread
from bucketry._runtime.walk import FoundFile, Walk
from bucketry._transfer.listing import as_directory
from bucketry._transfer.one.staging import is_staged
from bucketry.errors import InvalidKeyError, StorageError

BATCH = 256  # files found in one call in a thread


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file below a directory with its key, and an error if it cannot be uploaded."""

    key: str
    path: str
    error: StorageError | None = None


async def local_files(
    root: str, prefix: str, leave_out: Callable[[str], bool] | None = None
) -> AsyncGenerator[LocalFile, None]:
    """Yield every file below `root`, in the order of the keys; directories are read in worker threads.

    An entry that cannot be uploaded (see `Walk`) is yielded with its error, so that no file is left out silently.

    Args:
        root: The directory.
        prefix: Put before each path.
        leave_out: As in `Walk`.

    Raises:
        LocalFileNotFoundError: `root` does not exist.
        LocalNotADirectoryError: `root` is a file.
    """
    files = _found(root, as_directory(prefix), leave_out)
    while batch := await in_thread(_take, files):
        for found in batch:
            yield found


def walk_to_upload(root: str, leave_out: Callable[[str], bool] | None = None) -> Walk:
    """Return a walk over the files that `upload_tree` uploads; `leave_out` is as in `Walk`. Blocks.

    The walk skips the staged files of downloads. It also skips directories named `.bucketry`, because a local provider
    keeps its own files there.
    """
    if leave_out is None:
        return Walk(root, leave_out=is_internal)
    return Walk(root, leave_out=lambda key: is_internal(key) or leave_out(key))


def _take(files: Iterator[LocalFile]) -> list[LocalFile]:
    return list(islice(files, BATCH))


def _found(root: str, below: str, leave_out: Callable[[str], bool] | None) -> Iterator[LocalFile]:
    for found in walk_to_upload(root, leave_out):
        key = below + found.key
        if isinstance(found, FoundFile):
            yield LocalFile(key, found.path)
        else:
            yield LocalFile(repr(key) if isinstance(found.error, InvalidKeyError) else key, found.path, found.error)


def is_internal(key: str) -> bool:
    """Return whether a key of a walk is that of a staged file, or of a directory named `.bucketry`."""
    start = key.rfind("/", 0, -1) + 1
    if key[start] != ".":
        return False
    name = key[start:]
    return is_staged(name.rstrip("/")) or name.casefold() == f"{OWN}/"
