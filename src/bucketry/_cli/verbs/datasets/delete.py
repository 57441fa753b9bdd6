"""The verb `datasets delete`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.ask import confirmed
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places, server_of
from bucketry.errors import IntegrityError, NotFoundError

EXAMPLES = (
    ("datasets delete cats --url s3://bucket", "show what would be deleted, and ask"),
    ("datasets delete cats --yes", "do not ask, for scripts"),
    ("datasets delete cats --yes --json", "report as one JSON document"),
)


class Options(Arguments):
    """The options of `datasets delete`."""

    name: str
    yes: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `datasets delete`."""
    parser.add_argument("name", metavar="NAME", help="the dataset")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


async def run(options: Options, places: Places, output: Output) -> int:
    """Delete the dataset, and report.

    With `--json`: `{"name", "url", "deleted"}`; `deleted` is false if the user did not agree.
    """
    manager = await open_manager(places, options)
    url = manager.provider.locate(f"{manager.datasets_root}/{options.name}/")
    agreed = options.yes
    if not agreed:
        what = f"delete the dataset {options.name} below {shown(url)}{server_of(manager.provider)}"
        try:
            info = await manager.dataset_info(options.name)
            what += f": {counted(len(info.files), 'file')}, {shown_size(info.size)}"
        except IntegrityError:  # a damaged manifest; the dataset can be deleted
            pass
        except NotFoundError:
            if options.name not in await manager.list_datasets():
                raise
            what += ", whose first upload is under way or was interrupted"
        agreed = await confirmed(what, output, yes=False)
    if agreed:
        await manager.delete_dataset(options.name)
    if output.as_json:
        output.document({"name": options.name, "url": url, "deleted": agreed})
    elif agreed:
        output.line(f"deleted the dataset {options.name}")
    else:
        output.note("datasets delete: nothing was deleted")
    return DONE if agreed else FAILED
