"""What can be typed: verbs, options and the form of their values. Imports nothing that takes time."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from bucketry import __version__
from bucketry._core.units import GiB, KiB, MiB, TiB
from bucketry.errors import ConfigError

_UNITS = {
    "": 1,
    "b": 1,
    **dict.fromkeys(("k", "kib"), KiB),
    **dict.fromkeys(("m", "mib"), MiB),
    **dict.fromkeys(("g", "gib"), GiB),
    **dict.fromkeys(("t", "tib"), TiB),
    "kb": 1_000,
    "mb": 1_000_000,
    "gb": 1_000_000_000,
    "tb": 1_000_000_000_000,
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)")

_EXIT_CODES = """\
exit codes: 0 done, 1 some items failed, 2 usage or configuration, 3 not found, 4 access refused,
5 a passing fault (try again), 130 interrupted"""


class UsageError(ConfigError):
    """The command line cannot be what was meant; nothing was done."""


class Arguments(argparse.Namespace):
    """What was typed; the values here are those of options that were not."""

    command: str
    provider: str | None = None
    url: str | None = None
    env_file: str | None = None
    json: bool = False
    debug: bool = False
    local: str | None = None
    remote: str | None = None
    prefix: str | None = None
    delimiter: str | None = None
    part_size: int | None = None
    concurrency: int | None = None
    metadata: Sequence[tuple[str, str]] = ()
    content_type: str | None = None
    if_none_match: str | None = None
    key: str | None = None
    keys: Sequence[str] = ()
    recursive: bool = False
    all: bool = False
    keep: bool = False


class _Parser(argparse.ArgumentParser):
    """Raises what the standard parser prints before it exits."""

    def error(self, message: str) -> NoReturn:
        text = f"{message}; see `{self.prog} --help`"
        raise UsageError(text)


def parse(words: Sequence[str]) -> Arguments:
    """Understand the words of a command line.

    Raises:
        UsageError: They cannot be understood.
        SystemExit: Help or the version was asked for, and printed.
    """
    return _parser().parse_args(words, namespace=Arguments())


def _parser() -> argparse.ArgumentParser:
    common = _common()
    parser: argparse.ArgumentParser = _Parser(
        prog="bucketry",
        description="Object storage: S3, Spaces, Wasabi, B2, R2 and the local disk.",
        epilog=_EXIT_CODES,
        parents=[common],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="VERB")

    def verb(name: str, text: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return verbs.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            parents=[common, *more],
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )

    _add_objects(
        verb("list", "list objects, in the order of their keys"),
        verb("info", "show what is known about an object, or about the provider"),
        verb("delete", "delete objects; a missing one counts as deleted"),
        verb("cat", "write an object's bytes to standard output"),
    )
    transfer = _transfer()
    _add_transfers(
        verb("upload", "store a file, a directory or standard input", transfer),
        verb("download", "fetch an object, or all below a prefix", transfer),
    )
    demo = verb("demo", "run the whole job against an S3 server on this machine, and compare every byte")
    demo.add_argument("--local", metavar="DIR", help="move these files instead of made ones")
    demo.add_argument("--keep", action="store_true", help="keep the directories, and say where they are")
    return parser


def _common() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("common options")
    group.add_argument("--url", help="s3://bucket/prefix, r2://…, b2://…, wasabi://…, spaces://…, file:///…")
    group.add_argument(
        "--provider", metavar="NAME", help="configured by its environment variables; else STORAGE_PROVIDER"
    )
    group.add_argument("--env-file", metavar="FILE", help="more variables; those of the environment win")
    group.add_argument("--json", action="store_true", help="print JSON (JSON Lines for list)")
    group.add_argument("--debug", action="store_true", help="log requests and show tracebacks")
    group.add_argument("--version", action="version", version=f"bucketry {__version__}")
    return parser


def _transfer() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("transfer options")
    group.add_argument("--part-size", type=size, metavar="SIZE", help="such as 8MiB")
    group.add_argument("--concurrency", type=int, metavar="N", help="requests in flight at once")
    return parser


def _add_objects(
    listing: argparse.ArgumentParser,
    info: argparse.ArgumentParser,
    delete: argparse.ArgumentParser,
    cat: argparse.ArgumentParser,
) -> None:
    listing.add_argument("--prefix", metavar="P", help="only keys that begin with P, taken literally")
    listing.add_argument("--delimiter", metavar="D", help="group keys at D, such as /")
    info.add_argument("key", metavar="KEY", nargs="?")
    delete.add_argument("keys", metavar="KEY", nargs="*")
    delete.add_argument("--prefix", metavar="P", help="every key that begins with P; needs --recursive")
    delete.add_argument("--recursive", action="store_true", help="yes, everything below")
    delete.add_argument("--all", action="store_true", help="every object there is; needs --recursive")
    cat.add_argument("key", metavar="KEY")


def _add_transfers(upload: argparse.ArgumentParser, download: argparse.ArgumentParser) -> None:
    upload.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for stdin")
    upload.add_argument("--remote", metavar="R", help="key, or prefix of a directory; default: the name of L")
    upload.add_argument("--metadata", action="append", type=pair, metavar="NAME=VALUE", help="repeatable")
    upload.add_argument("--content-type", metavar="TYPE", help="media type, such as text/csv")
    upload.add_argument(
        "--if-none-match",
        nargs="?",
        const="*",
        choices=("*",),
        metavar="*",
        help="only create, never replace",
    )
    download.add_argument(
        "--remote", required=True, metavar="R", help="a key, or a prefix: all below it (R/ is always a prefix)"
    )
    download.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for stdout")


def size(text: str) -> int:
    """Turn `8MiB`, `64MB`, `8M` (binary) or `8388608` into bytes."""
    match = _SIZE.fullmatch(text.strip().lower())
    factor = _UNITS.get(match[2]) if match else None
    if match is not None and factor is not None:
        value = float(match[1]) * factor if "." in match[1] else int(match[1]) * factor
        if value == int(value):
            return int(value)
    message = f"{text!r} is not a size; write for example 8MiB, 64MB or 8388608"
    raise argparse.ArgumentTypeError(message)


def pair(text: str) -> tuple[str, str]:
    """Split `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"{text!r} is not NAME=VALUE"
        raise argparse.ArgumentTypeError(message)
    return name, value
