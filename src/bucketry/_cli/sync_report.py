"""Shows plans of a sync and reports what a sync has done, as text or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bucketry._cli.costs import price_values, shown_price
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.output import Output, counted, error_facts, error_text, shown, shown_duration, shown_rate, shown_size
from bucketry._manage.sync.results import ReportCollector, SyncResult
from bucketry.errors import StorageError

if TYPE_CHECKING:
    from bucketry import SyncAction, SyncPlan
    from bucketry._manage.sync.values import PlanSummary, SyncReport

_NAMED = 10  # files; enough to see that these are the wrong ones
_DONE_WORDS = {"upload": "uploaded", "download": "downloaded", "copy": "copied"}


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan, as the user sees it before it is applied.

    Attributes:
        plan: The plan.
        ends: The names of source and destination.
        seconds: The estimated duration.
    """

    plan: SyncPlan
    ends: tuple[str, str]
    seconds: float

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the summary."""
        header, totals = self.plan.header, self.plan.summary
        rows: list[tuple[str, str]] = [
            (header.direction, f"{counted(totals.transfers, 'file')}, {shown_size(totals.transfer_bytes)}")
        ]
        if header.delete:
            rows.append(("delete", f"{counted(totals.deletions, 'file')}, {shown_size(totals.deletion_bytes)}"))
        rows.append(("unchanged", counted(totals.unchanged, "file")))
        if totals.skipped:
            rows.append(("skip", f"{counted(totals.skipped, 'file')} that cannot be synced"))
        if totals.requests:
            rows.append(("estimate", f"{counted(totals.requests, 'request')}, {shown_duration(self.seconds)}"))
        if (price := self.plan.price()) is not None:
            rows.append(("price", f"{shown_price(price)} by list prices of {price.as_of}"))
        return rows

    def print_summary(self, output: Output) -> None:
        """Print the summary on the terminal; a program gets it in the report."""
        if output.as_json or output.quiet or not sys.stderr.isatty():
            return
        output.note(f"sync: {shown(self.ends[0])} → {shown(self.ends[1])}")
        for line in _aligned(self.rows()):
            output.note(line)

    async def print_actions(self, output: Output) -> None:
        """Print each action, as the result of a dry run.

        With `--json`, each line is `{"kind", "path", "reason", "size", "target_size"}`. `kind` is `upload`, `download`,
        `copy`, `delete` or `skip`; `reason` says why; `size` is that of the source, `target_size` that of what would be
        replaced or deleted, and both may be `null`.
        """
        async with aclosing(aiter(self.plan)) as actions:
            async for action in actions:
                size = None if action.source is None else action.source.size
                replaced = None if action.target is None else action.target.size
                if not output.as_json:
                    output.line(_action_line(action, replaced if size is None else size))
                    continue
                output.document(
                    {
                        "kind": action.kind,
                        "path": action.path,
                        "reason": action.reason,
                        "size": size,
                        "target_size": replaced,
                    }
                )
        if not output.as_json:
            output.note("; ".join(f"{name} {text}" for name, text in self.rows()))

    async def print_deletions(self, output: Output) -> None:
        """Print the first files that would be deleted, and whether the destination has no others."""
        named, total = 0, self.plan.summary.deletions
        header, totals = self.plan.header, self.plan.summary
        all_of_it = not (totals.unchanged or totals.skipped or header.include or header.exclude)
        async with aclosing(aiter(self.plan)) as actions:
            async for action in actions:
                if action.kind != "delete":
                    all_of_it = all_of_it and action.target is None
                elif named < _NAMED:
                    named += 1
                    output.note(f"  delete {shown(action.path)}")
                if named == min(_NAMED, total) and not all_of_it:
                    break
        if total > named:
            output.note(f"  … and {total - named:,} more; --dry-run shows all")
        if all_of_it:
            output.note(f"these are all files that {shown(self.ends[1])} has")

    def print_saved(self, output: Output, file: str, command: str) -> int:
        """Print where the plan was saved, and the command that applies it.

        With `--json`: `{"verb", "direction", "source", "destination", "saved", "plan", "price"}`; `saved` is the file,
        `plan` has the totals of the plan, and `price` is what `cost --plan` says of it, or `null`.
        """
        if output.as_json:
            output.document({**self._facts(), "saved": file, **self._totals()})
            return DONE
        output.line(f"saved the plan to {shown(file)}; nothing was changed")
        output.note(f"to make its changes, run: {command}")
        return DONE

    def print_refused(self, output: Output) -> int:
        """Print that the user did not agree.

        With `--json`: `{"verb", "direction", "source", "destination", "refused", "plan", "price"}`; `refused` is true.
        """
        if output.as_json:
            output.document({**self._facts(), "refused": True, **self._totals()})
        else:
            output.note("sync: nothing was changed")
        return FAILED

    def _facts(self) -> dict[str, object]:
        return _facts(self.plan, self.ends)

    def _totals(self) -> dict[str, object]:
        price = self.plan.price()
        return {"plan": asdict(self.plan.summary), "price": None if price is None else price_values(price)}


def _facts(plan: SyncPlan, ends: tuple[str, str]) -> dict[str, object]:
    return {"verb": "sync", "direction": plan.header.direction, "source": ends[0], "destination": ends[1]}


def _action_line(action: SyncAction, size: int | None) -> str:
    return f"{action.kind:8}  {'–' if size is None else shown_size(size):>10}  {shown(action.path)}  ({action.reason})"


@dataclass(slots=True)
class SyncTally:
    """Counts the outcomes of a sync, and prints each problem at once, so that an interruption loses none.

    Args:
        output: The command's output.
        summary: The totals of the plan.
    """

    output: Output
    summary: PlanSummary
    retries: int = 0
    counts: ReportCollector = field(init=False)

    def __post_init__(self) -> None:
        """Begin at zero."""
        self.counts = ReportCollector(self.summary)

    def add(self, path: str, outcome: SyncResult | StorageError) -> None:
        """Count one outcome."""
        self.counts.note(path, outcome)
        if isinstance(outcome, StorageError):
            self._problem("failed", path, error_text(outcome), error_facts(outcome))
        elif outcome.done == "skipped":
            reason = outcome.action.reason
            self._problem("skipped", path, reason, {"type": "Skipped", "message": reason})
        elif outcome.transfer is not None:
            self.retries += outcome.transfer.retries

    def _problem(self, what: str, path: str, text: str, facts: dict[str, object]) -> None:
        if self.output.as_json:
            self.output.problem({**facts, "path": path})
        else:
            self.output.note(f"{what}: {shown(path)}: {text}")

    def print_report(self, plan: SyncPlan, ends: tuple[str, str], seconds: float) -> int:
        """Print what the sync has done; return the exit code.

        With `--json`: `{"verb", "direction", "source", "destination", "transferred", "transferred_bytes", "deleted",
        "unchanged", "already_done", "skipped", "changed", "failed", "deletions_withheld", "retries", "seconds",
        "bytes_per_second", "plan"}`. `skipped` is a list of `{"path", "reason"}`; `changed` and `failed` are lists of
        `{"path", …}` with the facts of each error; `plan` has the totals of the plan.
        """
        report = self.counts.report(seconds)
        if self.output.as_json:
            self.output.document({**_facts(plan, ends), **self._report_facts(report)})
        elif not self.output.quiet:
            self.output.line(f"sync: {shown(ends[0])} → {shown(ends[1])}")
            for line in _aligned(self._report_rows(plan, report)):
                self.output.line(line)
        return FAILED if report.failed or report.changed or report.skipped else DONE

    def _report_facts(self, report: SyncReport) -> dict[str, object]:
        return {
            "transferred": report.transferred,
            "transferred_bytes": report.transferred_bytes,
            "deleted": report.deleted,
            "unchanged": report.plan.unchanged,
            "already_done": report.already_done,
            "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped.items()],
            "changed": [{**error_facts(error), "path": path} for path, error in report.changed.items()],
            "failed": [{**error_facts(error), "path": path} for path, error in report.failed.items()],
            "deletions_withheld": report.deletions_withheld,
            "retries": self.retries,
            "seconds": round(report.seconds, 3),
            "bytes_per_second": round(report.transferred_bytes / report.seconds) if report.seconds > 0 else None,
            "plan": asdict(report.plan),
        }

    def _report_rows(self, plan: SyncPlan, report: SyncReport) -> list[tuple[str, str]]:
        moved = f"{counted(report.transferred, 'file')}, {shown_size(report.transferred_bytes)}"
        rows = [(_DONE_WORDS[plan.header.direction], moved)]
        if plan.header.delete:
            left = f"{report.plan.deletions - report.deleted:,}"
            withheld = f" ({left} kept, because a transfer did not succeed)" if report.deletions_withheld else ""
            rows.append(("deleted", f"{counted(report.deleted, 'file')}{withheld}"))
        rows.append(("unchanged", counted(report.plan.unchanged, "file")))
        for name, number, meaning in (
            ("done before", report.already_done, ""),
            ("skipped", len(report.skipped), " that cannot be synced; leave them out with --exclude"),
            ("changed", len(report.changed), " since the plan was made; sync again"),
            ("failed", len(report.failed), "; sync again when the cause is mended"),
        ):
            if number:
                rows.append((name, f"{counted(number, 'file')}{meaning}"))
        if self.retries:
            rows.append(("retries", f"{self.retries:,}"))
        rows.append(("time", f"{report.seconds:.2f} s ({shown_rate(report.transferred_bytes, report.seconds)})"))
        return rows


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:{width}}  {value}" for name, value in rows]
