"""The verb `info`."""

from __future__ import annotations

import argparse
from contextlib import aclosing
from dataclasses import asdict

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE, exit_code
from bucketry._cli.objects import Tally, counting_display, object_document, object_rows, refuse_directory
from bucketry._cli.output import Output, printable, shown_size, shown_time
from bucketry._cli.place import Places, Remote, prove_access
from bucketry._cli.selection import single_key
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import ObjectInfo, ObjectVersion
from bucketry._transfer.listing import every_object
from bucketry.errors import AccessDeniedError, InvalidKeyError, NotFoundError

EXAMPLES = (
    ("info", "show the provider, how much is stored, and what holds there"),
    ("info s3://bucket --no-count", "the same without a listing of the bucket"),
    ("info s3://bucket/model.pt", "show an object, with its tags"),
    ("info s3://bucket/model.pt --versions", "and its versions"),
)

_UNITS = {"max_key_length": " bytes", "max_presign_expiry": " s"}


class Options(Arguments):
    """The options of `info`."""

    key: str | None = None
    no_count: bool = False
    versions: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `info`."""
    parser.add_argument(
        "key", metavar="KEY", nargs="?", help="key or URL of an object; default, or a URL without a key: the provider"
    )
    parser.add_argument(
        "--no-count",
        action="store_true",
        help="do not count what is stored: this needs 1 request for each 1,000 objects",
    )
    parser.add_argument("--versions", action="store_true", help="show all versions of the object, too")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the properties of an object, or of the provider.

    JSON of a provider: `{"provider", "place", "stored": {"objects", "bytes"}, "capabilities": {…}}`; `stored` is `null`
    if it was not counted. JSON of an object: that of `head`, with `"tags"` (`null` if the provider keeps none), and
    with `--versions` `"versions": [{"version_id", "size", "etag", "last_modified", "storage_class", "is_latest",
    "is_delete_marker"}]`.
    """
    remote = await places.open(options.key)
    if options.key is None or (remote.is_glob and not remote.key):
        if options.versions:
            message = "--versions needs a KEY; to see all versions, use list --versions"
            raise UsageError(message)
        return await _provider_info(remote.provider, output, count=not options.no_count)
    if options.no_count:
        message = "--no-count is for a whole bucket; leave it out, or leave out KEY"
        raise UsageError(message)
    key = single_key(remote)
    await prove_access(remote.provider, "reads")
    return await _object_info(Remote(remote.provider, key), output, versions=options.versions)


async def _object_info(remote: Remote, output: Output, *, versions: bool) -> int:
    provider, key = remote.provider, remote.key
    # The versions first, because the error of a provider without versions is more to the point than a missing object.
    found = [entry async for entry in provider.list_versions(key) if entry.key == key] if versions else []
    try:
        info = await provider.head(key)
    except (NotFoundError, InvalidKeyError):
        await refuse_directory(remote)
        raise
    tags = await _tags(provider, key)
    if output.as_json:
        document = {**object_document(provider, info), "tags": tags}
        if versions:
            document["versions"] = [_version(entry) for entry in found]
        output.document(document)
        return DONE
    rows = object_rows(provider, info)
    rows += [(f"tags.{name}", printable(value)) for name, value in (tags or {}).items()]
    for entry in found:
        state = "deleted" if entry.is_delete_marker else shown_size(entry.size)
        latest = ", latest" if entry.is_latest else ""
        rows.append(("version", f"{entry.version_id}  {shown_time(entry.last_modified)}  {state}{latest}"))
    output.table(rows)
    return DONE


async def _tags(provider: IStorageProvider, key: str) -> dict[str, str] | None:
    """Return the tags; `None`: the provider keeps none, or they may not be read.

    Cost: 1 request if the provider keeps tags.
    """
    if not provider.capabilities.tags:
        return None
    try:
        return await provider.get_tags(key)
    except AccessDeniedError:  # reading tags needs a permission of its own
        return None


def _version(entry: ObjectVersion) -> dict[str, object]:
    names = ("version_id", "size", "etag", "last_modified", "storage_class", "is_latest", "is_delete_marker")
    return {name: getattr(entry, name) for name in names}


async def _provider_info(provider: IStorageProvider, output: Output, *, count: bool) -> int:
    capabilities = asdict(provider.capabilities)
    code = DONE
    tally = Tally()
    if count:
        try:
            await _count(provider, tally, output)
        except AccessDeniedError as error:  # the credentials may not list; what else is known is still printed
            output.error(error)
            count, code = False, exit_code(error)
    if output.as_json:
        stored = {"objects": tally.objects, "bytes": tally.size} if count else None
        output.document(
            {
                "provider": provider.name,
                "place": provider.locate(),
                "stored": stored,
                "capabilities": capabilities,
            }
        )
        return code
    rows = [("provider", provider.name), ("place", provider.locate())]
    rows += [("stored", str(tally))] if count else []
    output.table(rows + [(name, _capability(name, value)) for name, value in capabilities.items()])
    return code


async def _count(provider: IStorageProvider, tally: Tally, output: Output) -> None:
    """Count the objects, and show on a terminal how far it is.

    Cost: 1 request for each 1,000 objects.
    """
    with counting_display(output, tally) as display:
        async with aclosing(every_object(provider)) as listing:
            async for entry in listing:
                if isinstance(entry, ObjectInfo):
                    tally.add(entry.size)
                    display.update()


def _capability(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith(("_size", "_threshold")):
            return shown_size(value)
        case int():
            return f"{value:,}{_UNITS.get(name, '')}"
        case tuple():
            return ", ".join(map(str, value)) or "none"
    return str(value) if value is not None else "none"
