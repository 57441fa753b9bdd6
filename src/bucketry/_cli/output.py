"""Prints results to standard output and everything else to standard error, as text or JSON."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from bucketry._cli.exits import exit_code
from bucketry._core.values import BatchResult
from bucketry.errors import StorageError

_FACTS = ("provider", "bucket", "key", "operation", "status", "code", "request_id", "retry_after", "path")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_MOST_FAILURES = 20  # lines; they fit on a terminal, and if everything fails, the reason is mostly the same


class Output:
    """The output of a command.

    Attributes:
        as_json: Print JSON on both streams.
        debug: Show tracebacks.
        verb: The command's verb; empty before the command line is parsed.
    """

    def __init__(self, *, as_json: bool, debug: bool) -> None:
        self.as_json = as_json
        self.debug = debug
        self.verb = ""  # until the command line is parsed

    def line(self, text: str) -> None:
        """Print a line of the result."""
        print(text)

    def document(self, value: object) -> None:
        """Print a JSON document of the result, on one line."""
        print(_json(value))

    def table(self, rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
        """Print rows in columns; columns whose index is in `right` are aligned to the right."""
        rows = list(rows)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (
                cell.rjust(width) if number in right else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.line("  ".join(cells).rstrip())

    def note(self, text: str) -> None:
        """Print a line to standard error."""
        with suppress(BrokenPipeError):  # standard error is closed; the result does not depend on it
            print(text, file=sys.stderr, flush=True)

    def ask(self, question: str) -> None:
        """Print a question to standard error; the cursor stays behind it."""
        print(question, end="", file=sys.stderr, flush=True)

    def error(self, error: BaseException) -> None:
        """Print an error in one line."""
        if self.debug:
            self.note("".join(traceback.format_exception(error)).rstrip())
        text = error_text(error)
        if self.verb and not text.startswith(f"{self.verb}: "):
            text = f"{self.verb}: {text}"
        facts = {**({"verb": self.verb} if self.verb else {}), **error_facts(error)}
        self.note(_json({"error": facts}) if self.as_json else f"error: {text}")

    def failures(self, batch: BatchResult) -> None:
        """Print the error of each failed item of a batch: in JSON all of them, else the first 20."""
        for number, (key, error) in enumerate(batch.failed.items()):
            if self.as_json:
                self.problem({"key": key, **error_facts(error)})
            elif number < _MOST_FAILURES:
                self.note(f"failed: {shown(key)}: {error_text(error)}")
        if not self.as_json and len(batch.failed) > _MOST_FAILURES:
            more = len(batch.failed) - _MOST_FAILURES
            self.note(f"… and {more:,} more failed; --json shows all")

    def problem(self, facts: dict[str, object]) -> None:
        """Print the facts of an error, or of an item that cannot be moved, as JSON."""
        self.note(_json({"error": facts}))


def error_text(error: BaseException) -> str:
    """Return an error's message in one line."""
    return printable(str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}")


def printable(text: str) -> str:
    """Return the text with line breaks and control characters escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def error_facts(error: BaseException) -> dict[str, object]:
    """Return an error's attributes for JSON output."""
    found = {name: getattr(error, name, None) for name in _FACTS}
    return {
        "type": type(error).__name__,
        "message": str(error),
        "retryable": getattr(error, "retryable", False),
        "exit_code": exit_code(error),
        **{name: value for name, value in found.items() if value is not None},
    }


def shown(key: str) -> str:
    """Return a key for the terminal; a key with control characters or outer blanks is quoted."""
    plain = key.isprintable() and key == key.strip() and key and not key.startswith('"')
    return key if plain else json.dumps(key)


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
    # `json.dumps` escapes all but ASCII, which is safe for every terminal and for keys that are not valid Unicode.
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)
