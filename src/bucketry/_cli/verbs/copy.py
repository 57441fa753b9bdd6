"""The verb `copy`."""

from __future__ import annotations

import argparse

from bucketry._cli.copying.arguments import CopyArguments, add_copy_options
from bucketry._cli.copying.run import copy_or_move
from bucketry._cli.output import Output
from bucketry._cli.place import Places

EXAMPLES = (
    ("copy model.pt s3://bucket/models/", "copy a file to models/model.pt"),
    ("copy -r ./data s3://bucket/data", "copy everything below a directory: data/a.csv becomes data/a.csv"),
    ("copy 's3://bucket/run-*/loss.csv' out/", "copy what a glob matches: out/run-1/loss.csv, …"),
    ("copy -r s3://bucket/data r2://other/data --no-clobber", "copy to another vendor what is not there yet"),
    ("copy -r s3://bucket/logs ./logs --newer 7d --dry-run", "show what would be copied"),
    ("list s3://b/run-1/ --json | bucketry copy --files-from - s3://b/ out/", "copy the keys of a list"),
)


class Options(CopyArguments):
    """The options of `copy`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `copy`."""
    add_copy_options(parser, "copy")


async def run(options: Options, places: Places, output: Output) -> int:
    """Copy the sources to the destination, and report."""
    return await copy_or_move(options, places, output, moves=False)
