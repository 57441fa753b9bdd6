"""Decides for each path whether a sync transfers, deletes or skips the entry, and writes these actions as a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from bucketry._core.checks import OWN, check_key, local_parts
from bucketry._core.provider import StrPath
from bucketry._manage.sync.compare import Comparer, Place, state_of
from bucketry._manage.sync.costs import RequestCounter
from bucketry._manage.sync.entries import BATCH, Batches, Entry, Found, in_form, local_entries, provider_entries
from bucketry._manage.sync.filters import Filter
from bucketry._manage.sync.merge import FilesAbove, Pair, Protected, merged
from bucketry._manage.sync.saved import PlanWriter, SyncPlan
from bucketry._manage.sync.values import EntryState, PlanHeader, PlanSummary, SyncAction
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.plan import plan_upload
from bucketry._transfer.workers import fan_out
from bucketry.errors import InvalidRequestError, LocalFileError, NotFoundError, StorageError

# Pairs in one round of comparisons; actions are written after the whole round, so they stay in order. As many as one
# page of a listing has: the next page is requested during a round, and a larger round would wait for every second page.
LOOKS = 1_000
_GONE = "it was removed while the plan was made; plan again"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """The arguments of `make_plan`.

    Attributes:
        header: The header of the plan.
        source: The side that does not change.
        target: The side that changes.
        filters: Selects the entries of both sides.
        force: Whether `delete` may remove everything from the target if the source is empty.
        transfers: The manager that is going to apply the plan; its `max_concurrency` also limits the HEADs of planning.
    """

    header: PlanHeader
    source: Place
    target: Place
    filters: Filter
    force: bool
    transfers: TransferManager


async def make_plan(request: PlanRequest, path: StrPath | None) -> SyncPlan:
    """Compare both sides, and return the plan.

    Args:
        request: What to plan.
        path: The plan's file; `None`: the plan is in memory, or in a temporary file if it is large.
    """
    found, there = Found(), Found()
    async with (
        PlanWriter(request.header, path) as writer,
        aclosing(merged(_source(request, found), _target(request, there))) as batches,
    ):
        planner = _Planner(request, found, writer)
        async for pairs in batches:
            await planner.decide(pairs)
            await asyncio.sleep(0)  # other tasks must run, and a listing from memory never waits
        await planner.settle()
        planner.check_source()
        sides = planner.requests.sides(there.entries)
        requests = sum(count for side in sides for count in side.requests.values())
        return await writer.finish(PlanSummary(unchanged=planner.unchanged, requests=requests, sides=sides))


def _source(request: PlanRequest, found: Found) -> Batches:
    place, target = request.source, request.target.provider
    if place.provider is None:
        begin = partial(local_entries, place.root, request.filters, may_be_missing=False)
    else:
        begin = partial(
            provider_entries,
            place.provider,
            place.prefix,
            request.filters,
            as_files=_as_files(request.target),
            other_is_local=target is None,
        )
    form = None if target is None else target.capabilities.key_normalization
    already = None if place.provider is None else place.provider.capabilities.key_normalization
    return begin(found=found) if form is None or form == already else in_form(form, lambda one: begin(found=one), found)


def _target(request: PlanRequest, found: Found) -> Batches:
    place = request.target
    if place.provider is None:
        return local_entries(place.root, request.filters, found, may_be_missing=True)
    return provider_entries(
        place.provider,
        place.prefix,
        request.filters,
        found,
        as_files=False,
        other_is_local=request.source.provider is None,
    )


def _as_files(target: Place) -> bool:
    return target.provider is None or target.provider.capabilities.plain_paths


class _Planner:
    """Decides about pairs in the order of their paths."""

    def __init__(self, request: PlanRequest, found: Found, writer: PlanWriter) -> None:
        header, target = request.header, request.target
        self.unchanged = 0
        self._first_deletion = ""
        self.requests = RequestCounter(header.direction, request.transfers, target.provider, target.prefix)
        self._request = request
        self._header = header
        self._found = found
        self._writer = writer
        self._protected = Protected()
        self._files_above = FilesAbove() if _as_files(request.target) and request.source.provider is not None else None
        self._by_size = header.compare == "size"
        self._comparer = Comparer(request.source, request.target, header.compare)
        self._waiting: list[SyncAction | Pair | None] = []
        self._open: list[int] = []

    async def decide(self, pairs: Iterable[Pair]) -> None:
        """Decide about the next pairs; pairs whose content must be compared wait until there are many of them."""
        quick = self._by_size and self._files_above is None
        for pair in pairs:
            source, target = pair
            if (
                quick
                and source is not None
                and target is not None
                and source.size == target.size
                and source.problem is target.problem is None
                and not source.twins
            ):
                self.unchanged += 1  # tested before `_decide`, because it is the most frequent outcome
            else:
                self._decide(source, target)
        if not self._open or len(self._open) >= LOOKS or len(self._waiting) >= 10 * LOOKS:
            await self.settle()

    async def settle(self) -> None:
        """Compare the waiting pairs, and write all decided actions."""
        if self._open:
            await self._comparer.prepare([self._pair(index) for index in self._open])
            await fan_out(self._open, self._compare, width=self._request.transfers.config.max_concurrency)
            await self._comparer.save()
            self._open = []
        for number, action in enumerate(self._waiting, 1):
            if isinstance(action, SyncAction):
                self.requests.add(action)
                await self._writer.add(action)
            if not number % BATCH:
                await asyncio.sleep(0)  # other tasks must run
        self._waiting = []

    def check_source(self) -> None:
        """Refuse a source that is probably a wrong path: see `plan_sync`.

        Raises:
            InvalidRequestError: The source has entries, but no pattern matches one of them; or there is nothing to
                sync, and the plan has deletions without `force`.
            NotFoundError: The source has no entries at all, and there are patterns; or a download has no object at all,
                and there is no `force`.
        """
        where, found = self._header.source, self._found
        if self._header.direction == "download" and not found.listed and not self._request.force:
            advice = "give the right prefix, or force=True if it may be empty"
            message = f"{where}: there is no object below this prefix; {advice}"
            raise NotFoundError(message, key=self._request.source.prefix)
        if self._header.include and not found.included:
            where = f"{where}: include={self._header.include!r} matches nothing"
            if found.entries:
                raise InvalidRequestError(f"{where} of {found.entries} entries; patterns are as in .gitignore files")
            raise NotFoundError(f"{where}: there is nothing at all")
        if self._first_deletion and not found.selected and not self._request.force:
            raise InvalidRequestError(
                f"{where}: there is nothing to sync, so delete=True would remove everything below "
                f"{self._header.target}, first {self._first_deletion!r}; give force=True if that is wanted"
            )

    def _decide(self, source: Entry | None, target: Entry | None) -> None:
        """Decide about one path."""
        entry = source or target
        assert entry is not None  # noqa: S101 - a pair has at least one entry
        if (source is not None and source.problem) or (target is not None and target.problem):
            self._leave(source, target)
            return
        reason = self._protected.reason(entry.path)
        if source is None:
            if reason is None and self._header.delete:
                self._delete(entry)
            return
        for twin in source.twins:
            self._skip(twin, f"the target stores it under the same name as {source.name or source.path!r}; rename one")
        if reason is None and self._files_above is not None:
            above = self._files_above.add(source.path)
            reason = above and f"{above!r} is a file at the target, so nothing can be below it"
        if reason is not None:
            self._skip(source.name or source.path, reason, source)
        elif target is None:
            self._transfer(source, None, "new")
        elif source.size != target.size:
            self._transfer(source, target, "size")
        elif self._by_size:
            self.unchanged += 1
        else:
            self._open.append(len(self._waiting))
            self._waiting.append((source, target))

    def _leave(self, source: Entry | None, target: Entry | None) -> None:
        """Skip a path that cannot be synced, and protect everything at and below this path from changes."""
        bad = source if source is not None and source.problem else target
        assert bad is not None  # noqa: S101 - one of them has a problem
        problem = bad.problem or ""
        if bad is target and source is not None:
            problem = f"the target cannot be changed: {problem}"
        if bad.info is None:  # an entry of a directory can hide others; no object is below a key
            self._protected.add(bad.path, f"it is below {bad.path!r}, which was left alone: {problem}")
        filters = self._request.filters
        if not filters.excludes(bad.path) and (bad.info is None or filters.includes(bad.path)):
            for name in (bad.name or bad.path, *bad.twins):
                self._skip(name, problem, source if bad is target else None)

    def _delete(self, target: Entry) -> None:
        self._first_deletion = self._first_deletion or target.path
        self._waiting.append(
            SyncAction(kind="delete", path=target.path, reason="not in source", target=state_of(target))
        )

    def _skip(self, path: str, reason: str, source: Entry | None = None) -> None:
        state = None if source is None else state_of(source)
        self._waiting.append(SyncAction(kind="skip", path=path, reason=reason, source=state))

    def _transfer(self, source: Entry, target: Entry | None, reason: str) -> None:
        state = None if target is None else state_of(target)
        self._waiting.append(self._transfer_of(source.name or source.path, reason, state_of(source), state))

    def _transfer_of(self, path: str, reason: str, source: EntryState, target: EntryState | None) -> SyncAction:
        """Return the action that transfers an entry, or that skips it if the target does not store such an entry."""
        problem = self._refusal(path, source.size)
        if problem is not None:
            return SyncAction(kind="skip", path=path, reason=problem, source=source, target=target)
        return SyncAction(kind=self._header.direction, path=path, reason=reason, source=source, target=target)

    def _refusal(self, path: str, size: int) -> str | None:
        """Return why the target's provider does not store an object of this name and size; `None`: it stores one."""
        place = self._request.target
        if place.provider is None:
            return None
        row, key = place.provider.capabilities, place.prefix + path
        try:
            check_key(key, row, place.url)
            plan_upload(size, row, self._request.transfers.config.part_size, place.url)
            if row.plain_paths and local_parts(key)[0].casefold() == OWN:
                return f"key {key!r} is the provider's own; rename it"
        except StorageError as error:
            return str(error)
        return None

    def _pair(self, index: int) -> tuple[Entry, Entry]:
        """Return one of the waiting pairs that must be compared."""
        pair = self._waiting[index]
        assert isinstance(pair, tuple)  # noqa: S101 - `_open` has the places of pairs
        source, target = pair
        assert source is not None  # noqa: S101 - every pair here has both
        assert target is not None  # noqa: S101 - every pair here has both
        return source, target

    async def _compare(self, index: int) -> None:
        """Compare one waiting pair, and replace it in `_waiting` by the action, or by `None` if there is no action."""
        source, target = self._pair(index)
        path = source.name or source.path
        try:
            seen = await self._comparer.compare(source, target)
        except LocalFileError as error:
            self._waiting[index] = SyncAction(kind="skip", path=path, reason=str(error), source=state_of(source))
            return
        self._waiting[index] = None
        if seen.source is None:
            self._waiting[index] = SyncAction(kind="skip", path=path, reason=_GONE, source=state_of(source))
        elif seen.reason is None:
            self.unchanged += 1
        else:
            self._waiting[index] = self._transfer_of(path, seen.reason, seen.source, seen.target)
