"""Counts the requests that applying a plan makes, without retries. No I/O."""

from __future__ import annotations

from bucketry._core.capabilities import Capabilities
from bucketry._core.requests import ObjectRequests
from bucketry._manage.sync.moves import condition
from bucketry._manage.sync.target_states import answers_for
from bucketry._manage.sync.values import Direction, SyncAction
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.one.copy import PART_SIZE as SERVER_PART_SIZE
from bucketry._transfer.one.copy import same_server
from bucketry._transfer.plan import plan_download, plan_upload

_HEAD = 1
_OPEN_AND_CLOSE = 2  # requests that create and complete a multipart upload


class RequestCounter:
    """Counts the requests that the actions of a plan need.

    - An upload needs 1 request; in parts, 1 for each part and 3 more.
    - A download needs 1 request; in parts, 1 for each part and 1 more.
    - A copy needs 2 requests; in parts, 2 for each part and 3 more. If the server makes the copy, it needs 2 requests;
      for a large object, 1 for each part and 3 more. If both providers have tags, a copy needs 1 request more, except
      a small copy that the server makes.
    - An upload or a copy needs 1 HEAD more if it is made in parts. Others, if no condition protects their target, need
      1 listing page for each `capabilities.max_list_keys` objects of the target together, at most 1 page for each; or 1
      HEAD, if a listing cannot answer for the key. If the server makes the copy, no condition protects the target. It
      is assumed that no page gets too old, and that no target has changed.
    - The deletion of an object needs 1 HEAD. One request deletes up to `capabilities.max_delete_keys` objects.

    Args:
        direction: The direction of the plan.
        transfers: The manager that applies the plan.
        target: The provider that changes, for an upload or a copy; `None` for a download.
        prefix: The prefix of the target's objects.
    """

    def __init__(
        self, direction: Direction, transfers: TransferManager, target: ObjectRequests | None, prefix: str
    ) -> None:
        """Store the arguments; no I/O."""
        self._direction = direction
        self._transfers = transfers
        self._target = target
        self._prefix = prefix
        self._transfers_alone = 0  # requests of the transfers, without the pages that compare many targets
        self._compared_by_pages = 0
        self._deletions = 0

    def add(self, action: SyncAction) -> None:
        """Count an action."""
        if action.kind == "delete":
            self._deletions += 1
        elif action.kind != "skip":
            self._transfers_alone += self._of_transfer(action)

    def total(self, objects: int) -> int:
        """Return the number of requests for all actions.

        Args:
            objects: The number of objects below the target's prefix.
        """
        if self._target is None:
            return self._transfers_alone
        row = self._target.capabilities
        batches = -(-self._deletions // max(1, row.max_delete_keys))
        pages = min(self._compared_by_pages, max(1, -(-objects // row.max_list_keys)))
        return self._transfers_alone + pages + self._deletions + batches

    def _comparison(self, action: SyncAction, row: Capabilities) -> int:
        """Return the HEADs that compare a target that no condition protects, before a transfer in one part."""
        if not answers_for(self._prefix + action.path, row):
            return _HEAD
        self._compared_by_pages += 1
        return 0

    def _of_transfer(self, action: SyncAction) -> int:
        size = action.source.size if action.source is not None else 0
        if self._target is None:
            parts = plan_download(size, self._transfers.config.part_size).count
            return parts + 1 if parts > 1 else 1
        if self._direction == "copy":
            return self._of_copy(action, size, self._target)
        row = self._target.capabilities
        if self._transfers.goes_in_parts(size):
            parts = plan_upload(size, row, self._transfers.config.part_size, "").count
            return _HEAD + _OPEN_AND_CLOSE + parts + _HEAD
        return 1 if condition(action.target, row, in_parts=False) is not None else self._comparison(action, row) + 1

    def _of_copy(self, action: SyncAction, size: int, target: ObjectRequests) -> int:
        row, source = target.capabilities, self._transfers.provider
        tags = 1 if row.tags and source.capabilities.tags else 0
        parts = plan_upload(size, row, self._transfers.config.part_size, "").count
        in_parts = parts > 1 and row.multipart
        if same_server(source, target, action.path):
            first = _HEAD if in_parts else self._comparison(action, row)
            if size <= row.max_copy_size:
                return first + _HEAD + 1
            part_size = max(row.min_part_size, min(SERVER_PART_SIZE, row.max_part_size))
            return first + _HEAD + _OPEN_AND_CLOSE + plan_upload(size, row, part_size, "").count + tags
        if in_parts:
            return _HEAD + _HEAD + _OPEN_AND_CLOSE + 2 * parts + tags
        protected = condition(action.target, row, in_parts=False) is not None
        return (0 if protected else self._comparison(action, row)) + 2 + tags
