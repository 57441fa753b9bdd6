"""Pages of a listing that compare targets with their pinned states."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bucketry._core.values import ListPage, ObjectInfo
from bucketry._manage.sync.target_states import TRUSTED, ListedTargets, text_before
from bucketry._manage.sync.values import EntryState
from bucketry.errors import AccessDeniedError
from bucketry.providers.provider import StorageProvider
from bucketry.testing import Fault, FaultyProvider
from tests.manage.syncing import RowOf


class Time:
    """A clock that shows what it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


class Odd(RowOf):
    """A memory provider whose pages are changed before they are returned."""

    def __init__(self, *, reverse: bool = False, etag: str | None = None, from_start: bool = False) -> None:
        super().__init__(max_list_keys=5)
        self._reverse = reverse
        self._etag = etag
        self._from_start = from_start

    async def list_page(self, prefix: str = "", *, start_after: str | None = None, **rest: Any) -> ListPage:
        """List, with the changes."""
        page = await super().list_page(prefix, start_after=None if self._from_start else start_after, **rest)
        entries = page.entries[::-1] if self._reverse else page.entries
        if self._etag is not None:
            entries = tuple(replace(info, etag=self._etag) for info in entries if isinstance(info, ObjectInfo))
        return replace(page, entries=entries)


async def filled(provider: StorageProvider, count: int) -> tuple[FaultyProvider, dict[str, EntryState]]:
    """Store objects, and give a provider that counts requests, and the states of the objects."""
    pins = {}
    for number in range(count):
        info = await provider.put(f"p/{number:02}", b"1")
        pins[f"p/{number:02}"] = EntryState(size=1, etag=info.etag)
    counting = FaultyProvider(provider)
    counting.calls.clear()
    return counting, pins


async def test_one_request_answers_for_a_page() -> None:
    """Keys on one page, present or not, need one request; each following page needs one more."""
    provider, pins = await filled(RowOf(max_list_keys=5), 12)
    listed = ListedTargets(provider, "p/")
    for key, pin in pins.items():
        assert await listed.shows(key, pin)
        assert await listed.shows(f"{key} new", None)
    assert await listed.shows("p/99", None)
    assert provider.calls == {"list_page": 3}


async def test_the_end_of_an_empty_target() -> None:
    """The last page answers for all keys after it, so an empty prefix needs one request."""
    provider, _ = await filled(RowOf(), 0)
    listed = ListedTargets(provider, "p/")
    for number in range(100):
        assert await listed.shows(f"p/{number:03}", None)
    assert provider.calls == {"list_page": 1}


async def test_another_state_is_not_confirmed() -> None:
    """An object that appeared, was replaced or removed, or has another size, does not have its pinned state."""
    provider, pins = await filled(RowOf(), 2)
    listed = ListedTargets(provider, "p/")
    assert not await listed.shows("p/00", None)
    assert not await listed.shows("p/00", EntryState(size=1, etag='"other"'))
    assert not await listed.shows("p/01", EntryState(size=2, etag=pins["p/01"].etag))
    assert not await listed.shows("p/02", pins["p/01"])
    assert provider.calls == {"list_page": 1}


async def test_a_page_that_is_too_old_is_not_used() -> None:
    """After `trusted` seconds, a new page is requested, which shows what has changed in the meantime."""
    provider, _ = await filled(RowOf(), 0)
    time = Time()
    listed = ListedTargets(provider, "p/", clock=time)
    assert await listed.shows("p/a", None)
    await provider.inner.put("p/b", b"theirs")
    time.now += TRUSTED
    assert await listed.shows("p/b", None)  # the window in which a write is not noticed
    time.now += 0.001
    assert not await listed.shows("p/b", None)
    assert provider.calls == {"list_page": 2}


async def test_workers_wait_for_one_request() -> None:
    """Workers that ask at the same time wait for the page that the first of them requests."""

    async def let_others_run() -> None:
        await asyncio.sleep(0)

    slow = FaultyProvider(RowOf(), (Fault(operation="list_page", hook=let_others_run),))
    listed = ListedTargets(slow, "p/")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(listed.shows(f"p/{number}", None)) for number in range(9)]
    assert all(task.result() for task in tasks)
    assert slow.calls == {"list_page": 1}


@pytest.mark.parametrize("distance", [10, 20])
async def test_far_keys_need_one_request_each(distance: int) -> None:
    """Keys that are more than a page apart need one page each, as many requests as HEADs."""
    provider, pins = await filled(RowOf(max_list_keys=5), 100)
    listed = ListedTargets(provider, "p/")
    keys = list(pins)[::distance]
    for key in keys:
        assert await listed.shows(key, pins[key])
    assert provider.calls == {"list_page": len(keys)}


async def test_a_key_before_the_page() -> None:
    """A key before the page's beginning is not taken as missing; a page that has its place is requested."""
    provider, pins = await filled(RowOf(), 5)
    listed = ListedTargets(provider, "p/")
    assert await listed.shows("p/03", pins["p/03"])
    assert not await listed.shows("p/01", None)
    assert await listed.shows("p/01", pins["p/01"])
    assert provider.calls == {"list_page": 2}


async def test_a_listing_that_fails() -> None:
    """If the listing is refused, nothing is confirmed, and it is not tried again."""
    provider = FaultyProvider(RowOf(), (Fault(operation="list_page", error=AccessDeniedError("no")),))
    listed = ListedTargets(provider, "p/")
    for number in range(5):
        assert not await listed.shows(f"p/{number}", None)
    assert provider.calls == {"list_page": 1}


async def test_a_slow_listing_is_not_repeated() -> None:
    """A page that took more than half of its time is used until it is too old, and no more pages are requested."""
    time = Time()

    async def wait() -> None:
        time.now += 1.1

    provider = FaultyProvider(RowOf(), (Fault(operation="list_page", nth=1, hook=wait),))
    listed = ListedTargets(provider, "p/", clock=time)
    assert await listed.shows("p/a", None)
    time.now += 0.8
    assert await listed.shows("p/b", None)
    time.now += 0.8
    assert not await listed.shows("p/c", None)
    assert provider.calls == {"list_page": 1}


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(Odd(reverse=True), id="not sorted"),
        pytest.param(Odd(from_start=True), id="does not begin where it should"),
        pytest.param(Odd(etag=""), id="no etags"),
    ],
)
async def test_pages_that_do_not_help(odd: Odd) -> None:
    """Pages that are not sorted, do not have the key's place, or have no etags, confirm nothing; one is requested."""
    provider, pins = await filled(odd, 20)
    listed = ListedTargets(provider, "p/")
    for key in ("p/17", "p/18"):
        assert not await listed.shows(key, pins[key])
    assert provider.calls == {"list_page": 1}


@pytest.mark.parametrize("row", [{"key_normalization": "NFC"}, {"plain_paths": True}])
async def test_keys_that_a_listing_may_have_under_another_name(row: dict[str, Any]) -> None:
    """Where the vendor changes names, or may not distinguish capitals, a listing confirms nothing for such keys."""
    provider, _ = await filled(RowOf(**row), 0)
    listed = ListedTargets(provider, "p/")
    assert not await listed.shows("p/a\N{COMBINING DIAERESIS}", None)
    assert provider.calls.total() == 0


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ("p/b", "p/a~"),
        ("p/0", "p//~"),
        ("p/ ", "p/"),  # a control character would come before the space
        ("p/\0", "p/"),
        ("p/\ue000", "p/"),  # a surrogate would come before
        ("é", "è~"),
        (" ", ""),
    ],
)
def test_the_text_before_a_key(key: str, before: str) -> None:
    """The text sorts before the key, and has only printable characters."""
    assert text_before(key) == before
    assert before.encode() < key.encode()
