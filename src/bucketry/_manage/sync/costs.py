"""The number of requests that applying a plan makes, retries not counted. No I/O."""

from __future__ import annotations

from bucketry._core.requests import ObjectRequests
from bucketry._core.units import MiB
from bucketry._manage.sync.moves import condition
from bucketry._manage.sync.values import Direction, SyncAction
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.plan import plan_download, plan_upload

_OPEN_AND_CLOSE = 3  # of a multipart upload: create, complete, HEAD
_LARGE_COPY_PART = 256 * MiB  # as `StorageProvider.copy` documents it


class RequestCounter:
    """Counts what the actions of a plan cost.

    An upload is 1 request, or 1 for each part and 3 more; a download is 1, or 1 for each part and 1 more. A copy is 5,
    or 2 for each part and 6 more, and 1 for the tags if both providers have them; on the server it is 5, or for a large
    object 1 for each 256 MiB and 6 more. A HEAD comes before an upload that goes in parts, or whose target no condition
    protects, and before each deletion of an object. Deletions share requests, as `capabilities.max_delete_keys` allows.
    A copy may need fewer than counted here.

    Args:
        direction: The plan's.
        transfers: The manager that applies the plan.
        target: Of an upload or a copy: the provider that changes; `None` for a download.
    """

    def __init__(self, direction: Direction, transfers: TransferManager, target: ObjectRequests | None) -> None:
        """Store the arguments; no I/O."""
        self._direction = direction
        self._transfers = transfers
        self._target = target
        self.transfers = 0
        self._deletions = 0

    def add(self, action: SyncAction) -> None:
        """Count an action."""
        if action.kind == "delete":
            self._deletions += 1
        elif action.kind != "skip":
            self.transfers += self._of_transfer(action)

    @property
    def total(self) -> int:
        """The requests of all actions."""
        if self._target is None:
            return self.transfers
        batches = -(-self._deletions // max(1, self._target.capabilities.max_delete_keys))
        return self.transfers + self._deletions + batches

    def _of_transfer(self, action: SyncAction) -> int:
        size = action.source.size if action.source is not None else 0
        config = self._transfers.config
        if self._target is None:
            parts = plan_download(size, config.part_size).count
            return parts + 1 if parts > 1 else 1
        row = self._target.capabilities
        parts = plan_upload(size, row, config.part_size, "").count
        if self._direction == "upload":
            if self._transfers.goes_in_parts(size):
                return parts + _OPEN_AND_CLOSE + 1
            return 1 if condition(action.target, row, in_parts=False) is not None else 2
        if self._target is self._transfers.provider and row.copy:
            return 5 if size <= row.max_copy_size else -(-size // _LARGE_COPY_PART) + 6
        tags = 1 if row.tags and self._transfers.provider.capabilities.tags else 0
        return tags + (5 if parts <= 1 or not row.multipart else 2 * parts + _OPEN_AND_CLOSE + 3)
