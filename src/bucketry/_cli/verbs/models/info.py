"""The verb `models info`."""

from __future__ import annotations

import argparse
import json

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, printable, shown, shown_exactly, shown_size, shown_time
from bucketry._cli.place import Places

EXAMPLES = (
    ("models info resnet --url s3://bucket", "show the newest version"),
    ("models info resnet --version prod", "show the version with the tag prod"),
    ("models info resnet --version v3 --json", "one JSON document with the SHA-256 of each file"),
)


class Options(Arguments):
    """The options of `models info`."""

    name: str
    version: str = "latest"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models info`."""
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument("--version", metavar="V", help="a version or a tag (default: latest)")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the properties of a version.

    With `--json`: `{"name", "version", "url", "created", "kind", "files", "bytes", "metadata", "entries"}`, where
    `entries` is a list of `{"path", "size", "sha256", "executable"}`.
    """
    manager = await open_manager(places, options)
    found = await manager.model_info(options.name, options.version)
    url = manager.provider.locate(f"{manager.models_root}/{found.name}/")
    if output.as_json:
        entries = [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "executable": file.executable}
            for file in found.files
        ]
        output.document(
            {
                "name": found.name,
                "version": found.version,
                "url": url,
                "created": found.created,
                "kind": found.kind,
                "files": len(found.files),
                "bytes": found.size,
                "metadata": dict(found.metadata),
                "entries": entries,
            }
        )
        return DONE
    rows = [
        ("name", found.name),
        ("version", found.version),
        ("url", url),
        ("created", shown_time(found.created)),
        ("kind", found.kind),
        ("files", f"{len(found.files):,}"),
        ("bytes", shown_exactly(found.size)),
        *(
            (f"metadata.{name}", value if isinstance(value, str) else json.dumps(value))
            for name, value in found.metadata.items()
        ),
    ]
    output.table((name, printable(value)) for name, value in rows)
    output.line("")
    for file in found.files:
        output.line(f"{shown_size(file.size):>10}  {shown(file.path)}")
    return DONE
