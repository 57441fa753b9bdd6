"""The values of models that users get: versions, and the reports of pruning and verifying. No I/O."""

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
        path: Relative to the directory, with `/` between the names. If the model is one file, the name of this file.
        size: Length in bytes.
        sha256: The SHA-256 of its bytes, in hex.
        checksums: Other checksums of its bytes, in hex, by algorithm: the ones that the provider stores with objects.
        executable: Whether its owner may execute it.
        blob: The name of the object with its bytes, below `blobs/` of the model. It begins with the SHA-256.
        etag: The etag of this object when it was known to have these bytes; empty: unknown.
    """

    path: str
    size: int
    sha256: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    executable: bool = False
    blob: str
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model; it never changes.

    Attributes:
        name: The model.
        version: The version's name, such as `"v3"`; never a tag.
        created: When the version was published, by the clock of the machine that made the backup; aware, UTC.
        size: The bytes of all files.
        kind: Whether the backup was of one file or of a directory.
        files: The files, in the order of their paths.
        metadata: The `metadata` of `backup_model`.
        backup_id: Identifies the backup that made the version.
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
        blobs_removed: The number of objects that were removed because no version names them any more.
        bytes_removed: The bytes of these objects.
        blobs_in_use: The number of objects that no version names, and that were kept, because a backup under way may
            use them. If no version uses them, a later prune removes them.
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
        by_checksum: The number of objects that were not read, because their stored checksum was compared.
        by_reading: The number of objects that were read and hashed.
        bytes_read: The bytes that were read.
        failed: The error of each file that is missing or damaged, by path; empty: no file is.
    """

    version: ModelVersion
    by_checksum: int
    by_reading: int
    bytes_read: int
    failed: Mapping[str, StorageError] = field(default_factory=lambda: NOTHING)

    def raise_for_failures(self) -> None:
        """Raise the first error, with a note that counts the other errors; do nothing if there is no error."""
        if self.failed:
            first, *others = self.failed.values()
            if others:
                first.add_note(f"and {len(others)} more files are missing or damaged")
            raise first
