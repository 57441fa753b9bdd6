"""Handles signals: the first one cancels the job, which then cleans up; the second one ends the program at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from bucketry._cli.exits import BY_SIGNAL
from bucketry._cli.output import Output
from bucketry._cli.terminal import is_plain

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CURSOR = b"\x1b[?25h\n"  # makes the cursor visible, and begins a new line


def run(job: Callable[[], Coroutine[Any, Any, int]], output: Output) -> int:
    """Run a job in a new event loop; return its exit code, or 128 plus the number of the signal that stopped it."""
    interrupt = _Interrupt(output)
    with interrupt.watching():
        try:
            return asyncio.run(interrupt.supervise(job))
        except (Exception, asyncio.CancelledError) as error:
            if interrupt.received is None:
                raise
            if isinstance(error, Exception):  # the clean-up failed
                output.error(error)
            return BY_SIGNAL + interrupt.received


def _restore_terminal() -> None:
    """Show the cursor, which the progress display hides, and end its last line.

    Written to the descriptor, because the display may hold the lock of its stream. The original stream, because the
    display puts its own one in the place of `sys.stderr`.
    """
    stream = sys.__stderr__
    if stream is not None and not is_plain(stream):
        with suppress(OSError, ValueError):  # the terminal is gone
            os.write(stream.fileno(), _CURSOR)


class _Interrupt:
    """The received signal, and the job that it stops."""

    def __init__(self, output: Output) -> None:
        self.received: int | None = None
        self._output = output
        self._stop: Callable[[], object] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Handle the signals while the context is open."""
        # A signal that was ignored when the program started stays ignored, because a shell without job control ignores
        # SIGINT for background jobs.
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in handled:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            # After a signal, the program only ends. Until it has, a second one must still end it at once: with Python's
            # own handler, it would show a traceback while the interpreter waits for its threads.
            if self.received is None:
                for number in handled:
                    signal.signal(number, before[number])

    async def supervise(self, job: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Run the job; a signal cancels it."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a running coroutine is in a task

        def cancel() -> None:
            if self._output.asking:
                self._output.note("\ninterrupted: nothing was changed")
            else:
                self._output.note("interrupted: cleaning up (interrupt again to stop at once)")
            task.cancel()

        self._stop = lambda: loop.call_soon_threadsafe(cancel)
        try:
            if self.received is not None:  # the signal came while the loop was starting
                return BY_SIGNAL + self.received
            return await job()
        finally:
            self._stop = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received is not None:
            _restore_terminal()
            os._exit(BY_SIGNAL + number)  # the second signal: exit without cleaning up
        self.received = number
        if self._stop is not None:
            self._stop()
