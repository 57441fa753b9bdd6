"""The verb `datasets ensure`."""

from __future__ import annotations

import argparse

from bucketry._cli.bring_dataset import BringOptions, add_bring_options, bring
from bucketry._cli.output import Output
from bucketry._cli.place import Places

EXAMPLES = (
    ("datasets ensure cats data/ --url s3://bucket", "before a training; 1 request if there is nothing to do"),
    ("datasets ensure cats data/ --json", "report as one JSON document"),
    ("datasets ensure cats data/ --exact", "only if no file in data/ would be replaced or is foreign"),
)


class Options(BringOptions):
    """The options of `datasets ensure`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `datasets ensure`."""
    add_bring_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Bring the directory in step, and report; for `--json` see `bring`."""
    return await bring("ensure", options, places, output)
