"""Builds one page of a listing from objects in key order; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo


def last_seen(start_after: str | None, token: str | None) -> str:
    """Return the name after which a page begins; a token is the last entry of the previous page."""
    return max(start_after or "", token or "")  # the order of code points is the order of their UTF-8 bytes


def take_page(
    objects: Iterable[ObjectInfo],
    *,
    prefix: str,
    delimiter: str | None,
    after: str,
    limit: int,
    skip: Callable[[str], None] | None = None,
) -> ListPage:
    """Return a page of up to `limit` entries; stop at the first entry that does not fit into the page.

    Args:
        objects: The objects whose keys begin with `prefix` and sort after `after`, in UTF-8 binary order.
        prefix: Literal text; the delimiter is searched for after it.
        delimiter: Groups the keys that have the same text between the prefix and the delimiter.
        after: Previous pages contained all entries up to this name, common prefixes included.
        limit: The most entries in a page.
        skip: Called with each common prefix, so that `objects` can leave out the remaining keys below it.
    """
    entries: list[ObjectInfo | CommonPrefix] = []
    last = ""
    for info in objects:
        end = info.key.find(delimiter, len(prefix)) if delimiter else -1
        name = info.key[: end + len(delimiter or "")] if end >= 0 else info.key
        if end >= 0:
            if skip is not None:
                skip(name)
            if name <= max(after, last):
                continue
        if len(entries) == limit:
            return ListPage(tuple(entries), next_token=last)
        entries.append(CommonPrefix(name) if end >= 0 else info)
        last = name
    return ListPage(tuple(entries))
