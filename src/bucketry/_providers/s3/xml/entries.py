"""Reads a listing's entries with a regular expression, if they have the form that AWS and most other vendors use.

In the usual form the elements have a fixed order and no blanks between them, so such an entry matches one regular
expression. Entries that do not match exactly go to the XML reader, and so do the bytes before and after the entries.
The regular expression takes 0.8 ms for 1,000 entries, the XML reader 3.6 ms.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from bucketry._core.units import KiB

Columns: TypeAlias = tuple[list[str], list[str], list[str], list[str], list[str]]
"""Key, LastModified, ETag, Size and StorageClass of the entries, each a list."""

_FIRST, _LAST = b"<Contents>", b"</Contents>"
_LONGEST_HEAD = 16 * KiB
_HEAD = re.compile(  # all elements but the root are closed, so the entries are directly below the root
    rb"(?:<\?xml [^<>]*\?>)?\s*<ListBucketResult(?: xmlns=\"[^\"<>&]*\")?>\s*"
    rb"(?:<([A-Za-z]+)>[^<>]*</\1>\s*|<[A-Za-z]+/>\s*)*"
)
_ENTRY = re.compile(
    r"<Contents><Key>([^<]*)</Key><LastModified>([^<]*Z)</LastModified><ETag>([^<]*)</ETag>"
    r"(?:<ChecksumAlgorithm>[A-Z0-9]*</ChecksumAlgorithm>)*(?:<ChecksumType>[A-Z_]*</ChecksumType>)?"
    r"<Size>([0-9]{1,18})</Size><StorageClass>([A-Z0-9_]*)</StorageClass></Contents>"
)
_NOTHING: Columns = ([], [], [], [], [])


class EntrySweep:
    """Splits a listing's bytes, as they arrive, into entries of the usual form and bytes for the XML reader."""

    def __init__(self) -> None:
        self._pending = b""
        self._in_entries = False
        self._over = False

    def feed(self, data: bytes) -> tuple[Columns, bytes]:
        """Read the next bytes; return the entries that are now complete, and the bytes for the XML reader."""
        if self._over:
            return _NOTHING, data
        head = b""
        data = self._pending + data
        if not self._in_entries:
            start = data.find(_FIRST)
            if start < 0 and len(data) < _LONGEST_HEAD:
                self._pending = data
                return _NOTHING, b""
            if start < 0 or not _HEAD.fullmatch(data, 0, start):
                return _NOTHING, self._end(data)
            head, data, self._in_entries = data[:start], data[start:], True
        end = data.rfind(_LAST) + len(_LAST)
        columns = _columns(data[:end]) if end >= len(_LAST) else _NOTHING
        if columns is None:
            return _NOTHING, head + self._end(data)
        rest = data[end:] if end >= len(_LAST) else data
        if rest and not _FIRST.startswith(rest[: len(_FIRST)]) and not rest.startswith(_FIRST):
            return columns, head + self._end(rest)
        self._pending = rest
        return columns, head

    def close(self) -> bytes:
        """Return the remaining bytes for the XML reader, after all bytes were fed."""
        return self._end(self._pending)

    def _end(self, rest: bytes) -> bytes:
        self._over, self._pending = True, b""
        return rest


def _columns(entries: bytes) -> Columns | None:
    """Return the fields of the entries; `None`: one entry does not have the usual form."""
    if not entries.isascii():
        return None
    split = _ENTRY.split(entries.decode("ascii"))
    step = _ENTRY.groups + 1  # `split` contains, again and again, the text before a match and its five groups
    if any(split[::step]):
        return None
    keys, modified, etags, sizes, classes = (split[at::step] for at in range(1, step))
    unquoted = " ".join(etags).replace("&quot;", '"')
    plain = "".join([*keys, *modified, unquoted])
    if "&" in plain or ">" in plain or not plain.isprintable():  # the XML reader must unescape or refuse these
        return None
    etags = unquoted.split(" ")
    return (keys, modified, etags, sizes, classes) if len(etags) == len(keys) else None
