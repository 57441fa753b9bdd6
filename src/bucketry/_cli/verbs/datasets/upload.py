"""The verb `datasets upload`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bucketry._cli.args import TransferArguments, add_transfer_options, pair
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.manager import in_words_of_options, moving, open_manager
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places
from bucketry.errors import StorageError

if TYPE_CHECKING:
    from bucketry import StorageManager

EXAMPLES = (
    ("datasets upload data/ cats --url s3://bucket", "upload data/ as the dataset cats"),
    ("datasets upload data/ cats --exclude '*.tmp' --metadata licence=CC0", "leave files out, and store a text"),
    ("datasets upload data/ cats --bwlimit 20MB", "send at most 20 MB each second"),
)


class Options(TransferArguments):
    """The options of `datasets upload`."""

    local: str
    name: str
    metadata: Sequence[tuple[str, str]] = ()
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `datasets upload`."""
    add_transfer_options(parser)
    parser.add_argument("local", metavar="DIR", help="the local directory")
    parser.add_argument("name", metavar="NAME", help="the dataset: letters, digits, '.', '_' and '-'")
    parser.add_argument(
        "--metadata",
        action="append",
        type=pair,
        metavar="NAME=VALUE",
        help="a text to store with the dataset; may be given several times (default: the texts of the version before)",
    )
    for option, text in (("--include", "upload only"), ("--exclude", "leave out")):
        parser.add_argument(
            option,
            action="append",
            metavar="PATTERN",
            help=f"{text} the files that match, as in a .gitignore file; may be given several times",
        )


async def run(options: Options, places: Places, output: Output) -> int:
    """Upload the directory, and report.

    With `--json`: `{"verb", "name", "source", "destination", "files", "bytes", "sent_files", "sent_bytes", "created",
    "metadata", "seconds"}`; `files` and `bytes` are those of the dataset, `sent_…` those that this call has sent.
    """
    pairs = options.metadata
    if len(dict(pairs)) < len(pairs):
        message = "--metadata gives a name twice"
        raise UsageError(message)
    manager = await open_manager(places, options)
    before = set() if output.as_json else await _paths(manager, options.name)
    started = time.monotonic()
    with in_words_of_options(), moving(output, "upload") as moved:
        info = await manager.upload_dataset(
            options.name,
            options.local,
            metadata=dict(pairs) or None,
            include=options.include,
            exclude=options.exclude,
            progress=moved.in_all,
        )
    seconds, url = time.monotonic() - started, manager.provider.locate(info.prefix)
    if output.as_json:
        output.document(
            {
                "verb": "datasets upload",
                "name": info.name,
                "source": options.local,
                "destination": url,
                "files": len(info.files),
                "bytes": info.size,
                "sent_files": moved.files,
                "sent_bytes": moved.bytes,
                "created": info.created,
                "metadata": dict(info.metadata),
                "seconds": round(seconds, 3),
            }
        )
        return DONE
    output.line(f"datasets upload: {shown(options.local)} → {shown(url)}")
    rows = [
        ("  dataset", f"{counted(len(info.files), 'file')}, {shown_size(info.size)}"),
        ("  sent", f"{counted(moved.files, 'file')}, {shown_size(moved.bytes)}"),
    ]
    if removed := sorted(before - {file.path for file in info.files}):
        rows.append(("  removed", f"{counted(len(removed), 'file')} of the version before; first {shown(removed[0])}"))
    output.table([*rows, ("  time", f"{seconds:.2f} s")])
    return DONE


async def _paths(manager: StorageManager, name: str) -> set[str]:
    """Return the paths of the files that the dataset has; none: there is no such dataset, or its manifest is damaged.

    Cost: 1 request.
    """
    try:
        return {file.path for file in (await manager.dataset_info(name)).files}
    except StorageError:  # the upload reports what prevents it
        return set()
