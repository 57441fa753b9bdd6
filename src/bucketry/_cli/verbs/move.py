"""The verb `move`."""

from __future__ import annotations

import argparse

from bucketry._cli.copying.arguments import CopyArguments, add_copy_options
from bucketry._cli.copying.run import copy_or_move
from bucketry._cli.output import Output
from bucketry._cli.place import Places

EXAMPLES = (
    ("move s3://bucket/draft.csv s3://bucket/final.csv", "rename an object"),
    ("move -r ./results s3://bucket/results", "upload everything below a directory, and delete the local files"),
    ("move 's3://bucket/*.log' s3://bucket/old/ --older 30d", "move objects by their names and age"),
)


class Options(CopyArguments):
    """The options of `move`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `move`."""
    add_copy_options(parser, "move")


async def run(options: Options, places: Places, output: Output) -> int:
    """Move the sources to the destination, and report; empty local directories stay."""
    return await copy_or_move(options, places, output, moves=True)
