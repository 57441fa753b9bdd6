"""The verb `cat`."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.globs import Glob
from bucketry._cli.objects import nothing_there, refuse_directory
from bucketry._cli.output import Output
from bucketry._cli.place import Places, Remote
from bucketry._cli.selection import SelectionArguments, keys_from, place_of_list, selected, single_key
from bucketry._cli.streams import write_stdout
from bucketry.errors import InvalidKeyError, NotFoundError

EXAMPLES = (
    ("cat notes.txt", "print an object"),
    ("cat 's3://bucket/logs/2026-11-*.csv'", "print several objects, in the order of their keys"),
    ("cat s3://bucket/model.pt --range 0-99", "print the first 100 bytes"),
    ("cat s3://bucket/log.txt --range -1000", "print the last 1,000 bytes"),
)

_RANGE = re.compile(r"([0-9]*)-([0-9]*)")


class Options(SelectionArguments):
    """The options of `cat`."""

    keys: Sequence[str] = ()
    range: tuple[int | None, int | None] | None = None
    version_id: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `cat`."""
    parser.add_argument("keys", metavar="KEY", nargs="*", help="key or URL of an object; in a URL also a glob")
    parser.add_argument(
        "--range",
        type=byte_range,
        metavar="START-END",
        help="only these bytes of each object, counted from 0: 0-99 (100 bytes), 100-, or -100 (the end)",
    )
    parser.add_argument("--version-id", metavar="ID", help="a version of the one object")
    parser.add_argument(
        "--files-from",
        metavar="FILE",
        help="read the keys from a file, or from standard input with -: one a line, as a key or as list --json",
    )


async def run(options: Options, places: Places, output: Output) -> int:  # noqa: ARG001 - as every verb
    """Write the bytes of objects to standard output, one object after the other; the first error ends it."""
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    if options.files_from is not None:
        remotes = [await place_of_list(options.keys, places)]
    else:
        remotes = [await places.open(key) for key in options.keys]
    async with aclosing(_named(options, remotes)) as objects:
        async for remote in objects:
            try:
                await write_object(remote, options)
            except (NotFoundError, InvalidKeyError):
                await refuse_directory(remote)
                raise
    return DONE


async def write_object(remote: Remote, options: Options) -> None:
    """Write one object, or a part of it, to standard output.

    Cost: 1 request, and 1 HEAD before the last bytes of an object; the bytes down; about 1 MiB of memory.
    """
    provider, key = remote.provider, remote.key
    start, end = options.range or (0, None)
    if start is None:
        size = (await provider.head(key, version_id=options.version_id)).size
        start, end = max(0, size - (end or 0)), None
        if start == size:
            return
    last = None if end is None else end + 1
    async with provider.stream(key, start=start, end=last, version_id=options.version_id) as chunks:
        await write_stdout(chunks)


async def _named(options: Options, remotes: Sequence[Remote]) -> AsyncGenerator[Remote, None]:
    """Yield each object that the words or `--files-from` name."""
    if options.files_from is not None:
        async with aclosing(keys_from(options)) as keys:
            async for key in keys:
                yield Remote(remotes[0].provider, key)
        return
    for remote in remotes:
        if not remote.is_glob or Glob(remote.key).is_plain:
            yield Remote(remote.provider, single_key(remote))
            continue
        found = False
        async with aclosing(selected(remote, options, recursive=True)) as objects:
            async for entry in objects:
                found = True
                yield Remote(remote.provider, entry.key)
        if not found:
            raise nothing_there(remote)


def byte_range(text: str) -> tuple[int | None, int | None]:
    """Convert `0-99`, `100-` or `-100`, as in HTTP, to the first and the last byte; `(None, n)`: the last n bytes."""
    match = _RANGE.fullmatch(text)
    if match is not None and any(match.groups()):
        start, end = (int(number) if number else None for number in match.groups())
        if start is None or end is None or start <= end:
            return start, end
    message = f"{text!r} is not a range; write 0-99 for the first 100 bytes, 100- or -100 (the last 100)"
    raise argparse.ArgumentTypeError(message)


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    if options.json:
        return "writes the object's bytes to standard output, so --json cannot be used"
    if not options.keys and options.files_from is None:
        return "needs a KEY, or --files-from"
    if options.version_id is not None and (len(options.keys) != 1 or options.files_from is not None):
        return "--version-id is for one KEY"
    return None
