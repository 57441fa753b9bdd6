"""The verb `models untag`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output
from bucketry._cli.place import Places
from bucketry._manage.models.keys import LATEST

EXAMPLES = (
    ("models untag resnet candidate --url s3://bucket", "remove the tag candidate"),
    ("models versions resnet", "see the tags that there are"),
    ("models untag resnet candidate --json", "report as one JSON document"),
)


class Options(Arguments):
    """The options of `models untag`."""

    name: str
    tag: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models untag`."""
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument("tag", metavar="TAG", help="the tag; a tag that does not exist is no error")


async def run(options: Options, places: Places, output: Output) -> int:
    """Remove the tag, and report.

    With `--json`: `{"name", "tag"}`.
    """
    if options.tag == LATEST:
        message = f"{LATEST} is no tag: it always names the newest version, and cannot be removed"
        raise UsageError(message)
    manager = await open_manager(places, options)
    named = (await manager.model_tags(options.name)).get(options.tag)
    await manager.untag_model(options.name, options.tag)
    if output.as_json:
        output.document({"name": options.name, "tag": options.tag})
    elif named is None:
        output.line(f"{options.name} has no tag {options.tag}; nothing was changed")
    else:
        output.line(f"removed tag {options.tag} of {options.name}, which named {named}")
    return DONE
