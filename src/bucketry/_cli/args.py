"""What can be typed: verbs, options and the form of their values. Imports nothing that takes time."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import NoReturn, get_args

from bucketry import __version__
from bucketry._core.config import AddressingStyle, Server
from bucketry._core.entries import nearest
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
"""The options that are entries of the provider's configuration."""

_REPEATABLE = frozenset({"--debug", "--json", "--metadata"})
_OPTION = re.compile(r"--[a-z][a-z-]*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)")

_EXIT_CODES = """\
exit codes: 0 done, 1 some items failed, 2 usage or configuration, 3 not found, 4 access refused,
5 a fault that may pass (try again), 130 interrupted"""


class UsageError(ConfigError):
    """The command line cannot be what was meant; nothing was done."""


class Arguments(argparse.Namespace):
    """What was typed; the values here are those of options that were not."""

    command: str
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
    strict: bool = False
    no_clobber: bool = False
    keep: bool = False


class _Parser(argparse.ArgumentParser):
    """Raises what the standard parser prints before it exits."""

    def error(self, message: str) -> NoReturn:
        text = f"{message}; see `{self.prog} --help`"
        raise UsageError(text)


def parse(words: Sequence[str]) -> Arguments:
    """Understand the words of a command line.

    Raises:
        UsageError: They cannot be understood; names the option that was probably meant.
        SystemExit: Help or the version was asked for, and printed.
    """
    options = [word.partition("=")[0] for word in takewhile(lambda word: word != "--", words) if word[:2] == "--"]
    twice = next((option for option, times in Counter(options).items() if times > 1), None)
    if twice is not None and twice not in _REPEATABLE:
        text = f"{twice} is given twice; give it once"
        raise UsageError(text)
    parser, verbs = _parser()
    try:
        return parser.parse_args(words, namespace=Arguments())
    except UsageError as error:
        helps = [verb.format_help() for name, verb in verbs.items() if name in words] or [parser.format_help()]
        known = tuple(sorted({option for text in helps for option in _OPTION.findall(text)}))
        unknown = next((option for option in options if option not in known), None)
        url = next((word for word in words if "://" in word and word[:2] != "--"), None)
        if url is not None and url in str(error):
            text = f"{error}; the place is an option: --url {url}"
            raise UsageError(text) from None
        hint = nearest(unknown, known) if unknown is not None else ""
        if not hint.startswith("did you mean"):
            raise
        text = f"{error}; {unknown}: {hint}"
        raise UsageError(text) from None


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    common = _common()
    made: dict[str, argparse.ArgumentParser] = {}
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
        made[name] = verbs.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            parents=[common, *more],
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )
        return made[name]

    _add_objects(
        verb("list", "list objects in the order of their keys"),
        verb("info", "show what is known about an object, or about the provider"),
        verb("delete", "delete objects; it is no error if there is none, unless --strict is given"),
        verb("cat", "write an object's bytes to standard output"),
    )
    transfer = _transfer()
    _add_transfers(
        verb("upload", "store a file, a directory or standard input", transfer),
        verb("download", "fetch an object, or all objects below a prefix", transfer),
    )
    demo = verb("demo", "start an S3 server on this machine, move files to it and back, and compare them")
    demo.add_argument("--local", metavar="DIR", help="move the files of this directory instead of sample files")
    demo.add_argument("--keep", action="store_true", help="keep the directories, and print their paths")
    return parser, made


def _common() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--url", help="where the objects are: s3://bucket/prefix, r2://…, b2://…, wasabi://…, spaces://…, file:///…"
    )
    group.add_argument(
        "--provider",
        metavar="NAME",
        help="such as s3 or local; environment variables configure it (default: STORAGE_PROVIDER, else local)",
    )
    group.add_argument(
        "--env-file", metavar="FILE", help="read more environment variables from a file; those that are set win"
    )
    group.add_argument("--json", action="store_true", help="print JSON (for list: JSON Lines)")
    group.add_argument("--debug", action="store_true", help="log every request, and show tracebacks")
    group.add_argument("--version", action="version", version=f"bucketry {__version__}")
    _add_entries(parser)
    return parser


def _add_entries(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("provider options (each can also be given in the URL or by a variable)")
    group.add_argument("--endpoint-url", metavar="URL", help="a server of your own, such as https://minio.example:9000")
    group.add_argument("--region", metavar="NAME", help="such as eu-central-1")
    group.add_argument("--profile", metavar="NAME", help="a profile of the AWS configuration files")
    group.add_argument("--addressing-style", choices=get_args(AddressingStyle), help="where the bucket stands in URLs")
    group.add_argument(
        "--server", choices=get_args(Server), help="what a server of your own does: all that AWS does, or little"
    )
    group.add_argument("--ca-bundle", metavar="FILE", help="a file with the certificate authorities to trust")
    group.add_argument("--allow-http", action="store_true", help="allow http:// to other machines, without protection")
    group.add_argument("--anonymous", action="store_true", help="use no credentials, for public objects")


def _transfer() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("transfer options")
    group.add_argument("--part-size", type=size, metavar="SIZE", help="bytes of a part, such as 8MiB")
    group.add_argument("--concurrency", type=int, metavar="N", help="how many requests run at once")
    return parser


def _add_objects(
    listing: argparse.ArgumentParser,
    info: argparse.ArgumentParser,
    delete: argparse.ArgumentParser,
    cat: argparse.ArgumentParser,
) -> None:
    listing.add_argument("--prefix", metavar="P", help="only keys that begin with P; * has no meaning")
    listing.add_argument("--delimiter", metavar="D", help="group keys at this text, such as /")
    info.add_argument("key", metavar="KEY", nargs="?", help="of the object; default: show the provider")
    delete.add_argument("keys", metavar="KEY", nargs="*", help="of an object; * has no meaning")
    delete.add_argument("--prefix", metavar="P", help="delete every key that begins with P; needs --recursive")
    delete.add_argument("--all", action="store_true", help="delete every object; needs --recursive")
    delete.add_argument("--recursive", action="store_true", help="confirm that --prefix or --all is meant")
    delete.add_argument("--strict", action="store_true", help="look first, and report keys that do not exist")
    cat.add_argument("key", metavar="KEY", help="of the object")


def _add_transfers(upload: argparse.ArgumentParser, download: argparse.ArgumentParser) -> None:
    upload.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for standard input")
    upload.add_argument(
        "--remote", metavar="R", help="the key of a file, or the prefix of a directory; default: the name of L"
    )
    upload.add_argument(
        "--metadata", action="append", type=pair, metavar="NAME=VALUE", help="user metadata; may be given several times"
    )
    upload.add_argument("--content-type", metavar="TYPE", help="media type, such as text/csv")
    upload.add_argument(
        "--if-none-match",
        nargs="?",
        const="*",
        choices=("*",),
        metavar="*",
        help="store only if there is no such object",
    )
    download.add_argument(
        "--remote", required=True, metavar="R", help="a key, or a prefix (R/ always is one): all objects below it"
    )
    download.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for standard output")
    download.add_argument("--no-clobber", action="store_true", help="keep files that exist, and fetch the others")


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
