"""Replaces a whole local file or directory by a restored one. All methods block: call them in a worker thread.

The new content is written to a staging directory next to the target; see `staged_directory`. It has the new content in
`new/` and, between the two renames below, the old target in `old/`.

A file replaces the target by one rename. A directory needs two renames: the old target is renamed into the staging
directory, and then the new directory is renamed to the target. Between these renames there is nothing at the target. If
the process is killed then, the next restore to this target first puts the old directory back.

If several restores to one target run at once, each one replaces the whole target, and the last one stays.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from contextlib import suppress

from bucketry._core.checks import OWN
from bucketry._core.os_errors import check_path, local_error
from bucketry._manage.models.values import ModelKind
from bucketry._manage.staged_directory import StagedDirectory, left_over
from bucketry._transfer.one.staging import make_directories, sync_directory
from bucketry.errors import LocalFileError, LocalIsADirectoryError, LocalNotADirectoryError

_MOUNTS = "/proc/self/mountinfo"  # https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
_ESCAPED = re.compile(rb"\\([0-7]{3})")  # a space and other characters in a path
_OCCUPIED = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
_ATTEMPTS = 100  # an attempt fails only if another restore replaces the same target between two renames


class StagedModel:
    """The new content of a target, which replaces the target when it is complete.

    Attributes:
        target: The absolute path of the target.
        new: The path of the new content, which is a file or a directory.
    """

    def __init__(self, path: str, kind: ModelKind, *, fsync: bool) -> None:
        """Store the arguments; no I/O.

        Args:
            path: The target.
            kind: Whether the target becomes a file or a directory.
            fsync: Whether to flush the renames to the disk.
        """
        check_path(path)
        self.target = os.path.abspath(path)
        self._kind = kind
        self._fsync = fsync
        self._parent, self._name = os.path.split(self.target)
        self._directory = StagedDirectory(self._parent)
        self.new = os.path.join(self._directory.path, "new", self._name)
        self._old = os.path.join(self._directory.path, "old", self._name)
        self._published = False

    def open(self) -> None:
        """Check the target, clean up after killed restores, and make the staging directory.

        Raises:
            LocalIsADirectoryError: The target is a directory, and the version is one file.
            LocalNotADirectoryError: The target is a file, and the version is a directory.
            LocalFileError: The target must not be replaced, or the staging directory cannot be made.
        """
        self._recover()
        self._check()
        try:
            make_directories(self._parent)
            self._directory.make()
            os.mkdir(os.path.dirname(self._old))
            os.makedirs(self.new if self._kind == "directory" else os.path.dirname(self.new))
        except OSError as exc:
            raise local_error(exc, self.target, "preparing to restore the model") from exc

    def publish(self) -> None:
        """Replace the target by the new content.

        Raises:
            LocalFileError: As `open`; the target is checked again, because a download may take hours.
        """
        self._check()
        try:
            if self._kind == "file":
                os.replace(self.new, self.target)
            else:
                self._swap()
            self._published = True
            if self._fsync:
                sync_directory(self._parent)
        except OSError as exc:
            raise local_error(exc, self.target, "replacing the target with the restored model") from exc

    def discard(self) -> None:
        """Remove the staging directory, with the new content if it was not published, and with the old target.

        An old target that was moved, but not replaced, is put back. If that fails, the staging directory stays, and the
        next restore to this target puts it back.
        """
        try:
            if not self._published and os.path.lexists(self._old) and not os.path.lexists(self.target):
                os.rename(self._old, self.target)
        except OSError as exc:
            # If the target is occupied, another restore has put its version there, so the moved version is obsolete.
            if exc.errno not in _OCCUPIED:
                self._directory.remove(keep=True)
                where = f"the old target is now {self._old} and could not be put back"
                raise local_error(exc, self.target, where) from exc
        self._directory.remove()

    def _swap(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                os.rename(self.new, self.target)
            except OSError as exc:
                if exc.errno not in _OCCUPIED:
                    raise
            else:
                return
            if os.path.lexists(self._old):
                # An earlier attempt moved the target there. Since then, another restore has put its version at the
                # target, so the moved version is obsolete.
                _remove(self._old)
            with suppress(FileNotFoundError):
                os.rename(self.target, self._old)
            try:
                os.rename(self.new, self.target)
            except OSError as exc:
                if exc.errno not in _OCCUPIED:
                    raise
            else:
                return
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), self.target)

    def _check(self) -> None:
        try:
            mode = os.lstat(self.target).st_mode
        except OSError:
            return  # missing or not accessible; if there is a problem, an error is raised when directories are made
        if self._kind == "file" and stat.S_ISDIR(mode):
            message = f"{self.target}: is a directory, and the version is one file; name the file to write"
            raise LocalIsADirectoryError(message, path=self.target)
        if self._kind == "directory" and stat.S_ISREG(mode):
            message = f"{self.target}: is a file, and the version is a directory; name a directory, or remove the file"
            raise LocalNotADirectoryError(message, path=self.target)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            message = f"{self.target}: is neither a file nor a directory; name another target"
            raise LocalFileError(message, path=self.target)
        if stat.S_ISDIR(mode):
            self._check_directory()

    def _check_directory(self) -> None:
        """Refuse to replace a directory in use: by this process, as a mount point, or by bucketry; also one below it.

        Below a mount point are files of another place, and to remove the old target would remove them.
        """
        holds_current = _holds_current_directory(self.target)
        problem = "it is or contains the current directory" if holds_current else _what_is_in_use(self.target)
        if problem:
            message = f"{self.target}: a restore replaces its target as a whole, and {problem}; name another directory"
            raise LocalFileError(message, path=self.target)

    def _recover(self) -> None:
        """Put back the old target if a killed restore has moved it, and remove the directories of killed restores."""

        def parts(directory: str) -> tuple[str, str]:
            return os.path.join(directory, "old", self._name), os.path.join(directory, "new", self._name)

        for directory in left_over(self._parent, lambda path: any(map(os.path.lexists, parts(path)))):
            old, _ = parts(directory)
            try:
                if os.path.lexists(old) and not os.path.lexists(self.target):
                    os.rename(old, self.target)
            except OSError:
                continue  # a later restore tries it again
            shutil.rmtree(directory, ignore_errors=True)


def _holds_current_directory(path: str) -> bool:
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # the current directory was removed
        return False
    real = os.path.realpath(path)
    return os.path.commonpath([here, real]) == real


def _what_is_in_use(path: str) -> str | None:
    """Say which directory at or below a path is a mount point, or one of bucketry's; `None`: there is none."""
    for directory, names, _ in os.walk(path):
        if os.path.ismount(directory):
            return f"{directory} is a mount point"
        if OWN in names:
            return f"there is {os.path.join(directory, OWN)}: {directory} belongs to a local provider or a dataset"
    real = os.path.realpath(path)
    try:
        with open(_MOUNTS, "rb") as lines:
            mounts = [os.fsdecode(_ESCAPED.sub(_unescaped, line.split()[4])) for line in lines]
    except OSError:  # not Linux
        return None
    # `ismount` does not find what is mounted from another place of the same file system.
    return next(
        (f"{mount} is a mount point" for mount in mounts if mount == real or mount.startswith(f"{real}/")), None
    )


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)])


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)
