"""The verb `delete`."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial

from bucketry._cli.ask import confirmed
from bucketry._cli.commands import UsageError
from bucketry._cli.deleted import Ended
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.glob_check import check_glob
from bucketry._cli.globs import Glob
from bucketry._cli.objects import Tally, counting_display, nothing_there
from bucketry._cli.output import Output, counted, shown
from bucketry._cli.place import Places, Remote
from bucketry._cli.selection import (
    Filters,
    SelectionArguments,
    add_selection_options,
    below_prefix,
    keys_from,
    narrows,
    place_of_list,
    selected,
)
from bucketry._core.checks import check_key
from bucketry._core.config import FIXED_CONCURRENCY
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult, ObjectInfo
from bucketry._transfer.listing import every_object
from bucketry._transfer.workers import fan_out
from bucketry.errors import InvalidKeyError, NotFoundError, StorageError

EXAMPLES = (
    ("delete a.bin b.bin", "delete two objects"),
    ("delete -r s3://bucket/run-1 --dry-run", "show what would be deleted: run-1, and all objects below run-1/"),
    ("delete 's3://bucket/run-1/*.tmp' --older 30d", "delete by a glob and by age"),
    ("delete -r s3://bucket --yes", "empty a bucket; without --yes, it asks"),
    ("delete s3://bucket --files-from keys.txt", "delete the keys in a file, one a line"),
)

_MOST_NAMES = 3  # in the line that says what was deleted; a line with more is hard to read
_EVERYTHING = re.compile(r"[*/]*")


class Options(SelectionArguments):
    """The options of `delete`."""

    keys: Sequence[str] = ()
    prefix: str | None = None
    all: bool = False
    strict: bool = False
    yes: bool = False
    dry_run: bool = False
    version_id: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `delete`."""
    parser.add_argument(
        "keys",
        metavar="KEY",
        nargs="*",
        help="key of an object, in which * is not a wildcard; or a URL, in which it is one: 's3://bucket/run-*/x'",
    )
    parser.add_argument("--prefix", metavar="P", help="delete all objects whose keys begin with P; needs --recursive")
    parser.add_argument("--all", action="store_true", help="delete all objects; needs --recursive, and asks")
    parser.add_argument(
        "--strict", action="store_true", help="check each key first, and report missing objects as errors"
    )
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask before what can be a whole bucket is deleted"
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")
    parser.add_argument("--version-id", metavar="ID", help="delete this version of the one KEY for ever")
    add_selection_options(
        parser,
        recursive="delete all objects below a directory, too; needed for more than named objects",
        files_from=True,
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Delete the selected objects, and report.

    A server sends the same response whether the object existed or not. So the number of deleted objects is known only
    for listed keys, or with `--strict`, which checks each key first.

    JSON: `{"requested", "deleted", "failed": [{"key", "type", "message", …}]}`; `deleted` is `null` if it is not known.
    With `--dry-run` JSON Lines: `{"key", "size"}`; the size is `null` if the objects were not listed.
    """
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    Filters(options)
    targets = await _targets(options, places)
    for target in targets:
        _check_key(target, options, output)
    if not options.strict and options.version_id is None:
        words = [target for target in targets if target.word is not None and not options.recursive]
        await fan_out(words, partial(_check_selection, options=options), width=FIXED_CONCURRENCY)
    for target in targets:
        if not target.asks or options.dry_run:
            continue
        what = "everything" if target.is_everything and not narrows(options) else "all matching objects"
        place = replace(target.remote, key="").name_and_server
        if not await confirmed(f"delete {what} in {place}", output, yes=options.yes):
            output.note("delete: nothing was deleted")
            return FAILED
    if options.version_id is not None:
        return await _delete_version(targets[0].remote, options.version_id, output)
    if options.dry_run:
        return await _show(targets, options, output)
    return await _delete(targets, options, output)


@dataclass(frozen=True, slots=True)
class _Target:
    """What one word, `--prefix`, `--all` or `--files-from` names.

    Attributes:
        remote: The word, or the provider.
        word: The word as it was written; `None`: an option names the objects.
        named: Whether the word names one key, which is deleted without a listing.
        plain: Whether the word is a key or directory.
        needed: Whether it is an error if the word selects nothing.
        asks: Whether it can select a whole bucket or directory, so that the user must agree.
    """

    remote: Remote
    word: str | None
    named: bool = False
    plain: bool = False
    needed: bool = False
    asks: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether it selects a whole bucket or directory for certain."""
        return self.asks and (self.word is None or _EVERYTHING.fullmatch(self.remote.key) is not None)


@dataclass(frozen=True, slots=True)
class _Item:
    """An object to delete; `size` is `None` if it was not listed, and `error` says why it cannot be deleted."""

    provider: IStorageProvider
    key: str
    size: int | None = None
    error: StorageError | None = None


async def _targets(options: Options, places: Places) -> list[_Target]:
    if options.files_from is not None:
        return [_Target(await place_of_list(options.keys, places), None)]
    if not options.keys:
        return [_Target(await places.open(), None, asks=options.all)]
    targets = []
    for word in dict.fromkeys(options.keys):
        remote = await places.open(word, prove="reads" if options.strict else "nothing")
        glob = Glob(remote.key)
        plain = not remote.is_glob or glob.is_plain
        if plain and remote.is_glob:
            remote = replace(remote, key=glob.literal, is_glob=not glob.literal)
        named = plain and not options.recursive and not narrows(options)
        asks = remote.is_glob and (
            not glob.literal if options.recursive else _EVERYTHING.fullmatch(remote.key) is not None
        )
        needed = not narrows(options) and not (plain and asks)
        targets.append(_Target(remote, word, named, plain, needed, asks))
    return targets


def _check_key(target: _Target, options: Options, output: Output) -> None:
    """Raise an error for a word that could select more than the user means; nothing was deleted yet."""
    remote, word = target.remote, target.word
    if word is None:
        return
    glob = Glob(remote.key)
    across = glob.across if remote.is_glob else remote.key.endswith("/")
    if options.recursive:
        pass
    elif target.remote.is_glob and not remote.key:
        message = f"{word}: is a whole bucket or directory; to delete everything in it, add --recursive"
        raise UsageError(message)
    elif across:
        kind = "selects all objects below directories" if not glob.is_plain and remote.is_glob else "is a prefix"
        message = f"{word}: {kind}; to delete them all, add --recursive (see them with list)"
        raise UsageError(message)
    if (options.strict or options.version_id is not None) and not target.named:
        option = "--strict" if options.strict else "--version-id"
        message = f"{option} works with keys only, and {word} can select several objects"
        raise UsageError(message)
    if not remote.is_glob:
        check_key(remote.key, remote.provider.capabilities, remote.provider.locate())
        if "*" in word and remote.key == word:
            output.note(
                f"delete: the * in {shown(word)} is a plain character; to delete keys by their beginning, use --prefix"
            )


async def _check_selection(target: _Target, options: Options) -> None:
    """Raise an error for a word that, without `--recursive`, would delete less than `list` shows, and say nothing.

    Raises:
        UsageError: It names no object but a directory, or it is a glob that also matches directories.

    Cost: for a key 1 LIST, and 1 HEAD if there are objects below it; for a glob as `check_glob`.
    """
    provider, key = target.remote.provider, target.remote.key
    if not target.plain:
        with suppress(NotFoundError):  # reported with the results
            await check_glob(target.remote, options, recursive=False)
        return
    try:
        async with aclosing(every_object(provider, f"{key}/", delimiter="/")) as below:
            empty = await anext(below, None) is None
        if empty or await provider.exists(key):
            return
    except StorageError:  # the credentials may be allowed to delete only
        return
    message = f"{target.word}: there is no such object, but there are objects below it; to delete them, add --recursive"
    raise UsageError(message)


async def _items(targets: Sequence[_Target], options: Options) -> AsyncGenerator[_Item, None]:
    """Yield each object to delete."""
    for target in targets:
        provider = target.remote.provider
        if target.named:
            yield _Item(provider, target.remote.key)
        elif options.files_from is not None:
            async with aclosing(keys_from(options)) as keys:
                async for key in keys:
                    yield _Item(provider, key, error=_wrong(provider, key))
        else:
            empty = target.needed
            async with aclosing(_listed(target, options)) as entries:
                async for entry in entries:
                    empty = False
                    yield _Item(provider, entry.key, entry.size)
            if empty:
                yield _Item(provider, target.remote.key, error=nothing_there(target.remote))


def _wrong(provider: IStorageProvider, key: str) -> StorageError | None:
    """Return what is wrong with a key; one of a long list is reported, and the others are deleted."""
    try:
        check_key(key, provider.capabilities, provider.locate())
    except InvalidKeyError as error:
        return error
    return None


def _listed(target: _Target, options: Options) -> AsyncGenerator[ObjectInfo, None]:
    if target.word is None:
        return below_prefix(target.remote.provider, options.prefix or "", options)
    return selected(target.remote, options)


async def _batches(items: AsyncGenerator[_Item, None]) -> AsyncGenerator[list[_Item], None]:
    """Yield the items in batches that one request can delete, because there may be more keys than fit in memory."""
    waiting: list[_Item] = []
    async with aclosing(items):
        async for item in items:
            provider = item.provider
            if waiting and (
                waiting[0].provider is not provider or len(waiting) == provider.capabilities.max_delete_keys
            ):
                yield waiting
                waiting = []
            waiting.append(item)
    if waiting:
        yield waiting


async def _delete(targets: list[_Target], options: Options, output: Output) -> int:
    known = options.strict or (options.files_from is None and not any(target.named for target in targets))
    ended = Ended()
    try:
        await _delete_batches(targets, options, output, ended)
    except BaseException:
        if ended.done:
            output.note(f"delete: stopped; {counted(ended.done, 'key')} had been deleted; the same command continues")
        raise
    if output.as_json:
        output.document(
            {"requested": ended.requested, "deleted": ended.done if known else None, "failed": ended.failed}
        )
    else:
        deleted, requested = counted(ended.done, "object"), counted(ended.requested, "key")
        said = f"deleted {deleted}" if known else f"asked to delete {requested}"
        names = ", ".join([*map(shown, ended.first), *(["…"] if ended.requested > len(ended.first) else [])])
        more = f", {len(ended.failed)} failed" if ended.failed else "" if known else f": {names}"
        output.line(f"{said}{more if ended.requested else ''}")
    return ended.code


async def _delete_batches(targets: list[_Target], options: Options, output: Output, ended: Ended) -> None:
    tally = Tally()
    with counting_display(output, tally) as display:
        async with aclosing(_batches(_items(targets, options))) as batches:
            async for batch in batches:
                provider, keys = batch[0].provider, [item.key for item in batch if item.error is None]
                if options.strict:
                    absent = await _absent(provider, keys)
                else:
                    absent = BatchResult(failed={item.key: item.error for item in batch if item.error is not None})
                result = await provider.delete_many([key for key in keys if key not in absent.failed])
                ended.requested += len({item.key for item in batch})
                ended.first += list(dict.fromkeys(keys))[: _MOST_NAMES - len(ended.first)]
                ended.done += len(result.succeeded)
                for item in batch:
                    tally.add(item.size or 0)
                display.update()
                for problems in (absent, result):
                    if problems.failed:
                        display.clear()
                    output.failures(problems)
                    ended.add(problems)


async def _show(targets: list[_Target], options: Options, output: Output) -> int:
    """Print what would be deleted."""
    tally, ended = Tally(), Ended()
    async with aclosing(_items(targets, options)) as items:
        async for item in items:
            ended.requested += 1
            if item.error is not None:
                problem = BatchResult(failed={item.key: item.error})
                output.failures(problem)
                ended.add(problem)
                continue
            tally.add(item.size or 0)
            if output.as_json:
                output.document({"key": item.key, "size": item.size})
            else:
                output.row("would delete ", shown(item.key))
    if not output.as_json:
        output.note(f"dry run: {tally}; nothing was deleted")
    return ended.code


async def _delete_version(remote: Remote, version_id: str, output: Output) -> int:
    await remote.provider.delete(remote.key, version_id=version_id)
    if output.as_json:
        output.document({"requested": 1, "deleted": None, "failed": []})
    else:
        output.line(f"asked to delete version {version_id} of {shown(remote.key)}")
    return DONE


async def _absent(provider: IStorageProvider, keys: Sequence[str]) -> BatchResult:
    """Check each key, several at once; return the keys without an object, and the keys whose check failed."""
    failed: dict[str, StorageError] = {}

    async def one(key: str) -> None:
        try:
            await provider.head(key)
        except StorageError as error:
            failed[key] = error

    await fan_out(keys, one, width=FIXED_CONCURRENCY)
    return BatchResult(failed=failed)


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    wide = options.all or options.prefix is not None
    if (options.keys or options.files_from is not None) and wide:
        return "give keys, or --prefix, or --all"
    if options.files_from is not None and options.strict:
        return "--strict works with keys only, not with --files-from"
    if options.version_id is not None and (len(options.keys) != 1 or options.recursive or options.dry_run):
        return "--version-id is for one KEY, without --recursive and --dry-run"
    if options.keys or options.files_from is not None:
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
