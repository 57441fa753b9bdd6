"""The outcome of each action of a plan, and the report that counts the outcomes. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bucketry._core.values import TransferResult
from bucketry._manage.sync.values import PlanSummary, SyncAction, SyncReport
from bucketry.errors import PreconditionFailedError, StorageError

Done: TypeAlias = Literal["transferred", "deleted", "already_done", "skipped", "withheld"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """The outcome of one action that did not fail.

    Attributes:
        action: The action of the plan.
        done: `"transferred"`; `"deleted"`; `"already_done"`: the target had the source's state already, or the entry to
            delete did not exist any more; `"skipped"`: see the action's reason; `"withheld"`: a deletion was not made,
            because a transfer did not succeed.
        transfer: The result of a transfer; `None` if nothing was transferred.
    """

    action: SyncAction
    done: Done
    transfer: TransferResult | None = None


Outcome: TypeAlias = tuple[str, SyncResult | StorageError]
"""The path of an action with its result or error; `PreconditionFailedError`: an entry changed after planning."""


@dataclass(slots=True)
class ReportCollector:
    """Counts outcomes, and keeps only the ones that are problems, so that memory grows only with their number."""

    plan: PlanSummary
    transferred: int = 0
    transferred_bytes: int = 0
    deleted: int = 0
    already_done: int = 0
    withheld: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    changed: dict[str, StorageError] = field(default_factory=dict)
    failed: dict[str, StorageError] = field(default_factory=dict)

    def note(self, path: str, outcome: SyncResult | StorageError) -> None:
        """Count one outcome."""
        if isinstance(outcome, PreconditionFailedError):
            self.changed[path] = outcome
        elif isinstance(outcome, StorageError):
            self.failed[path] = outcome
        elif outcome.done == "transferred":
            self.transferred += 1
            self.transferred_bytes += outcome.transfer.size if outcome.transfer is not None else 0
        elif outcome.done == "deleted":
            self.deleted += 1
        elif outcome.done == "already_done":
            self.already_done += 1
        elif outcome.done == "skipped":
            self.skipped[path] = outcome.action.reason
        else:
            self.withheld = True

    def report(self, seconds: float) -> SyncReport:
        """Return the report of all outcomes so far."""
        return SyncReport(
            plan=self.plan,
            transferred=self.transferred,
            transferred_bytes=self.transferred_bytes,
            deleted=self.deleted,
            already_done=self.already_done,
            skipped=self.skipped,
            changed=self.changed,
            failed=self.failed,
            deletions_withheld=self.withheld,
            seconds=seconds,
        )
