"""The verbs about objects: list, info, delete, cat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE, FAILED, NOT_FOUND
from bucketry._cli.output import Output, counted, error_facts, printable, shown, shown_size, shown_time
from bucketry._cli.place import in_use
from bucketry._cli.streams import write_stdout
from bucketry._core.checks import check_key
from bucketry._core.config import MAX_CONCURRENCY
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult, CommonPrefix, ObjectInfo
from bucketry._transfer.workers import fan_out
from bucketry.errors import NotFoundError, StorageError


async def list_objects(provider: IStorageProvider, arguments: Arguments, output: Output) -> int:
    """Print each object, and with a delimiter each common prefix."""
    count = size = 0
    async with in_use(provider):
        async for entry in provider.list(arguments.prefix or "", delimiter=arguments.delimiter):
            if isinstance(entry, CommonPrefix):
                if output.as_json:
                    output.document({"prefix": entry.prefix})
                else:
                    output.line(f"{'–':>10}  {'–':20}  {shown(entry.prefix)}")
                continue
            count, size = count + 1, size + entry.size
            if output.as_json:
                output.document(_listed(entry))
            else:
                moment = shown_time(entry.last_modified)
                output.line(f"{shown_size(entry.size):>10}  {moment}  {shown(entry.key)}")
    if not output.as_json:
        output.note(f"{counted(count, 'object')}, {shown_size(size)}")
    return DONE


async def info(provider: IStorageProvider, arguments: Arguments, output: Output) -> int:
    """Print the properties of an object, or of the provider."""
    if arguments.key is None:
        return _provider_info(provider, output)
    async with in_use(provider, prove="reads"):
        found = await provider.head(arguments.key)
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


async def delete(provider: IStorageProvider, arguments: Arguments, output: Output) -> int:
    """Delete the keys, or all keys with the prefix, and report.

    A server sends the same response whether the object existed or not. So the number of deleted objects is known only
    for listed keys, or with `--strict`, which checks each key first.
    """
    keys = list(dict.fromkeys(arguments.keys))
    for key in keys:
        check_key(key, provider.capabilities, provider.locate())
    if star := next((key for key in keys if "*" in key), None):
        output.note(
            f"delete: the * in {shown(star)} is a plain character; to delete keys by their beginning, use --prefix"
        )
    requested = done = 0
    absent = BatchResult()
    failed: list[dict[str, object]] = []
    async with in_use(provider, prove="reads" if arguments.strict else "nothing"):
        if arguments.strict:
            absent = await _absent(provider, keys)
            output.failures(absent)
        present = [key for key in keys if key not in absent.failed]
        async for batch in _deleted(provider, present, None if keys else arguments.prefix or ""):
            requested += len(batch.succeeded) + len(batch.failed)
            done += len(batch.succeeded)
            failed += [{"key": key, **error_facts(error)} for key, error in batch.failed.items()]
            output.failures(batch)
    requested += len(absent.failed)
    known = arguments.strict or not keys
    failed += [{"key": key, **error_facts(error)} for key, error in absent.failed.items()]
    if output.as_json:
        output.document({"requested": requested, "deleted": done if known else None, "failed": failed})
    else:
        said = f"deleted {counted(done, 'object')}" if known else f"asked to delete {counted(requested, 'key')}"
        output.line(f"{said}{f', {len(failed)} failed' if failed else ''}")
    nothing = bool(keys) and all(isinstance(absent.failed.get(key), NotFoundError) for key in keys)
    return NOT_FOUND if nothing else FAILED if failed else DONE


async def cat(provider: IStorageProvider, arguments: Arguments, output: Output) -> int:  # noqa: ARG001 - as every verb
    """Write an object's bytes to standard output."""
    assert arguments.key is not None  # noqa: S101 - the parser requires it
    async with in_use(provider), provider.stream(arguments.key) as chunks:
        await write_stdout(chunks)
    return DONE


async def _absent(provider: IStorageProvider, keys: Sequence[str]) -> BatchResult:
    """Check each key, several at once; return the keys without an object, and the keys whose check failed."""
    failed: dict[str, StorageError] = {}

    async def one(key: str) -> None:
        try:
            await provider.head(key)
        except StorageError as error:
            failed[key] = error

    await fan_out(keys, one, width=MAX_CONCURRENCY)
    return BatchResult(failed=failed)


async def _deleted(provider: IStorageProvider, keys: Sequence[str], prefix: str | None) -> AsyncIterator[BatchResult]:
    """Delete the keys, or all keys with the prefix, in batches, because there may be more keys than fit in memory."""
    waiting = list(keys)
    if prefix is not None:
        async with aclosing(_listed_keys(provider, prefix)) as found:
            async for key in found:
                waiting.append(key)
                if len(waiting) == provider.capabilities.max_delete_keys:
                    yield await provider.delete_many(waiting)
                    waiting.clear()
    if waiting:
        yield await provider.delete_many(waiting)


async def _listed_keys(provider: IStorageProvider, prefix: str) -> AsyncGenerator[str, None]:
    async for entry in provider.list(prefix):
        yield entry.key


def _listed(entry: ObjectInfo) -> dict[str, object]:
    return {
        "key": entry.key,
        "size": entry.size,
        "etag": entry.etag,
        "last_modified": entry.last_modified,
        "storage_class": entry.storage_class,
    }


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
