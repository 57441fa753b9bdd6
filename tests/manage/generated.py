"""A provider whose listing is generated: any number of objects, none of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bucketry import MemoryProvider
from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo, listed_info
from bucketry.errors import NotFoundError

STORED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_PAGE = 1_000
_ETAG = '"0123456789abcdef0123456789abcdef"'
_NAMES = [f"file-{number:03}.bin" for number in range(1_000)]  # made once: the listing must cost less than the plan


class GeneratedProvider(MemoryProvider):
    """A provider with objects whose keys, sizes and metadata follow from their numbers; nothing can be stored in it.

    Args:
        numbers: The objects' numbers, ascending and below 10,000,000.
        size: Gives the size of a number's object.
        metadata: The metadata of every object.
    """

    def __init__(
        self,
        numbers: range,
        *,
        size: Callable[[int], int] = lambda number: number % 1_000,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Store the arguments."""
        super().__init__()
        self.numbers = numbers
        self.heads = 0
        self.pages = 0
        self._size = size
        self._metadata = metadata or {}

    @staticmethod
    def key(number: int) -> str:
        """Give the key of a number's object."""
        return f"directory-{number // 1_000:04}/{_NAMES[number % 1_000]}"

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """Make a page; only whole listings without a prefix are supported."""
        assert (prefix, delimiter, start_after) == ("", None, None)
        self.pages += 1
        start, size = int(token or 0), self._size
        entries: tuple[ObjectInfo | CommonPrefix, ...] = tuple(
            listed_info(f"directory-{number // 1_000:04}/{_NAMES[number % 1_000]}", STORED, _ETAG, size(number), None)
            for number in self.numbers[start : start + _PAGE]
        )
        end = start + len(entries)
        return ListPage(entries, str(end) if end < len(self.numbers) else None)

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """Make the properties of an object."""
        del version_id
        self.heads += 1
        number = int(key[10:14]) * 1_000 + int(key[20:23])
        if number not in self.numbers:
            raise NotFoundError(f"{key}: there is no such object", key=key)
        return ObjectInfo(
            key=key,
            size=self._size(number),
            etag=_ETAG,
            last_modified=STORED,
            metadata=self._metadata,
        )
