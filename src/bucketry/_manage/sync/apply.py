"""Applies a plan: first the transfers, then, if all succeeded, the deletions. Changed entries are left alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from bucketry._core.facts import filled
from bucketry._manage.sync.blocked import BLOCKED, Blocked
from bucketry._manage.sync.moves import Moves
from bucketry._manage.sync.pins import source_changed, target_changed
from bucketry._manage.sync.progress import SyncMeter
from bucketry._manage.sync.results import Outcome, SyncResult
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import SyncAction
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.workers import fan_out_each
from bucketry.errors import (
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    NotFoundError,
    StorageError,
    UploadNotFoundError,
)

_REMOVED = (NotFoundError, LocalFileNotFoundError, LocalNotADirectoryError)
"""The errors of a transfer whose source does not exist any more."""

_log = logging.getLogger("bucketry")


class Applier:
    """One plan that is being applied.

    Args:
        plan: The plan.
        moves: Makes the transfers and deletions of the plan's direction.
        meter: Counts bytes and files.
        width: The number of transfers at once.
        provider: The provider's name, for errors.
    """

    def __init__(self, plan: SyncPlan, moves: Moves, meter: SyncMeter, *, width: int, provider: str) -> None:
        """Store the arguments; no I/O."""
        self._plan = plan
        self._moves = moves
        self._meter = meter
        self._width = width
        self._provider = provider
        self._complete = True  # whether there was no error so far
        self._continues = False  # whether an earlier sync has done the last action already, and so probably the next

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Apply the plan, and yield the outcome of each action as soon as the action ends."""
        async with aclosing(self._ordered()) as outcomes:
            async for path, outcome in outcomes:
                self._meter.finished(path)
                self._complete = self._complete and not isinstance(outcome, StorageError)
                if _log.isEnabledFor(logging.DEBUG):
                    done = outcome.done if isinstance(outcome, SyncResult) else f"{type(outcome).__name__}: {outcome}"
                    _log.debug("sync: %s: %s", path, done)
                yield path, outcome

    async def _ordered(self) -> AsyncGenerator[Outcome, None]:
        """Make the transfers, delete entries that block transfers, make these transfers, make all other deletions."""
        blocked = Blocked()
        async with aclosing(self._transfers(self._actions(_is_transfer))) as outcomes:
            async for path, outcome in outcomes:
                if self._plan.summary.deletions and isinstance(outcome, BLOCKED):
                    blocked.add(path, outcome)
                else:
                    yield path, outcome
        if blocked.errors:
            async with aclosing(self._unblocked(blocked)) as outcomes:
                async for one in outcomes:
                    yield one
        self._meter.close()
        if self._plan.summary.deletions:
            async with aclosing(self._deletions(lambda action: not blocked.by(action))) as outcomes:
                async for one in outcomes:
                    yield one

    async def _unblocked(self, blocked: Blocked) -> AsyncGenerator[Outcome, None]:
        """First make the deletions that remove blocking entries, and then make the transfers that these have blocked.

        This is done only if the sync has no other error, and these deletions make all blocked transfers possible.
        """
        if not self._complete or not await self._can_unblock(blocked):
            for path, error in blocked.errors.items():
                yield path, error
            blocked.forget()
            return
        async with aclosing(self._deletions(blocked.by)) as outcomes:
            async for one in outcomes:
                yield one
        again = self._actions(lambda action: action.path in blocked.errors and action.kind != "delete")
        async with aclosing(self._transfers(again)) as outcomes:
            async for one in outcomes:
                yield one

    async def _can_unblock(self, blocked: Blocked) -> bool:
        """Return whether the deletions of the plan remove all entries which block transfers."""
        async with aclosing(self._actions(_is_deletion)) as deletions:
            async for action in deletions:
                blocked.explain(action)
        if blocked.explained != blocked.errors.keys():
            return False
        for path, deletions_below in blocked.deletions_below.items():
            if await self._moves.entries_below(path) > deletions_below:
                return False  # some entries stay, for example excluded files, and so does their directory
        return True

    def _transfers(self, actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
        return fan_out_each(actions, self._settled, width=self._width)

    def _deletions(self, wanted: Callable[[SyncAction], bool]) -> AsyncGenerator[Outcome, None]:
        actions = self._actions(lambda action: action.kind == "delete" and wanted(action))
        return self._moves.delete(actions) if self._complete else _withheld(actions)

    async def _actions(self, wanted: Callable[[SyncAction], bool]) -> AsyncGenerator[SyncAction, None]:
        async with aclosing(aiter(self._plan)) as actions:
            async for action in actions:
                if wanted(action):
                    yield action

    async def _settled(self, action: SyncAction) -> Outcome:
        """Apply one action that is not a deletion."""
        if action.kind == "skip":
            return action.path, SyncResult(action=action, done="skipped")
        progress = self._meter.begin(action.path, action.source.size if action.source is not None else 0)
        try:
            return action.path, await self._transferred(action, progress)
        except StorageError as error:
            return action.path, filled(error, self._provider, action.kind)

    async def _transferred(self, action: SyncAction, progress: ProgressCallback | None) -> SyncResult:
        if self._continues or self._moves.looks_first(action):
            # Where an earlier sync has done the action, a listing would show only that the pinned state is gone.
            look = self._moves.look if self._continues else self._moves.quick_look
            seen = await look(action)
            self._continues = seen == "done"
            if seen == "done":
                return SyncResult(action=action, done="already_done")
            if seen == "changed":
                raise target_changed(self._moves.target(action), action.target)
        try:
            transfer = await self._moves.transfer(action, progress)
        except self._moves.CHANGED as error:
            if isinstance(error, UploadNotFoundError):
                raise
            seen = await self._moves.look(action)
            self._continues = seen == "done"
            if seen == "done":
                return SyncResult(action=action, done="already_done")
            if seen == "changed":
                raise target_changed(self._moves.target(action), action.target, error.key) from error
            where, removed = self._moves.source(action), isinstance(error, _REMOVED)
            raise source_changed(where, error.key, removed=removed) from error
        return SyncResult(action=action, done="transferred", transfer=transfer)


def _is_transfer(action: SyncAction) -> bool:
    return action.kind != "delete"


def _is_deletion(action: SyncAction) -> bool:
    return action.kind == "delete"


async def _withheld(actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
    async with aclosing(actions):
        async for action in actions:
            yield action.path, SyncResult(action=action, done="withheld")
