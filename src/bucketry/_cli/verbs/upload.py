"""The verb `upload`."""

from __future__ import annotations

import argparse
import os
import stat
import time
from collections.abc import Sequence
from contextlib import aclosing

from bucketry._cli.args import TransferArguments, add_transfer_options, pair
from bucketry._cli.commands import UsageError
from bucketry._cli.expected import measure
from bucketry._cli.output import Output
from bucketry._cli.place import STREAM, Places, prove_access, transfer_config
from bucketry._cli.progress import progress, reporter
from bucketry._cli.report import batch_of_one, report
from bucketry._cli.streams import read_stdin
from bucketry._core.os_errors import local_error
from bucketry._core.values import TransferResult
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.manager import TransferManager

EXAMPLES = (("upload --local data/ --remote datasets/", "upload a directory"),)


class Options(TransferArguments):
    """The options of `upload`."""

    local: str
    remote: str | None = None
    metadata: Sequence[tuple[str, str]] = ()
    content_type: str | None = None
    if_none_match: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `upload`."""
    add_transfer_options(parser)
    parser.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for standard input")
    parser.add_argument(
        "--remote", metavar="R", help="the key for a file, or the prefix for a directory; default: the name of L"
    )
    parser.add_argument(
        "--metadata", action="append", type=pair, metavar="NAME=VALUE", help="user metadata; may be given several times"
    )
    parser.add_argument("--content-type", metavar="TYPE", help="media type, such as text/csv")
    parser.add_argument(
        "--if-none-match",
        nargs="?",
        const="*",
        choices=("*",),
        metavar="*",
        help="upload only if the object does not exist",
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Store a file, a directory or standard input, and report."""
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    local, remote = options.local, options.remote
    name, tree, size = ("", False, None) if local == STREAM else await in_thread(_look_at, local)
    started = time.monotonic()
    if tree:
        _refuse_object_options(options)
    provider = (await places.open()).provider
    manager = TransferManager(provider, transfer_config(provider, options))
    await prove_access(provider, "writes")  # after the options were checked, because it makes a missing directory
    if tree:
        target = name if remote is None else remote
        with progress(output, "upload") as counts:
            if counts is not None:
                counts.expect(*await in_steps(measure(local)))
            batch = await manager.upload_tree(local, target, progress=reporter(counts))
    else:
        target = remote if remote and not remote.endswith("/") else f"{remote or ''}{name}"
        batch = batch_of_one(await _upload_one(manager, options, output, target, size))
    return report(output, "upload", (local, provider.locate(target)), batch, time.monotonic() - started)


async def _upload_one(
    manager: TransferManager, options: Options, output: Output, key: str, size: int | None
) -> TransferResult:
    metadata = dict(options.metadata) or None
    content_type, if_none_match = options.content_type, options.if_none_match
    with progress(output, "upload") as counts:
        if counts is not None and size is not None:
            counts.expect(size, 1)
        if options.local != STREAM:
            return await manager.upload(
                options.local,
                key,
                metadata=metadata,
                content_type=content_type,
                if_none_match=if_none_match,
                progress=reporter(counts),
            )
        async with aclosing(read_stdin()) as chunks:
            return await manager.upload_stream(
                chunks,
                key,
                metadata=metadata,
                content_type=content_type,
                if_none_match=if_none_match,
                progress=reporter(counts),
            )


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    names = [name for name, _ in options.metadata]
    if not options.local:
        return "--local is empty"
    if options.local == STREAM and (not options.remote or options.remote.endswith("/")):
        return "standard input has no name: give the complete key with --remote"
    if len(set(names)) < len(names):
        return "--metadata gives a name twice"
    return None


def _refuse_object_options(options: Options) -> None:
    given = {
        "--metadata": options.metadata,
        "--content-type": options.content_type,
        "--if-none-match": options.if_none_match,
    }
    for name, value in given.items():
        if value:
            message = f"upload: {name} is for a single object, but {options.local} is a directory"
            raise UsageError(message)


def _look_at(path: str) -> tuple[str, bool, int]:
    """Return the last part of the path, whether the path is a directory, and the size in bytes."""
    try:
        found = os.stat(path)
        return os.path.basename(os.path.abspath(path)), stat.S_ISDIR(found.st_mode), found.st_size
    except OSError as error:
        raise local_error(error, path) from error
