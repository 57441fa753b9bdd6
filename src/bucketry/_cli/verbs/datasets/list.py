"""The verb `datasets list`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, counted, shown_size, shown_time
from bucketry._cli.place import Places

EXAMPLES = (
    ("datasets list --url s3://bucket", "list the datasets below s3://bucket/datasets/"),
    ("datasets list --long", "with the files, the bytes and the time of each; 1 request for each dataset"),
    ("datasets list --json", "one JSON object a line, for other programs"),
)


class Options(Arguments):
    """The options of `datasets list`."""

    long: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `datasets list`."""
    parser.add_argument(
        "--long", "-l", action="store_true", help="show files, bytes and time; 1 request for each dataset"
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the datasets.

    With `--json`, each line is `{"name"}`; with `--long` also `files`, `bytes`, `created` and `has_manifest`.
    """
    manager = await open_manager(places, options)
    names = await manager.list_datasets()
    rows = []
    for name in names:
        facts: dict[str, object] = {"name": name}
        if options.long:
            info = await manager.dataset_info(name)
            facts |= {
                "files": len(info.files),
                "bytes": info.size,
                "created": info.created,
                "has_manifest": info.has_manifest,
            }
            rows.append(
                (name, f"{len(info.files):,}", shown_size(info.size), shown_time(info.created) if info.created else "–")
            )
        if output.as_json:
            output.document(facts)
        elif not options.long:
            output.line(name)
    if output.as_json:
        return DONE
    if rows:
        output.table([("name", "files", "bytes", "uploaded"), *rows], right=(1, 2))
    output.note(f"{counted(len(names), 'dataset')} below {manager.provider.locate(f'{manager.datasets_root}/')}")
    return DONE
