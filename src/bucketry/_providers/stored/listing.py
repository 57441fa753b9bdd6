"""One page of a listing, made of objects in key order; no I/O."""

from __future__ import annotations

from typing import Protocol, Self

from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo


class OrderedObjects(Protocol):
    """Objects whose keys begin with a prefix and sort after another key, in UTF-8 binary order."""

    def __iter__(self) -> Self:
        """Give itself: it is walked once."""

    def __next__(self) -> ObjectInfo:
        """Give the next object."""

    def skip(self, prefix: str) -> None:
        """Leave out what is still to come of the keys that begin with `prefix`."""


def last_seen(start_after: str | None, token: str | None) -> str:
    """Give the name after which a page begins; a token is the last entry of the page before."""
    return max(start_after or "", token or "")  # code points sort as their UTF-8 does


def take_page(objects: OrderedObjects, *, prefix: str, delimiter: str | None, after: str, limit: int) -> ListPage:
    """Take up to `limit` entries, and stop at the first one beyond them.

    Args:
        objects: Those whose keys begin with `prefix` and sort after `after`.
        prefix: Literal; what a delimiter is looked for behind.
        delimiter: Groups the keys that share what comes before it after the prefix.
        after: Entries up to this one, common prefixes too, were given before.
        limit: Entries in a page.
    """
    entries: list[ObjectInfo | CommonPrefix] = []
    last = ""
    for info in objects:
        end = info.key.find(delimiter, len(prefix)) if delimiter else -1
        name = info.key[: end + len(delimiter or "")] if end >= 0 else info.key
        if end >= 0:
            objects.skip(name)
            if name <= after:
                continue
        if len(entries) == limit:
            return ListPage(tuple(entries), next_token=last)
        entries.append(CommonPrefix(name) if end >= 0 else info)
        last = name
    return ListPage(tuple(entries))
