"""Prints results to standard output and everything else to standard error, as text or JSON."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from bucketry._cli.exits import exit_code
from bucketry._cli.terminal import columns, cut, padded, styled, width_of
from bucketry.errors import StorageError

if TYPE_CHECKING:
    from datetime import datetime

    from bucketry._core.values import BatchResult

_FACTS = ("provider", "bucket", "key", "operation", "status", "code", "request_id", "retry_after", "path")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_GAP = "  "
_MOST_FAILURES = 20  # lines; they fit on a terminal, and if everything fails, the reason is mostly the same


class Output:
    """The output of a command.

    Attributes:
        as_json: Print JSON on both streams.
        debug: Show tracebacks.
        verb: The command's verb; empty before the command line is parsed.
        quiet: Whether the summary of a transfer and its progress are left out.
        asking: Whether a question waits for its answer; nothing was changed before it.
    """

    def __init__(self, *, as_json: bool, debug: bool) -> None:
        self.as_json = as_json
        self.debug = debug
        self.verb = ""  # until the command line is parsed
        self.quiet = False
        self.asking = False

    def line(self, text: str) -> None:
        """Print a line of the result."""
        print(text)

    def document(self, value: object) -> None:
        """Print a JSON document of the result, on one line."""
        print(_json(value))

    def table(self, rows: Iterable[Sequence[str]], *, right: Sequence[int] = (), shorten: int | None = None) -> None:
        """Print rows in columns, aligned also for wide characters such as those of Chinese.

        Args:
            rows: The cells of each row; each row has as many.
            right: The indices of the columns that are aligned to the right.
            shorten: The index of a column of keys. If the table is wider than the terminal, its cells are cut in the
                middle. Without a terminal nothing is cut, because another program may read it.
        """
        rows = list(rows)
        widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
        width = columns(sys.stdout)
        if shorten is not None and widths and width is not None:
            others = sum(widths) - widths[shorten] + len(_GAP) * (len(widths) - 1)
            rows = [[cut(cell, width - others) if n == shorten else cell for n, cell in enumerate(row)] for row in rows]
            widths[shorten] = max(width_of(row[shorten]) for row in rows)
        for row in rows:
            cells = (
                padded(cell, width, right=number in right)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.line(_GAP.join(cells).rstrip())

    def row(self, begin: str, key: str) -> None:
        """Print a line that ends in a key; on a terminal, the key is cut in the middle if the line would not fit.

        For a listing, whose rows are printed before the last one is known.
        """
        width = columns(sys.stdout)
        self.line(begin + (key if width is None else cut(key, width - width_of(begin))))

    def note(self, text: str) -> None:
        """Print a line to standard error."""
        with suppress(BrokenPipeError):  # standard error is closed; the result does not depend on it
            print(text, file=sys.stderr, flush=True)

    def warning(self, text: str) -> None:
        """Print a warning to standard error."""
        self.note(f"{styled('warning:', 'yellow', sys.stderr)} {text}")

    def ask(self, question: str) -> None:
        """Print a question to standard error; the cursor stays behind it."""
        print(question, end="", file=sys.stderr, flush=True)

    def error(self, error: BaseException) -> None:
        """Print an error in one line."""
        if self.debug:
            import traceback  # here, because it takes long to load

            self.note("".join(traceback.format_exception(error)).rstrip())
        text = error_text(error)
        if self.verb and not text.startswith(f"{self.verb}: "):
            text = f"{self.verb}: {text}"
        facts = {**({"verb": self.verb} if self.verb else {}), **error_facts(error)}
        self.note(_json({"error": facts}) if self.as_json else f"{styled('error:', 'red', sys.stderr)} {text}")

    def failures(self, batch: BatchResult) -> None:
        """Print the error of each failed item of a batch: in JSON all of them, else the first 20."""
        self.failed([({"key": key}, error) for key, error in batch.failed.items()])

    def failed(self, items: Sequence[tuple[Mapping[str, str], StorageError]]) -> None:
        """Print errors, as `failures` does; each has what names its item for JSON, with its key."""
        for number, (item, error) in enumerate(items):
            if self.as_json:
                self.problem({**item, **error_facts(error)})
            elif number < _MOST_FAILURES:
                self.note(f"{styled('failed:', 'red', sys.stderr)} {_failure(item['key'], error)}")
        if not self.as_json and len(items) > _MOST_FAILURES:
            more = len(items) - _MOST_FAILURES
            self.note(f"… and {more:,} more failed; --json shows all")

    def problem(self, facts: dict[str, object]) -> None:
        """Print the facts of an error, or of an item that cannot be moved, as JSON."""
        self.note(_json({"error": facts}))


def error_text(error: BaseException) -> str:
    """Return an error's message in one line."""
    from bucketry._cli.wording import for_command_line  # here, because only errors need it

    text = for_command_line(str(error))
    return printable(text if isinstance(error, StorageError) else f"{type(error).__name__}: {text}")


def _failure(key: str, error: BaseException) -> str:
    """Return a failed item and its error, without the item or its URL at the beginning of the error's message."""
    text, name = error_text(error), f"{printable(key)}: "
    place = text.find(name)
    if place == 0 or (place > 0 and text[place - 1] in "/:" and " " not in text[:place]):
        text = text[place + len(name) :]
    return f"{shown(key)}: {text}"


def printable(text: str) -> str:
    """Return the text with line breaks and control characters escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def error_facts(error: BaseException) -> dict[str, object]:
    """Return an error's attributes for JSON output."""
    from bucketry._cli.wording import for_command_line  # as above

    found = {name: getattr(error, name, None) for name in _FACTS}
    return {
        "type": type(error).__name__,
        "message": for_command_line(str(error)),
        "retryable": getattr(error, "retryable", False),
        "exit_code": exit_code(error),
        **{name: value for name, value in found.items() if value is not None},
    }


def shown(key: str) -> str:
    """Return a key for the terminal; a key with control characters or outer blanks is quoted."""
    plain = key.isprintable() and key == key.strip() and key and not key.startswith('"')
    return key if plain else _json(key)


def shown_time(moment: datetime) -> str:
    """Return the text of a time in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def shown_size(size: float) -> str:
    """Return the text of a size, in a unit that keeps the number below 1,024."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            break
        size /= _STEP
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


def shown_exactly(size: int, unit: str = "") -> str:
    """Return the text of a size in bytes, with that of a larger unit behind it if there is one.

    Args:
        size: The size.
        unit: What follows the number of bytes: `" bytes"`.
    """
    return f"{size:,}{unit}" if size < _STEP else f"{size:,}{unit} ({shown_size(size)})"


def shown_duration(seconds: float) -> str:
    """Return the text of a duration in hours, minutes and whole seconds: `1:02:03`, `0:04`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shown_rate(size: int, seconds: float) -> str:
    """Return the text of a rate in bytes per second."""
    return f"{shown_size(size / seconds)}/s" if seconds > 0 else "–"


def counted(number: int, word: str) -> str:
    """Return a number with its word: `1 file`, `2 files`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _json(value: object) -> str:
    import json  # here, because it takes long to load

    # `json.dumps` escapes all but ASCII, which is safe for every terminal and for keys that are not valid Unicode.
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    from datetime import datetime

    if isinstance(value, datetime):
        return value.isoformat()
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)
