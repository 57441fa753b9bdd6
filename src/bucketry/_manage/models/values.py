"""What users get of a model: its versions, and the reports of pruning and verifying. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from bucketry._core.values import NOTHING
from bucketry.errors import StorageError

ModelKind: TypeAlias = Literal["file", "directory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a version.

    Attributes:
        path: Relative to the directory, with `/` between the names; of a model that is one file, the file's name.
        size: Length in bytes.
        sha256: The SHA-256 of its bytes, in hex.
        checksums: Other checksums of its bytes, in hex, by algorithm: those that the provider stores with an object.
        executable: Whether its owner may execute it.
        blob: The name of the object with its bytes, below `blobs/` of the model: the SHA-256, and sometimes more.
    """

    path: str
    size: int
    sha256: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    executable: bool = False
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model; it never changes.

    Attributes:
        name: The model.
        version: The version's own name, such as `"v3"`; never a tag.
        created: When it was published, by the clock of the machine that made it; aware, UTC.
        size: The bytes of all files.
        kind: Whether the backup was of one file or of a directory.
        files: The files, in the order of their paths.
        metadata: What `backup_model` was given.
        backup_id: Identifies the backup that made it.
    """

    name: str
    version: str
    created: datetime
    size: int
    kind: ModelKind
    files: tuple[ModelFile, ...]
    metadata: Mapping[str, Any]
    backup_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What `prune_models` has done.

    Attributes:
        kept: The versions that are left, oldest first.
        removed: The versions that were removed, oldest first.
        blobs_removed: Objects that no version named any more, and that were removed.
        bytes_removed: Their bytes.
        blobs_in_use: Objects that no version names, but that a backup under way may use: a later prune removes them.
    """

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    blobs_removed: int
    bytes_removed: int
    blobs_in_use: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What `verify_model` has found.

    Attributes:
        version: The version.
        by_checksum: Objects whose stored checksum was compared, without reading them.
        by_reading: Objects that were read and hashed.
        bytes_read: The bytes of the latter.
        failed: The error of each file that is missing or damaged, by path; empty: the version is whole.
    """

    version: ModelVersion
    by_checksum: int
    by_reading: int
    bytes_read: int
    failed: Mapping[str, StorageError] = field(default_factory=lambda: NOTHING)

    def raise_for_failures(self) -> None:
        """Raise the first error, with a note that counts the others; do nothing if the version is whole."""
        if self.failed:
            first, *others = self.failed.values()
            if others:
                first.add_note(f"and {len(others)} more files are missing or damaged")
            raise first
