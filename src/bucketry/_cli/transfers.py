"""The verbs upload and download, for one object or a directory."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from contextlib import aclosing

from bucketry._cli.args import Arguments, UsageError
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.expected import counting, measure
from bucketry._cli.output import Output, counted, error_facts, shown, shown_rate, shown_size
from bucketry._cli.place import in_use, transfer_config
from bucketry._cli.progress import progress, reporter
from bucketry._cli.rules import STREAM
from bucketry._cli.streams import read_stdin, write_stdout
from bucketry._core.os_errors import local_error
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult, TransferResult
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._transfer.manager import TransferManager
from bucketry.errors import LocalNotADirectoryError, NotFoundError


async def upload(provider: IStorageProvider, arguments: Arguments, output: Output) -> int:
    """Store a file, a directory or standard input, and report."""
    assert arguments.local is not None  # noqa: S101 - the parser requires it
    manager = TransferManager(provider, transfer_config(provider, arguments))
    local, remote = arguments.local, arguments.remote
    name, tree, size = ("", False, None) if local == STREAM else await in_thread(_look_at, local)
    started = time.monotonic()
    if tree:
        _refuse_object_options(arguments)
        target = name if remote is None else remote
        async with in_use(provider, prove="writes"):
            with progress(output, "upload") as counts:
                if counts is not None:
                    counts.expect(*await in_steps(measure(local)))
                batch = await manager.upload_tree(local, target, progress=reporter(counts))
    else:
        target = remote if remote and not remote.endswith("/") else f"{remote or ''}{name}"
        batch = _one(await _upload_one(provider, manager, arguments, output, target, size))
    return _report(output, "upload", (local, provider.locate(target)), batch, time.monotonic() - started)


async def _upload_one(
    provider: IStorageProvider,
    manager: TransferManager,
    arguments: Arguments,
    output: Output,
    key: str,
    size: int | None,
) -> TransferResult:
    metadata = dict(arguments.metadata) or None
    content_type, if_none_match = arguments.content_type, arguments.if_none_match
    async with in_use(provider, prove="writes"):
        with progress(output, "upload") as counts:
            if counts is not None and size is not None:
                counts.expect(size, 1)
            report = reporter(counts)
            if arguments.local != STREAM:
                return await manager.upload(
                    str(arguments.local),
                    key,
                    metadata=metadata,
                    content_type=content_type,
                    if_none_match=if_none_match,
                    progress=report,
                )
            async with aclosing(read_stdin()) as chunks:
                return await manager.upload_stream(
                    chunks,
                    key,
                    metadata=metadata,
                    content_type=content_type,
                    if_none_match=if_none_match,
                    progress=report,
                )


async def download(provider: IStorageProvider, arguments: Arguments, output: Output) -> int:
    """Fetch an object, or all objects below a prefix, and report."""
    assert arguments.local is not None  # noqa: S101 - the parser requires it
    assert arguments.remote is not None  # noqa: S101 - the parser requires it
    manager = TransferManager(provider, transfer_config(provider, arguments))
    local, remote = arguments.local, arguments.remote
    started = time.monotonic()
    async with in_use(provider, prove="reads"):
        if local == STREAM:
            return await _to_stdout(provider, remote, output)
        if not remote or remote.endswith("/"):
            batch = await _download_tree(provider, manager, remote, arguments, output)
        else:
            target = await in_thread(_file_for, remote, local)
            try:
                batch = await _download_one(provider, manager, target, arguments, output)
            except NotFoundError:
                if not await _any_below(provider, f"{remote}/"):
                    raise
                batch = await _download_tree(provider, manager, f"{remote}/", arguments, output)
            else:
                local = target
    return _report(output, "download", (provider.locate(remote), local), batch, time.monotonic() - started)


async def _download_one(
    provider: IStorageProvider, manager: TransferManager, target: str, arguments: Arguments, output: Output
) -> BatchResult:
    key, local = str(arguments.remote), str(arguments.local)
    into_directory = target != local and not local.endswith("/") and not await in_thread(os.path.isdir, target)
    exists = arguments.no_clobber and await in_thread(os.path.lexists, target)
    if into_directory or exists:
        await provider.head(key)  # before the messages below, because the key may be a prefix, or missing
    if exists:
        return BatchResult(succeeded=(key,))
    if into_directory:
        output.note(f"download: {shown(local)} is a directory: writing {shown(target)}")
    with progress(output, "download") as counts:
        return _one(await manager.download(key, target, progress=reporter(counts)))


async def _download_tree(
    provider: IStorageProvider, manager: TransferManager, prefix: str, arguments: Arguments, output: Output
) -> BatchResult:
    local = str(arguments.local)
    await in_thread(_check_directory, local)
    with progress(output, "download") as counts:
        async with counting(provider, prefix, counts):
            return await manager.download_tree(
                prefix, local, overwrite=not arguments.no_clobber, progress=reporter(counts)
            )


async def _to_stdout(provider: IStorageProvider, key: str, output: Output) -> int:
    started = time.monotonic()
    async with provider.stream(key) as chunks:
        size = await write_stdout(chunks)
    seconds = time.monotonic() - started
    output.note(f"download: {shown_size(size)} in {seconds:.2f} s, {shown_rate(size, seconds)}")
    return DONE


async def _any_below(provider: IStorageProvider, prefix: str) -> bool:
    return bool((await provider.list_page(prefix)).entries)


def _look_at(path: str) -> tuple[str, bool, int]:
    """Return the last part of the path, whether the path is a directory, and the size in bytes."""
    try:
        found = os.stat(path)
        return os.path.basename(os.path.abspath(path)), stat.S_ISDIR(found.st_mode), found.st_size
    except OSError as error:
        raise local_error(error, path) from error


def _check_directory(path: str) -> None:
    if os.path.lexists(path) and not os.path.isdir(path):
        message = f"{path}: is a file, but many objects need a directory"
        raise LocalNotADirectoryError(message, path=path)


def _file_for(key: str, local: str) -> str:
    """Return the path of the file for one object; in a directory, the file has the last part of the key as its name."""
    return os.path.join(local, key.rpartition("/")[2]) if local.endswith("/") or os.path.isdir(local) else local


def _refuse_object_options(arguments: Arguments) -> None:
    given = {
        "--metadata": arguments.metadata,
        "--content-type": arguments.content_type,
        "--if-none-match": arguments.if_none_match,
    }
    for name, value in given.items():
        if value:
            message = f"upload: {name} is for a single object, but {arguments.local} is a directory"
            raise UsageError(message)


def _one(result: TransferResult) -> BatchResult:
    return BatchResult(succeeded=(result.key,), results={result.key: result})


def _report(output: Output, verb: str, ends: tuple[str, str], batch: BatchResult, seconds: float) -> int:
    results = list(batch.results.values())
    size, parts = sum(one.size for one in results), sum(one.parts for one in results)
    verified = Counter(one.verified for one in results)
    # Keys without a result were skipped, except keys that end in "/", for which directories were made.
    skipped = sum(key not in batch.results and not key.endswith("/") for key in batch.succeeded)
    output.failures(batch)
    if output.as_json:
        output.document(
            {
                "verb": verb,
                "source": ends[0],
                "destination": ends[1],
                "files": len(results),
                "skipped": skipped,
                "bytes": size,
                "parts": parts,
                "retries": sum(one.retries for one in results),
                "verified": verified,
                "seconds": round(seconds, 3),
                "bytes_per_second": round(size / seconds) if seconds > 0 else None,
                "objects": [_object(one) for one in results],
                "failed": [{"key": key, **error_facts(error)} for key, error in batch.failed.items()],
            }
        )
    else:
        output.line(f"{verb}: {shown(ends[0])} → {shown(ends[1])}")
        rest = [f"{len(batch.failed):,} more failed"] if batch.failed else []
        rest += [f"{skipped:,} skipped: already there"] if skipped else []
        rows = [
            ("files", " ".join([f"{len(results):,}", *(f"({text})" for text in rest)])),
            ("bytes", f"{size:,} ({shown_size(size)})"),
            ("parts", f"{parts:,}"),
            ("verified", ", ".join(f"{kind} ({counted(n, 'file')})" for kind, n in verified.items()) or "–"),
            ("time", f"{seconds:.2f} s ({shown_rate(size, seconds)})"),
        ]
        output.table((f"  {name}", value) for name, value in rows)
    return FAILED if batch.failed else DONE


def _object(result: TransferResult) -> dict[str, object]:
    names = ("key", "size", "etag", "version_id", "parts", "verified")
    return {name: getattr(result, name) for name in names}
