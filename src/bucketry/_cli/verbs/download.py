"""The verb `download`."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace

from bucketry._cli.args import TransferArguments, add_quiet, add_transfer_options
from bucketry._cli.commands import UsageError
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.run import copy_or_move
from bucketry._cli.expected import counting
from bucketry._cli.globs import Glob
from bucketry._cli.objects import any_below
from bucketry._cli.output import Output, shown
from bucketry._cli.place import STREAM, Places, Remote, prove_access, transfer_config
from bucketry._cli.progress import progress, reporter
from bucketry._cli.report import again_with, batch_of_one, report, told_to_continue
from bucketry._cli.selection import literal_key
from bucketry._cli.streams import object_to_stdout
from bucketry._cli.two_words import TwoWords, add_local, add_remote, two_words
from bucketry._core.values import BatchResult
from bucketry._runtime.threads import in_thread
from bucketry._transfer.manager import TransferManager
from bucketry.errors import LocalIsADirectoryError, LocalNotADirectoryError, NotFoundError

EXAMPLES = (
    ("download --remote datasets/ --local data/", "download all objects below datasets/"),
    ("download s3://bucket/models/model.pt", "download an object into this directory, under its own name"),
    ("download s3://bucket/run-1/ out/ --no-clobber", "download a prefix, and keep the files that are there"),
    ("download 's3://bucket/run-*/' out/", "download what a glob matches: out/run-1/…, out/run-2/…"),
    ("download s3://bucket/data.tar - | tar -x", "hand an object to another program"),
)


class Options(TransferArguments, TwoWords):
    """The options of `download`."""

    no_clobber: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `download`."""
    add_remote(parser, "a URL, a key, or a prefix to download all objects below it (R/ is always a prefix)")
    add_local(
        parser, "a file, a directory, or - for standard output (default for one object: its name in this directory)"
    )
    parser.add_argument("--no-clobber", action="store_true", help="keep existing files, and download only the others")
    add_quiet(parser)
    add_transfer_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Fetch an object, or all objects below a prefix, and report."""
    word, local = _words(options)
    if options.local is None and local is not None and places.is_remote(local) and not places.is_remote(word):
        message = f"{shown(local)} is a store, and download takes it first: write `bucketry download {local} {word}`"
        raise UsageError(message)
    problem = None if local != STREAM else _problem_of_stdout(word, options)
    if problem:
        raise UsageError(problem)
    remote = await places.open(word)
    if remote.is_glob and not Glob(remote.key).is_plain:
        return await copy_or_move(_as_copy(options, word, local or "./"), places, output, moves=False)
    provider, key = remote.provider, literal_key(remote)
    remote = replace(remote, key=key, is_glob=False)
    manager = TransferManager(provider, transfer_config(provider, options))
    await prove_access(provider, "reads")
    started = time.monotonic()
    again = again_with(no_clobber=options.no_clobber)
    if local == STREAM:
        return await object_to_stdout(provider, key, output)
    if not key or key.endswith("/"):
        batch = await _download_tree(manager, remote, local or "", options, output)
    else:
        target = await in_thread(_file_for, key, local or "./")
        try:
            batch = await _download_one(manager, remote, local, target, options, output)
        except (NotFoundError, LocalIsADirectoryError) as error:  # a key of objects below it, or of nothing
            if not await any_below(remote) or (not isinstance(error, NotFoundError) and await provider.exists(key)):
                raise
            batch = await _download_tree(manager, replace(remote, key=f"{key}/"), local or "", options, output)
        else:
            local = target
    name = remote.url if output.as_json else remote.name
    return report(output, "download", (name, local or ""), batch, time.monotonic() - started, again)


def _as_copy(options: Options, word: str, local: str) -> CopyArguments:
    """Return the options of `copy` that download what a glob matches."""
    found = CopyArguments()
    for name, value in vars(options).items():
        setattr(found, name, value)
    found.words, found.recursive = (word, local), local != STREAM
    return found


async def _download_one(
    manager: TransferManager, remote: Remote, local: str | None, target: str, options: Options, output: Output
) -> BatchResult:
    into_directory = (
        local is not None and target != local and not local.endswith("/") and not await in_thread(os.path.isdir, target)
    )
    exists = options.no_clobber and await in_thread(os.path.lexists, target)
    if into_directory or exists:
        await remote.provider.head(remote.key)  # before the messages below, because the key may be a prefix, or missing
    if exists:
        return BatchResult(succeeded=(remote.key,))
    if into_directory:
        output.note(f"download: {shown(local or '')} is a directory: writing {shown(target)}")
    with progress(output, "download") as counts:
        return batch_of_one(await manager.download(remote.key, target, keep_mtime=True, progress=reporter(counts)))


async def _download_tree(
    manager: TransferManager, remote: Remote, local: str, options: Options, output: Output
) -> BatchResult:
    if not local:
        message = f"needs LOCAL (or --local): the directory for the objects below {remote.url}"
        raise UsageError(message)
    await in_thread(_check_directory, local)
    again = again_with(no_clobber=options.no_clobber)
    with progress(output, "download") as counts, told_to_continue(output, again):
        async with counting(remote.provider, remote.key, counts):
            return await manager.download_tree(
                remote.key, local, overwrite=not options.no_clobber, keep_mtime=True, progress=reporter(counts)
            )


def _check_directory(path: str) -> None:
    path = path.rstrip("/") or "/"  # with a slash, a file does not exist
    if os.path.lexists(path) and not os.path.isdir(path):
        message = f"{path}: is a file, but many objects need a directory"
        raise LocalNotADirectoryError(message, path=path)


def _file_for(key: str, local: str) -> str:
    """Return the path of the file for one object; in a directory, the file has the last part of the key as its name."""
    return os.path.join(local, key.rpartition("/")[2]) if local.endswith("/") or os.path.isdir(local) else local


def _words(options: Options) -> tuple[str, str | None]:
    """Return REMOTE and LOCAL."""
    local, remote = two_words(options)
    if remote is None:
        message = "needs REMOTE (or --remote): a key, or a prefix to download all objects below it"
        raise UsageError(message)
    if local == "":
        message = "--local is empty"
        raise UsageError(message)
    return remote, local


def _problem_of_stdout(remote: str, options: Options) -> str | None:
    """Return what is wrong with the options for standard output, if anything is."""
    if options.no_clobber:
        return "--no-clobber is for files, and standard output is not a file"
    if not remote or remote.endswith("/"):
        return "standard output takes one object only: give one key, or a directory with --local"
    if options.json:
        return "standard output takes the object's bytes, so --json cannot be used"
    return None
