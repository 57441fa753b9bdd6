"""Runs short pieces of blocking work in worker threads; several pieces share one call to a thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

from bucketry._runtime.finish import until_done

BATCH_SECONDS = 0.005
"""Seconds of work in one batch before a second thread is used. For shorter work, a second busy thread or one call for
each file costs more time than it saves, because threads hand over the GIL at every system call. When 2,000 files of
16 KiB were read, the rate was 2,900 files a second with 0.5 ms, 3,600 with 3 ms, and 4,200 without threads. A slow disk
still gets parallel requests."""

T = TypeVar("T")
Args = TypeVarTuple("Args")


class ThreadBatcher:
    """Runs small file work in worker threads, and measures how long it takes.

    If the work is quick, one thread does all pieces that arrived while it was busy, because calling a thread takes
    longer than the work on a small file. If the work is slow, each piece soon gets its own thread.
    """

    def __init__(self, worth: float = BATCH_SECONDS) -> None:
        """Begin without a measurement; until there is one, each piece counts as `worth` seconds of work."""
        self._worth = worth
        self._waiting: deque[_Piece] = deque()
        self._busy = 0
        self._scheduled = False
        self._expected = worth

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """Run a blocking function in a worker thread; when this method returns or raises, the function has ended.

        If the caller is cancelled before the function has started, the function is not run.
        """
        piece = _Piece(partial(function, *args))
        self._waiting.append(piece)
        if not self._scheduled:  # the pieces of one round of the event loop are sent together
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send)
        try:
            result: T = await piece.done
            return result
        except asyncio.CancelledError:
            if piece in self._waiting:
                self._waiting.remove(piece)
            else:
                await until_done(piece.thread_done)
            raise
        finally:
            del piece  # breaks a reference cycle: error, traceback, this frame, piece, error

    def _send(self) -> None:
        """Send the waiting pieces to a thread if no thread is busy, or if the pieces are enough for a full batch."""
        self._scheduled = False
        while self._waiting and (not self._busy or len(self._waiting) * self._expected >= self._worth):
            count = min(len(self._waiting), max(1, int(self._worth / self._expected)))
            batch = [self._waiting.popleft() for _ in range(count)]
            try:
                batch_future = asyncio.get_running_loop().run_in_executor(None, _work, batch)
            except RuntimeError as error:  # the interpreter is shutting down
                for piece in batch:
                    piece.error = error
                    piece.set_outcome()
            else:
                self._busy += 1
                batch_future.add_done_callback(partial(self._batch_done, batch))

    def _batch_done(self, batch: list[_Piece], batch_future: asyncio.Future[float]) -> None:
        self._busy -= 1
        self._expected = (3 * self._expected + batch_future.result() / len(batch)) / 4
        for piece in batch:
            piece.set_outcome()
        self._send()


class _Piece:
    """One function call, and the futures for which its caller waits."""

    __slots__ = ("call", "done", "error", "result", "thread_done")

    def __init__(self, call: Callable[[], Any]) -> None:
        loop = asyncio.get_running_loop()
        self.call = call
        self.result: Any = None
        self.error: BaseException | None = None
        self.done: asyncio.Future[Any] = loop.create_future()  # cancelled if the caller is cancelled
        self.thread_done: asyncio.Future[None] = loop.create_future()  # never cancelled

    def set_outcome(self) -> None:
        """Pass the result or the error to the caller."""
        self.thread_done.set_result(None)
        if self.done.cancelled():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


def _work(batch: list[_Piece]) -> float:
    """Make the calls of a batch, in a worker thread, and return the seconds that they took."""
    began = time.perf_counter()
    for piece in batch:
        try:
            piece.result = piece.call()
        except BaseException as error:  # noqa: BLE001 - raised where the piece is awaited
            piece.error = error
    return time.perf_counter() - began
