"""All rows, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.rows import (
    adaptive,
    cold,
    download,
    download_tls,
    facts,
    far,
    get_medium,
    get_small,
    head,
    lanes,
    listing,
    loop,
    memory,
    planning,
    put_small,
    start,
    sync,
    tree,
    upload,
    upload_tls,
)
from benchmarks.rows.row import Row

_SCRIPTS = (
    get_small,
    get_medium,
    head,
    put_small,
    download,
    download_tls,
    upload,
    listing,
    tree,
    loop,
    memory,
    start,
    far,
    cold,
    upload_tls,
    facts,
    lanes,
    adaptive,
    sync,
    planning,
)
ROWS: dict[str, Row] = {script.ROW.number: script.ROW for script in _SCRIPTS}


def chosen(names: Iterable[str], known: Iterable[str]) -> list[Row]:
    """Give the named rows in the order of measuring, or all; `"4"` stands for `"4+5"`.

    Args:
        names: The names; empty: all rows.
        known: Rows that already have samples; other rows that a named row needs are added.

    Raises:
        ValueError: A name is unknown.
    """
    wanted = set()
    for name in names:
        found = [number for number in ROWS if name == number or name in number.split("+")]
        if not found:
            message = f"there is no row {name!r}; there are {', '.join(ROWS)}"
            raise ValueError(message)
        wanted.update(found)
    present = set(known)
    for number in tuple(wanted):
        wanted.update(need for need in ROWS[number].needs if need not in present)
    return [row for number, row in ROWS.items() if number in wanted or not wanted]
