"""Applies a plan: transfers first, each only if nothing changed meanwhile, then deletions if all have succeeded."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bucketry._core.facts import filled
from bucketry._manage.sync.moves import Moves
from bucketry._manage.sync.pins import changed
from bucketry._manage.sync.progress import SyncMeter
from bucketry._manage.sync.results import Outcome, SyncResult
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import SyncAction
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.workers import fan_out_each
from bucketry.errors import PreconditionFailedError, StorageError, UploadNotFoundError

_log = logging.getLogger("bucketry")


class Applier:
    """One plan that is being applied.

    Args:
        plan: The plan.
        moves: Its direction.
        meter: Counts bytes and files.
        width: Transfers at once.
        provider: The provider's name, for errors.
    """

    def __init__(self, plan: SyncPlan, moves: Moves, meter: SyncMeter, *, width: int, provider: str) -> None:
        """Store the arguments; no I/O."""
        self._plan = plan
        self._moves = moves
        self._meter = meter
        self._width = width
        self._provider = provider
        self._continues = False  # an earlier run has done the last action seen, so probably also the next ones

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Apply the plan; give one outcome for each action, as soon as it is known."""
        complete = True
        transfers = fan_out_each(self._actions(deletions=False), self._settled, width=self._width)
        async with aclosing(transfers):
            async for path, outcome in transfers:
                complete = complete and not isinstance(outcome, StorageError)
                _debug(path, outcome)
                yield path, outcome
        self._meter.close()
        if not self._plan.summary.deletions:
            return
        deletions = self._actions(deletions=True)
        async with aclosing(self._moves.delete(deletions) if complete else _withheld(deletions)) as outcomes:
            async for path, outcome in outcomes:
                _debug(path, outcome)
                yield path, outcome

    async def _actions(self, *, deletions: bool) -> AsyncGenerator[SyncAction, None]:
        async with aclosing(aiter(self._plan)) as actions:
            async for action in actions:
                if (action.kind == "delete") is deletions:
                    yield action

    async def _settled(self, action: SyncAction) -> Outcome:
        """Apply one action that is no deletion."""
        if action.kind == "skip":
            return action.path, SyncResult(action=action, done="skipped")
        watch = self._meter.begin(action.path, action.source.size if action.source is not None else 0)
        outcome: SyncResult | StorageError
        try:
            outcome = await self._transferred(action, watch.report if self._meter.wanted else None)
        except StorageError as error:
            outcome = filled(error, self._provider, action.kind)
        watch.finish()
        return action.path, outcome

    async def _transferred(self, action: SyncAction, progress: ProgressCallback | None) -> SyncResult:
        if self._continues or self._moves.looks_first(action):
            seen = await self._moves.look(action)
            self._continues = seen == "done"
            if seen == "done":
                return SyncResult(action=action, done="already_done")
            if seen == "changed":
                raise changed(self._moves.target(action))
        try:
            transfer = await self._moves.transfer(action, progress)
        except self._moves.CHANGED as error:
            if isinstance(error, UploadNotFoundError):
                raise
            self._continues = await self._moves.look(action) == "done"
            if self._continues:
                return SyncResult(action=action, done="already_done")
            if isinstance(error, PreconditionFailedError):
                raise
            raise changed(self._moves.target(action), error.message) from error
        return SyncResult(action=action, done="transferred", transfer=transfer)


async def _withheld(actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
    async with aclosing(actions):
        async for action in actions:
            yield action.path, SyncResult(action=action, done="withheld")


def _debug(path: str, outcome: SyncResult | StorageError) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        done = f"{type(outcome).__name__}: {outcome}" if isinstance(outcome, StorageError) else outcome.done
        _log.debug("sync: %s: %s", path, done)
