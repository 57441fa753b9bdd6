"""The verb `datasets upload`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from bucketry._cli.args import TransferArguments, add_transfer_options, pair
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.manager import in_words_of_options, moving, open_manager
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places

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
    output.table(
        [
            ("  dataset", f"{counted(len(info.files), 'file')}, {shown_size(info.size)}"),
            ("  sent", f"{counted(moved.files, 'file')}, {shown_size(moved.bytes)}"),
            ("  time", f"{seconds:.2f} s"),
        ]
    )
    return DONE
