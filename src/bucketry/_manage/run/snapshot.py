"""A local copy of a checkpoint: while it is uploaded, the training may already write the next one.

The copy is next to the original, on the same disk, in a directory `.bucketry-<16 hex digits>.part`, which uploads and
syncs leave out. The process locks this directory, and the kernel releases the lock when the process ends. So the next
snapshot in the same place knows which directories were left by killed processes, and removes them. All functions block.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import suppress

from bucketry._core.os_errors import check_path, local_error
from bucketry._manage.models.local import LocalModelFile, find_files
from bucketry._manage.models.values import ModelKind
from bucketry._runtime.file_bodies import file_state
from bucketry._runtime.file_copies import copy_steps
from bucketry._runtime.file_lock import unlock
from bucketry._transfer.one.staging import is_staged, staged_name
from bucketry.errors import IntegrityError

_COPY = "checkpoint"  # the directory of the copied files, which also tells snapshots from other staged directories


class Snapshot:
    """A copy of a file or a directory.

    Attributes:
        kind: Whether it is one file or a directory.
        files: The copied files; `local` is the path of the copy.
    """

    def __init__(self, path: str) -> None:
        """Store the path; no I/O."""
        check_path(path)
        self._path = path
        self._parent = os.path.dirname(os.path.abspath(path))
        self._directory = os.path.join(self._parent, staged_name())
        self._lock = -1
        self.kind: ModelKind = "file"
        self.files: list[LocalModelFile] = []

    def take(self) -> Generator[None, None, None]:
        """Copy all files; a generator for `in_steps`. After an error, `discard` removes what was copied.

        Raises:
            LocalFileError: A file is missing, cannot be read, or the copy cannot be written.
            InvalidRequestError: The directory has no file.
            UnsafeKeyError: A name cannot be restored on every system.
            IntegrityError: A file changed while it was copied.
        """
        _remove_leftovers(self._parent)
        self.kind, found = find_files(self._path)
        try:
            os.mkdir(self._directory)
            self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with suppress(OSError):  # without locks on this file system, nobody removes what a killed process leaves
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for file in found:
                copy = os.path.join(self._directory, _COPY, file.path)
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                yield from self._copied(file, copy)
                yield
        except OSError as exc:
            raise local_error(exc, exc.filename or self._path, "copying the checkpoint") from exc

    def discard(self) -> None:
        """Remove the copy."""
        if self._lock >= 0:
            fd, self._lock = self._lock, -1
            shutil.rmtree(self._directory, ignore_errors=True)
            unlock(fd)
        else:
            with suppress(OSError):
                os.rmdir(self._directory)

    def _copied(self, file: LocalModelFile, copy: str) -> Generator[None, None, None]:
        """Copy one file, and add it to `files`."""
        source = os.open(file.local, os.O_RDONLY | os.O_CLOEXEC)
        try:
            target = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                copied = yield from copy_steps(source, 0, file.state[1], target, 0)
                if copied != file.state[1] or file_state(os.fstat(source)) != file.state:
                    message = (
                        f"{file.local}: it changed while it was copied; write a checkpoint before you hand it over"
                    )
                    raise IntegrityError(message, path=file.local)
                state = file_state(os.fstat(target))
            finally:
                os.close(target)
        finally:
            os.close(source)
        self.files.append(LocalModelFile(file.path, copy, state, file.executable))


def _remove_leftovers(parent: str) -> None:
    """Remove the snapshots of killed processes."""
    try:
        names = [name for name in os.listdir(parent) if is_staged(name)]
    except OSError:
        return  # the checkpoint itself then raises the error
    for name in names:
        directory = os.path.join(parent, name)
        if not os.path.isdir(os.path.join(directory, _COPY)):
            continue  # it is something else, or not begun
        with suppress(OSError):  # its process lives, it was removed just now, or this file system has no locks
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(fd)
