"""The progress display, which is shown only if standard error is a terminal and rich is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bucketry._cli.counts import Counts
from bucketry._cli.output import Output
from bucketry._cli.terminal import is_plain
from bucketry._core.values import Progress


def reporter(counts: Counts | None) -> Callable[[Progress], None] | None:
    """Return the progress callback for a transfer; `None`: nothing is displayed."""
    return None if counts is None else counts.report


@contextmanager
def progress(output: Output, verb: str) -> Iterator[Counts | None]:
    """Show the progress while the context is open; yield the counts to report to, or `None` without a display.

    Args:
        output: The command's output; if it is JSON or quiet, there is no display.
        verb: The text before the bar, such as `"upload"`.
    """
    if output.as_json or output.quiet or is_plain(sys.stderr):
        yield None
        return
    try:
        from bucketry._cli.screen import drawing
    except ImportError:  # rich is not installed
        yield None
        return
    counts = Counts()
    with drawing(verb, counts):
        yield counts
