"""Stages, publishes, reads and removes the objects of a local directory; each change is atomic for readers.

All functions block, so they run in worker threads. A function that can take long or can wait is a generator. The caller
may close it at each `yield`, and then it leaves no staged file and no lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from bucketry._core.conditions import judge_write
from bucketry._core.content_types import content_type_of
from bucketry._core.frozen import dataclass
from bucketry._core.options import WriteOptions
from bucketry._core.os_errors import local_error
from bucketry._core.values import ObjectInfo
from bucketry._providers.local import details as stored_details
from bucketry._providers.local.details import Details
from bucketry._providers.local.own_files import digest_of, new_id, remove_tree
from bucketry._providers.local.paths import ABSENT, LocalRoot, etag_of, fingerprint
from bucketry.errors import AlreadyExistsError, IntegrityError, StorageError

DEFAULT_CONTENT_TYPE = "application/octet-stream"
_RETRIES = 64  # attempts of a step that a delete or another program may disturb
_STALE = 24 * 3_600.0  # seconds; a staged file that was not written for so long is from a killed process
_LOCK_DIGITS = 2  # hexadecimal digits in the name of a lock, so there are 256 locks
_LONGEST_PAUSE = 0.002  # seconds between two attempts to take the lock, which is held for about 50 µs
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


@dataclass(frozen=True, slots=True)
class StagedObject:
    """A new file that has no key yet."""

    path: str
    fd: int


def open_base(root: LocalRoot) -> None:
    """Make the base directory and check that it can be written to; remove the staged files of killed processes.

    Raises:
        LocalFileError: The base directory cannot be made or written to, or is no directory.
    """
    try:
        for name in ("staging", "uploads", "meta"):
            os.makedirs(root.own(name), exist_ok=True)
    except FileExistsError as error:
        wrong = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        raise local_error(wrong, error.filename or root.base, root.locate()) from error
    except OSError as error:
        raise local_error(error, error.filename or root.base, root.locate()) from error
    with staged(root):
        pass
    with os.scandir(root.own("staging")) as entries:
        for entry in entries:
            with suppress(OSError):  # another process may have removed it
                if entry.stat(follow_symlinks=False).st_mtime < time.time() - _STALE:
                    remove_tree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


@contextmanager
def staged(root: LocalRoot) -> Iterator[StagedObject]:
    """Yield a new open file in the staging directory; at the end it is closed, and removed unless it was published.

    Raises:
        LocalFileError: The file cannot be made or written.
    """
    path = root.own("staging", new_id())
    fd = _open_own(root, path, os.O_EXCL)
    try:
        yield StagedObject(path, fd)
    except StorageError:
        raise
    except OSError as error:
        raise local_error(error, path, root.locate()) from error
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(path)


def seal(file: StagedObject, size: int, where: str) -> os.stat_result:
    """Set the modification time of a complete staged file, and check its length.

    Raises:
        IntegrityError: The file has another length.
    """
    # The time is set here, because the kernel's own timestamps advance only every few milliseconds. Within this time
    # a freed inode could be used again for a file of the same size, and two versions would have the same etag.
    now = time.time_ns()
    os.utime(file.fd, ns=(now, now))
    status = os.fstat(file.fd)
    if status.st_size != size:
        raise IntegrityError(f"{where}: {status.st_size} of {size} bytes arrived on the disk; nothing was stored")
    return status


def publish(
    root: LocalRoot, file: StagedObject, size: int, key: str, options: WriteOptions
) -> Generator[None, None, ObjectInfo]:
    """Rename a staged file to its key if the preconditions hold; readers see the old object or the whole new object.

    Raises:
        AlreadyExistsError: `if_none_match="*"` and there is an object.
        PreconditionFailedError: `if_match` does not hold.
        UnsafeKeyError: The key's path is a directory, or is below the path of an object.
    """
    with locked(root, key) as lock:
        yield from acquire(lock)
        return publish_locked(root, file, size, key, options)


def publish_locked(root: LocalRoot, file: StagedObject, size: int, key: str, options: WriteOptions) -> ObjectInfo:
    """Do what `publish` does, for a caller that has the lock."""
    path, details = root.path(key), Details.of(options)
    if details.content_type == _default_content_type(key):
        details = replace(details, content_type=None)  # not stored, because `describe` computes it again
    status = seal(file, size, root.locate(key))
    version = fingerprint(status)
    try:
        if options.conditional:
            judge_write(root.etag(path), options, key=key, where=root.locate(key))
        stored_details.save(root, key, version, details)
        try:
            _take_name(root, file.path, path, key, create=options.if_none_match is not None)
        except BaseException:
            stored_details.drop(root, key, version)
            raise
    except StorageError:
        raise
    except OSError as error:
        raise root.error(error, path, key) from error
    stored_details.drop_all_but(root, key, version)
    return describe(key, status, details)


def remove(root: LocalRoot, key: str) -> Generator[None, None, None]:
    """Remove an object, its details, and the directories that become empty; succeeds if there is no object.

    Raises:
        LocalFileError: The file cannot be removed.
    """
    path = root.path(key)
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            return  # this is no object but a directory, perhaps with objects below it
        with locked(root, key) as lock:
            yield from acquire(lock)
            os.unlink(path)
            stored_details.drop_all_but(root, key, None)
            _prune(root, os.path.dirname(path))
    except StorageError:
        raise
    except OSError as error:
        if error.errno not in ABSENT:
            raise root.error(error, path, key) from error


def open_object(root: LocalRoot, key: str) -> tuple[int, ObjectInfo, Details]:
    """Open an object, and read the details of exactly the version that was opened; the caller closes the descriptor.

    Raises:
        NotFoundError: There is no such object.
    """
    for attempt in range(_RETRIES):
        fd, status = root.open(key)
        try:
            details = stored_details.load(root, key, fingerprint(status))
            # If there are no details, either none were stored, or a newer version has just replaced the file and its
            # details. In the second case the path has another etag than the opened file, and the file is opened again.
            # If another program writes the file all the time, the etag differs in every attempt, so the last attempt
            # accepts a file without details.
            last = attempt == _RETRIES - 1
            if details is not None or last or root.etag(root.path(key)) == etag_of(status):
                details = details or Details()
                return fd, describe(key, status, details), details
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise root.not_found(key)


def put_tags(root: LocalRoot, key: str, tags: Mapping[str, str]) -> Generator[None, None, None]:
    """Replace the tags of an object; its file stays as it is.

    Raises:
        NotFoundError: There is no such object.
    """
    root.path(key)
    with staged(root) as file, locked(root, key) as lock:
        yield from acquire(lock)
        fd, _, details = open_object(root, key)
        try:
            version = fingerprint(os.fstat(fd))
        finally:
            os.close(fd)
        stored_details.update(root, key, version, replace(details, tags=tags), file.path)


def describe(key: str, status: os.stat_result, details: Details) -> ObjectInfo:
    """Return the properties of an object."""
    return ObjectInfo(
        key=key,
        size=status.st_size,
        etag=etag_of(status),
        last_modified=modified(status),
        content_type=details.content_type or _default_content_type(key),
        storage_class=details.storage_class,
        metadata=MappingProxyType(dict(details.metadata)),
        cache_control=details.cache_control,
        content_disposition=details.content_disposition,
        content_encoding=details.content_encoding,
        content_language=details.content_language,
    )


def _default_content_type(key: str) -> str:
    """Return the content type for details without one, such as those of a file that another program wrote."""
    return content_type_of(key) or DEFAULT_CONTENT_TYPE


def modified(status: os.stat_result) -> datetime:
    """Return the time of a file's last change."""
    return datetime.fromtimestamp(status.st_mtime_ns // 1_000 / 1_000_000, UTC)


@contextmanager
def locked(root: LocalRoot, key: str) -> Iterator[int]:
    """Open the file of the lock that all processes take before they change the key; `acquire` takes the lock."""
    # One lock for each key would need a file for each key. With a single lock, all writers would wait for each other.
    # So all keys share 256 locks.
    number = digest_of(key)[:_LOCK_DIGITS]
    fd = _open_own(root, root.own("locks", number), 0)
    try:
        yield fd
    finally:
        os.close(fd)


def acquire(lock: int) -> Generator[None, None, None]:
    """Take the lock in steps, so that the wait can be cancelled, because a suspended process may hold the lock."""
    pause = _LONGEST_PAUSE / 16
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            yield
        else:
            return


def _open_own(root: LocalRoot, path: str, flags: int) -> int:
    flags |= os.O_RDWR | os.O_CREAT
    try:
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, flags, 0o666)
    except OSError as error:
        raise local_error(error, root.base, root.locate()) from error


def _take_name(root: LocalRoot, staged_path: str, path: str, key: str, *, create: bool) -> None:
    for attempt in range(_RETRIES):
        try:
            if attempt:
                _make_directories(os.path.dirname(path))
            if create:
                _create(root, staged_path, path, key)
            else:
                os.replace(staged_path, path)
        except FileNotFoundError:  # there is no directory yet, or a delete of its last object has just removed it
            if attempt == _RETRIES - 1:
                raise
        else:
            return


def _make_directories(directory: str) -> None:
    """Make a directory and its parents.

    Raises:
        NotADirectoryError: The path of one of these directories is a file.
        FileNotFoundError: A delete removed one of these directories meanwhile; try again.
    """
    try:
        os.makedirs(directory, exist_ok=True)
    except FileExistsError as error:
        # `makedirs` also raises this if the directory existed and was removed before `makedirs` checked its type.
        failed_path = error.filename or directory
        if os.path.lexists(failed_path) and not os.path.isdir(failed_path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), failed_path) from error
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), failed_path) from error


def _create(root: LocalRoot, staged_path: str, path: str, key: str) -> None:
    try:
        os.link(staged_path, path)
    except FileExistsError as error:
        if os.path.isdir(path) and not os.path.islink(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from error
        raise AlreadyExistsError(
            f"{root.locate(key)}: the object exists already, and was left as it is",
            key=key,
        ) from error
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS or os.path.lexists(path):
            raise
        os.replace(staged_path, path)  # safe, because the lock excludes this package's other writers


def _prune(root: LocalRoot, directory: str) -> None:
    while directory != root.base:
        try:
            os.rmdir(directory)
        except OSError:  # the directory is not empty or already removed, or there is no permission
            return
        directory = os.path.dirname(directory)
