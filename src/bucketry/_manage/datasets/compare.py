"""Compares a dataset with a local directory, and decides which files to read, download or remove. Blocks."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from bucketry._core.os_errors import local_error
from bucketry._manage.datasets.local_state import LocalState
from bucketry._manage.datasets.stored import StoredDataset
from bucketry._manage.datasets.values import DatasetFile
from bucketry._manage.paths import directories_of
from bucketry._runtime.walk import FoundFile
from bucketry._transfer.tree.local_files import walk_to_upload
from bucketry.errors import InvalidKeyError, InvalidRequestError

_BATCH = 1_000  # files between two points where a walk can be cancelled
_NAMED = 5  # paths in a message


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing a directory with a dataset.

    Attributes:
        in_step: The stamp (size and `st_mtime_ns`) of each file that is known to have the dataset's bytes.
        unknown: The files that exist with the right size, and must be read.
        missing: The files to download.
        stale: The stamp of each file of an earlier version that this version does not have, and nobody has changed.
        foreign: The paths of all other entries.
        edited: The paths of files of the dataset that exist, but not as an earlier call left them: no call has written
            or verified them, or they were changed since.
    """

    in_step: dict[str, tuple[int, int]] = field(default_factory=dict)
    unknown: list[DatasetFile] = field(default_factory=list)
    missing: list[DatasetFile] = field(default_factory=list)
    stale: dict[str, tuple[int, int]] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    edited: set[str] = field(default_factory=set)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the directory is equal to the dataset."""
        return not (self.unknown or self.missing or self.stale)

    @property
    def replaced(self) -> list[str]:
        """The paths of the edited files that a download replaces."""
        return [file.path for file in self.missing if file.path in self.edited]


def compare(
    root: str, wanted: StoredDataset, state: LocalState | None, *, place: str, trust: bool
) -> Generator[None, None, Comparison]:
    """Compare in steps, for `in_steps`, and return the result.

    Args:
        root: The directory; it may be missing.
        wanted: The dataset as it is stored.
        state: The stored state of the directory; `None`: there is none.
        place: The URL of the dataset's prefix. Etags from another URL are not used, because they prove nothing.
        trust: Whether a verified file counts as unchanged, without reading it, while its size and time are unchanged.
    """
    found: dict[str, tuple[int, int]] = {}
    unusable: list[str] = []
    entries = walk_to_upload(root) if os.path.isdir(root) else iter(())
    while batch := list(islice(entries, _BATCH)):
        for entry in batch:
            if isinstance(entry, FoundFile):
                found[entry.key] = (entry.size, entry.mtime)
            elif not entry.key:
                raise entry.error  # the directory itself cannot be read
            else:
                unusable.append(repr(entry.key) if isinstance(entry.error, InvalidKeyError) else entry.key)
        yield
    verified = state.verified(place) if state is not None and trust else {}
    stamps = state.stamps if state is not None else {}
    result = Comparison()
    for file in wanted.info.files:
        stamp = found.pop(file.path, None)
        if stamp is not None and stamp != stamps.get(file.path):
            result.edited.add(file.path)
        if stamp is None or stamp[0] != file.size:
            result.missing.append(file)
        elif file.content and verified.get(file.path) == (file.content, stamp):
            result.in_step[file.path] = stamp
        elif file.sha256 is not None:
            result.unknown.append(file)
        else:
            result.missing.append(file)
    result.stale.update((path, stamp) for path, stamp in found.items() if stamps.get(path) == stamp)
    result.foreign.extend(path for path in found if path not in result.stale)
    result.foreign.extend(unusable)
    return result


def named(paths: list[str]) -> str:
    """Return the first paths, for a message, and the number of the others."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def check_replaced(root: str, replaced: list[str]) -> None:
    """Refuse to replace files that somebody has made or edited.

    Raises:
        InvalidRequestError: There is such a file.
    """
    if replaced:
        message = (
            f"{root}: has files with other bytes than the dataset's, which no earlier call has written or which were "
            f"changed since: {named(replaced)}; move them elsewhere, or leave out exact=True, and they are replaced"
        )
        raise InvalidRequestError(message, path=root)


def check_conflicts(root: str, wanted: StoredDataset, foreign: list[str], *, exact: bool) -> None:
    """Refuse a directory with foreign entries where the dataset needs a file or a directory.

    Raises:
        InvalidRequestError: A foreign entry has the path of a file of the dataset, is a file where a directory is
            needed, or is below the path of a file; or `exact` is true, and there are foreign entries.
    """
    if exact and foreign:
        message = (
            f"{root}: has files that are not in the dataset: {named(foreign)}; remove them, or leave out exact=True"
        )
        raise InvalidRequestError(message, path=root)
    if not foreign:
        return
    files = {file.path for file in wanted.info.files}
    directories = {above for path in files for above in directories_of(path)}
    for entry in foreign:
        path = entry.rstrip("/")
        if path in files or path in directories or not files.isdisjoint(directories_of(path)):
            message = f"{os.path.join(root, path)}: is in the way of a file of the dataset; move it elsewhere"
            raise InvalidRequestError(message, path=os.path.join(root, path))


def remove_stale(root: str, stale: Mapping[str, tuple[int, int]]) -> list[str]:
    """Remove stale files, and then the directories that became empty by it; the root stays.

    Args:
        root: The directory.
        stale: The stamp of each file.

    Returns:
        The paths of the files that were left, because somebody has changed them since the comparison.
    """
    directories = set()
    changed = []
    for path, stamp in stale.items():
        full = os.path.join(root, path)
        try:
            status = os.stat(full)
            if (status.st_size, status.st_mtime_ns) != stamp:
                changed.append(path)
                continue
            os.unlink(full)
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise local_error(exc, full, "removing a file of an earlier version") from exc
        while path := os.path.dirname(path):
            directories.add(path)
    for directory in sorted(directories, reverse=True):  # what is below comes first
        try:
            os.rmdir(os.path.join(root, directory))
        except OSError:
            continue  # it has other files
    return changed
