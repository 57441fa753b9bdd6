"""Parses the command line: the common options, and the formats of values. Imports only modules that load quickly."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NoReturn, TypeVar, get_args

from bucketry import __version__
from bucketry._cli.commands import COMMANDS, Command, UsageError, Verb, find_command
from bucketry._core.config import AddressingStyle, Server
from bucketry._core.entries import nearest
from bucketry._core.units import GiB, KiB, MiB, TiB

_UNITS = {
    "": 1,
    "b": 1,
    **dict.fromkeys(("k", "kib"), KiB),
    **dict.fromkeys(("m", "mib"), MiB),
    **dict.fromkeys(("g", "gib"), GiB),
    **dict.fromkeys(("t", "tib"), TiB),
    **dict.fromkeys(("p", "pib"), 1024 * TiB),
    "kb": 1_000,
    "mb": 1_000_000,
    "gb": 1_000_000_000,
    "tb": 1_000_000_000_000,
    "pb": 1_000_000_000_000_000,
}
ENTRIES = (
    "endpoint_url",
    "region",
    "profile",
    "addressing_style",
    "server",
    "ca_bundle",
    "allow_http",
    "anonymous",
)
"""Options that are entries of the provider's configuration."""
ENCRYPTION = {"server_side_encryption": "--sse", "kms_key_id": "--sse-kms-key-id"}
"""More such entries with the names of their options, which only the verbs that store objects have."""

_REPEATABLE = frozenset({"--debug", "--exclude", "--include", "--json", "--metadata"})
_OPTION = re.compile(r"--[a-z][a-z-]*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)")

_NamespaceT = TypeVar("_NamespaceT", bound=argparse.Namespace)

_EXIT_CODES = """\
exit codes: 0 done, 1 some items failed, 2 usage or configuration, 3 not found, 4 access refused,
5 a temporary fault (try again), 130 interrupted"""


class Arguments(argparse.Namespace):
    """The options of every verb, with their defaults; each verb adds its own in a subclass."""

    provider: str | None = None
    url: str | None = None
    env_file: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    addressing_style: str | None = None
    server: str | None = None
    ca_bundle: str | None = None
    allow_http: bool = False
    anonymous: bool = False
    json: bool = False
    debug: bool = False


class TransferArguments(Arguments):
    """The options of every verb that moves objects."""

    part_size: int | None = None
    concurrency: int | None = None
    bwlimit: int | None = None


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


class _Parser(argparse.ArgumentParser):
    """A parser that raises errors; the standard parser prints errors and exits."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the options of the standard parser
        super().__init__(**options)
        self.register("action", "append", _Append)

    def error(self, message: str) -> NoReturn:
        text = f"{message}; see `{self.prog} --help`"
        raise UsageError(text)


def parse(words: Sequence[str]) -> tuple[Command, Verb, Arguments]:
    """Parse the words of a command line; return the verb and its options.

    Raises:
        UsageError: The words are wrong; the message names a similar verb or option, if there is one.
        SystemExit: Help or the version was printed.
    """
    given = _given(words)
    twice = next((option for option, times in Counter(given).items() if times > 1), None)
    if twice is not None and twice not in _REPEATABLE:
        text = f"{twice} is given twice; give it once"
        raise UsageError(text)
    options = argparse.Namespace()
    command: Command | None = None
    rest = list(words)
    while command is None or command.verbs:
        command, rest = next_verb(command, rest, options)
    verb = command.load()
    arguments = verb.Options()
    for name, value in vars(options).items():
        setattr(arguments, name, value)
    return command, verb, _parse(verb_parser(command, verb), rest, arguments)


def next_verb(above: Command | None, words: Sequence[str], options: argparse.Namespace) -> tuple[Command, list[str]]:
    """Parse the words up to the next verb; return the verb and the words after it.

    Args:
        above: The verb before these words; `None`: there is none yet.
        words: The words.
        options: Receives the options that are given before the verb.
    """
    verbs = {name for command in (COMMANDS if above is None else above.verbs) for name in command.words}
    until = next((place for place, word in enumerate(words, 1) if word in verbs), len(words))
    before = _parse(overview_parser(above), words[:until], argparse.Namespace())
    for name, value in vars(before).items():
        if name not in {"verb", "rest"}:
            setattr(options, name, value)
    return find_command(before.verb, of=above), [*before.rest, *words[until:]]


def _given(words: Sequence[str]) -> list[str]:
    """Return the options among the words, without their values."""
    return [word.partition("=")[0] for word in takewhile(lambda word: word != "--", words) if word[:2] == "--"]


def _parse(parser: argparse.ArgumentParser, words: Sequence[str], namespace: _NamespaceT) -> _NamespaceT:
    try:
        if "--" in words or any(action.nargs == argparse.REMAINDER for action in parser._actions):  # noqa: SLF001
            return parser.parse_args(words, namespace=namespace)
        # Options may stand between words. This function drops --, and does not know REMAINDER.
        return parser.parse_intermixed_args(words, namespace=namespace)
    except UsageError as error:
        # An unknown option is reported first: a missing or superfluous word often only follows from it.
        known = tuple(sorted(set(_OPTION.findall(parser.format_help()))))
        unknown = next((option for option in _given(words) if option not in known), None)
        if unknown is None:
            raise
        text = f"unknown option {unknown}; {nearest(unknown, known)}; see `{parser.prog} --help`"
        raise UsageError(text) from error


def overview_parser(above: Command | None = None) -> argparse.ArgumentParser:
    """Make the parser of the words before and including a verb.

    Args:
        above: The verb before; `None`: the words come first.
    """
    commands = COMMANDS if above is None else above.verbs
    rows = [(", ".join(command.words), command.summary) for command in commands]
    width = max(len(names) for names, _ in rows)
    verbs = "\n".join(f"  {names:{width}}  {summary}" for names, summary in rows)
    prog = "bucketry" if above is None else f"bucketry {above.name}"
    about = "Object storage: S3, Spaces, Wasabi, B2, R2 and the local disk" if above is None else _sentence(above)
    parser = _Parser(
        prog=prog,
        description=f"{about}.\n\nverbs:\n{verbs}",
        epilog=f"`{prog} VERB --help` shows a verb's own options and examples.\n{_EXIT_CODES}",
        parents=[_common()],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", metavar="VERB")
    parser.add_argument("rest", metavar="…", nargs=argparse.REMAINDER, help="the verb's own options")
    return parser


def _sentence(command: Command) -> str:
    return f"{command.summary[0].upper()}{command.summary[1:]}"


def verb_parser(command: Command, verb: Verb) -> argparse.ArgumentParser:
    """Make the parser of the words after a verb."""
    examples = "\n".join(f"  bucketry {line}\n      {text}" for line, text in verb.EXAMPLES)
    parser = _Parser(
        prog=f"bucketry {command.name}",
        description=f"{_sentence(command)}.",
        epilog=f"examples:\n{examples}" if examples else None,
        parents=[_common()],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        conflict_handler="resolve",  # the `--version` of a model takes the place of the common option
        formatter_class=argparse.RawDescriptionHelpFormatter,
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


def add_transfer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every verb that moves objects: those of `TransferArguments`."""
    group = parser.add_argument_group("transfer options")
    group.add_argument("--part-size", type=size, metavar="SIZE", help="size of a part, such as 8MiB")
    group.add_argument("--concurrency", type=int, metavar="N", help="number of requests at the same time")
    group.add_argument("--bwlimit", type=rate, metavar="RATE", help="most bytes per second on average, such as 10MiB")


def size(text: str) -> int:
    """Convert `8MiB`, `64MB`, `8M` (binary) or `8388608` to bytes."""
    match = _SIZE.fullmatch(text.strip().lower())
    factor = _UNITS.get(match[2]) if match else None
    if match is not None and factor is not None:
        value = float(match[1]) * factor if "." in match[1] else int(match[1]) * factor
        if value == int(value):
            return int(value)
    message = f"{text!r} is not a size; write for example 8MiB, 64MB or 8388608"
    raise argparse.ArgumentTypeError(message)


def rate(text: str) -> int:
    """Convert `10MiB` or `10MiB/s` to bytes per second."""
    return size(text.strip().removesuffix("/s"))


def pair(text: str) -> tuple[str, str]:
    """Split `NAME=VALUE` into name and value."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"{text!r} is not NAME=VALUE"
        raise argparse.ArgumentTypeError(message)
    return name, value
