"""Parses the command line, and writes the help. Imports only modules that load quickly."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, NoReturn, TypeVar, get_args

from bucketry import __version__
from bucketry._cli.args import Arguments
from bucketry._cli.commands import COMMANDS, Command, UsageError, find_command
from bucketry._cli.verb import Verb, load
from bucketry._core.choices import AddressingStyle, Server

_OPTION = r"--[a-z][a-z-]*"
_LETTERS = r"-[A-Za-z]+"
_NamespaceT = TypeVar("_NamespaceT", bound=argparse.Namespace)

_HELP_WIDTH = 80  # a terminal's usual width; longer lines are harder to read
_HELP_POSITION = 24

_EXIT_CODES = """\
exit codes:
  0 done, 1 some items failed, 2 usage or configuration, 3 not found,
  4 access refused, 5 a temporary fault (try again), 130 interrupted,
  143 terminated"""


class _Append(argparse.Action):
    """Collect the values of an option in a tuple; the standard action cannot add to a default of `Options`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Add one value."""
        del parser, option_string
        setattr(namespace, self.dest, (*getattr(namespace, self.dest, ()), values))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Formats a help text for the width of the terminal."""

    def __init__(self, prog: str) -> None:
        """Find out the width; the standard class does it with a module that takes long to load."""
        super().__init__(prog, max_help_position=_HELP_POSITION, width=min(_HELP_WIDTH, _columns()))


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _HELP_WIDTH
    except (OSError, ValueError, AttributeError):  # not a terminal, or no real file
        return _HELP_WIDTH


class _Parser(argparse.ArgumentParser):
    """A parser that raises errors; the standard parser prints errors and exits.

    Args:
        describe: Returns the help's texts before and after the options; called when the help is shown.
        verbs: The words of which one must follow.
        options: Those of the standard parser.
    """

    def __init__(
        self,
        *,
        describe: Callable[[], tuple[str, str | None]],
        verbs: Sequence[str] = (),
        **options: Any,  # noqa: ANN401 - of the standard parser
    ) -> None:
        super().__init__(**options)
        self.verbs = verbs
        self._describe = describe
        self.register("action", "append", _Append)

    def format_help(self) -> str:
        self.description, self.epilog = self._describe()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        if self.verbs and message.endswith(": VERB"):
            message = f"a VERB is missing, one of: {', '.join(self.verbs)}"
        surplus = message.removeprefix("unrecognized arguments: ")
        if surplus != message and ":" in surplus and self.prog.endswith((" datasets list", " models list")):
            message = f"{message}; this verb takes no place as a word: write --url {surplus}"
        text = f"{message}; see `{self.prog} --help`"
        raise UsageError(text)


def parse(words: Sequence[str]) -> tuple[Command, Verb, Arguments]:
    """Parse the words of a command line; return the verb and its options.

    Raises:
        UsageError: The words are wrong; the message names a similar verb or option, if there is one.
        SystemExit: Help or the version was printed.
    """
    options = argparse.Namespace()
    command: Command | None = None
    if words[:1] == ["help"] or words[:1] == ("help",):
        words = (*words[1:], "--help")
    rest = list(words)
    while command is None or command.verbs:
        command, rest = next_verb(command, rest, options)
    verb = load(command)
    arguments = verb.Options()
    for name, value in vars(options).items():
        setattr(arguments, name, value)
    parser = verb_parser(command, verb)
    _refuse_letters(parser, rest)
    parsed = _parse(parser, rest, arguments)
    _refuse_repetitions(parser, words)
    return command, verb, parsed


def _refuse_letters(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Raise an error for short options that do not exist, such as the f of `-rf`, and for help among others."""
    known = {option[1]: action for action in _actions(parser) for option in action.option_strings if option[1] != "-"}
    for word in takewhile(lambda word: word != "--", words):
        action = known.get(word[1:2])
        if re.fullmatch(_LETTERS, word) is None or (action is not None and action.nargs != 0):
            continue
        from bucketry._cli.habits import wrong_letters  # here, because few command lines have such a word

        if wrong := wrong_letters(word, known):
            parser.error(wrong)


def _refuse_repetitions(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Raise an error for an option that takes one value and is given twice: one of the values would be lost."""
    single = {
        option
        for action in _actions(parser)
        if action.nargs != 0 and not isinstance(action, _Append)
        for option in action.option_strings
    }
    twice = next((option for option, times in Counter(_given(words)).items() if times > 1 and option in single), None)
    if twice is not None:
        text = f"{twice} is given twice; give it once"
        raise UsageError(text)


def next_verb(above: Command | None, words: Sequence[str], options: argparse.Namespace) -> tuple[Command, list[str]]:
    """Parse the words up to the next verb; return the verb and the words after it.

    Args:
        above: The verb before these words; `None`: there is none yet.
        words: The words.
        options: Receives the options that are given before the verb.
    """
    verbs = {name for command in (COMMANDS if above is None else above.verbs) for name in command.words}
    if words and words[0] in verbs:  # as in most command lines; to make and run the parser below takes 2 ms
        return find_command(words[0], of=above), list(words[1:])
    parser = overview_parser(above)
    valued = {option for action in _actions(parser) if action.nargs is None for option in action.option_strings}
    place = 0
    while place < len(words) and words[place] not in verbs:
        place += 2 if words[place] in valued else 1  # the value of an option may be the name of a verb
    until = min(place + 1, len(words))
    before = _parse(parser, words[:until], argparse.Namespace())
    for name, value in vars(before).items():
        if name not in {"verb", "rest"}:
            setattr(options, name, value)
    return find_command(before.verb, of=above), [*before.rest, *words[until:]]


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse has no public list of them


def _given(words: Sequence[str]) -> list[str]:
    """Return the options among the words, without their values."""
    return [word.partition("=")[0] for word in takewhile(lambda word: word != "--", words) if word[:2] == "--"]


def _parse(parser: argparse.ArgumentParser, words: Sequence[str], namespace: _NamespaceT) -> _NamespaceT:
    try:
        if not words or "--" in words or any(action.nargs == argparse.REMAINDER for action in _actions(parser)):
            return parser.parse_args(words, namespace=namespace)
        # Options may stand between words. This function drops --, and does not know REMAINDER.
        return parser.parse_intermixed_args(words, namespace=namespace)
    except UsageError as error:
        # An unknown option is reported first: a missing or superfluous word often only follows from it.
        known = tuple(sorted(set(re.findall(_OPTION, parser.format_help()))))
        unknown = next((option for option in _given(words) if option not in known), None)
        if unknown is None:
            raise
        from bucketry._cli.habits import instead_of_option  # here, because they are needed for errors only
        from bucketry._core.entries import CLOSE, nearest

        close = nearest(unknown, known, cutoff=CLOSE, listing=False)
        hints = [f"unknown option {unknown}", instead_of_option(unknown) or close, f"see `{parser.prog} --help`"]
        text = "; ".join(filter(None, hints))
        raise UsageError(text) from error


def overview_parser(above: Command | None = None) -> argparse.ArgumentParser:
    """Make the parser of the words before and including a verb.

    Args:
        above: The verb before; `None`: the words come first.
    """
    commands = COMMANDS if above is None else above.verbs
    prog = "bucketry" if above is None else f"bucketry {above.name}"

    def describe() -> tuple[str, str]:
        rows = [(", ".join(command.words), command.summary) for command in commands]
        width = max(len(names) for names, _ in rows)
        verbs = "\n".join(_filled(summary, f"  {names:{width}}  ") for names, summary in rows)
        about = "Object storage: S3, Spaces, Wasabi, B2, R2 and the local disk" if above is None else _sentence(above)
        return (
            f"{_filled(f'{about}.')}\n\nverbs:\n{verbs}",
            f"`{prog} VERB --help` shows a verb's own options and examples.\n{_EXIT_CODES}",
        )

    parser = _Parser(
        prog=prog,
        describe=describe,
        parents=[_common()],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=_Formatter,
        verbs=[command.name.rpartition(" ")[2] for command in commands],
    )
    parser.add_argument("verb", metavar="VERB")
    rest = parser.add_argument("rest", metavar="…", nargs=argparse.REMAINDER, help="the verb's own options")
    rest.required = False  # else the error for a missing verb names it, too
    return parser


def _sentence(command: Command) -> str:
    return f"{command.summary[0].upper()}{command.summary[1:]}"


def _filled(text: str, begin: str = "") -> str:
    """Break a text into lines that fit; the first begins with `begin`, the others are as far to the right."""
    import textwrap  # here, because only the help needs it

    return textwrap.fill(text, _HELP_WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))


def shell_line(example: str) -> str:
    """Return an example as users type it: with the program's name, unless another program comes first."""
    first = example.partition(" ")[0]
    ours = any(first in command.words for command in COMMANDS)
    return f"bucketry {example}" if ours else example


def verb_parser(command: Command, verb: Verb) -> argparse.ArgumentParser:
    """Make the parser of the words after a verb."""

    def describe() -> tuple[str, str | None]:
        examples = "\n".join(f"  {shell_line(line)}\n{_filled(text, ' ' * 6)}" for line, text in verb.EXAMPLES)
        return _filled(f"{_sentence(command)}."), f"examples:\n{examples}" if examples else None

    parser = _Parser(
        prog=f"bucketry {command.name}",
        describe=describe,
        parents=[_common()],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        conflict_handler="resolve",  # the `--version` of a model takes the place of the common option
        formatter_class=_Formatter,
    )
    verb.add_options(parser)
    return parser


def _common() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--url",
        help="URL of the objects: s3://bucket/prefix, r2://…, b2://…, wasabi://…, spaces://…, file:///…; "
        "or NAME:prefix with a place of the configuration file",
    )
    group.add_argument(
        "--provider",
        metavar="NAME",
        help="such as s3 or local; environment variables configure it (default: STORAGE_PROVIDER, else local)",
    )
    group.add_argument(
        "--env-file",
        metavar="FILE",
        help="read more environment variables from a file; variables that are already set are kept",
    )
    group.add_argument("--json", action="store_true", help="print JSON (for list: JSON Lines)")
    group.add_argument("--debug", action="store_true", help="log every request, and show tracebacks")
    group.add_argument("--version", action="version", version=f"bucketry {__version__}")
    _add_entries(parser)
    return parser


def _add_entries(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("provider options (each can also be set in the URL or by a variable)")
    group.add_argument("--endpoint-url", metavar="URL", help="your own server, such as https://minio.example:9000")
    group.add_argument("--region", metavar="NAME", help="region, such as eu-central-1")
    group.add_argument("--profile", metavar="NAME", help="a profile of the AWS configuration files")
    group.add_argument(
        "--addressing-style",
        choices=get_args(AddressingStyle),
        help="position of the bucket in request URLs: in the path, or in the host name (virtual)",
    )
    group.add_argument(
        "--server",
        choices=get_args(Server),
        help="features of your own server: all that AWS has (aws), or few (generic)",
    )
    group.add_argument("--ca-bundle", metavar="FILE", help="a file with the certificate authorities to trust")
    group.add_argument("--allow-http", action="store_true", help="allow unencrypted http:// to other machines")
    group.add_argument(
        "--anonymous", action="store_true", help="send unsigned requests without credentials, for public objects"
    )
