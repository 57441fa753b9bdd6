"""The progress bar: on a terminal's standard error, where rich is installed, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bucketry._cli.output import Output
from bucketry._core.values import Progress


@contextmanager
def progress(output: Output, verb: str, *, many: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Show bytes, rate and files while the context is open; gives what a transfer reports to.

    Args:
        output: Says whether a machine reads.
        verb: Such as `"upload"`.
        many: Of how many objects is not known: then there is no end to show.
    """
    if output.as_json or not sys.stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar
    except ImportError:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TextColumn("{task.fields[files]} files"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None, files=0)
        done = 0

        def report(step: Progress) -> None:
            nonlocal done
            done += step.transferred == step.total
            bar.update(task, total=None if many else step.total, advance=step.increment, files=done)

        yield report
