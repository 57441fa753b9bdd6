"""The verb `datasets info`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, printable, shown, shown_size, shown_time
from bucketry._cli.place import Places

EXAMPLES = (
    ("datasets info cats --url s3://bucket", "show how many files and bytes the dataset has, and its metadata"),
    ("datasets info cats --files", "with each file"),
    ("datasets info cats --files --json", "one JSON document with the size and the SHA-256 of each file"),
)


class Options(Arguments):
    """The options of `datasets info`."""

    name: str
    files: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `datasets info`."""
    parser.add_argument("name", metavar="NAME", help="the dataset")
    parser.add_argument("--files", action="store_true", help="show each file")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the properties of a dataset.

    With `--json`: `{"name", "url", "files", "bytes", "created", "has_manifest", "metadata"}`; with `--files` also
    `entries`, a list of `{"path", "size", "sha256", "etag"}`.
    """
    manager = await open_manager(places, options)
    info = await manager.dataset_info(options.name)
    url = manager.provider.locate(info.prefix)
    if output.as_json:
        entries = [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "etag": file.etag} for file in info.files
        ]
        output.document(
            {
                "name": info.name,
                "url": url,
                "files": len(info.files),
                "bytes": info.size,
                "created": info.created,
                "has_manifest": info.has_manifest,
                "metadata": dict(info.metadata),
                **({"entries": entries} if options.files else {}),
            }
        )
        return DONE
    rows = [
        ("name", info.name),
        ("url", url),
        ("files", f"{len(info.files):,}"),
        ("bytes", f"{info.size:,} ({shown_size(info.size)})"),
        ("uploaded", shown_time(info.created) if info.created else "unknown: there is no manifest"),
        *((f"metadata.{name}", value) for name, value in info.metadata.items()),
    ]
    output.table((name, printable(value)) for name, value in rows)
    if options.files:
        output.line("")
        for file in info.files:
            output.line(f"{shown_size(file.size):>10}  {shown(file.path)}")
    return DONE
