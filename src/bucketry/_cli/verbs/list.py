"""The verb `list`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeAlias

from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE, FAILED, NOT_FOUND
from bucketry._cli.globs import Glob
from bucketry._cli.objects import missing_directory, nothing_there
from bucketry._cli.output import Output, counted, shown, shown_size, shown_time
from bucketry._cli.place import Places, Remote
from bucketry._cli.selection import (
    Filters,
    SelectionArguments,
    add_selection_options,
    below_prefix,
    literal_of,
    names,
    narrows,
    selected,
)
from bucketry._cli.terminal import columns
from bucketry._core.values import CommonPrefix, ObjectInfo, ObjectVersion
from bucketry._transfer.listing import as_directory, every_object

EXAMPLES = (
    ("list", "list everything in the bucket or directory"),
    ("list 's3://bucket/run-*/' --newer 7d -l", "list what was written in the last 7 days below run-1/, run-2/, …"),
    ("list s3://bucket/data/ --delimiter /", "list one level, directories as one line each"),
    ("list --url s3://bucket --prefix run-1/ --json", "print a JSON document for each object"),
)

Entry: TypeAlias = ObjectInfo | ObjectVersion | CommonPrefix

_NONE = "–"
_ETAG = 32  # characters of most etags
_SHORT = 9  # characters of an etag on a terminal of less than _WIDE columns
_WIDE = 120


class Options(SelectionArguments):
    """The options of `list`."""

    words: Sequence[str] = ()
    prefix: str | None = None
    delimiter: str | None = None
    long: bool = False
    bytes: bool = False
    sort: str = "key"
    reverse: bool = False
    versions: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `list`."""
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a key, or a directory (everything below it); in a URL also a glob such as 's3://bucket/run-*/'",
    )
    parser.add_argument("--prefix", metavar="P", help="only keys that begin with P; * is not a wildcard")
    parser.add_argument("--delimiter", metavar="D", help="group keys at this text; with / only one level is listed")
    parser.add_argument("-l", "--long", action="store_true", help="show storage class and etag, too")
    parser.add_argument("--bytes", action="store_true", help="show exact sizes, in bytes")
    parser.add_argument(
        "--sort", choices=("key", "size", "time"), help="order; by size or time, all entries are first kept in memory"
    )
    parser.add_argument("--reverse", action="store_true", help="largest, newest or last key first")
    parser.add_argument("--versions", action="store_true", help="list all versions and delete markers")
    add_selection_options(parser, recursive="accepted for habit: everything below is listed anyway")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print each object, with a delimiter each common prefix, or each version.

    JSON Lines: for an object `{"key", "size", "etag", "last_modified", "storage_class"}`; for a common prefix
    `{"prefix"}`; for a version `{"key", "size", "etag", "last_modified", "storage_class", "version_id", "is_latest",
    "is_delete_marker"}`. Keys are those of the bucket; for `NAME:path` and `--url` those below the prefix of the place
    or URL. The lines of several words follow each other.
    """
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    Filters(options)  # refuses malformed patterns before anything is printed
    remotes = [await places.open(word) for word in options.words] or [await places.open()]
    for remote in remotes:
        if options.delimiter is not None and remote.is_glob and not Glob(remote.key).is_plain:
            message = f"{remote.key}: is a glob, and --delimiter lists one level; leave out one of them"
            raise UsageError(message)
    table = _Table(options, output)
    missing = 0
    for remote in remotes:
        before = table.lines
        async with aclosing(_entries(remote, options)) as entries:
            await table.add(entries)
        if table.lines > before:
            continue
        is_named = remote.is_glob or options.url is not None
        absent = await missing_directory(remote) if is_named else None
        if absent is None and remote.key and not narrows(options):
            absent = nothing_there(remote)
        if absent is not None:
            missing += 1
            output.error(absent)
    if table.lines or not missing:  # else the error has said all
        table.finish()
    return DONE if not missing else NOT_FOUND if missing == len(remotes) else FAILED


class _Table:
    """Prints the entries: at once if they come in the wanted order, else at the end."""

    def __init__(self, options: Options, output: Output) -> None:
        self._options = options
        self._output = output
        self._kept: list[Entry] | None = [] if options.sort != "key" or options.reverse else None
        self._count = self._size = 0
        self.lines = 0
        # On a narrow terminal the key is worth more than the whole etag.
        width = columns(sys.stdout)
        self._etag_width = _SHORT if width is not None and width < _WIDE else sys.maxsize

    async def add(self, entries: AsyncGenerator[Entry, None]) -> None:
        async for entry in entries:
            self.lines += 1
            if not isinstance(entry, CommonPrefix):
                self._count, self._size = self._count + 1, self._size + entry.size
            if self._kept is None:
                self._print(entry)
            else:
                self._kept.append(entry)

    def finish(self) -> None:
        """Print the entries that were kept, and the total."""
        if self._kept is not None:
            for entry in sorted(self._kept, key=_ORDERS[self._options.sort], reverse=self._options.reverse):
                self._print(entry)
        if not self._output.as_json:
            word = "version" if self._options.versions else "object"
            prefixes = self.lines - self._count
            below = f"{prefixes} prefix{'' if prefixes == 1 else 'es'}, " if prefixes else ""
            self._output.note(f"{below}{counted(self._count, word)}, {shown_size(self._size)}")

    def _print(self, entry: Entry) -> None:
        if self._output.as_json:
            self._output.document(_document(entry))
        else:
            self._output.row(self._columns(entry), shown(_name(entry)))

    def _columns(self, entry: Entry) -> str:
        """Return the columns before the key."""
        options = self._options
        if isinstance(entry, CommonPrefix):
            size, time = _NONE, _NONE
        else:
            marker = isinstance(entry, ObjectVersion) and entry.is_delete_marker
            size = _NONE if marker else str(entry.size) if options.bytes else shown_size(entry.size)
            time = shown_time(entry.last_modified)
        cells = [f"{size:>10}", f"{time:20}"]
        if options.long:
            kind, etag = ("", "") if isinstance(entry, CommonPrefix) else (entry.storage_class, entry.etag.strip('"'))
            if len(etag) > self._etag_width:
                etag = f"{etag[: self._etag_width - 1]}…"
            cells += [f"{kind or _NONE:11}", f"{etag or _NONE:{min(self._etag_width, _ETAG)}}"]
        if isinstance(entry, ObjectVersion):
            state = "deleted" if entry.is_delete_marker else "latest" if entry.is_latest else ""
            cells += [f"{entry.version_id:32}", f"{state:7}"]
        return "".join(f"{cell}  " for cell in cells)


_ORDERS: dict[str, Callable[[Entry], tuple[object, ...]]] = {
    "key": lambda entry: (_name(entry),),
    "size": lambda entry: (-1 if isinstance(entry, CommonPrefix) else entry.size, _name(entry)),
    "time": lambda entry: (0 if isinstance(entry, CommonPrefix) else entry.last_modified.timestamp(), _name(entry)),
}
"""For `--sort`: what is compared; common prefixes, which have neither size nor time, come before all objects."""


def _name(entry: Entry) -> str:
    return entry.prefix if isinstance(entry, CommonPrefix) else entry.key


async def _entries(remote: Remote, options: Options) -> AsyncGenerator[Entry, None]:
    """Yield what one word, or `--prefix`, selects."""
    found: AsyncGenerator[Entry, None]
    if options.versions:
        found = _versions(remote, options)
    elif options.delimiter is not None:
        found = _grouped(remote, options, options.delimiter)
    elif options.prefix is not None:
        found = below_prefix(remote.provider, options.prefix, options)
    else:
        found = selected(remote, options, recursive=True)
    async with aclosing(found):
        async for entry in found:
            yield entry


async def _grouped(remote: Remote, options: Options, delimiter: str) -> AsyncGenerator[Entry, None]:
    """Yield the objects and common prefixes of one level."""
    filters = Filters(options)
    prefix = options.prefix
    if prefix is None:
        key = literal_of(remote)
        prefix = as_directory(key)
        if key != prefix:
            async with aclosing(selected(remote, options, recursive=False)) as found:
                async for info in found:
                    yield info
    base = prefix.rfind("/") + 1
    async with aclosing(every_object(remote.provider, prefix, delimiter=delimiter)) as entries:
        async for entry in entries:
            if isinstance(entry, CommonPrefix) or filters.keeps(entry, entry.key[base:]):
                yield entry


async def _versions(remote: Remote, options: Options) -> AsyncGenerator[Entry, None]:
    """Yield the versions of the objects that a word, or `--prefix`, selects."""
    filters = Filters(options)
    literal = literal_of(remote) if options.prefix is None else options.prefix
    base = literal.rfind("/") + 1
    is_named = names(remote)
    async for version in remote.provider.list_versions(literal):
        if options.prefix is None and not is_named(version.key):
            continue
        if filters.keeps(version, version.key[base:]):
            yield version


def _document(entry: Entry) -> dict[str, object]:
    if isinstance(entry, CommonPrefix):
        return {"prefix": entry.prefix}
    wanted = ["key", "size", "etag", "last_modified", "storage_class"]
    if isinstance(entry, ObjectVersion):
        wanted += ["version_id", "is_latest", "is_delete_marker"]
    return {name: getattr(entry, name) for name in wanted}


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    if options.words and options.prefix is not None:
        return "give words, or --prefix"
    if options.versions and options.delimiter is not None:
        return "--versions lists all keys; leave out --delimiter"
    if options.delimiter == "":
        return "--delimiter is empty; write for example --delimiter /"
    return None
