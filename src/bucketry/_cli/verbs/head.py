"""The verb `head`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.objects import object_document, object_rows, refuse_directory
from bucketry._cli.output import Output
from bucketry._cli.place import Places, Remote, prove_access
from bucketry._cli.selection import single_key
from bucketry.errors import InvalidKeyError, NotFoundError

EXAMPLES = (
    ("head s3://bucket/model.pt", "show size, etag, content type and metadata"),
    ("head model.pt --json", "the same as JSON"),
    ("head s3://bucket/model.pt --version-id 3sL4kqtJ", "show an old version"),
    ("cat s3://bucket/model.pt --range 0-99", "for the first bytes, use cat"),
)


class Options(Arguments):
    """The options of `head`."""

    key: str
    version_id: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `head`."""
    parser.add_argument("key", metavar="KEY", help="key or URL of the object")
    parser.add_argument("--version-id", metavar="ID", help="a version; default: the current one")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print what one HEAD request returns; if there is no such object, a second request checks the bucket.

    JSON: `{"key", "url", "size", "etag", "last_modified", "content_type", "storage_class", "version_id",
    "cache_control", "content_disposition", "content_encoding", "content_language", "metadata", "checksums"}`.
    """
    remote = await places.open(options.key)
    key = single_key(remote)
    try:
        found = await remote.provider.head(key, version_id=options.version_id)
    except (NotFoundError, InvalidKeyError):
        await prove_access(remote.provider, "reads")  # the error of a HEAD does not say whether the bucket is missing
        await refuse_directory(Remote(remote.provider, key))
        raise
    if output.as_json:
        output.document(object_document(remote.provider, found))
    else:
        output.table(object_rows(remote.provider, found))
    return DONE
