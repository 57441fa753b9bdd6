"""The verb `models restore`."""

from __future__ import annotations

import argparse
import os
import time

from bucketry._cli.args import TransferArguments, add_transfer_options
from bucketry._cli.ask import confirmed
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.manager import moving, open_manager
from bucketry._cli.output import Output, counted, shown, shown_rate, shown_size
from bucketry._cli.place import Places
from bucketry._runtime.threads import in_thread

EXAMPLES = (
    ("models restore resnet out/ --url s3://bucket", "restore the newest version to out/"),
    ("models restore resnet model.pt --version v3", "restore version v3, which is one file"),
    ("models restore resnet out/ --version prod --yes", "replace out/ and everything in it without a question"),
)


class Options(TransferArguments):
    """The options of `models restore`."""

    name: str
    local: str
    version: str = "latest"
    yes: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models restore`."""
    add_transfer_options(parser)
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument(
        "local",
        metavar="PATH",
        help="the file or directory to make or replace, as a whole; everything else in such a directory is removed",
    )
    parser.add_argument("--version", metavar="V", help="a version or a tag (default: latest)")
    parser.add_argument("--yes", "-y", action="store_true", help="replace a directory that is not empty; do not ask")


async def run(options: Options, places: Places, output: Output) -> int:
    """Restore the version, and report.

    With `--json`: `{"verb", "name", "version", "source", "destination", "kind", "files", "bytes", "seconds"}`, or, if
    the user did not agree, `null`.
    """
    manager = await open_manager(places, options)
    version = options.version
    if not options.yes and await in_thread(_has_entries, options.local):
        model = await manager.model_info(options.name, version)
        version = model.version  # what is asked about is restored, also if a backup or a tag comes between
        if model.kind != "file":  # one file does not replace a directory: the restore refuses it
            what = (
                f"replace the directory {shown(options.local)} and everything in it with {model.name} {version} "
                f"({counted(len(model.files), 'file')}, {shown_size(model.size)})"
            )
            if not await confirmed(what, output, yes=False):
                return _refused(output)
    started = time.monotonic()
    with moving(output, "restore") as moved:
        found = await manager.restore_model(options.name, options.local, version=version, progress=moved.of_model)
    seconds, url = time.monotonic() - started, manager.provider.locate(f"{manager.models_root}/{found.name}/")
    if output.as_json:
        output.document(
            {
                "verb": "models restore",
                "name": found.name,
                "version": found.version,
                "source": url,
                "destination": options.local,
                "kind": found.kind,
                "files": len(found.files),
                "bytes": found.size,
                "seconds": round(seconds, 3),
            }
        )
        return DONE
    output.line(f"models restore: {shown(url)} → {shown(options.local)}")
    output.table(
        [
            ("  version", found.version),
            ("  model", f"{counted(len(found.files), 'file')}, {shown_size(found.size)}, verified (sha256)"),
            ("  time", f"{seconds:.2f} s ({shown_rate(found.size, seconds)})"),
        ]
    )
    return DONE


def _refused(output: Output) -> int:
    if output.as_json:
        output.document(None)
    else:
        output.note("models restore: nothing was restored")
    return FAILED


def _has_entries(path: str) -> bool:
    """Return whether the path is a directory that is not empty. Blocks."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except OSError:  # no directory, or one that the restore cannot replace either, which says why
        return False
