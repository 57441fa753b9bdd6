"""Open multipart uploads: those that a word selects, and whose they are."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from bucketry._cli.args import Arguments
from bucketry._cli.journal import JournaledProvider, OwnUpload
from bucketry._cli.place import Remote
from bucketry._cli.selection import literal_of, moment, names
from bucketry._core.values import MultipartUpload


class UploadArguments(Arguments):
    """The options that select uploads."""

    word: str | None = None
    all: bool = False
    older: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundUpload:
    """An open upload.

    Attributes:
        upload: The upload.
        own: Whether it was opened with `bucketry` by this user on this machine.
        running: Whether the process that opened it still runs; only known for own uploads.
    """

    upload: MultipartUpload
    own: bool
    running: bool


def add_upload_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `UploadArguments`."""
    parser.add_argument(
        "word",
        metavar="WORD",
        nargs="?",
        help="a key, a directory, or a URL with a bucket, key or glob; default: all uploads of the bucket",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="also foreign uploads: servers do not say who opened an upload, so these are those not opened with "
        "this program by this user on this machine",
    )
    parser.add_argument(
        "--older", type=moment, metavar="TIME", help="only uploads opened longer ago than an age such as 7d, or before"
    )


async def open_uploads(remote: Remote, options: UploadArguments) -> AsyncGenerator[FoundUpload, None]:
    """Yield the open uploads that the word and `--older` select, foreign ones too, in the order of their keys.

    Cost: 1 request for each 1,000 uploads, and 1 more.
    """
    provider = remote.provider
    whole = not remote.key and options.older is None
    records: list[OwnUpload] = []
    is_named = names(remote)
    async for upload in provider.list_uploads(literal_of(remote)):
        if not is_named(upload.key):
            continue
        if options.older is not None and (upload.initiated is None or upload.initiated >= options.older):
            continue
        record = await provider.find(upload) if isinstance(provider, JournaledProvider) else None
        if record is not None:
            records.append(record)
        yield FoundUpload(upload, own=record is not None, running=record is not None and record.running)
    if whole and isinstance(provider, JournaledProvider) and not provider.has_prefix:
        await provider.remove_old(records)


def upload_document(found: FoundUpload) -> dict[str, object]:
    """Return the properties of an upload for JSON."""
    upload = found.upload
    return {
        "key": upload.key,
        "upload_id": upload.upload_id,
        "initiated": upload.initiated,
        "own": found.own,
        "running": found.running,
    }
