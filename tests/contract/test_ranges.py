"""The same rules for ranges on every provider: cut at the end, refused beyond it, empty for an empty object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bucketry.errors import InvalidRangeError, NotFoundError, PreconditionFailedError
from bucketry.providers import StorageProvider

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATA = b"0123456789"
SIZE = len(DATA)
WRONG = '"0123456789abcdef0123456789abcdef"'
Read = Callable[[StorageProvider, int, int], Awaitable[bytes]]


async def by_get_range(provider: StorageProvider, start: int, end: int) -> bytes:
    """Read one range."""
    return await provider.get_range("key", start, end)


async def by_get_ranges(provider: StorageProvider, start: int, end: int) -> bytes:
    """Read one range as several."""
    return (await provider.get_ranges("key", [(start, end)]))[0]


async def by_stream(provider: StorageProvider, start: int, end: int) -> bytes:
    """Read one range as a stream."""
    async with provider.stream("key", start=start, end=end) as chunks:
        return b"".join([chunk async for chunk in chunks])


WAYS = pytest.mark.parametrize("read", [by_get_range, by_get_ranges, by_stream])


@WAYS
@pytest.mark.parametrize(("start", "end"), [(0, 10), (0, 99), (9, 10), (9, 99), (3, 3), (0, 0), (9, 9)])
async def test_a_range_is_cut_at_the_end(provider: StorageProvider, read: Read, start: int, end: int) -> None:
    """A range that begins inside the object gives its bytes, up to the object's end."""
    await provider.put("key", DATA)
    assert await read(provider, start, end) == DATA[start:end]


@WAYS
@pytest.mark.parametrize(("start", "end"), [(10, 11), (10, 10), (11, 11), (500, 600)])
async def test_a_range_from_the_end_on_is_refused(provider: StorageProvider, read: Read, start: int, end: int) -> None:
    """A range that begins at or beyond the end is refused, also an empty one."""
    await provider.put("key", DATA)
    with pytest.raises(InvalidRangeError):
        await read(provider, start, end)


@WAYS
@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 1), (5, 9), (7, 7)])
async def test_an_empty_object_gives_nothing(provider: StorageProvider, read: Read, start: int, end: int) -> None:
    """Every range of an empty object is empty."""
    await provider.put("key", b"")
    assert await read(provider, start, end) == b""


@WAYS
@pytest.mark.parametrize(("start", "end"), [(0, 1), (3, 3), (0, 0)])
async def test_a_missing_object_has_no_ranges(provider: StorageProvider, read: Read, start: int, end: int) -> None:
    """A range of a missing object is `NotFoundError`, also an empty one."""
    with pytest.raises(NotFoundError):
        await read(provider, start, end)


@pytest.mark.parametrize("coalesce", [0, 1_000])
@pytest.mark.parametrize("beyond", [(10, 11), (10, 10), (500, 600)])
async def test_one_range_of_several_beyond_the_end(
    provider: StorageProvider, coalesce: int, beyond: tuple[int, int]
) -> None:
    """If one range begins beyond the end, all are refused, also if ranges share a request."""
    await provider.put("key", DATA)
    with pytest.raises(InvalidRangeError):
        await provider.get_ranges("key", [(0, 2), beyond, (4, 6)], coalesce=coalesce)


@pytest.mark.parametrize("coalesce", [0, 1_000])
async def test_several_ranges_of_an_empty_object(provider: StorageProvider, coalesce: int) -> None:
    """All ranges of an empty object are empty."""
    info = await provider.put("key", b"")
    wanted = [(0, 2), (500, 600), (7, 7)]
    assert await provider.get_ranges("key", wanted, coalesce=coalesce) == [b"", b"", b""]
    assert await provider.get_ranges("key", wanted, coalesce=coalesce, if_match=info.etag) == [b"", b"", b""]


@pytest.mark.parametrize("data", [b"", DATA])
async def test_ranges_without_bytes_are_held_to_the_version(provider: StorageProvider, data: bytes) -> None:
    """`if_match` is enforced for an empty range, as for any other."""
    info = await provider.put("key", data)
    assert await provider.get_range("key", 3, 3, if_match=info.etag) == b""
    for start, end in ((3, 3), (3, 5)):
        with pytest.raises(PreconditionFailedError):
            await provider.get_range("key", start, end, if_match=WRONG)
        with pytest.raises(PreconditionFailedError):
            await provider.get_ranges("key", [(start, end)], if_match=WRONG)
