"""The values of a sync: the states that a plan saw, its actions and totals, and the report. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from bucketry._core.values import NOTHING, Progress
from bucketry.errors import StorageError

Direction: TypeAlias = Literal["upload", "download", "copy"]
"""From a local directory to the provider, back, or from one provider to another."""

Compare: TypeAlias = Literal["size-mtime", "size", "checksum"]

Kind: TypeAlias = Literal["upload", "download", "copy", "delete", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """The state of a file or object when the plan was made; if it has changed when the action is applied, it stays.

    Attributes:
        size: Length in bytes.
        mtime: The time of the content in nanoseconds since 1970: of a file, the time of its last change; of an object,
            the time in its metadata, else the time when it was stored. `None`: the plan did not need the time.
        etag: The etag of an object, exactly as sent; `None` for a file.
    """

    size: int
    mtime: int | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAction:
    """One line of a plan.

    Attributes:
        kind: `"upload"`, `"download"` or `"copy"` transfers the entry, `"delete"` removes it from the target, `"skip"`
            changes nothing on either side, because the entry cannot be synced.
        path: The path below the directory or prefix of each side, with `/` between the names.
        reason: Why the plan has this action: `"new"`, `"size"`, `"mtime"` or `"checksum"` for a transfer;
            `"not in source"` for a deletion; a sentence for a skip.
        source: The entry's state at the source; `None` for a deletion, or if the entry cannot be read.
        target: The entry's state at the target; `None` if there was no entry.
    """

    kind: Kind
    path: str
    reason: str
    source: EntryState | None = None
    target: EntryState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideUsage:
    """What applying a plan uses of one provider; retries are not counted.

    Attributes:
        vendor: The name of the cloud whose list prices apply; empty: there is none.
        requests: The requests to the provider, by their kind: `"put"`, `"copy"`, `"post"`, `"list"`, `"get"`, `"head"`
            and `"delete"`. A part of an upload is a `"put"`; opening and completing an upload are each a `"post"`.
        egress: The bytes that the provider sends.
    """

    vendor: str = ""
    requests: Mapping[str, int] = field(default_factory=dict)
    egress: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """The totals of a plan.

    Attributes:
        transfers: Files or objects to transfer.
        transfer_bytes: The bytes of these files or objects.
        deletions: Files or objects to remove from the target.
        deletion_bytes: The bytes of these files or objects.
        unchanged: Entries that are equal on both sides already; the plan has no action for them.
        skipped: Entries that cannot be synced.
        requests: Requests that applying the plan makes, retries not counted: 1 for an upload or a download, 2 for a
            copy, and more if it is made in parts; 1 HEAD for each deletion of an object, and 1 request for a batch of
            deletions. An upload or a copy needs 1 HEAD more if it is made in parts. Targets that no condition protects
            are compared by a listing: 1 request for each `capabilities.max_list_keys` objects of the target, at most 1
            for each such transfer. `apply` makes more requests if it takes longer than 2 seconds, because it lists
            again, or if it finds changed targets.
        sides: The requests and the bytes that are sent, for each provider, the source first. Empty in a plan that an
            older version of the package saved.
    """

    transfers: int = 0
    transfer_bytes: int = 0
    deletions: int = 0
    deletion_bytes: int = 0
    unchanged: int = 0
    skipped: int = 0
    requests: int = 0
    sides: tuple[SideUsage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHeader:
    """The two sides of a plan, and the options that it was made with.

    Attributes:
        direction: See `Direction`.
        source: An absolute local directory, or the URL of the provider's prefix as `locate` returns it.
        target: The directory or URL of the side that changes.
        prefix: The prefix of the objects: at the source for `"download"`, else at the target.
        source_prefix: For `"copy"`: the prefix at the source; else empty.
        compare: See `Compare`.
        delete: Whether entries that only the target has are removed.
        max_delete: If the plan has more deletions, `apply` raises an error before it changes anything; `None`: no
            limit.
        include: Patterns of the entries to sync; empty: all.
        exclude: Patterns of the entries to leave out.
        created: When planning began; aware, UTC.
    """

    direction: Direction
    source: str
    target: str
    prefix: str
    source_prefix: str = ""
    compare: Compare = "size-mtime"
    delete: bool = False
    max_delete: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress:
    """The progress of a whole sync.

    Attributes:
        path: The entry that was reported last.
        files: The number of finished transfers.
        total_files: The number of all transfers of the plan.
        transferred: Bytes transferred, including the bytes of unfinished files.
        total: All bytes of the plan.
        rate: Bytes per second since the start.
        seconds_left: Estimate; `None` while the rate is 0.
        running: The transfers under way, each with its path as `key`, and `increment` 0.
    """

    path: str
    files: int
    total_files: int
    transferred: int
    total: int
    rate: float
    seconds_left: float | None
    running: tuple[Progress, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync has done.

    Attributes:
        plan: The totals of the plan that was applied.
        dry_run: Whether only the plan was made, and nothing was changed.
        transferred: Files or objects that were transferred.
        transferred_bytes: The bytes of these files or objects.
        deleted: Entries that were removed.
        already_done: Entries whose target had the source's state already, for example after an interrupted sync.
        skipped: The reason for each entry that cannot be synced, by path.
        changed: The error of each entry that has changed since the plan was made, by path; the entry was left as it is.
        failed: The error of each entry that failed for another reason, by path.
        deletions_withheld: Whether deletions of the plan were not made, because a transfer did not succeed.
        seconds: Duration by the wall clock.
    """

    plan: PlanSummary
    dry_run: bool = False
    transferred: int = 0
    transferred_bytes: int = 0
    deleted: int = 0
    already_done: int = 0
    skipped: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    changed: Mapping[str, StorageError] = field(default_factory=lambda: NOTHING)
    failed: Mapping[str, StorageError] = field(default_factory=lambda: NOTHING)
    deletions_withheld: bool = False
    seconds: float = 0.0

    def raise_for_failures(self) -> None:
        """Raise the first error, with a note that counts the other errors; do nothing if there is no error."""
        errors = (*self.failed.values(), *self.changed.values())
        if errors:
            first, *others = errors
            if others:
                first.add_note(f"and {len(others)} more entries failed or had changed")
            raise first
