"""Values that belong to one process and one event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LoopLocal(Generic[T]):
    """One `T` for each pair of process and running event loop, made on first use.

    After a fork, the child keeps the parent's values unchanged, because closing them would close or unregister
    resources that the parent still uses. The value of a closed loop is dropped.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """Store the function that makes a `T`."""
        self._make = make
        self._values: dict[tuple[int, int], tuple[asyncio.AbstractEventLoop, T]] = {}

    def get(self) -> T:
        """Return the value of this process and the running loop; make it on first use."""
        loop = asyncio.get_running_loop()
        slot = (os.getpid(), id(loop))
        held = self._values.get(slot)
        if held is None:
            self._drop_closed()
            held = self._values[slot] = (loop, self._make())
        return held[1]

    def peek(self) -> T | None:
        """Return the value of this process and the running loop; `None`: there is no value yet."""
        held = self._values.get((os.getpid(), id(asyncio.get_running_loop())))
        return held[1] if held else None

    def pop(self) -> T | None:
        """Remove and return the value of this process and the running loop; `None`: there is no value."""
        held = self._values.pop((os.getpid(), id(asyncio.get_running_loop())), None)
        return held[1] if held else None

    def _drop_closed(self) -> None:
        pid = os.getpid()
        for slot, (loop, _) in list(self._values.items()):
            if slot[0] == pid and loop.is_closed():
                self._values.pop(slot, None)
