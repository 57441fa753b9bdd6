"""The options that an object is stored with: metadata, content type, storage class, encryption, …."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import get_args

from bucketry._cli.args import TransferArguments, pair
from bucketry._cli.commands import UsageError
from bucketry._cli.output import Output, shown
from bucketry._core.options import WriteKeywords
from bucketry._core.request_entries import Encryption

_PAIRS = re.compile(r",\s*[\w-]+=")  # as in a=1,b=2


class ObjectArguments(TransferArguments):
    """The options of every verb that stores objects; they apply to each object."""

    metadata: Sequence[tuple[str, str]] = ()
    content_type: str | None = None
    cache_control: str | None = None
    storage_class: str | None = None
    server_side_encryption: str | None = None
    kms_key_id: str | None = None


def add_object_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ObjectArguments`."""
    group = parser.add_argument_group("object options (they apply to each object)")
    group.add_argument(
        "--metadata", action="append", type=pair, metavar="NAME=VALUE", help="user metadata; may be given several times"
    )
    group.add_argument(
        "--content-type", metavar="TYPE", help="media type, such as text/csv (default: that of the name's suffix)"
    )
    group.add_argument("--cache-control", metavar="TEXT", help="how long it may be cached, such as max-age=3600")
    group.add_argument("--storage-class", metavar="NAME", help="the vendor's name of a class, such as STANDARD_IA")
    group.add_argument(
        "--sse",
        dest="server_side_encryption",
        choices=get_args(Encryption),
        help="how the server encrypts: with a key of S3 (AES256) or of KMS (default: as the bucket says)",
    )
    group.add_argument(
        "--sse-kms-key-id", dest="kms_key_id", metavar="KEY", help="with --sse aws:kms: the key's id, ARN or alias"
    )


def write_keywords(options: ObjectArguments, output: Output) -> WriteKeywords:
    """Return the options as keywords of a write; encryption is not among them, because it is the provider's.

    Says so if a value has the form in which other programs take several pairs: here it is one value.

    Raises:
        UsageError: `--metadata` gives a name twice, or `--sse-kms-key-id` stands without `--sse aws:kms`.
    """
    names = [name for name, _ in options.metadata]
    if len(set(names)) < len(names):
        message = "--metadata gives a name twice"
        raise UsageError(message)
    if options.kms_key_id is not None and options.server_side_encryption != "aws:kms":
        message = "--sse-kms-key-id is for --sse aws:kms; give that as well"
        raise UsageError(message)
    for name, value in options.metadata:
        if _PAIRS.search(value):
            output.note(
                f"{output.verb}: --metadata sets one name: {shown(name)} to {shown(value)}; for several, write "
                "--metadata once for each"
            )
    found: WriteKeywords = {}
    if options.metadata:
        found["metadata"] = dict(options.metadata)
    if options.content_type is not None:
        found["content_type"] = options.content_type
    if options.cache_control is not None:
        found["cache_control"] = options.cache_control
    if options.storage_class is not None:
        found["storage_class"] = options.storage_class
    return found


def given_options(options: ObjectArguments) -> list[str]:
    """Return the names of the options that are given, for the message of a verb that stores no object."""
    named = {
        "--metadata": options.metadata,
        "--content-type": options.content_type,
        "--cache-control": options.cache_control,
        "--storage-class": options.storage_class,
        "--sse": options.server_side_encryption,
        "--sse-kms-key-id": options.kms_key_id,
    }
    return [name for name, value in named.items() if value]
