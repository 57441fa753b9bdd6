"""The verb `models list`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, counted, shown_size, shown_time
from bucketry._cli.place import Places

EXAMPLES = (
    ("models list --url s3://bucket", "list the models below s3://bucket/models/"),
    ("models list --long", "with the newest version of each; a few requests for each model"),
    ("models list --json", "one JSON object a line, for other programs"),
)


class Options(Arguments):
    """The options of `models list`."""

    long: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models list`."""
    parser.add_argument(
        "--long", "-l", action="store_true", help="show the newest version; 2 requests more for each model"
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the models.

    With `--json`, each line is `{"name"}`; with `--long` also `latest`, `created`, `files` and `bytes` of its version
    `latest`.
    """
    manager = await open_manager(places, options)
    names = await manager.list_models()
    rows = []
    for name in names:
        facts: dict[str, object] = {"name": name}
        if options.long:
            found = await manager.model_info(name)
            facts |= {
                "latest": found.version,
                "created": found.created,
                "files": len(found.files),
                "bytes": found.size,
            }
            rows.append(
                (name, found.version, shown_time(found.created), f"{len(found.files):,}", shown_size(found.size))
            )
        if output.as_json:
            output.document(facts)
        elif not options.long:
            output.line(name)
    if output.as_json:
        return DONE
    if rows:
        output.table([("name", "latest", "created", "files", "bytes"), *rows], right=(3, 4))
    output.note(f"{counted(len(names), 'model')} below {manager.provider.locate(f'{manager.models_root}/')}")
    return DONE
