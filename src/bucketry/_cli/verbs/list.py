"""The verb `list`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.output import Output, counted, shown, shown_size, shown_time
from bucketry._cli.place import Places
from bucketry._core.values import CommonPrefix, ObjectInfo

EXAMPLES = (("list --url s3://bucket --prefix run-1/", "list the objects below run-1/"),)


class Options(Arguments):
    """The options of `list`."""

    prefix: str | None = None
    delimiter: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `list`."""
    parser.add_argument("--prefix", metavar="P", help="only keys that begin with P; * is not a wildcard")
    parser.add_argument("--delimiter", metavar="D", help="group keys at this text, such as /")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print each object, and with a delimiter each common prefix."""
    remote = await places.open()
    count = size = 0
    async for entry in remote.provider.list(options.prefix or "", delimiter=options.delimiter):
        if isinstance(entry, CommonPrefix):
            if output.as_json:
                output.document({"prefix": entry.prefix})
            else:
                output.line(f"{'–':>10}  {'–':20}  {shown(entry.prefix)}")
            continue
        count, size = count + 1, size + entry.size
        if output.as_json:
            output.document(_listed(entry))
        else:
            moment = shown_time(entry.last_modified)
            output.line(f"{shown_size(entry.size):>10}  {moment}  {shown(entry.key)}")
    if not output.as_json:
        output.note(f"{counted(count, 'object')}, {shown_size(size)}")
    return DONE


def _listed(entry: ObjectInfo) -> dict[str, object]:
    return {
        "key": entry.key,
        "size": entry.size,
        "etag": entry.etag,
        "last_modified": entry.last_modified,
        "storage_class": entry.storage_class,
    }
