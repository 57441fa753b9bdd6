"""The options of every verb, and the formats of their values. Imports only modules that load quickly."""

from __future__ import annotations

import argparse
import re

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

_SIZE = r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)"


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
    no_verify: bool = False
    quiet: bool = False


def add_transfer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every verb that moves objects: those of `TransferArguments`."""
    group = parser.add_argument_group("transfer options")
    group.add_argument("--part-size", type=size, metavar="SIZE", help="size of a part, such as 8MiB")
    group.add_argument("--concurrency", type=int, metavar="N", help="number of requests at the same time")
    group.add_argument("--bwlimit", type=rate, metavar="RATE", help="most bytes per second on average, such as 10MiB")
    group.add_argument("--no-verify", action="store_true", help="compare only the lengths of objects, not checksums")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet`, for the verbs whose result is a summary."""
    parser.add_argument(
        "--quiet", "-q", action="store_true", help="print no summary and no progress; errors and --json are printed"
    )


def size(text: str) -> int:
    """Convert `8MiB`, `64MB`, `8M` (binary) or `8388608` to bytes."""
    match = re.fullmatch(_SIZE, text.strip().lower())
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
