"""Completes words in a shell: verbs, options, choices, named places, keys and local paths.

The script of `bucketry completion SHELL` runs the program with the variable `_ARGCOMPLETE`; nothing of this module is
loaded otherwise. What a word may be follows from its option or argument, see `PATHS` and `KEYS`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from types import FrameType
from urllib.parse import quote

import argcomplete
from argcomplete.completers import BaseCompleter
from argcomplete.lexers import split_line

from bucketry._cli.args import Arguments
from bucketry._cli.commands import COMMANDS, Command, UsageError
from bucketry._cli.env_file import load_env_file
from bucketry._cli.globs import Glob
from bucketry._cli.parser import next_verb, overview_parser, verb_parser
from bucketry._cli.place import Places, Remote, is_url
from bucketry._cli.verb import load
from bucketry._core.values import CommonPrefix
from bucketry.errors import StorageError
from bucketry.providers.factory import StorageProviderFactory
from bucketry.providers.places import PlaceFile, read_places
from bucketry.providers.url import SCHEMES

PATHS = frozenset({"DESTINATION", "DIR", "FILE", "L", "LOCAL", "PATH"})
"""How the help shows options and arguments that may be local paths."""
KEYS = frozenset({"key", "keys", "paths", "place", "prefix", "remote", "remote_word", "url", "word", "words"})
"""The names of options and arguments that may be keys, URLs or `NAME:path`; some may be local paths as well."""

TIMEOUT_VARIABLE = "BUCKETRY_COMPLETION_TIMEOUT"
_TIMEOUT = 2.0  # seconds; longer, and a shell that waits seems to hang
_SHORTEST, _LONGEST = 0.1, 60.0
_FOR_LISTING = 0.75  # of that time; the rest is for closing what was opened
_MOST = 100  # names
_IN_GLOBS = str.maketrans({char: f"[{char}]" for char in "*?["})
_IN_URLS = str.maketrans({char: quote(char) for char in "%#"})


def complete(environ: MutableMapping[str, str]) -> None:
    """Write the completions of the command line in `environ` to the shell, and end the process.

    Errors give no completions. The process ends after two seconds, or `BUCKETRY_COMPLETION_TIMEOUT`, at most.

    Args:
        environ: The process's own environment; `--env-file` adds variables to it.

    Cost: 1 request, if the word may be a key.
    """
    signal.signal(signal.SIGALRM, _end)
    timeout = timeout_of(environ)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    *_, before, _ = split_line(environ["COMP_LINE"], int(environ["COMP_POINT"]))
    parser, above, used = parser_of(before[1:])
    # The verb takes the part of the program's name: the words before it have been parsed.
    environ["_ARGCOMPLETE"] = str(used + 1)
    argcomplete.autocomplete(
        parser, always_complete_options=False, default_completer=_Completer(above, environ, timeout * _FOR_LISTING)
    )


def timeout_of(environ: Mapping[str, str]) -> float:
    """Return the seconds that a completion may take; a variable that is malformed or out of range counts as not set."""
    try:
        given = float(environ[TIMEOUT_VARIABLE])
    except (KeyError, ValueError):
        return _TIMEOUT
    return given if _SHORTEST <= given <= _LONGEST else _TIMEOUT


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(1)


def parser_of(words: Sequence[str]) -> tuple[argparse.ArgumentParser, Command | None, int]:
    """Return the parser of the last words, the verb before them, and the number of the words before them."""
    options = argparse.Namespace()
    above: Command | None = None
    rest = list(words)
    while above is None or above.verbs:
        try:
            above, rest = next_verb(above, rest, options)
        except (UsageError, SystemExit):  # the verb is not complete, or the help is asked for
            break
    verb = above if above is not None and not above.verbs else None
    parser = overview_parser(above) if verb is None else verb_parser(verb, load(verb))
    parser.set_defaults(**vars(options))
    return parser, above, len(words) - len(rest)


class _Completer(BaseCompleter):
    """Completes the value of an option or argument that has no choices.

    Args:
        above: The verb before the word.
        environ: The environment variables.
        within: Seconds for a listing.
    """

    def __init__(self, above: Command | None, environ: MutableMapping[str, str], within: float) -> None:
        self._above = above
        self._environ = environ
        self._within = within

    def __call__(
        self, *, prefix: str, action: argparse.Action, parser: argparse.ArgumentParser, parsed_args: argparse.Namespace
    ) -> Mapping[str, str] | list[str]:
        """Return the possible words, with descriptions where there are some."""
        del parser
        if action.dest == "verb":
            commands = COMMANDS if self._above is None else self._above.verbs
            return {word: command.summary for command in commands for word in command.words}
        if action.dest == "provider":
            return [name for name in StorageProviderFactory.get_registered_providers() if name.startswith(prefix)]
        found = list(local_paths(prefix)) if is_path(action) else []
        with suppress(Exception):  # a completion is no place for errors
            if action.dest in KEYS:
                found += self._remote_words(prefix, action.dest, parsed_args)
            elif action.dest == "name" and self._above is not None:
                found += self._names_below(self._above.name.partition(" ")[0], prefix, parsed_args)
        return found

    def _names_below(self, root: str, start: str, given: argparse.Namespace) -> list[str]:
        """Return the names of datasets or models that begin with a text: the directories in the root of all."""
        found = self._remote_words(f"{root}/{start}", "prefix", given)
        return [key[len(root) + 1 : -1] for key in found if key.endswith("/")]

    def _remote_words(self, word: str, dest: str, given: argparse.Namespace) -> list[str]:
        options = Arguments()
        for name, value in vars(given).items():
            if name in Arguments.__annotations__ and name != dest:
                setattr(options, name, value)
        if options.env_file is not None:
            load_env_file(options.env_file, self._environ)
        named = read_places(self._environ)
        found = [] if dest == "prefix" else [f"{start}:" for start in named.tables if start.startswith(word)]
        if word and dest != "prefix":
            found += [f"{scheme}://" for scheme in SCHEMES if scheme.startswith(word)]
        return found + asyncio.run(listed(word, dest, options, self._environ, named, within=self._within))


async def listed(
    word: str, dest: str, options: Arguments, environ: Mapping[str, str], named: PlaceFile, *, within: float
) -> list[str]:
    """Return the words that one page of a listing gives within a number of seconds."""
    found: list[str] = []
    with suppress(StorageError, TimeoutError):
        async with asyncio.timeout(within), Places(options, environ, named) as places:
            if dest == "url" and not places.is_remote(word):
                return found
            remote = await places.open(None if dest == "prefix" else word)
            if dest == "prefix":
                remote = Remote(remote.provider, word)
            async for name in _names(remote, word, is_glob=remote.is_glob and dest != "url"):
                if dest != "url" or name.endswith("/"):  # the prefix of a provider is a directory
                    found.append(name)
                if len(found) == _MOST:
                    break
    return found


async def _names(remote: Remote, word: str, *, is_glob: bool) -> AsyncIterator[str]:
    key = remote.key
    if remote.is_glob:
        glob = Glob(key)
        if not glob.is_plain:
            return
        key = glob.literal
    if remote.is_glob and not key and not word.endswith(("/", ":")):  # a whole bucket, or a directory of the disk
        yield f"{word}/"
        return
    page = await remote.provider.list_page(key, delimiter="/")
    for entry in page.entries:
        name = entry.prefix if isinstance(entry, CommonPrefix) else entry.key
        rest = name[len(key) :]
        if rest.isprintable():
            yield word + _written(rest, is_glob=is_glob, is_url=is_url(word))


def _written(key: str, *, is_glob: bool, is_url: bool) -> str:
    """Return the rest of a key as it is written in a word."""
    if is_url:
        key = key.translate(_IN_URLS)
        if not is_glob:
            key = key.replace("?", "%3F")
    return key.translate(_IN_GLOBS) if is_glob else key


def is_path(action: argparse.Action) -> bool:
    """Return whether the value of an option or argument may be a local path."""
    return isinstance(action.metavar, str) and action.metavar.rpartition(" ")[2] in PATHS


def local_paths(start: str) -> Iterator[str]:
    """Yield the local paths that begin with a text; those of directories end in `/`. `~` is the user's directory."""
    directory, slash, name = start.rpartition("/")
    with suppress(OSError):
        for entry in sorted(os.scandir(os.path.expanduser(f"{directory}{slash}") or "."), key=lambda one: one.name):
            if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith(".")):
                yield f"{directory}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
