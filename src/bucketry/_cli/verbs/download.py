"""The verb `download`."""

from __future__ import annotations

import argparse
import os
import time

from bucketry._cli.args import TransferArguments, add_transfer_options
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.expected import counting
from bucketry._cli.output import Output, shown, shown_rate, shown_size
from bucketry._cli.place import STREAM, Places, prove_access, transfer_config
from bucketry._cli.progress import progress, reporter
from bucketry._cli.report import batch_of_one, report
from bucketry._cli.streams import write_stdout
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult
from bucketry._runtime.threads import in_thread
from bucketry._transfer.manager import TransferManager
from bucketry.errors import LocalNotADirectoryError, NotFoundError

EXAMPLES = (("download --remote datasets/ --local data/", "download all objects below datasets/"),)


class Options(TransferArguments):
    """The options of `download`."""

    local: str
    remote: str
    no_clobber: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `download`."""
    add_transfer_options(parser)
    parser.add_argument(
        "--remote",
        required=True,
        metavar="R",
        help="a key, or a prefix to download all objects below it (R/ is always a prefix)",
    )
    parser.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for standard output")
    parser.add_argument("--no-clobber", action="store_true", help="keep existing files, and download only the others")


async def run(options: Options, places: Places, output: Output) -> int:
    """Fetch an object, or all objects below a prefix, and report."""
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    provider = (await places.open()).provider
    manager = TransferManager(provider, transfer_config(provider, options))
    await prove_access(provider, "reads")
    local, remote = options.local, options.remote
    started = time.monotonic()
    if local == STREAM:
        return await _to_stdout(provider, remote, output)
    if not remote or remote.endswith("/"):
        batch = await _download_tree(provider, manager, remote, options, output)
    else:
        target = await in_thread(_file_for, remote, local)
        try:
            batch = await _download_one(provider, manager, target, options, output)
        except NotFoundError:
            if not await _any_below(provider, f"{remote}/"):
                raise
            batch = await _download_tree(provider, manager, f"{remote}/", options, output)
        else:
            local = target
    return report(output, "download", (provider.locate(remote), local), batch, time.monotonic() - started)


async def _download_one(
    provider: IStorageProvider, manager: TransferManager, target: str, options: Options, output: Output
) -> BatchResult:
    key, local = options.remote, options.local
    into_directory = target != local and not local.endswith("/") and not await in_thread(os.path.isdir, target)
    exists = options.no_clobber and await in_thread(os.path.lexists, target)
    if into_directory or exists:
        await provider.head(key)  # before the messages below, because the key may be a prefix, or missing
    if exists:
        return BatchResult(succeeded=(key,))
    if into_directory:
        output.note(f"download: {shown(local)} is a directory: writing {shown(target)}")
    with progress(output, "download") as counts:
        return batch_of_one(await manager.download(key, target, progress=reporter(counts)))


async def _download_tree(
    provider: IStorageProvider, manager: TransferManager, prefix: str, options: Options, output: Output
) -> BatchResult:
    local = options.local
    await in_thread(_check_directory, local)
    with progress(output, "download") as counts:
        async with counting(provider, prefix, counts):
            return await manager.download_tree(
                prefix, local, overwrite=not options.no_clobber, progress=reporter(counts)
            )


async def _to_stdout(provider: IStorageProvider, key: str, output: Output) -> int:
    started = time.monotonic()
    async with provider.stream(key) as chunks:
        size = await write_stdout(chunks)
    seconds = time.monotonic() - started
    output.note(f"download: {shown_size(size)} in {seconds:.2f} s, {shown_rate(size, seconds)}")
    return DONE


async def _any_below(provider: IStorageProvider, prefix: str) -> bool:
    return bool((await provider.list_page(prefix)).entries)


def _check_directory(path: str) -> None:
    if os.path.lexists(path) and not os.path.isdir(path):
        message = f"{path}: is a file, but many objects need a directory"
        raise LocalNotADirectoryError(message, path=path)


def _file_for(key: str, local: str) -> str:
    """Return the path of the file for one object; in a directory, the file has the last part of the key as its name."""
    return os.path.join(local, key.rpartition("/")[2]) if local.endswith("/") or os.path.isdir(local) else local


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    if not options.local:
        return "--local is empty"
    if options.local != STREAM:
        return None
    if options.no_clobber:
        return "--no-clobber is for files, and standard output is not a file"
    if not options.remote or options.remote.endswith("/"):
        return "standard output takes one object only: give one key, or a directory with --local"
    if options.json:
        return "standard output takes the object's bytes, so --json cannot be used"
    return None
