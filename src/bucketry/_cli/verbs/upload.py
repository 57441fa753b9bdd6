"""The verb `upload`."""

from __future__ import annotations

import argparse
import os
import stat
import time
from contextlib import aclosing, suppress
from dataclasses import replace

from bucketry._cli.args import add_quiet, add_transfer_options
from bucketry._cli.commands import UsageError
from bucketry._cli.expected import measure
from bucketry._cli.object_options import ObjectArguments, add_object_options, write_keywords
from bucketry._cli.output import Output, shown
from bucketry._cli.place import STREAM, Places, Remote, prove_access, transfer_config
from bucketry._cli.progress import progress, reporter
from bucketry._cli.report import again_with, batch_of_one, report, told_to_continue
from bucketry._cli.selection import literal_key
from bucketry._cli.streams import read_stdin
from bucketry._cli.two_words import TwoWords, add_local, add_remote, two_words
from bucketry._core.options import WriteKeywords
from bucketry._core.os_errors import local_error
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult
from bucketry._manage.overlap import local_place, store_below
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.one.read import exists
from bucketry._transfer.one.write import create_only
from bucketry.errors import AlreadyExistsError

EXAMPLES = (
    ("upload --local data/ --remote datasets/", "upload the files of a directory: data/a.csv becomes datasets/a.csv"),
    ("upload model.pt s3://bucket/models/", "upload a file under its own name"),
    ("upload site/ s3://bucket/www --cache-control max-age=3600", "upload a directory, each object with this header"),
    ("tar -c data | bucketry upload - backups/data.tar", "upload what another program writes"),
)

_NO_NAME = "standard input has no name: give the complete key with --remote"


class Options(ObjectArguments, TwoWords):
    """The options of `upload`."""

    if_none_match: str | None = None
    no_clobber: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `upload`."""
    add_local(parser, "a file, a directory, or - for standard input")
    add_remote(
        parser, "a URL, a key for a file, or a prefix for a directory; R/ is always a prefix (default: the name of L)"
    )
    parser.add_argument("--no-clobber", action="store_true", help="keep existing objects, and upload only the others")
    parser.add_argument(
        "--if-none-match",
        nargs="?",
        const="*",
        choices=("*",),
        metavar="*",
        help="fail for an object that exists; the server checks this when it stores the object",
    )
    add_object_options(parser)
    add_quiet(parser)
    add_transfer_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Store a file, a directory or standard input, and report."""
    local, word = _words(options)
    if options.local is None and places.is_remote(local) and not await in_thread(os.path.lexists, local):
        other = "LOCAL" if word is None else shown(word)
        message = f"{shown(local)} is a store, and upload takes LOCAL first: write `bucketry upload {other} {local}`"
        raise UsageError(message)
    write = write_keywords(options, output)
    write["if_none_match"] = options.if_none_match
    name, tree, size = ("", False, None) if local == STREAM else await in_thread(_look_at, local)
    started = time.monotonic()
    remote = await places.open(word or "", new=True)
    manager = TransferManager(remote.provider, transfer_config(remote.provider, options))
    key = name if word is None else literal_key(remote)
    again = again_with(no_clobber=options.no_clobber)
    if local == STREAM and not key:
        raise UsageError(_NO_NAME)
    store = await in_thread(_store_inside, local, remote.provider, key) if tree else None
    await prove_access(remote.provider, "writes")  # after all checks, because it makes a missing directory
    if tree:
        leave_out = None if store is None else f"{store}/".__eq__
        if store is not None:
            output.note(f"upload: leaving out {shown(store)} in {shown(local)}: the store keeps its objects there")
        with progress(output, "upload") as counts, told_to_continue(output, again):
            if counts is not None:
                counts.expect(*await in_steps(measure(local, leave_out)))
            batch = await manager.upload_tree(
                local,
                key,
                overwrite=not options.no_clobber,
                leave_out=leave_out,
                keep_mtime=True,
                progress=reporter(counts),
                **write,
            )
    else:
        key = key if key and not key.endswith("/") else f"{key}{name}"
        target = replace(remote, key=key)
        upload = _upload_new if options.no_clobber else _upload_one
        batch = await upload(manager, local, size, target, write, output)
    remote = replace(remote, key=key)
    name = remote.url if output.as_json else remote.name
    return report(output, "upload", (local, name), batch, time.monotonic() - started, again)


async def _upload_new(
    manager: TransferManager,
    local: str,
    size: int | None,
    target: Remote,
    write: WriteKeywords,
    output: Output,
) -> BatchResult:
    """Upload one file or standard input, unless the object exists."""
    if not await exists(target.provider, target.key):
        with suppress(AlreadyExistsError):  # another program may make the object meanwhile
            write = create_only(write, target.provider.capabilities)
            return await _upload_one(manager, local, size, target, write, output)
    return BatchResult(succeeded=(target.key,))


async def _upload_one(
    manager: TransferManager,
    local: str,
    size: int | None,
    target: Remote,
    write: WriteKeywords,
    output: Output,
) -> BatchResult:
    with progress(output, "upload") as counts:
        if counts is not None and size is not None:
            counts.expect(size, 1)
        if local != STREAM:
            sent = manager.upload(local, target.key, keep_mtime=True, progress=reporter(counts), **write)
            return batch_of_one(await sent)
        async with aclosing(read_stdin()) as chunks:
            return batch_of_one(await manager.upload_stream(chunks, target.key, progress=reporter(counts), **write))


def _words(options: Options) -> tuple[str, str | None]:
    """Return LOCAL and REMOTE, after a check of what they need."""
    local, remote = two_words(options)
    if local is None:
        message = "needs LOCAL (or --local): a file, a directory, or - for standard input"
        raise UsageError(message)
    problem = None
    if not local:
        problem = "--local is empty"
    elif local == STREAM and (not remote or remote.endswith("/")):
        problem = _NO_NAME
    elif options.no_clobber and options.if_none_match:
        problem = "--no-clobber skips existing objects, and --if-none-match fails for them; give one"
    if problem is not None:
        raise UsageError(problem)
    return local, remote


def _store_inside(local: str, provider: IStorageProvider, key: str) -> str | None:
    """Return the path of a local store's directory below the directory to upload; `None`: it is elsewhere. Blocks.

    Raises:
        UsageError: The directory is the store or a directory in it, and would be uploaded into itself.
    """
    store, target = store_below(provider.locate(), local), local_place(provider.locate(key))
    if store is None and target is not None and f"{target}/".startswith(f"{os.path.realpath(local)}/"):
        message = f"{local}: would be uploaded into itself; name a destination that is not below it"
        raise UsageError(message)
    return store


def _look_at(path: str) -> tuple[str, bool, int]:
    """Return the last part of the path, whether the path is a directory, and the size in bytes."""
    try:
        found = os.stat(path)
        return os.path.basename(os.path.abspath(path)), stat.S_ISDIR(found.st_mode), found.st_size
    except OSError as error:
        raise local_error(error, path) from error
