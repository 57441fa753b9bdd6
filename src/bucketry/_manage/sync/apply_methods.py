"""The methods of a StorageManager that apply plans: `apply`, `apply_each`, `sync` and `sync_to`."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import ClassVar

from bucketry._core.facts import Facts
from bucketry._core.provider import StrPath
from bucketry._manage.sync.apply import Applier
from bucketry._manage.sync.memo import memo_of
from bucketry._manage.sync.methods import SyncMethods
from bucketry._manage.sync.moves import Copies, Downloads, Moves, Uploads
from bucketry._manage.sync.progress import SyncMeter, SyncProgressCallback
from bucketry._manage.sync.results import Outcome, ReportCollector
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.target_states import TRUSTED
from bucketry._manage.sync.values import Compare, Direction, SyncReport
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import as_directory
from bucketry.errors import InvalidRequestError
from bucketry.providers.provider import StorageProvider

_log = logging.getLogger("bucketry")


class ApplyMethods(SyncMethods):
    """Methods that apply the plan of a sync, or make and apply a plan."""

    _trusted: ClassVar[float] = TRUSTED
    """Seconds for which a listing page shows the state of targets that no condition protects."""

    async def apply(
        self,
        plan: SyncPlan,
        *,
        other: StorageProvider | None = None,
        progress: SyncProgressCallback | None = None,
    ) -> SyncReport:
        """Apply a plan; an entry that has changed since the plan was made stays as it is, and is reported.

        Transfers come first, several at once; if one fails, the other transfers continue. A transfer is made only if
        its source and its target have not changed since the plan was made. Deletions are made only after all transfers
        succeeded, and only of entries that have not changed. `deletions_withheld` in the report shows whether deletions
        were not made. Exception: where a transfer needs a directory in place of a file, or the reverse, and all other
        transfers succeeded, the entries in its way are deleted before it, if the plan deletes all of them.

        A plan can be applied again after an interruption: an entry whose target has the size and time of the source
        is not transferred again. Directories that become empty because of deletions are removed.

        Uploads store the file's time in the metadata `mtime`, as rclone does. Downloads set the file's time.

        A file is checked just before the rename that replaces it. An object is protected by a condition of the write if
        the provider enforces conditions (`capabilities.put_if_match` and similar fields). Where the provider does not
        enforce conditions, a listing at most 2 seconds old, or a HEAD, compares the object before it is written; a
        write by another program in between is not noticed. Before a deletion, and before an upload or copy in parts, a
        HEAD compares the object, and what is written after this HEAD is not noticed either, unless the provider
        enforces the condition.

        Args:
            plan: The plan, from `plan_sync`, `plan_sync_to` or `SyncPlan.load`.
            other: The target of a plan of `plan_sync_to`.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Returns:
            The totals, and every entry that was skipped, has changed or failed.

        Raises:
            InvalidRequestError: The plan was made for another provider, bucket or prefix, or deletes more than its
                `max_delete`; nothing was changed.

        Cost: the requests of the transfers; 1 HEAD for each deletion, and for each transfer that is made in parts.
        Before small transfers that no condition protects, 1 listing page about every 2 seconds and for each
        `capabilities.max_list_keys` objects of the target, and 1 HEAD for each target that has changed; never more
        pages than such transfers. If pages are slow or cannot be used, 1 HEAD for each such transfer. Memory for 1
        listing page; it grows only with the number of problems.
        """
        started = time.monotonic()
        applied = self.apply_each(plan, other=other, progress=progress)
        collector = ReportCollector(plan.summary)
        async with aclosing(applied) as outcomes:
            async for path, outcome in outcomes:
                collector.note(path, outcome)
        report = collector.report(time.monotonic() - started)
        _log.info(
            "sync: %s -> %s: %d transferred, %d deleted, %d done before, %d skipped, %d changed, %d failed%s",
            plan.header.source,
            plan.header.target,
            report.transferred,
            report.deleted,
            report.already_done,
            len(report.skipped),
            len(report.changed),
            len(report.failed),
            ", deletions withheld" if report.deletions_withheld else "",
        )
        return report

    def apply_each(
        self,
        plan: SyncPlan,
        *,
        other: StorageProvider | None = None,
        progress: SyncProgressCallback | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Apply a plan as `apply` does, and yield `(path, result or error)` as the actions finish.

        Every action of the plan has exactly one outcome. `PreconditionFailedError` means that an entry has changed
        since the plan was made. If the consumer is slow, the transfers wait for the consumer. To leave the iteration
        early, use `contextlib.aclosing`, which stops the unfinished transfers and removes their files and uploads.

        Args:
            plan: See `apply`.
            other: See `apply`.
            progress: See `apply`.

        Raises:
            InvalidRequestError: See `apply`; the call itself raises it, before the iteration.

        Cost: the requests of `apply`. Memory does not grow with the number of actions.
        """
        with Facts(self.provider.name, "apply"):
            self._check_plan(plan, other)
        return self._applied(plan, other, progress)

    async def sync(
        self,
        local_dir: StrPath,
        prefix: str,
        *,
        direction: Direction = "upload",
        delete: bool = False,
        max_delete: int | None = None,
        force: bool = False,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        compare: Compare = "size-mtime",
        dry_run: bool = False,
        progress: SyncProgressCallback | None = None,
    ) -> SyncReport:
        """Make a directory and a prefix equal: `plan_sync`, then `apply`.

        If the call is interrupted, call it again: entries that are equal already are not transferred again.

        Args:
            local_dir: See `plan_sync`.
            prefix: The prefix of the objects.
            direction: `"upload"`: the prefix changes; `"download"`: the directory changes.
            delete: Remove entries that only the target has, after all transfers succeeded.
            max_delete: If more deletions are needed, an error is raised before anything changes.
            force: Allow a source that has nothing to sync; see `plan_sync`.
            include: Patterns of the entries to sync.
            exclude: Patterns of the entries to leave out.
            compare: How entries of equal size are compared.
            dry_run: Make only the plan; the report has its totals, and the entries that would be skipped.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Raises:
            StorageError: See `plan_sync` and `apply`.

        Cost: the requests of `plan_sync` and `apply`.
        """
        started = time.monotonic()
        plan = await self.plan_sync(
            local_dir,
            prefix,
            direction=direction,
            delete=delete,
            max_delete=max_delete,
            force=force,
            include=include,
            exclude=exclude,
            compare=compare,
        )
        return await _dry(plan, started) if dry_run else await self.apply(plan, progress=progress)

    async def sync_to(
        self,
        other: StorageProvider,
        source_prefix: str,
        prefix: str,
        *,
        delete: bool = False,
        max_delete: int | None = None,
        force: bool = False,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        compare: Compare = "size-mtime",
        dry_run: bool = False,
        progress: SyncProgressCallback | None = None,
    ) -> SyncReport:
        """Make a prefix of another provider equal to a prefix of this provider: `plan_sync_to`, then `apply`.

        Args:
            other: The target.
            source_prefix: The prefix of this provider.
            prefix: The prefix of the other provider, which changes.
            delete: See `sync`.
            max_delete: See `sync`.
            force: See `sync`.
            include: See `sync`.
            exclude: See `sync`.
            compare: See `sync`.
            dry_run: See `sync`.
            progress: See `sync`.

        Raises:
            StorageError: See `plan_sync_to` and `apply`.

        Cost: the requests of `plan_sync_to` and `apply`.
        """
        started = time.monotonic()
        plan = await self.plan_sync_to(
            other,
            source_prefix,
            prefix,
            delete=delete,
            max_delete=max_delete,
            force=force,
            include=include,
            exclude=exclude,
            compare=compare,
        )
        return await _dry(plan, started) if dry_run else await self.apply(plan, other=other, progress=progress)

    async def _applied(
        self, plan: SyncPlan, other: StorageProvider | None, progress: SyncProgressCallback | None
    ) -> AsyncGenerator[Outcome, None]:
        moves: Moves
        memo = memo_of(self.provider, self.memo_dir) if plan.header.direction == "upload" else None
        if other is not None:
            moves = Copies(plan.header, self.provider, self.transfers, other, trusted=self._trusted)
        elif plan.header.direction == "upload":
            moves = Uploads(plan.header, self.provider, self.transfers, memo, trusted=self._trusted)
        else:
            moves = await in_thread(Downloads, plan.header, self.provider, self.transfers)
        meter = SyncMeter(progress, plan.summary)
        width = self.transfers.config.max_concurrency
        applier = Applier(plan, moves, meter, width=width, provider=self.provider.name)
        try:
            async with aclosing(applier.outcomes()) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            if memo is not None:
                await memo.flush()

    def _check_plan(self, plan: SyncPlan, other: StorageProvider | None) -> None:
        """Refuse a plan that was made for other places, or that has too many deletions.

        Raises:
            InvalidRequestError: See `apply`.
        """
        if not isinstance(plan, SyncPlan):
            raise InvalidRequestError(f"apply: plan must be a SyncPlan, not {type(plan).__name__}")
        if other is not None and not isinstance(other, StorageProvider):
            raise InvalidRequestError(f"apply: other must be a provider, not {type(other).__name__}")
        header = plan.header
        if (header.direction == "copy") is (other is None):
            message = (
                "apply: this plan is for two providers; give the target as `other`"
                if other is None
                else f"apply: this plan is for one provider and {header.direction!r}; leave `other` out"
            )
            raise InvalidRequestError(message)
        places = [(header.source, self.provider, header.prefix)]
        if header.direction == "upload":
            places = [(header.target, self.provider, header.prefix)]
        if other is not None:
            places = [(header.source, self.provider, header.source_prefix), (header.target, other, header.prefix)]
        for planned, provider, prefix in places:
            present = provider.locate(as_directory(prefix))
            if planned != present:
                message = f"apply: the plan was made for {planned}, and this is {present}; nothing was changed"
                raise InvalidRequestError(message)
        if header.max_delete is not None and plan.summary.deletions > header.max_delete:
            count = plan.summary.deletions
            message = (
                f"{header.target}: the plan deletes {count} {'entry' if count == 1 else 'entries'}, more than "
                f"max_delete={header.max_delete}, so nothing was changed; if the deletions in the plan are right, plan "
                "with a larger max_delete"
            )
            raise InvalidRequestError(message)


async def _dry(plan: SyncPlan, started: float) -> SyncReport:
    skipped = {}
    async with aclosing(aiter(plan)) as actions:
        async for action in actions:
            if action.kind == "skip":
                skipped[action.path] = action.reason
    return SyncReport(plan=plan.summary, dry_run=True, skipped=skipped, seconds=time.monotonic() - started)
