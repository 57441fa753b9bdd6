"""Ranges cost as many requests as the docstrings say."""

from __future__ import annotations

from bucketry.testing import FaultyProvider
from tests.transfer.doubles import Bench, noise, seen


async def test_a_range_that_brings_bytes_costs_one_request(bench: Bench) -> None:
    """A range beyond the object's end, or an empty range among others, costs no extra request."""
    provider = FaultyProvider(bench.memory())
    await provider.put("k", noise(100))
    assert await provider.get_range("k", 90, 200) == noise(100)[90:]
    assert await provider.get_ranges("k", [(0, 10), (5, 5), (50, 60)]) == [
        noise(100)[:10],
        b"",
        noise(100)[50:60],
    ]
    assert seen(provider.calls, "open_body", "head") == {"open_body": 2, "head": 0}


async def test_empty_ranges_cost_one_head(bench: Bench) -> None:
    """If all ranges are empty, they cost one HEAD; no range at all costs no request."""
    provider = FaultyProvider(bench.memory())
    await provider.put("k", noise(100))
    assert await provider.get_ranges("k", [(1, 1), (5, 5), (50, 50)]) == [b"", b"", b""]
    assert seen(provider.calls, "open_body", "head") == {"open_body": 0, "head": 1}
    assert await provider.get_range("k", 3, 3) == b""
    assert seen(provider.calls, "open_body", "head") == {"open_body": 0, "head": 2}
    assert await provider.get_ranges("k", []) == []
    assert seen(provider.calls, "open_body", "head") == {"open_body": 0, "head": 2}


async def test_an_empty_object_is_looked_at_once(bench: Bench) -> None:
    """For an empty object, the first refused range costs a HEAD, and the other ranges no request."""
    provider = FaultyProvider(bench.memory())
    await provider.put("k", b"")
    assert await provider.get_ranges("k", [(0, 1), (50, 60), (90, 99)], coalesce=0) == [b"", b"", b""]
    assert seen(provider.calls, "open_body", "head") == {"open_body": 1, "head": 1}
