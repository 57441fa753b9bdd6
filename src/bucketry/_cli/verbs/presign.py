"""The verb `presign`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.output import Output
from bucketry._cli.place import Places
from bucketry._cli.selection import age, single_key
from bucketry.errors import InvalidRequestError

EXAMPLES = (
    ("presign s3://bucket/report.pdf", "a link for one hour"),
    ("presign s3://b/r.pdf --expires-in 7d --content-disposition attachment", "a download link for a week"),
    ("presign s3://bucket/incoming/a.bin --method PUT", "let someone upload one object: curl -T a.bin URL"),
)

_HOUR = 3600


class Options(Arguments):
    """The options of `presign`."""

    key: str
    expires_in: int = _HOUR
    method: str = "GET"
    content_type: str | None = None
    content_disposition: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `presign`."""
    parser.add_argument("key", metavar="KEY", help="key or URL of the object; it need not exist")
    parser.add_argument(
        "--expires-in",
        type=_seconds,
        metavar="TIME",
        help="how long it works: 30m, 1h, 7d or seconds (default 1h)",
    )
    parser.add_argument("--method", type=str.upper, metavar="METHOD", help="GET (default), PUT, HEAD or DELETE")
    parser.add_argument("--content-type", metavar="TYPE", help="the Content-Type of the response to a GET")
    parser.add_argument(
        "--content-disposition",
        metavar="TEXT",
        help="the Content-Disposition of the response to a GET, such as 'attachment; filename=\"a.pdf\"'",
    )


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the URL only, so that it can be piped; no request is made.

    JSON: `{"url", "method", "key", "expires_in", "expires_at"}`; the time is in seconds.
    """
    if options.method != "GET" and (options.content_type or options.content_disposition):
        message = "--content-type and --content-disposition change the response to a GET; leave out --method"
        raise UsageError(message)
    remote = await places.open(options.key)
    key = single_key(remote)
    now = datetime.now(UTC)
    try:
        url = await remote.provider.presign(
            key,
            method=options.method,
            expires_in=options.expires_in,
            response_content_type=options.content_type,
            response_content_disposition=options.content_disposition,
        )
    except InvalidRequestError as error:  # nothing was sent, so what is wrong is an option
        raise UsageError(str(error)) from error
    if output.as_json:
        output.document(
            {
                "url": url,
                "method": options.method,
                "key": key,
                "expires_in": options.expires_in,
                "expires_at": now.replace(microsecond=0) + timedelta(seconds=options.expires_in),
            }
        )
    else:
        output.line(url)
    return DONE


def _seconds(text: str) -> int:
    """Convert `1h`, `30m`, `7d` or a number of seconds to seconds."""
    if text.isascii() and text.isdecimal():
        return int(text)
    found = age(text)
    if found is None:
        message = f"{text!r} is not a time; write for example 30m, 1h, 7d or 3600"
        raise argparse.ArgumentTypeError(message)
    return int(found.total_seconds())
