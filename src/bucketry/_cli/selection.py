"""Selects objects by words, patterns and dates, or by a list of keys, and adds the options for that to a verb."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.globs import Glob, under
from bucketry._cli.place import STREAM, Places, Remote
from bucketry._cli.streams import read_stdin
from bucketry._core.os_errors import local_error
from bucketry._core.provider import IStorageProvider
from bucketry._core.units import MiB
from bucketry._core.values import ObjectInfo, ObjectVersion
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import as_directory, every_object
from bucketry.errors import InvalidRequestError

if TYPE_CHECKING:
    from bucketry._manage.sync.filters import Filter

_AGE = r"(?:[0-9]+[wdhms])+"
_PIECE = r"([0-9]+)([wdhms])"
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LINE = MiB  # a key is much shorter, on every provider


class SelectionArguments(Arguments):
    """The options that select objects."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    newer: datetime | None = None
    older: datetime | None = None
    files_from: str | None = None
    recursive: bool = False


def add_selection_options(
    parser: argparse.ArgumentParser, *, recursive: str | None = None, files_from: bool = False, names: str = "keys"
) -> None:
    """Add the options of `SelectionArguments`.

    Args:
        parser: The verb's parser.
        recursive: The help of `--recursive`; `None`: the verb has no such option.
        files_from: Whether the verb has the option `--files-from`.
        names: What that option reads.
    """
    group = parser.add_argument_group("selection")
    if recursive is not None:
        group.add_argument("-r", "--recursive", action="store_true", help=recursive)
    group.add_argument(
        "--include",
        action="append",
        metavar="PATTERN",
        help="only what this pattern matches, as in .gitignore, such as '*.csv'; may be given several times",
    )
    group.add_argument(
        "--exclude", action="append", metavar="PATTERN", help="not what this pattern matches; it wins over --include"
    )
    group.add_argument(
        "--newer",
        type=moment,
        metavar="TIME",
        help="only objects written after a time such as 2026-11-01, or within an age such as 7d or 12h",
    )
    group.add_argument(
        "--older", type=moment, metavar="TIME", help="only objects written before a time, or longer ago than an age"
    )
    if files_from:
        group.add_argument(
            "--files-from",
            metavar="FILE",
            help=f"read the {names} from a file, or from standard input with -: one a line, as it is or as list --json",
        )


async def selected(
    remote: Remote, options: SelectionArguments, *, recursive: bool | None = None
) -> AsyncGenerator[ObjectInfo, None]:
    """Yield the objects that a word selects and the options do not leave out, in the order of their keys.

    A word is a glob (if `remote.is_glob`), else a key. It selects the objects with matching keys; if it is empty or
    ends in `/`, all objects below it. Use `contextlib.aclosing` to leave the iteration early.

    Args:
        remote: The word.
        options: What to leave out. Patterns match the part of the key below the word's directory, see `base_of`.
        recursive: Also select all objects below the directories that the word names; `None`: `options.recursive`.

    Raises:
        UsageError: The glob or a pattern is malformed; nothing was sent.

    Cost: 1 request for each 1,000 keys that begin with the word's literal part, often less, see `Glob.search`. Memory
    for 2 pages for each wildcard.
    """
    below = options.recursive if recursive is None else recursive
    filters = Filters(options)
    base = base_of(remote)
    glob = Glob(remote.key) if remote.is_glob else None
    key = remote.key if glob is None else glob.literal
    within = base  # what the patterns are relative to
    if glob is not None and not glob.is_plain:
        found = glob.search(remote.provider, below=below)
    else:
        found = under(remote.provider, key, below=below)
        within = key if key == base else f"{key}/"
    async with aclosing(found):
        async for entry in found:
            if filters.keeps(entry, entry.key[len(base if entry.key == key else within) :]):
                yield entry


async def below_prefix(
    provider: IStorageProvider, prefix: str, options: SelectionArguments
) -> AsyncGenerator[ObjectInfo, None]:
    """Yield the objects whose keys begin with a literal prefix and that the options do not leave out.

    Patterns match the part of the key below the prefix's last `/`.

    Cost: 1 request for each 1,000 keys with the prefix; memory for 2 pages.
    """
    filters = Filters(options)
    base = prefix.rfind("/") + 1
    async with aclosing(every_object(provider, prefix)) as listing:
        async for entry in listing:
            if isinstance(entry, ObjectInfo) and filters.keeps(entry, entry.key[base:]):
                yield entry


async def keys_from(
    options: SelectionArguments, read: Callable[[], AsyncGenerator[bytes, None]] = read_stdin
) -> AsyncGenerator[str, None]:
    """Yield the keys of `--files-from`, one for each line, as they arrive; empty lines are left out.

    A line is a key, or a JSON document with a `key`, as `list --json` prints it. A key that begins with `{` or contains
    a line break is given as JSON.

    Args:
        options: The option's value; patterns leave keys out.
        read: Reads standard input.

    Raises:
        UsageError: A line is not UTF-8, is longer than 1 MiB, is JSON without a key, or is the JSON of a version or an
            open upload, which is not the object of its key; or there is `--newer` or `--older`.
        LocalFileError: The file cannot be read.
    """
    filters = Filters(options)
    name = "standard input" if options.files_from == STREAM else str(options.files_from)
    if filters.by_time:
        message = "--files-from gives keys without times; leave out --newer and --older"
        raise UsageError(message)
    chunks = read() if options.files_from == STREAM else _read_file(name)
    number = 0
    async with aclosing(_lines(chunks, name)) as lines:
        async for line in lines:
            number += 1
            key = _key_of(line, f"--files-from: {name}: line {number}")
            if key and filters.matches(key):
                yield key


async def place_of_list(words: Sequence[str], places: Places) -> Remote:
    """Return the provider of the keys in `--files-from`: that of the one word, which names a bucket, or the usual one.

    Raises:
        UsageError: The word names more than a bucket, or there are several.
    """
    remote = await places.open(*words[:1])
    if len(words) > 1 or remote.key:
        message = (
            f"with --files-from, give no key: {words[-1]} is one; a URL of the bucket is fine, such as s3://bucket"
        )
        raise UsageError(message)
    return remote


def base_of(remote: Remote) -> str:
    """Return the directory of a word, with `/` at its end, or empty: what comes before it is common to all keys.

    `run-1/` for `run-1/` and `run-1/a`, `data/` for `data/run-*/x`.
    """
    literal = literal_of(remote)
    return literal[: literal.rfind("/") + 1]


def literal_of(remote: Remote) -> str:
    """Return the characters with which every key begins that a word names."""
    return Glob(remote.key).literal if remote.is_glob else remote.key


def names(remote: Remote) -> Callable[[str], bool]:
    """Return a function that returns whether a word names a key, or a directory above it; an empty word names all."""
    glob = Glob(remote.key)
    if remote.is_glob and not glob.is_plain:
        return glob.matcher(below=True)
    word = literal_of(remote)
    directory = as_directory(word)
    return lambda key: key == word or key.startswith(directory)


def single_key(remote: Remote) -> str:
    """Return the key of a verb that takes one object.

    Raises:
        UsageError: The word is a glob, names no object, or ends in `/`.
    """
    glob = Glob(remote.key)
    if remote.is_glob and not glob.is_plain:
        message = f"{remote.key}: is a glob, but one object is needed; write [*] for a plain *, or see `bucketry list`"
        raise UsageError(message)
    key = glob.literal if remote.is_glob else remote.key
    if not key:
        message = f"{remote.url}: is a whole bucket or directory, but one object is needed; add its key"
        raise UsageError(message)
    return key


def narrows(options: SelectionArguments) -> bool:
    """Return whether the options can leave out objects that a word selects."""
    return bool(options.include or options.exclude) or options.newer is not None or options.older is not None


def literal_key(remote: Remote) -> str:
    """Return the key or prefix of a word that must not be a glob.

    Raises:
        UsageError: The word is a glob.
    """
    if not remote.is_glob:
        return remote.key
    glob = Glob(remote.key)
    if not glob.is_plain:
        message = f"{remote.key}: is a glob, but a key or prefix is needed; write [*] for a plain *"
        raise UsageError(message)
    return glob.literal


class Filters:
    """What the options leave out."""

    def __init__(self, options: SelectionArguments) -> None:
        """Compile the patterns.

        Raises:
            UsageError: A pattern is malformed, or the times leave out everything.
        """
        self._newer, self._older = options.newer, options.older
        self._filter: Filter | None = None
        if self._newer is not None and self._older is not None and self._newer >= self._older:
            message = "no time is after --newer and before --older; exchange them"
            raise UsageError(message)
        if options.include or options.exclude:
            from bucketry._manage.sync.filters import Filter

            try:
                self._filter = Filter(options.include, options.exclude)
            except InvalidRequestError as error:
                message = f"--{error}"
                raise UsageError(message) from error

    @property
    def by_time(self) -> bool:
        """Whether objects are left out by their times."""
        return self._newer is not None or self._older is not None

    def matches(self, path: str) -> bool:
        """Return whether the patterns select the path."""
        return self._filter is None or (self._filter.includes(path) and not self._filter.excludes(path))

    def in_time(self, written: datetime) -> bool:
        """Return whether the time is after `--newer` and before `--older`."""
        too_old = self._newer is not None and written <= self._newer
        return not too_old and (self._older is None or written < self._older)

    def keeps(self, entry: ObjectInfo | ObjectVersion, path: str) -> bool:
        """Return whether the object, or the version, stays."""
        return self.in_time(entry.last_modified) and self.matches(path)


def age(text: str) -> timedelta | None:
    """Convert `7d`, `12h`, `30m` or `1d12h` to a duration; `None`: the text is no age."""
    if not re.fullmatch(_AGE, text):
        return None
    try:
        return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in re.findall(_PIECE, text)), timedelta())
    except OverflowError:
        message = f"{text!r} is too long"
        raise argparse.ArgumentTypeError(message) from None


def moment(text: str, now: datetime | None = None) -> datetime:
    """Convert `2026-11-01`, `2026-11-01T12:00`, or an age such as `7d`, `12h` or `1d12h` to a time.

    A time without a zone is in UTC, as the times that `list` shows.
    """
    if (ago := age(text)) is not None:
        try:
            return (now or datetime.now(UTC)) - ago
        except OverflowError:
            message = f"{text!r}: there is no time so long ago"
            raise argparse.ArgumentTypeError(message) from None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a time; write for example 2026-11-01, 2026-11-01T12:00Z, 7d, 12h or 30m"
        raise argparse.ArgumentTypeError(message) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _key_of(line: bytes, where: str) -> str:
    try:
        text = line.decode()
        if not text.startswith("{"):
            return text
        import json  # here, because it takes long to load

        document = json.loads(text)
        found = document["key"]
    except UnicodeDecodeError:
        message = f"{where}: is not UTF-8; keys are UTF-8"
        raise UsageError(message) from None
    except (ValueError, KeyError, TypeError):
        document, found = {}, None
    if not isinstance(found, str):
        message = f'{where}: is not JSON with a key; write a key that begins with {{ as {{"key": "…"}}'
        raise UsageError(message)
    if document.get("upload_id") is not None:
        message = f"{where}: is an open upload, not the object of that key; end uploads with `bucketry uploads abort`"
        raise UsageError(message)
    if document.get("version_id") is not None or "is_latest" in document or "is_delete_marker" in document:
        message = (
            f"{where}: is a version, not the object of that key; list without --versions, "
            "or name one version with KEY --version-id ID"
        )
        raise UsageError(message)
    return found


async def _lines(chunks: AsyncGenerator[bytes, None], name: str) -> AsyncGenerator[bytes, None]:
    """Yield the lines without their ends."""
    rest = b""
    async with aclosing(chunks):
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r")
            if len(rest) > _LINE:
                message = f"--files-from: {name}: a line is longer than {_LINE:,} bytes; give one key a line"
                raise UsageError(message)
    if rest:
        yield rest.removesuffix(b"\r")


async def _read_file(path: str) -> AsyncGenerator[bytes, None]:
    try:
        file = await in_thread(open, path, "rb")
    except OSError as error:
        raise local_error(error, path) from error
    try:
        while chunk := await in_thread(file.read, MiB):
            yield chunk
    except OSError as error:
        raise local_error(error, path) from error
    finally:
        await in_thread(file.close)
