"""The values of datasets that users see. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFile:
    """One file of a dataset.

    Attributes:
        path: The path below the dataset's prefix and below a local directory, with `/` between the names.
        size: Length in bytes.
        sha256: The SHA-256 of its bytes, in hex; `None`: the dataset has no manifest.
        mtime: When the uploaded file was last changed, in nanoseconds since 1970; `None`: the dataset has no manifest.
        etag: The object's etag when the file was uploaded or listed; empty if the provider has none.
    """

    path: str
    size: int
    sha256: str | None = None
    mtime: int | None = None
    etag: str = ""

    @property
    def content(self) -> str:
        """The SHA-256 of the file or, without a manifest, its etag; equal values mean equal bytes."""
        return self.etag if self.sha256 is None else self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A dataset as it is stored.

    Attributes:
        name: Its name.
        prefix: The prefix of its objects, with `/` at the end.
        files: Its files, in the order of their paths; not in the `repr`, because there may be a million.
        has_manifest: Whether it has a manifest; if not, all objects below the prefix are its files.
        created: When it was uploaded, by the clock of the uploading machine; aware, UTC; `None`: it has no manifest.
        metadata: The `metadata` of `upload_dataset`.
    """

    name: str
    prefix: str
    files: tuple[DatasetFile, ...] = field(repr=False)
    has_manifest: bool
    created: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetResult:
    """What `ensure_dataset` or `download_dataset` did. The directory has every file of `info`, and each was verified.

    Attributes:
        info: The dataset.
        local_dir: The directory, absolute.
        downloaded: The paths of the files that were downloaded or completed from an interrupted download.
        downloaded_bytes: The number of bytes that were received.
        replaced: The paths of files that were there before with other bytes, and that no earlier call had written, or
            that somebody had edited since; their bytes are lost. Without a manifest also files with equal bytes,
            because there is no SHA-256 to compare them with.
        removed: The paths of files of an earlier version that were removed, because this version does not have them.
        foreign: The paths of entries in the directory that do not belong to the dataset; they were left alone.
        seconds: Duration, including the time of waiting for another process.
    """

    info: DatasetInfo
    local_dir: str
    downloaded: tuple[str, ...] = ()
    downloaded_bytes: int = 0
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    seconds: float = 0.0
