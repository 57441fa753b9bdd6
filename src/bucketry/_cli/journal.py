"""Records the multipart uploads that this user has opened on this machine, so that `uploads` can tell whose they are.

A server does not say who opened an upload. So each upload has a file until it is completed or aborted. The process that
opened the upload locks its file; the kernel releases the lock when the process ends, also if it is killed. A file gets
its name only when it is locked, and a file that cannot be examined counts as locked: an upload that still runs must
never be taken for one that was left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bucketry._core.options import WriteOptions
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import MultipartUpload, ObjectInfo, Part
from bucketry._manage.sync.memo import cache_directory
from bucketry._providers.wrapped import WrappedRequests
from bucketry._runtime.threads import in_thread
from bucketry.providers.provider import StorageProvider

KEPT = 365  # days; then a record is removed whose upload was neither ended by this program nor is listed
_DAY = 24 * 60 * 60

_log = logging.getLogger("bucketry")


@dataclass(frozen=True, slots=True)
class OwnUpload:
    """An upload that was opened on this machine.

    Attributes:
        path: The record's file.
        running: Whether the process that opened the upload still runs.
    """

    path: str
    running: bool


class UploadJournal:
    """The records of one bucket's uploads.

    Args:
        directory: The directory of the records; it is made when the first upload is recorded.
        lock: Locks a new record; `OSError`: the file system cannot lock files.
    """

    def __init__(self, directory: str, *, lock: Callable[[int, int], None] = fcntl.flock) -> None:
        self._directory = directory
        self._lock = lock
        self._open: dict[str, int] = {}

    def add(self, key: str, upload_id: str) -> None:
        """Record an upload of this process; a record that cannot be written or locked is left out. Blocks."""
        path = self._path(key, upload_id)
        new = f"{path}.{secrets.token_hex(4)}.new"  # only this process knows the name, so the lock is free
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _log.debug("uploads: %s is not recorded: %s", key, error)
            return
        try:
            self._lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, json.dumps({"key": key, "upload_id": upload_id}).encode())
            os.rename(new, path)
        except OSError as error:
            _log.debug("uploads: %s is not recorded: %s", key, error)
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(new)
            return
        self._open[upload_id] = descriptor

    def remove(self, key: str, upload_id: str) -> None:
        """Remove the record of an upload that was completed or aborted. Blocks."""
        with suppress(OSError):
            os.unlink(self._path(key, upload_id))
        descriptor = self._open.pop(upload_id, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Release the locks; the records of uploads that are still open stay."""
        while self._open:
            os.close(self._open.popitem()[1])

    def find(self, key: str, upload_id: str) -> OwnUpload | None:
        """Return the record of an upload; `None`: the upload is not known here. Blocks for a short time."""
        path = self._path(key, upload_id)
        return OwnUpload(path, running=_is_locked(path)) if os.path.exists(path) else None

    def remove_old(self, kept: Collection[str]) -> None:
        """Remove the records that are older than `KEPT` days, except some, and those of processes that still run.

        Younger ones stay although their uploads were not listed, because some servers do not list all uploads. Blocks.
        """
        before = time.time() - KEPT * _DAY
        with suppress(OSError):
            for name in os.listdir(self._directory):
                path = os.path.join(self._directory, name)
                if path not in kept and os.stat(path).st_mtime < before and not _is_locked(path):
                    os.unlink(path)

    def _path(self, key: str, upload_id: str) -> str:
        name = hashlib.sha256(f"{key}\n{upload_id}".encode()).hexdigest()
        return os.path.join(self._directory, f"{name}.json")


class JournaledProvider(WrappedRequests, StorageProvider):
    """Passes all requests to another provider, and records the multipart uploads that it opens.

    Args:
        inner: The provider that makes the requests.
        journal: The records of its bucket.
    """

    def __init__(self, inner: StorageProvider, journal: UploadJournal) -> None:
        WrappedRequests.__init__(self, inner)
        StorageProvider.__init__(self, inner.transfer.config)
        self.journal = journal

    async def disconnect(self) -> None:
        self.journal.close()
        await super().disconnect()

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        upload = await super().create_multipart(key, options)
        await in_thread(self.journal.add, self._full_key(key), upload.upload_id)
        return upload

    async def complete_multipart(
        self, upload: MultipartUpload, parts: Sequence[Part], options: WriteOptions, *, checksum: str | None = None
    ) -> ObjectInfo:
        info = await super().complete_multipart(upload, parts, options, checksum=checksum)
        await in_thread(self.journal.remove, self._full_key(upload.key), upload.upload_id)
        return info

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        await super().abort_multipart(upload)
        await in_thread(self.journal.remove, self._full_key(upload.key), upload.upload_id)

    async def find(self, upload: MultipartUpload) -> OwnUpload | None:
        """Return the record of an upload; `None`: it was not opened on this machine."""
        return await in_thread(self.journal.find, self._full_key(upload.key), upload.upload_id)

    @property
    def has_prefix(self) -> bool:
        """Whether the provider has only the objects below a prefix, while the records are of the whole bucket."""
        return self._full_key("x") != "x"

    async def remove_old(self, kept: Collection[OwnUpload]) -> None:
        """Remove the records that are older than a year, except some, and those of processes that still run."""
        await in_thread(self.journal.remove_old, {record.path for record in kept})

    def _full_key(self, key: str) -> str:
        source = self.inner.copy_source(key)
        return key if source is None else source.key


def _is_locked(path: str) -> bool:
    """Return whether a process that still runs has locked the file, or may have: the file cannot be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # the upload was completed or aborted a moment ago
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def journaled(provider: IStorageProvider, environ: Mapping[str, str]) -> IStorageProvider:
    """Return a provider that records its uploads, if it has a bucket on a server, else the provider itself."""
    directory = cache_directory(environ)
    if directory is None or not isinstance(provider, StorageProvider) or not provider.capabilities.multipart:
        return provider
    source = provider.copy_source("x")  # only for its bucket; a key must not be empty
    if source is None:
        return provider
    place = hashlib.sha256(f"{source.endpoint or provider.name}\n{source.bucket}".encode()).hexdigest()
    return JournaledProvider(provider, UploadJournal(os.path.join(directory, "uploads", place)))
