"""The verb `models verify`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, counted, error_facts, shown_size
from bucketry._cli.place import Places
from bucketry._core.values import BatchResult

EXAMPLES = (
    ("models verify resnet --url s3://bucket", "check the newest version"),
    ("models verify resnet --version v3", "check one version"),
    ("models verify resnet --json", "report as one JSON document"),
)


class Options(Arguments):
    """The options of `models verify`."""

    name: str
    version: str = "latest"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models verify`."""
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument("--version", metavar="V", help="a version or a tag (default: latest)")


async def run(options: Options, places: Places, output: Output) -> int:
    """Check the version, and report; the exit code is 1 if a file is missing or damaged.

    With `--json`: `{"name", "version", "files", "bytes", "by_checksum", "by_reading", "bytes_read", "failed"}`;
    `failed` is a list of `{"path", …}` with the facts of each error.
    """
    manager = await open_manager(places, options)
    report = await manager.verify_model(options.name, options.version)
    version = report.version
    output.failures(BatchResult(failed=dict(report.failed)))
    if output.as_json:
        output.document(
            {
                "name": version.name,
                "version": version.version,
                "files": len(version.files),
                "bytes": version.size,
                "by_checksum": report.by_checksum,
                "by_reading": report.by_reading,
                "bytes_read": report.bytes_read,
                "failed": [{**error_facts(error), "path": path} for path, error in report.failed.items()],
            }
        )
    else:
        said = f"{counted(len(report.failed), 'file')} missing or damaged" if report.failed else "undamaged"
        output.line(
            f"{version.name} {version.version}: {said}; {counted(len(version.files), 'file')}, "
            f"{shown_size(version.size)}; objects checked by stored checksum: {report.by_checksum:,}, "
            f"by reading: {report.by_reading:,} ({shown_size(report.bytes_read)})"
        )
    return FAILED if report.failed else DONE
