"""The verb `delete`."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE, FAILED, NOT_FOUND
from bucketry._cli.output import Output, counted, error_facts, shown
from bucketry._cli.place import Places
from bucketry._core.checks import check_key
from bucketry._core.config import MAX_CONCURRENCY
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult
from bucketry._transfer.workers import fan_out
from bucketry.errors import NotFoundError, StorageError

EXAMPLES = (("delete a.bin b.bin", "delete two objects"),)


class Options(Arguments):
    """The options of `delete`."""

    keys: Sequence[str] = ()
    prefix: str | None = None
    recursive: bool = False
    all: bool = False
    strict: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `delete`."""
    parser.add_argument("keys", metavar="KEY", nargs="*", help="key of an object; * is not a wildcard")
    parser.add_argument("--prefix", metavar="P", help="delete all objects whose keys begin with P; needs --recursive")
    parser.add_argument("--all", action="store_true", help="delete all objects; needs --recursive")
    parser.add_argument("--recursive", action="store_true", help="confirm --prefix or --all")
    parser.add_argument(
        "--strict", action="store_true", help="check each key first, and report missing objects as errors"
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Delete the keys, or all keys with the prefix, and report.

    A server sends the same response whether the object existed or not. So the number of deleted objects is known only
    for listed keys, or with `--strict`, which checks each key first.
    """
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    remote = await places.open(prove="reads" if options.strict else "nothing")
    provider = remote.provider
    keys = list(dict.fromkeys(options.keys))
    for key in keys:
        check_key(key, provider.capabilities, provider.locate())
    if star := next((key for key in keys if "*" in key), None):
        output.note(
            f"delete: the * in {shown(star)} is a plain character; to delete keys by their beginning, use --prefix"
        )
    requested = done = 0
    absent = BatchResult()
    failed: list[dict[str, object]] = []
    if options.strict:
        absent = await _absent(provider, keys)
        output.failures(absent)
    present = [key for key in keys if key not in absent.failed]
    async for batch in _deleted(provider, present, None if keys else options.prefix or ""):
        requested += len(batch.succeeded) + len(batch.failed)
        done += len(batch.succeeded)
        failed += [{"key": key, **error_facts(error)} for key, error in batch.failed.items()]
        output.failures(batch)
    requested += len(absent.failed)
    known = options.strict or not keys
    failed += [{"key": key, **error_facts(error)} for key, error in absent.failed.items()]
    if output.as_json:
        output.document({"requested": requested, "deleted": done if known else None, "failed": failed})
    else:
        said = f"deleted {counted(done, 'object')}" if known else f"asked to delete {counted(requested, 'key')}"
        output.line(f"{said}{f', {len(failed)} failed' if failed else ''}")
    nothing = bool(keys) and all(isinstance(absent.failed.get(key), NotFoundError) for key in keys)
    return NOT_FOUND if nothing else FAILED if failed else DONE


async def _absent(provider: IStorageProvider, keys: Sequence[str]) -> BatchResult:
    """Check each key, several at once; return the keys without an object, and the keys whose check failed."""
    failed: dict[str, StorageError] = {}

    async def one(key: str) -> None:
        try:
            await provider.head(key)
        except StorageError as error:
            failed[key] = error

    await fan_out(keys, one, width=MAX_CONCURRENCY)
    return BatchResult(failed=failed)


async def _deleted(provider: IStorageProvider, keys: Sequence[str], prefix: str | None) -> AsyncIterator[BatchResult]:
    """Delete the keys, or all keys with the prefix, in batches, because there may be more keys than fit in memory."""
    waiting = list(keys)
    if prefix is not None:
        async with aclosing(_listed_keys(provider, prefix)) as found:
            async for key in found:
                waiting.append(key)
                if len(waiting) == provider.capabilities.max_delete_keys:
                    yield await provider.delete_many(waiting)
                    waiting.clear()
    if waiting:
        yield await provider.delete_many(waiting)


async def _listed_keys(provider: IStorageProvider, prefix: str) -> AsyncGenerator[str, None]:
    async for entry in provider.list(prefix):
        yield entry.key


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    wide = options.all or options.prefix is not None
    if options.keys and wide:
        return "give keys, or --prefix, or --all"
    if options.keys:
        return None
    return _problem_of_many(options) if wide else "needs keys to delete: give keys, or --prefix P --recursive"


def _problem_of_many(options: Options) -> str | None:
    if options.all and options.prefix:
        return "--all and --prefix contradict each other"
    if options.prefix == "" and not options.all:
        return "an empty prefix selects all objects; to delete them all, write --all --recursive"
    if options.strict:
        return "--strict works with keys only, not with --prefix or --all"
    if not options.recursive:
        return "would delete all matching objects (see them with list); to delete them, add --recursive"
    return None
