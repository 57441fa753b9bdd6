"""Compares objects of the target with their pinned states by pages of a listing: one request for many objects."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bucketry._core.capabilities import Capabilities
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import NOTHING, ObjectInfo
from bucketry._manage.sync.pins import object_is
from bucketry._manage.sync.values import EntryState
from bucketry.errors import StorageError

TRUSTED = 2.0
"""Seconds for which a page is used. Within this time, one page replaces hundreds of HEADs. A longer time would replace
few more, because a page has 1,000 objects at most, and would make it likelier that another program's write is lost."""

_log = logging.getLogger("bucketry")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What a listing has shown.

    Attributes:
        asked: When the request was made, by the clock.
        after: The page has all keys after this text, up to `last`.
        last: The last key of the page; `None`: the page has all keys to the end.
        objects: The objects by key.
    """

    asked: float
    after: str
    last: str | None
    objects: Mapping[str, ObjectInfo] = field(default_factory=lambda: NOTHING)


class ListedTargets:
    """Answers whether objects have their pinned states, by a page of a listing that is only a short time old.

    A page begins just before the key that is asked for. It answers for the keys that come next, until it ends or is too
    old; then the next page is requested. If the server's pages do not help, no more pages are requested. That is so if
    a request fails or takes longer than half of `trusted`, or if a page is not sorted or does not have its key's place.

    Args:
        provider: The target.
        prefix: The prefix of all keys; empty, or with `/` at the end.
        trusted: Seconds for which a page is used, counted from the start of its request.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        provider: ObjectRequests,
        prefix: str,
        *,
        trusted: float = TRUSTED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store the arguments; no I/O."""
        self._provider = provider
        self._prefix = prefix
        self._trusted = trusted
        self._clock = clock
        self._page: _Page | None = None
        self._turn = asyncio.Lock()  # one request at a time: the page that others wait for is probably theirs, too
        self._helps = True

    async def shows(self, key: str, pin: EntryState | None) -> bool:
        """Return whether a page shows the object in its pinned state; `False`: it does not, or cannot answer.

        Cost: 1 request, if there is no page for the key; memory for 1 page.
        """
        if not answers_for(key, self._provider.capabilities):
            return False
        if self._page_of(key) is None:
            async with self._turn:
                if self._helps and self._page_of(key) is None:
                    await self._request(key)
        page = self._page_of(key)
        if page is None:
            return False
        info = page.objects.get(key)
        return object_is(info, pin) and (info is None or bool(info.etag))  # without an etag, a HEAD compares the time

    def _page_of(self, key: str) -> _Page | None:
        """Return the page, if it has the place of this key and is not too old."""
        page = self._page
        if page is None or self._clock() - page.asked > self._trusted:
            return None
        return page if page.after < key and (page.last is None or key <= page.last) else None

    async def _request(self, key: str) -> None:
        asked, after = self._clock(), text_before(key)
        try:
            page = await self._provider.list_page(self._prefix, start_after=after or None)
        except StorageError as error:  # perhaps only listings are not allowed; a HEAD shows whether anything else is
            _log.debug("sync: %s: no listing of the target: %s", key, error)
            self._helps = False
            return
        objects = {info.key: info for info in page.entries if isinstance(info, ObjectInfo)}
        keys = list(objects)
        if keys != sorted(keys):
            self._helps = False
            return
        last = None if page.next_token is None else next(reversed(keys), after)
        self._page = _Page(asked=asked, after=after, last=last, objects=objects)
        self._helps = self._page_of(key) is not None and self._clock() - asked <= self._trusted / 2


def answers_for(key: str, row: Capabilities) -> bool:
    """Return whether a listing has an object under exactly the key that a HEAD finds it by.

    A vendor that changes the Unicode form of keys lists other keys than were sent. A file system may not distinguish
    capitals.
    """
    return not row.plain_paths and (row.key_normalization is None or key.isascii())


def text_before(key: str) -> str:
    """Return a text that sorts before the key; in most buckets, no object's key is between them.

    It is made of printable characters, because servers repeat it in their answer, and may refuse others.
    """
    start, last = key[:-1], chr(max(0, ord(key[-1]) - 1))
    return f"{start}{last}~" if last.isprintable() else start
