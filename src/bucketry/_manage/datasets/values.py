"""The values of datasets that users see. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFile:
    """One file of a dataset.

    Attributes:
        path: Its path below the dataset's prefix and below a local directory, with `/` between the names.
        size: Length in bytes.
        sha256: The SHA-256 of its bytes, in hex; `None`: the dataset has no manifest.
        mtime: When the uploaded file was changed last, in nanoseconds since 1970; `None`: no manifest.
        etag: The object's etag when the file was uploaded or listed; empty if the provider has none.
    """

    path: str
    size: int
    sha256: str | None = None
    mtime: int | None = None
    etag: str = ""

    @property
    def content(self) -> str:
        """What names the file's bytes: its SHA-256 or, without a manifest, its etag."""
        return self.etag if self.sha256 is None else self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A dataset as it is stored.

    Attributes:
        name: Its name.
        prefix: The prefix of its objects, with `/` at the end.
        files: Its files, in the order of their paths; not in the `repr`, because there may be a million.
        has_manifest: Whether it has a manifest; if not, it is all that is below the prefix.
        created: When it was uploaded, by the clock of the machine that did it; aware, UTC; `None`: no manifest.
        metadata: What was given to `upload_dataset`.
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
    """What `ensure_dataset` or `download_dataset` did; every file of `info` is now in the directory, as verified.

    Attributes:
        info: The dataset that the directory is in step with.
        local_dir: The directory, absolute.
        downloaded: The paths of the files that were downloaded or completed from an interrupted download.
        downloaded_bytes: The bytes that were received.
        removed: The paths of files of an earlier version that were removed, because this version does not have them.
        foreign: The paths of other entries in the directory; they were left alone.
        seconds: Duration, with the time of waiting for another process.
    """

    info: DatasetInfo
    local_dir: str
    downloaded: tuple[str, ...] = ()
    downloaded_bytes: int = 0
    removed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    seconds: float = 0.0
