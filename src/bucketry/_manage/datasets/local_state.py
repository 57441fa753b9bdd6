"""Reads and writes the state of a dataset's local directory: the dataset, and size and time of each verified file.

The state is stored in the directory's `.bucketry`. A file counts as verified only while it has the size and the time
that it had when it was verified. All methods block.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bucketry._core.checks import OWN
from bucketry._core.os_errors import check_path, local_error
from bucketry._manage.datasets.stored import StoredDataset
from bucketry._manage.datasets.values import DatasetFile, DatasetInfo
from bucketry._manage.manifest import Json, ManifestReader, format_time, from_json, to_json
from bucketry._transfer.one.staging import make_directories, staged_name
from bucketry.errors import (
    IntegrityError,
    InvalidRequestError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    UnsupportedError,
)

_STATE = "dataset.json"
_COMPLETE = re.compile(r"[0-9a-f]{64}")  # the name of a staged file that is complete


@dataclass(frozen=True, slots=True)
class LocalState:
    """The dataset whose files a directory had when they were verified.

    Attributes:
        place: The URL of the dataset's prefix.
        stored: The dataset.
        stamps: The stamp of each file by its path: size and `st_mtime_ns`.
    """

    place: str
    stored: StoredDataset
    stamps: Mapping[str, tuple[int, int]]

    def verified(self, place: str) -> dict[str, tuple[str, tuple[int, int]]]:
        """Return the content and the stamp of each file by its path, for a comparison with a dataset at this URL.

        If the state is from another URL, etags are left out, because an equal etag there does not prove equal bytes.
        """
        return {
            file.path: (file.content, self.stamps[file.path])
            for file in self.stored.info.files
            if file.sha256 is not None or self.place == place
        }


class LocalDirectory:
    """A local directory for one dataset, and the package's own files in it.

    Attributes:
        root: The directory, absolute.
        own: The directory of the package's own files.
        lock: The lock file.
        staging: The directory for downloaded files that are not published yet.
    """

    def __init__(self, local_dir: str | os.PathLike[str]) -> None:
        """Make the paths absolute; nothing is written to the disk."""
        path = os.fspath(local_dir)
        check_path(path)
        self.root = os.path.abspath(path)
        self.own = os.path.join(self.root, OWN)
        self.lock = os.path.join(self.own, "lock")
        self.staging = os.path.join(self.own, "staging")
        self._state = os.path.join(self.own, _STATE)

    def check(self, name: str) -> LocalState | None:
        """Check that the directory can be used for the dataset of this name, and return its state.

        Raises:
            LocalNotADirectoryError: The path is a file.
            InvalidRequestError: The directory has another dataset, or is inside the directory of a dataset.
        """
        if os.path.lexists(self.root) and not os.path.isdir(self.root):
            message = f"{self.root}: is a file; name a directory for the dataset"
            raise LocalNotADirectoryError(message, path=self.root)
        above = os.path.dirname(self.root)
        while above != os.path.dirname(above):
            if os.path.exists(os.path.join(above, OWN, _STATE)):
                message = f"{self.root}: is inside {above}, which holds a dataset; choose a directory outside of it"
                raise InvalidRequestError(message, path=self.root)
            above = os.path.dirname(above)
        state = self._read()
        if state is not None and state.stored.info.name != name:
            message = (
                f"{self.root}: holds the dataset {state.stored.info.name!r}; choose another directory for {name!r}"
            )
            raise InvalidRequestError(message, path=self.root)
        return state

    def make(self) -> None:
        """Make the directory and its staging directory.

        Raises:
            LocalFileError: A directory cannot be made.
        """
        try:
            make_directories(self.staging)
        except FileNotFoundError as exc:  # such as below /proc; "does not exist" alone would not say what to do
            message = f"{self.root}: the directory cannot be made at this place of the file system; choose another one"
            raise LocalFileNotFoundError(message, path=self.root) from exc
        except OSError as exc:
            raise local_error(exc, self.root, "making the directory for the dataset") from exc

    def clean_staging(self) -> frozenset[str]:
        """Remove unfinished files of an earlier process; return the paths of its complete files.

        The caller must have the lock.
        """
        self.make()  # the process that had the lock before has removed it
        complete = set()
        try:
            with os.scandir(self.staging) as entries:
                for entry in list(entries):
                    if not entry.is_file(follow_symlinks=False):
                        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
                    elif _COMPLETE.fullmatch(entry.name):
                        complete.add(entry.path)
                    else:
                        os.unlink(entry.path)
        except OSError as exc:
            raise local_error(exc, exc.filename or self.staging, "removing an unfinished download") from exc
        return frozenset(complete)

    def write(self, place: str, stored: StoredDataset, stamps: Mapping[str, tuple[int, int]]) -> None:
        """Replace the state."""
        info = stored.info
        entries: dict[str, Json] = {
            "place": place,
            "name": info.name,
            "prefix": info.prefix,
            "version": stored.version or "",
            "created": format_time(info.created) if info.created is not None else "",
            "metadata": dict(info.metadata),
            "files": [_entry_of(file, stamps[file.path]) for file in info.files],
        }
        path = os.path.join(self.staging, staged_name())
        try:
            with open(path, "xb") as file:
                file.write(to_json(entries))
            os.replace(path, self._state)
        except OSError as exc:
            raise local_error(exc, self._state, "writing the state of the dataset") from exc

    def remove_staging(self) -> None:
        """Remove the staging directory."""
        shutil.rmtree(self.staging, ignore_errors=True)

    def _read(self) -> LocalState | None:
        """Return the stored state; `None`: there is no usable state, so the files must be read."""
        try:
            with open(self._state, "rb") as file:
                entries = from_json(file.read(), self._state)
            return _state_of(entries)
        except (OSError, IntegrityError, UnsupportedError):
            return None


def _state_of(entries: ManifestReader) -> LocalState:
    files, stamps = [], {}
    for entry in entries.each("files"):
        file = DatasetFile(
            path=entry.text("path"),
            size=entry.number("size"),
            sha256=entry.text("sha256") or None,
            mtime=entry.number("mtime"),
            etag=entry.text("etag"),
        )
        stamps[file.path] = (file.size, entry.integer("stamp"))
        files.append(file if file.sha256 else replace(file, mtime=None))
    has_manifest = bool(entries.text("created"))
    info = DatasetInfo(
        name=entries.text("name"),
        prefix=entries.text("prefix"),
        files=tuple(files),
        has_manifest=has_manifest,
        created=entries.time("created") if has_manifest else None,
        metadata=entries.texts("metadata"),
    )
    return LocalState(entries.text("place"), StoredDataset(info, entries.text("version") or None), stamps)


def _entry_of(file: DatasetFile, stamp: tuple[int, int]) -> dict[str, Json]:
    return {
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256 or "",
        "mtime": file.mtime or 0,
        "etag": file.etag,
        "stamp": stamp[1],
    }
