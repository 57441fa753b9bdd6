"""Opens the StorageManager of a verb, counts what one of its calls moves, and puts its errors in a user's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bucketry._cli.args import Arguments, TransferArguments
from bucketry._cli.commands import UsageError
from bucketry._cli.counts import Counts
from bucketry._cli.output import Output, shown
from bucketry._cli.place import Places, is_url, transfer_config
from bucketry._cli.progress import progress
from bucketry._core.values import Progress
from bucketry.errors import StorageError

if TYPE_CHECKING:
    from bucketry import StorageManager
    from bucketry._manage.sync.values import SyncProgress

_ARGUMENT = re.compile(r"\b(?:(delete|exact|force)=True|(include|exclude)=[(\[](.+?),?[)\]](?= |$)|max_delete=(\d+))")


async def open_manager(places: Places, options: Arguments) -> StorageManager:
    """Return the manager of the provider of `--url`, `--provider` or the environment.

    Raises:
        UsageError: The name of a dataset or model, or the local directory, is a URL or `NAME:path`.
        ConfigError: The provider or a transfer option is wrong.
    """
    from bucketry import StorageManager

    for word in (getattr(options, "name", None), getattr(options, "local", None)):
        if word and places.is_remote(word):
            place, name = _place_and_name(word)
            message = f"{shown(word)} names a place; write {name or 'the name'} here, and add --url {place}"
            raise UsageError(message)
    provider = (await places.open()).provider
    transfer = transfer_config(provider, options) if isinstance(options, TransferArguments) else None
    return StorageManager(provider, transfer=transfer)


def _place_and_name(word: str) -> tuple[str, str]:
    """Split a URL or `NAME:path` into the place of a manager and the name of a dataset or model."""
    begin, _, path = word.partition("://" if is_url(word) else ":")
    head, _, name = path.rstrip("/").rpartition("/")
    if not is_url(word):
        return f"{begin}:", name
    return (f"{begin}://{head}", name) if head else (f"{begin}://{name}", "")


class Moved:
    """What one call of a manager has moved so far; its methods are the callbacks of the call.

    Attributes:
        files: The number of files that were moved whole.
        bytes: The number of bytes.
    """

    def __init__(self, counts: Counts | None) -> None:
        """Count for the display, too, if there is one."""
        self.files = 0
        self.bytes = 0
        self._counts = counts

    def in_all(self, step: SyncProgress) -> None:
        """Take the progress of a sync or of a dataset."""
        self.files, self.bytes = step.files, step.transferred
        if self._counts is not None:
            self._counts.report_all(step)

    def of_model(self, step: Progress) -> None:
        """Take the progress of a model, whose files count together."""
        self.bytes += step.increment
        if self._counts is not None:
            self._counts.report(step)


@contextmanager
def moving(output: Output, verb: str) -> Iterator[Moved]:
    """Show the progress while the context is open, where `progress` shows it; yield the counts to report to."""
    with progress(output, verb) as counts:
        yield Moved(counts)


@contextmanager
def in_words_of_options() -> Iterator[None]:
    """Write the arguments that an error's message names as options: `force=True` as `--force`."""
    try:
        yield
    except StorageError as error:
        error.args = (_ARGUMENT.sub(_option, error.message),)
        raise


def _option(found: re.Match[str]) -> str:
    flag, pattern, value, most = found.groups()
    return f"--{flag}" if flag else f"--{pattern} {value}" if pattern else f"--max-delete {most}"
