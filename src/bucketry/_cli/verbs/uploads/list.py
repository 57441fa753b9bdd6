"""The verb `uploads list`."""

from __future__ import annotations

import argparse
from contextlib import aclosing

from bucketry._cli.exits import DONE
from bucketry._cli.output import Output, counted, shown, shown_size, shown_time
from bucketry._cli.place import Places
from bucketry._cli.uploads import UploadArguments, add_upload_options, open_uploads, upload_document

EXAMPLES = (
    ("uploads list s3://bucket", "uploads of this user and machine that were not completed"),
    ("uploads list s3://bucket --all --long", "all open uploads, with the bytes that are stored, and billed, for them"),
    ("uploads list s3://bucket/run-1/ --all --older 7d", "those below run-1/ that were opened over a week ago"),
)

_NONE = "–"


class Options(UploadArguments):
    """The options of `uploads list`."""

    long: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `uploads list`."""
    add_upload_options(parser)
    parser.add_argument(
        "-l", "--long", action="store_true", help="show the stored parts and bytes; 2 requests or more for each upload"
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the open uploads.

    JSON Lines: `{"key", "upload_id", "initiated", "own", "running"}`; with `--long` also `"parts"` and `"bytes"`.
    """
    remote = await places.open(options.word)
    count = foreign = 0
    async with aclosing(open_uploads(remote, options)) as uploads:
        async for found in uploads:
            if not (found.own or options.all):
                foreign += 1
                continue
            count += 1
            upload, parts, size = found.upload, 0, 0
            if options.long:
                async for part in (await remote.provider.adopt_upload(upload.key, upload.upload_id)).list_parts():
                    parts, size = parts + 1, size + part.size
            if output.as_json:
                stored = {"parts": parts, "bytes": size} if options.long else {}
                output.document({**upload_document(found), **stored})
                continue
            state = "running" if found.running else "own" if found.own else "foreign"
            cells = [f"{_NONE if upload.initiated is None else shown_time(upload.initiated):20}", f"{state:7}"]
            if options.long:
                cells += [f"{counted(parts, 'part'):>12}", f"{shown_size(size):>10}"]
            output.row("".join(f"{cell}  " for cell in cells), shown(upload.key))
    if not output.as_json:
        more = f"; {foreign:,} foreign not shown, see --all" if foreign else ""
        output.note(f"{counted(count, 'upload')}{more}")
    return DONE
