"""The command line's verbs, options and value formats. Imports only modules that load quickly."""

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
"""Options that are entries of the provider's configuration."""

_REPEATABLE = frozenset({"--debug", "--json", "--metadata"})
_OPTION = re.compile(r"--[a-z][a-z-]*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)")

_EXIT_CODES = """\
exit codes: 0 done, 1 some items failed, 2 usage or configuration, 3 not found, 4 access refused,
5 a temporary fault (try again), 130 interrupted"""


class UsageError(ConfigError):
    """The command line is wrong; nothing was done."""


class Arguments(argparse.Namespace):
    """The parsed command line; the values here are the defaults."""

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
    """A parser that raises errors; the standard parser prints errors and exits."""

    def error(self, message: str) -> NoReturn:
        text = f"{message}; see `{self.prog} --help`"
        raise UsageError(text)


def parse(words: Sequence[str]) -> Arguments:
    """Parse the words of a command line.

    Raises:
        UsageError: The words are wrong; the message names a similar option, if there is one.
        SystemExit: Help or the version was printed.
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
            text = f"{error}; give the URL as an option: --url {url}"
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
        verb("info", "show the properties of an object, or of the provider"),
        verb("delete", "delete objects; a missing object is an error only with --strict"),
        verb("cat", "write an object's bytes to standard output"),
    )
    transfer = _transfer()
    _add_transfers(
        verb("upload", "upload a file, a directory or standard input", transfer),
        verb("download", "download an object, or all objects below a prefix", transfer),
    )
    demo = verb("demo", "start an S3 server on this machine, move files to it and back, and compare them")
    demo.add_argument("--local", metavar="DIR", help="use the files of this directory instead of sample files")
    demo.add_argument("--keep", action="store_true", help="keep the directories, and print their paths")
    return parser, made


def _common() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--url", help="URL of the objects: s3://bucket/prefix, r2://…, b2://…, wasabi://…, spaces://…, file:///…"
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


def _transfer() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("transfer options")
    group.add_argument("--part-size", type=size, metavar="SIZE", help="size of a part, such as 8MiB")
    group.add_argument("--concurrency", type=int, metavar="N", help="number of requests at the same time")
    return parser


def _add_objects(
    listing: argparse.ArgumentParser,
    info: argparse.ArgumentParser,
    delete: argparse.ArgumentParser,
    cat: argparse.ArgumentParser,
) -> None:
    listing.add_argument("--prefix", metavar="P", help="only keys that begin with P; * is not a wildcard")
    listing.add_argument("--delimiter", metavar="D", help="group keys at this text, such as /")
    info.add_argument("key", metavar="KEY", nargs="?", help="key of the object; default: show the provider")
    delete.add_argument("keys", metavar="KEY", nargs="*", help="key of an object; * is not a wildcard")
    delete.add_argument("--prefix", metavar="P", help="delete all objects whose keys begin with P; needs --recursive")
    delete.add_argument("--all", action="store_true", help="delete all objects; needs --recursive")
    delete.add_argument("--recursive", action="store_true", help="confirm --prefix or --all")
    delete.add_argument(
        "--strict", action="store_true", help="check each key first, and report missing objects as errors"
    )
    cat.add_argument("key", metavar="KEY", help="key of the object")


def _add_transfers(upload: argparse.ArgumentParser, download: argparse.ArgumentParser) -> None:
    upload.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for standard input")
    upload.add_argument(
        "--remote", metavar="R", help="the key for a file, or the prefix for a directory; default: the name of L"
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
        help="upload only if the object does not exist",
    )
    download.add_argument(
        "--remote",
        required=True,
        metavar="R",
        help="a key, or a prefix to download all objects below it (R/ is always a prefix)",
    )
    download.add_argument("--local", required=True, metavar="L", help="a file, a directory, or - for standard output")
    download.add_argument("--no-clobber", action="store_true", help="keep existing files, and download only the others")


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


def pair(text: str) -> tuple[str, str]:
    """Split `NAME=VALUE` into name and value."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"{text!r} is not NAME=VALUE"
        raise argparse.ArgumentTypeError(message)
    return name, value
