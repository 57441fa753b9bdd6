"""The verb `cat`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.output import Output
from bucketry._cli.place import Places
from bucketry._cli.streams import write_stdout

EXAMPLES = (("cat notes.txt", "print an object"),)


class Options(Arguments):
    """The options of `cat`."""

    key: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `cat`."""
    parser.add_argument("key", metavar="KEY", help="key of the object")


async def run(options: Options, places: Places, output: Output) -> int:  # noqa: ARG001 - as every verb
    """Write an object's bytes to standard output."""
    if options.json:
        message = "writes the object's bytes to standard output, so --json cannot be used"
        raise UsageError(message)
    remote = await places.open(options.key)
    async with remote.provider.stream(remote.key) as chunks:
        await write_stdout(chunks)
    return DONE
