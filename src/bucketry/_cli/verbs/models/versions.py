"""The verb `models versions`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, shown_size, shown_time
from bucketry._cli.place import Places

EXAMPLES = (
    ("models versions resnet --url s3://bucket", "show all versions of resnet, and their tags"),
    ("models versions resnet --json", "one JSON object a line, with the metadata"),
    ("models versions resnet | tail -1", "the newest version"),
)


class Options(Arguments):
    """The options of `models versions`."""

    name: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models versions`."""
    parser.add_argument("name", metavar="NAME", help="the model")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the versions, oldest first.

    With `--json`, each line is `{"version", "created", "kind", "files", "bytes", "tags", "metadata"}`.
    """
    manager = await open_manager(places, options)
    versions = await manager.list_model_versions(options.name)
    tags = await manager.model_tags(options.name)
    rows = [("version", "created", "files", "bytes", "tags")]
    for one in versions:
        names = [tag for tag, version in tags.items() if version == one.version]
        if output.as_json:
            output.document(
                {
                    "version": one.version,
                    "created": one.created,
                    "kind": one.kind,
                    "files": len(one.files),
                    "bytes": one.size,
                    "tags": names,
                    "metadata": dict(one.metadata),
                }
            )
        rows.append(
            (one.version, shown_time(one.created), f"{len(one.files):,}", shown_size(one.size), ", ".join(names))
        )
    if not output.as_json:
        output.table(rows, right=(2, 3))
    return DONE
