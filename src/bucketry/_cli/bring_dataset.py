"""The work that `datasets download` and `datasets ensure` share: bring a directory in step, and report."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bucketry._cli.args import TransferArguments, add_transfer_options
from bucketry._cli.exits import DONE
from bucketry._cli.manager import in_words_of_options, moving, open_manager
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places

if TYPE_CHECKING:
    from bucketry import DatasetResult


class BringOptions(TransferArguments):
    """The options of both verbs."""

    name: str
    local: str
    exact: bool = False


def add_bring_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of both verbs."""
    add_transfer_options(parser)
    parser.add_argument("name", metavar="NAME", help="the dataset")
    parser.add_argument("local", metavar="DIR", help="the local directory; it is made if it is missing")
    parser.add_argument(
        "--exact",
        action="store_true",
        help="change nothing if DIR has files that the dataset does not have, or that would be replaced",
    )


async def bring(verb: str, options: BringOptions, places: Places, output: Output) -> int:
    """Call `ensure_dataset` or `download_dataset`, and report.

    With `--json`: `{"verb", "name", "source", "destination", "files", "bytes", "downloaded", "downloaded_bytes",
    "replaced", "removed", "foreign", "seconds"}`; `files` and `bytes` are those of the dataset, `downloaded` is a
    number, and the last three are lists of paths.
    """
    manager = await open_manager(places, options)
    call: Callable[..., Awaitable[DatasetResult]] = (
        manager.ensure_dataset if verb == "ensure" else manager.download_dataset
    )
    with in_words_of_options(), moving(output, verb) as moved:
        done = await call(options.name, options.local, exact=options.exact, progress=moved.in_all)
    url = manager.provider.locate(done.info.prefix)
    if output.as_json:
        output.document(
            {
                "verb": f"datasets {verb}",
                "name": done.info.name,
                "source": url,
                "destination": done.local_dir,
                "files": len(done.info.files),
                "bytes": done.info.size,
                "downloaded": len(done.downloaded),
                "downloaded_bytes": done.downloaded_bytes,
                "replaced": done.replaced,
                "removed": done.removed,
                "foreign": done.foreign,
                "seconds": round(done.seconds, 3),
            }
        )
        return DONE
    output.line(f"datasets {verb}: {shown(url)} → {shown(options.local)}")
    nothing = not (done.downloaded or done.removed)
    rows = [
        ("dataset", f"{counted(len(done.info.files), 'file')}, {shown_size(done.info.size)}"),
        (
            "downloaded",
            "nothing: the directory was in step"
            if nothing
            else f"{counted(len(done.downloaded), 'file')}, {shown_size(done.downloaded_bytes)}",
        ),
    ]
    for title, paths, meaning in (
        ("replaced", done.replaced, "had other bytes before"),
        ("removed", done.removed, "not in this version"),
        ("foreign", done.foreign, "not in the dataset, left alone"),
    ):
        if paths:
            rows.append((title, f"{counted(len(paths), 'file')}, {meaning}; first {shown(paths[0])}"))
    output.table([(f"  {name}", text) for name, text in (*rows, ("time", f"{done.seconds:.2f} s"))])
    return DONE
