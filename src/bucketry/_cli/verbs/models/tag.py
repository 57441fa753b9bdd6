"""The verb `models tag`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output
from bucketry._cli.place import Places

EXAMPLES = (
    ("models tag resnet v3 prod --url s3://bucket", "let prod name v3; if prod exists, it is moved"),
    ("models tag resnet latest candidate", "tag the newest version"),
    ("models tag resnet candidate prod", "let prod name the version that candidate names"),
)


class Options(Arguments):
    """The options of `models tag`."""

    name: str
    of: str
    tag: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models tag`."""
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument("of", metavar="VERSION", help="a version, or another tag that names it")
    parser.add_argument("tag", metavar="TAG", help="the tag, such as prod")


async def run(options: Options, places: Places, output: Output) -> int:
    """Set the tag, and report.

    With `--json`: `{"name", "version", "tag"}`.
    """
    manager = await open_manager(places, options)
    found = await manager.tag_model(options.name, options.of, options.tag)
    if output.as_json:
        output.document({"name": found.name, "version": found.version, "tag": options.tag})
    else:
        output.line(f"tag {options.tag} of {found.name} now names {found.version}")
    return DONE
