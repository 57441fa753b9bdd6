"""The verb `info`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.output import Output, printable, shown, shown_size, shown_time
from bucketry._cli.place import Places
from bucketry._core.provider import IStorageProvider

EXAMPLES = (("info", "show the provider"), ("info model.pt", "show an object"))


class Options(Arguments):
    """The options of `info`."""

    key: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `info`."""
    parser.add_argument("key", metavar="KEY", nargs="?", help="key of the object; default: show the provider")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the properties of an object, or of the provider."""
    if options.key is None:
        return _provider_info((await places.open()).provider, output)
    remote = await places.open(options.key, prove="reads")
    provider, found = remote.provider, await remote.provider.head(remote.key)
    facts: dict[str, object] = {
        "key": found.key,
        "url": provider.locate(found.key),
        "size": found.size,
        "etag": found.etag,
        "last_modified": found.last_modified,
        "content_type": found.content_type,
        "storage_class": found.storage_class,
        "version_id": found.version_id,
        "metadata": dict(found.metadata),
        "checksums": dict(found.checksums),
    }
    if output.as_json:
        output.document(facts)
        return DONE
    nested = {
        f"{name}.{inner}": value
        for name, values in (("metadata", found.metadata), ("checksums", found.checksums))
        for inner, value in values.items()
    }
    text = {
        **{name: value for name, value in facts.items() if name not in {"metadata", "checksums"}},
        "key": shown(found.key),
        "size": f"{found.size:,} bytes ({shown_size(found.size)})",
        "last_modified": shown_time(found.last_modified),
        **nested,
    }
    output.table((name, printable(str(value))) for name, value in text.items() if value)
    return DONE


def _provider_info(provider: IStorageProvider, output: Output) -> int:
    capabilities = asdict(provider.capabilities)
    if output.as_json:
        output.document({"provider": provider.name, "place": provider.locate(), "capabilities": capabilities})
        return DONE
    rows = [("provider", provider.name), ("place", provider.locate())]
    output.table(rows + [(name, _capability(name, value)) for name, value in capabilities.items()])
    return DONE


def _capability(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith(("_size", "_threshold")):
            return shown_size(value)
        case int():
            return f"{value:,}"
        case tuple():
            return ", ".join(map(str, value)) or "none"
    return str(value) if value is not None else "none"
