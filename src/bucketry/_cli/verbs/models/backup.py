"""The verb `models backup`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from bucketry._cli.args import TransferArguments, add_transfer_options, pair
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.manager import moving, open_manager
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places

EXAMPLES = (
    ("models backup out/model.pt resnet --url s3://bucket", "store the file as the next version, such as v4"),
    ("models backup out/ resnet --version 2026-11-final", "store a directory as a version with a name of your own"),
    ("models backup out/m.pt resnet --metadata loss=0.12 --metadata epoch=9", "store texts with the version"),
)


class Options(TransferArguments):
    """The options of `models backup`."""

    local: str
    name: str
    version: str | None = None
    metadata: Sequence[tuple[str, str]] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models backup`."""
    add_transfer_options(parser)
    parser.add_argument("local", metavar="PATH", help="a file or a directory")
    parser.add_argument("name", metavar="NAME", help="the model: letters, digits, '.', '_' and '-'")
    parser.add_argument("--version", metavar="V", help="the name of the version (default: the next number, such as v4)")
    parser.add_argument(
        "--metadata",
        action="append",
        type=pair,
        metavar="NAME=VALUE",
        help="a text to store with the version; may be given several times",
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Store the version, and report.

    With `--json`: `{"verb", "name", "version", "source", "destination", "kind", "files", "bytes", "sent_bytes",
    "created", "metadata", "seconds"}`; `bytes` minus `sent_bytes` were stored already.
    """
    if len(dict(options.metadata)) < len(options.metadata):
        message = "--metadata gives a name twice"
        raise UsageError(message)
    manager = await open_manager(places, options)
    started = time.monotonic()
    with moving(output, "backup") as moved:
        made = await manager.backup_model(
            options.local,
            options.name,
            version=options.version,
            metadata=dict(options.metadata) or None,
            progress=moved.of_model,
        )
    seconds, url = time.monotonic() - started, manager.provider.locate(f"{manager.models_root}/{made.name}/")
    if output.as_json:
        output.document(
            {
                "verb": "models backup",
                "name": made.name,
                "version": made.version,
                "source": options.local,
                "destination": url,
                "kind": made.kind,
                "files": len(made.files),
                "bytes": made.size,
                "sent_bytes": moved.bytes,
                "created": made.created,
                "metadata": dict(made.metadata),
                "seconds": round(seconds, 3),
            }
        )
        return DONE
    output.line(f"models backup: {shown(options.local)} → {shown(url)}")
    stored = max(0, made.size - moved.bytes)
    output.table(
        [
            ("  version", made.version),
            ("  model", f"{counted(len(made.files), 'file')}, {shown_size(made.size)}"),
            ("  sent", f"{shown_size(moved.bytes)}{f' ({shown_size(stored)} stored already)' if stored else ''}"),
            ("  time", f"{seconds:.2f} s"),
        ]
    )
    return DONE
