"""Rounds of the event loop."""

from __future__ import annotations

import asyncio

from bucketry._wire.tls import Rounds


async def test_one_caller_continues_in_each_round() -> None:
    """Callers that wait together continue one in each round, in their order; a cancelled caller does not stop them."""
    rounds, loop = Rounds(), asyncio.get_running_loop()
    seen: dict[str, int] = {}
    number = 0

    def count() -> None:
        nonlocal number
        number += 1
        loop.call_soon(count)

    async def caller(name: str) -> None:
        await rounds.turn()
        seen[name] = number

    loop.call_soon(count)
    tasks = [asyncio.create_task(caller(name)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert [*seen] == ["a", "c", "d"]
    assert len(set(seen.values())) == len(seen)
