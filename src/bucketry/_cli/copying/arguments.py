"""The options of `copy` and `move`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bucketry._cli.args import add_quiet, add_transfer_options
from bucketry._cli.object_options import ObjectArguments, add_object_options
from bucketry._cli.selection import SelectionArguments, add_selection_options


class CopyArguments(ObjectArguments, SelectionArguments):
    """The options of `copy` and `move`."""

    words: Sequence[str] = ()
    no_clobber: bool = False
    dry_run: bool = False


def add_copy_options(parser: argparse.ArgumentParser, done: str) -> None:
    """Add the options of `CopyArguments`.

    Args:
        parser: The verb's parser.
        done: What the verb does with an object: `"copy"`.
    """
    parser.add_argument(
        "words",
        metavar="SOURCE… DESTINATION",
        nargs="*",
        help="local paths, URLs such as s3://bucket/key or NAME:key; or only keys. Without a / at its end, DESTINATION "
        "names the one file or object; with one, or if it is a directory here, what is copied goes into it",
    )
    parser.add_argument("--no-clobber", action="store_true", help=f"{done} only what the destination does not have")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    add_selection_options(
        parser,
        recursive=f"{done} everything below a directory or prefix; its files go directly below DESTINATION",
        files_from=True,
        names="names below SOURCE",
    )
    add_object_options(parser)
    add_quiet(parser)
    add_transfer_options(parser)
