"""Draws the progress on the terminal with rich: a line for all files, and one for each of the largest running ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from bucketry._cli.counts import Counts
from bucketry._cli.output import shown, shown_size
from bucketry._cli.terminal import cut
from bucketry._core.values import Progress

MOST_LINES = 5
"""The largest number of lines for running transfers."""

_REFRESH = 4  # times a second: often enough to look alive
_BAR_WIDTH = 40
_SMALLEST_BAR = 5
_SMALLEST_NAME = 12
_GAP = "  "


@contextmanager
def drawing(verb: str, counts: Counts) -> Iterator[None]:
    """Draw on standard error while the context is open, and remove the drawing at its end."""
    console = Console(stderr=True)
    screen = Screen(verb, counts)
    with Live(screen, console=console, refresh_per_second=_REFRESH, transient=True, vertical_overflow="crop"):
        yield


class Screen:
    """The drawing; each refresh reads the counts and the size of the terminal anew.

    Args:
        verb: The first word, such as `"upload"`.
        counts: What the transfers have moved.
    """

    def __init__(self, verb: str, counts: Counts) -> None:
        self._verb = verb
        self._counts = counts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        # One column stays empty: a full line would wrap in some terminals, and rich would then not remove it.
        width = max(1, options.max_width - 1)
        lines = overview(self._verb, self._counts.words(), width)
        for number, line in enumerate(lines):
            if number == 0 and (room := width - cell_len(line) - len(_GAP)) >= _SMALLEST_BAR:
                head, rest = line[: len(self._verb) + 1], line[len(self._verb) + 1 :]
                total = self._counts.size or None
                yield Segment(head)
                yield from console.render(ProgressBar(total, self._counts.moved, width=min(_BAR_WIDTH, room)), options)
                yield Segment(f" {rest}")
            else:
                yield Segment(line)
            yield Segment.line()
        room = min(MOST_LINES, console.height - len(lines) - 1)
        for text in running_lines(self._counts.largest(room), width):
            yield Text(text, no_wrap=True, overflow="crop", end="\n", style="dim")


def overview(verb: str, words: list[str], width: int) -> list[str]:
    """Return the text of the whole transfer in as many lines as the width needs."""
    lines = [f"{verb} "]
    for word in words:
        longer = f"{lines[-1]}{_GAP}{word}" if lines[-1].strip() and lines[-1] != f"{verb} " else f"{lines[-1]}{word}"
        if len(longer) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(f"{_GAP}{word}")
    return [line[:width] for line in lines]


def running_lines(running: list[Progress], width: int) -> list[str]:
    """Return a line for each transfer: its name, cut in the middle, percent, and bytes, in columns."""
    cells = [(_percent(one), _bytes(one)) for one in running]
    rights = max((len(percent) for percent, _ in cells), default=0), max((len(size) for _, size in cells), default=0)
    room = width - sum(rights) - 3 * len(_GAP)
    if room < _SMALLEST_NAME:
        return [f"{_GAP}{cut(shown(one.key), width - len(_GAP))}"[:width] for one in running]
    names = [cut(shown(one.key), room) for one in running]
    widest = max((cell_len(name) for name in names), default=0)
    return [
        f"{_GAP}{name}{' ' * (widest - cell_len(name))}{_GAP}{percent:>{rights[0]}}{_GAP}{size:>{rights[1]}}"
        for name, (percent, size) in zip(names, cells, strict=True)
    ]


def _percent(one: Progress) -> str:
    return f"{100 * one.transferred // one.total} %" if one.total else ""


def _bytes(one: Progress) -> str:
    moved = shown_size(one.transferred)
    return moved if one.total is None else f"{moved} of {shown_size(one.total)}"
