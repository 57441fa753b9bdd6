"""One page of a listing, made of objects in key order; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo


def last_seen(start_after: str | None, token: str | None) -> str:
    """Give the name after which a page begins; a token is the last entry of the page before."""
    return max(start_after or "", token or "")  # code points sort as their UTF-8 does


def take_page(
    objects: Iterable[ObjectInfo],
    *,
    prefix: str,
    delimiter: str | None,
    after: str,
    limit: int,
    skip: Callable[[str], None] | None = None,
) -> ListPage:
    """Take up to `limit` entries, and stop at the first one beyond them.

    Args:
        objects: Those whose keys begin with `prefix` and sort after `after`, in UTF-8 binary order.
        prefix: Literal; what a delimiter is looked for behind.
        delimiter: Groups the keys that share what comes before it after the prefix.
        after: Entries up to this one, common prefixes too, were given before.
        limit: Entries in a page.
        skip: Called with a common prefix: `objects` may leave out what is still to come below it.
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
