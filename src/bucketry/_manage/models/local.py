"""Finds and hashes the local files of a model, and compares them again before the version is published."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from bucketry._core.checks import local_parts
from bucketry._core.os_errors import local_error
from bucketry._manage.hashing import HashedFile, State, hash_file
from bucketry._manage.models.values import ModelKind
from bucketry._runtime.file_bodies import file_state
from bucketry._runtime.walk import FoundFile
from bucketry._transfer.tree.local_files import walk_to_upload
from bucketry.errors import IntegrityError, InvalidRequestError, LocalFileError, UnsafeKeyError

_TICK = 20_000_000  # ns; two changes of a file within one tick of the kernel's clock leave the same `st_ctime_ns`


@dataclass(frozen=True, slots=True)
class LocalModelFile:
    """A file to back up.

    Attributes:
        path: Relative to the model's directory, with `/` between the names.
        local: Its path for the operating system.
        state: Its state when it was found.
        executable: Whether its owner may execute it.
    """

    path: str
    local: str
    state: State
    executable: bool


def find_files(local_path: str) -> tuple[ModelKind, list[LocalModelFile]]:
    """Return the files of a model, in the order of their paths. Blocks.

    Raises:
        LocalFileNotFoundError: There is nothing at the path.
        LocalFileError: An entry below the directory cannot be backed up; see `ModelMethods.backup_model`.
        InvalidRequestError: The directory has no file.
        UnsafeKeyError: A name cannot be restored on every system.
    """
    try:
        status = os.stat(local_path)
    except OSError as exc:
        raise local_error(exc, local_path, "looking for the files") from exc
    if stat.S_ISREG(status.st_mode):
        name = os.path.basename(local_path)
        _check_name(name, local_path)
        return "file", [_file(name, local_path, status)]
    if not stat.S_ISDIR(status.st_mode):
        message = f"{local_path}: is neither a regular file nor a directory; name a file or a directory"
        raise LocalFileError(message, path=local_path)
    files, unusable = [], []
    for found in walk_to_upload(local_path):
        if isinstance(found, FoundFile):
            _check_name(found.key, found.path)
            files.append(_file(found.key, found.path, found.status))
        else:
            unusable.append(found.error)
    if unusable:
        first, *others = unusable
        if others:
            first.add_note(f"and {len(others)} more entries cannot be backed up")
        raise first
    if not files:
        message = f"{local_path}: there is no file in this directory, so there is nothing to back up"
        raise InvalidRequestError(message, path=local_path)
    return "directory", files


def check_same(local_path: str, kind: ModelKind, files: Iterable[LocalModelFile]) -> None:
    """Check that the files of a model have not changed since they were found. Blocks.

    Raises:
        IntegrityError: A file was changed, added or removed.
    """
    before = {file.path: file.state for file in files}
    try:
        kind_now, found = find_files(local_path)
    except (LocalFileError, InvalidRequestError) as exc:
        message = f"{local_path}: it changed while it was backed up, and no version was made: {exc}"
        raise IntegrityError(message, path=local_path) from exc
    now = {file.path: file.state for file in found}
    different = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    if different or kind_now != kind:
        raise changed(local_path, different)


def changed(local_path: str, paths: list[str]) -> IntegrityError:
    """Return the error for files that changed during the backup."""
    names = ", ".join(map(repr, paths[:3])) + (" …" if len(paths) > 3 else "")  # noqa: PLR2004 - enough to begin with
    message = f"{local_path}: {names} changed while it was backed up, and no version was made; back it up again"
    return IntegrityError(message, path=local_path)


def hash_unchanged(path: str, algorithms: tuple[str, ...], state: State) -> Generator[None, None, HashedFile]:
    """Hash a file in steps, as `hash_file`.

    Args:
        path: The file.
        algorithms: Checksums to compute besides SHA-256.
        state: The state that the file had when it was found, and must still have after it was read.

    Raises:
        IntegrityError: The file has another state.
        LocalFileError: The file cannot be read.
    """
    if time.time_ns() - state[3] < _TICK:
        time.sleep(_TICK / 1e9)  # from now on, a change of the file also changes its `st_ctime_ns`
        yield
    hashed = yield from hash_file(path, algorithms)
    if hashed.after != state:
        raise changed(path, [os.path.basename(path)])
    return hashed


def _file(path: str, local: str, status: os.stat_result) -> LocalModelFile:
    return LocalModelFile(path, local, file_state(status), bool(status.st_mode & stat.S_IXUSR))


def _check_name(path: str, local: str) -> None:
    try:
        local_parts(path)
    except UnsafeKeyError as exc:
        message = f"{local}: this name cannot be restored on every system, so it was not backed up; rename it ({exc})"
        raise UnsafeKeyError(message, path=local) from exc
