"""Copies a checkpoint on the local disk, so that the training can write the next one while the copy is uploaded.

The copy is next to the original, on the same disk, in a staging directory; see `staged_directory`. All functions block.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator

from bucketry._core.os_errors import check_path, local_error
from bucketry._manage.models.local import LocalModelFile, find_files
from bucketry._manage.models.values import ModelKind
from bucketry._manage.staged_directory import StagedDirectory, left_over
from bucketry._runtime.file_bodies import file_state
from bucketry._runtime.file_copies import copy_steps
from bucketry.errors import IntegrityError

_COPY = "checkpoint"  # the directory of the copied files; other staged directories have no directory of this name


class Snapshot:
    """A copy of a file or a directory.

    Attributes:
        kind: Whether the checkpoint is one file or a directory.
        files: The copied files; in each, `local` is the path of the copy.
    """

    def __init__(self, path: str) -> None:
        """Store the path; no I/O."""
        check_path(path)
        self._path = path
        self._parent = os.path.dirname(os.path.abspath(path))
        self._directory = StagedDirectory(self._parent)
        self.kind: ModelKind = "file"
        self.files: list[LocalModelFile] = []

    def take(self) -> Generator[None, None, None]:
        """Copy all files; a generator for `in_steps`. After an error, the caller must call `discard`.

        Raises:
            LocalFileError: A file is missing or cannot be read, or the copy cannot be written.
            InvalidRequestError: The directory has no file.
            UnsafeKeyError: A name cannot be restored on every system.
            IntegrityError: A file changed while it was copied.
        """
        for directory in left_over(self._parent, lambda path: os.path.isdir(os.path.join(path, _COPY))):
            shutil.rmtree(directory, ignore_errors=True)
        self.kind, found = find_files(self._path)
        try:
            self._directory.make()
            for file in found:
                copy = os.path.join(self._directory.path, _COPY, file.path)
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                yield from self._copied(file, copy)
                yield
        except OSError as exc:
            raise local_error(exc, exc.filename or self._path, "copying the checkpoint") from exc

    def discard(self) -> None:
        """Remove the copy."""
        self._directory.remove()

    def _copied(self, file: LocalModelFile, copy: str) -> Generator[None, None, None]:
        """Copy one file in steps, and add it to `files`."""
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
