"""What the terminal can show: its width, the columns that a text takes there, and colours."""

from __future__ import annotations

import os
from typing import TextIO

_USUAL_WIDTH = 80  # for a terminal that does not say how wide it is
_SMALLEST_CUT = 12  # a shorter rest of a key says nothing, so it is not cut further
_CUT = "…"
_JOINER, _EMOJI_FORM = "\N{ZERO WIDTH JOINER}", "\N{VARIATION SELECTOR-16}"
_STYLES = {"red": "31", "yellow": "33", "dim": "2"}


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads this stream on a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # the stream is closed
        return False


def is_plain(stream: TextIO | None) -> bool:
    """Return whether a stream takes text only: it is no terminal, or one that cannot move its cursor."""
    return not is_terminal(stream) or os.environ.get("TERM") == "dumb"


def columns(stream: TextIO | None) -> int | None:
    """Return the width of the terminal; `None`: the stream is not a terminal, so lines can have any length."""
    if stream is None or not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
    except (OSError, ValueError):
        return _USUAL_WIDTH


def styled(text: str, style: str, stream: TextIO | None) -> str:
    """Return the text with a colour, if the stream is a terminal with colours, and `NO_COLOR` is not set."""
    if is_plain(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def width_of(text: str) -> int:
    """Return the columns that a text takes on a terminal: 2 for a wide character, 0 for a combining one."""
    return len(text) if text.isascii() else sum(_widths(text))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Fill a text with blanks up to a width in columns; `right`: the blanks come first."""
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def cut(text: str, width: int) -> str:
    """Shorten a text in its middle to a width in columns; both ends of a key tell more than its beginning alone."""
    width = max(width, _SMALLEST_CUT)
    if width_of(text) <= width:
        return text
    widths = _widths(text)
    head = _fitting(widths, (width - 1) // 2)
    tail = _fitting(widths[::-1], width - 1 - sum(widths[:head]))
    while tail and widths[len(text) - tail] == 0:  # a combining character belongs to the character before it
        tail -= 1
    return f"{text[:head]}{_CUT}{text[len(text) - tail :]}"


def filled(text: str, stream: TextIO | None, indent: str = "") -> str:
    """Break a text between words into lines that fit the terminal; without a terminal, it stays one line.

    Args:
        text: The text; blanks at its beginning stay.
        stream: Where it is to be printed.
        indent: What every line but the first begins with.
    """
    width = columns(stream)
    if width is None or width_of(text) < width:
        return text
    import textwrap  # here, because few texts are so long

    return textwrap.fill(
        text, max(1, width - 1), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _fitting(widths: list[int], limit: int) -> int:
    """Return how many of the first characters fit into the limit, with the combining ones that follow."""
    used = 0
    for number, width in enumerate(widths):
        used += width
        if used > limit:
            return number
    return len(widths)


def _widths(text: str) -> list[int]:
    """Return the columns of each character."""
    from unicodedata import category, east_asian_width  # here, because most texts are ASCII

    found: list[int] = []
    for place, char in enumerate(text):
        if char == _EMOJI_FORM and found and found[-1] == 1:
            found.append(1)  # makes the character before it wide
        elif category(char) in {"Mn", "Me", "Cf"} or (place and text[place - 1] == _JOINER):
            found.append(0)
        else:
            found.append(2 if east_asian_width(char) in "WF" else 1)
    return found
