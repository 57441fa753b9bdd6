"""The verb `du`."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing

from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE, FAILED, NOT_FOUND
from bucketry._cli.objects import Tally, counting_display, missing_directory, nothing_there
from bucketry._cli.output import Output, shown, shown_size
from bucketry._cli.place import Places
from bucketry._cli.selection import Filters, SelectionArguments, add_selection_options, base_of, narrows, selected

EXAMPLES = (
    ("du s3://bucket", "show bytes and objects of each directory, and in total"),
    ("du s3://bucket/run-1/ --depth 2 --sort size", "two levels, the largest directory last"),
    ("du 's3://bucket/run-*/' --older 90d --depth 0", "how much is older than 90 days"),
)

_DEFAULT_CLASS = "default"


class Options(SelectionArguments):
    """The options of `du`."""

    words: Sequence[str] = ()
    depth: int = 1
    bytes: bool = False
    sort: str = "key"
    reverse: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `du`."""
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a key, or a directory; in a URL also a glob; default: everything",
    )
    parser.add_argument("--depth", type=int, metavar="N", help="levels of directories to show (default: 1)")
    parser.add_argument("--bytes", action="store_true", help="show exact sizes, in bytes")
    parser.add_argument("--sort", choices=("key", "size", "objects"), help="order of the directories")
    parser.add_argument("--reverse", action="store_true", help="the largest, or the last key, first")
    add_selection_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Print bytes and objects of each directory, of each storage class, and in total.

    JSON: `{"directories": [{"directory", "objects", "bytes"}], "storage_classes": [{"storage_class", "objects",
    "bytes"}], "objects", "bytes"}`. A directory includes the directories below it. The storage class of the vendor's
    default may be `null`.

    Cost: 1 request for each 1,000 objects; memory for the directories that are shown.
    """
    if options.depth < 0:
        message = f"--depth {options.depth}: give 0 (only the total) or more"
        raise UsageError(message)
    Filters(options)
    remotes = [await places.open(word) for word in options.words] or [await places.open()]
    several = len({id(remote.provider) for remote in remotes}) > 1
    directories: defaultdict[str, Tally] = defaultdict(Tally)
    classes: defaultdict[str | None, Tally] = defaultdict(Tally)
    total = Tally()
    missing = 0
    with counting_display(output, total) as display:
        for remote in remotes:
            before, base = total.objects, base_of(remote)
            async with aclosing(selected(remote, options, recursive=True)) as found:
                async for entry in found:
                    total.add(entry.size)
                    classes[entry.storage_class].add(entry.size)
                    for directory in _directories(entry.key, len(base), options.depth):
                        directories[remote.provider.locate(directory) if several else directory].add(entry.size)
                    display.update()
            if total.objects > before:
                continue
            is_named = remote.is_glob or options.url is not None
            absent = await missing_directory(remote) if is_named else None
            if absent is None and remote.key and not narrows(options):
                absent = nothing_there(remote)
            if absent is not None:
                missing += 1
                display.clear()
                output.error(absent)
    if missing == len(remotes):
        return NOT_FOUND
    _print(options, output, directories, classes, total)
    return FAILED if missing else DONE


def _print(
    options: Options,
    output: Output,
    directories: dict[str, Tally],
    classes: dict[str | None, Tally],
    total: Tally,
) -> None:
    def order(item: tuple[str, Tally]) -> tuple[object, ...]:
        name, tally = item
        return {"key": (name,), "size": (tally.size, name), "objects": (tally.objects, name)}[options.sort]

    ordered = sorted(directories.items(), key=order, reverse=options.reverse)
    if output.as_json:
        output.document(
            {
                "directories": [{"directory": name, **_document(tally)} for name, tally in ordered],
                "storage_classes": [{"storage_class": name, **_document(tally)} for name, tally in classes.items()],
                **_document(total),
            }
        )
        return
    rows = [(shown(name), tally) for name, tally in ordered]
    if len(classes) > 1:
        rows += [(f"(class {name or _DEFAULT_CLASS})", tally) for name, tally in classes.items()]
    rows.append(("total", total))
    output.table(
        (
            (f"{tally.size:,}" if options.bytes else shown_size(tally.size), f"{tally.objects:,}", name)
            for name, tally in rows
        ),
        right=(0, 1),
        shorten=2,
    )


def _document(tally: Tally) -> dict[str, int]:
    return {"objects": tally.objects, "bytes": tally.size}


def _directories(key: str, start: int, depth: int) -> list[str]:
    """Return the directories above a key, at most `depth` of them, from the first below position `start`."""
    found = []
    end = start - 1
    for _ in range(depth):
        end = key.find("/", end + 1)
        if end < 0:
            break
        found.append(key[: end + 1])
    return found
