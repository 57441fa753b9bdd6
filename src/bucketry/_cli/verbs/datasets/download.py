"""The verb `datasets download`."""

from __future__ import annotations

import argparse

from bucketry._cli.bring_dataset import BringOptions, add_bring_options, bring
from bucketry._cli.output import Output
from bucketry._cli.place import Places

EXAMPLES = (
    ("datasets download cats data/ --url s3://bucket", "download the dataset cats to data/"),
    ("datasets download cats data/", "repair files that were changed: every local file is read"),
    ("datasets download cats data/ --exact", "only if no file in data/ would be replaced or is foreign"),
)


class Options(BringOptions):
    """The options of `datasets download`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `datasets download`."""
    add_bring_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Bring the directory in step, and report; for `--json` see `bring`."""
    return await bring("download", options, places, output)
