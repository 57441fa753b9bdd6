"""Counts the requests that applying a plan makes, by kind and for each provider, without retries. No I/O."""

from __future__ import annotations

from collections import Counter

from bucketry._core import checksums
from bucketry._core.capabilities import Capabilities
from bucketry._core.requests import ObjectRequests
from bucketry._manage.sync.moves import condition
from bucketry._manage.sync.target_states import answers_for
from bucketry._manage.sync.values import Direction, SideUsage, SyncAction
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.one.copy import PART_SIZE as SERVER_PART_SIZE
from bucketry._transfer.one.copy import same_server
from bucketry._transfer.one.write import needs_head
from bucketry._transfer.plan import plan_download, plan_upload

_OPEN_AND_CLOSE = 2  # requests that create and complete a multipart upload


class RequestCounter:
    """Counts the requests that the actions of a plan need.

    - An upload needs 1 request; in parts, 1 for each part and 2 more, and 1 HEAD after them unless the vendor has
      compared the checksum of the whole object; see `needs_head`.
    - A download needs 1 request; in parts, 1 for each part. If the provider stores checksums, a download in parts needs
      1 HEAD more, unless the response to a range tells the object's checksum, as that of the memory does.
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
        self._of_source: Counter[str] = Counter()
        self._of_target: Counter[str] = Counter()  # without the pages that compare many targets
        self._egress = 0
        self._compared_by_pages = 0
        self._deletions = 0

    def add(self, action: SyncAction) -> None:
        """Count an action."""
        if action.kind == "delete":
            self._deletions += 1
        elif action.kind != "skip":
            self._add_transfer(action, action.source.size if action.source is not None else 0)

    def sides(self, objects: int) -> tuple[SideUsage, ...]:
        """Return the use of the source, unless that is a directory, and of the target, unless that is a directory.

        Args:
            objects: The number of objects below the target's prefix.
        """
        source, target = self._transfers.provider, self._target
        found = []
        if self._direction != "upload":
            found.append(SideUsage(vendor=_vendor(source), requests=_made(self._of_source), egress=self._egress))
        if target is not None:
            row = target.capabilities
            counts = self._of_target.copy()
            pages = min(self._compared_by_pages, max(1, -(-objects // row.max_list_keys)))
            counts["list"] += pages
            counts["head"] += self._deletions
            counts["delete"] += -(-self._deletions // max(1, row.max_delete_keys))
            found.append(SideUsage(vendor=_vendor(target), requests=_made(counts)))
        return tuple(found)

    def _compare(self, action: SyncAction, row: Capabilities) -> None:
        """Count what compares a target that no condition protects, before a transfer in one part."""
        if answers_for(self._prefix + action.path, row):
            self._compared_by_pages += 1
        else:
            self._of_target["head"] += 1

    def _add_transfer(self, action: SyncAction, size: int) -> None:
        if self._target is None:
            self._egress += size
            parts = plan_download(size, self._transfers.config.part_size).count
            self._of_source["get"] += max(1, parts)
            stored = checksums.first_usable(self._transfers.provider.capabilities.stored_checksums)
            self._of_source["head"] += 1 if parts > 1 and self._transfers.config.verify and stored is not None else 0
        elif self._direction == "copy":
            self._add_copy(action, size, self._target)
        elif self._transfers.goes_in_parts(size):
            row = self._target.capabilities
            self._add_parts("put", plan_upload(size, row, self._transfers.config.part_size, "").count)
            compared = row.full_object_checksum and row.multipart_checksum is not None
            self._of_target["head"] += needs_head(row, self._transfers.config, compared=compared)
        else:
            row = self._target.capabilities
            if condition(action.target, row, in_parts=False) is None:
                self._compare(action, row)
            self._of_target["put"] += 1

    def _add_parts(self, kind: str, parts: int) -> None:
        """Count an upload in parts, with the HEAD that compares its target."""
        self._of_target["head"] += 1
        self._of_target["post"] += _OPEN_AND_CLOSE
        self._of_target[kind] += parts

    def _add_copy(self, action: SyncAction, size: int, target: ObjectRequests) -> None:
        row, source = target.capabilities, self._transfers.provider
        parts = plan_upload(size, row, self._transfers.config.part_size, "").count
        in_parts = parts > 1 and row.multipart
        tags = 1 if row.tags and source.capabilities.tags else 0
        if same_server(source, target, action.path):
            if in_parts:
                self._of_target["head"] += 1
            else:
                self._compare(action, row)
            self._of_source["head"] += 1
            if size <= row.max_copy_size:
                self._of_target["copy"] += 1
                return
            part_size = max(row.min_part_size, min(SERVER_PART_SIZE, row.max_part_size))
            self._of_target["post"] += _OPEN_AND_CLOSE
            self._of_target["copy"] += plan_upload(size, row, part_size, "").count
            self._of_source["get"] += tags
            return
        self._of_source["get"] += tags
        self._egress += size
        if in_parts:
            self._of_source["head"] += 1
            self._of_source["get"] += parts
            self._add_parts("put", parts)
            return
        if condition(action.target, row, in_parts=False) is None:
            self._compare(action, row)
        self._of_source["get"] += 1
        self._of_target["put"] += 1


def _made(counts: Counter[str]) -> dict[str, int]:
    return {kind: count for kind, count in counts.items() if count}


def _vendor(provider: ObjectRequests) -> str:
    """Return the name of the cloud whose list prices apply to a provider; empty: there is none."""
    name = getattr(provider, "billed_by", "")
    return name if isinstance(name, str) else ""
