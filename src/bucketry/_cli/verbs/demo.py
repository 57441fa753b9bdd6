"""The verb `demo`: starts an S3 server, moves files to it and back, and compares them; or shows models."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bucketry._cli.args import ENTRIES, Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.demo_models import ModelsDemo
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.output import Output, shown, shown_rate, shown_size
from bucketry._cli.place import Places
from bucketry._cli.sample import differences, files_below, make_sample
from bucketry._core.config import TransferConfig
from bucketry._core.units import MiB
from bucketry._core.values import BatchResult, ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry.errors import LocalFileNotFoundError, LocalNotADirectoryError

if TYPE_CHECKING:
    from bucketry import S3Provider
    from bucketry.testing import EmbeddedS3

EXAMPLES = (
    ("demo", "move sample files"),
    ("demo --local data/ --keep", "move your files, and keep the copies"),
    ("demo --models", "show a dataset, a training run, and versions of a model"),
)
NEXT = (
    ("demo --models", "a dataset, a training run, and versions of a model"),
    ("sync ./data s3://BUCKET/data --dry-run", "what a sync of a directory of yours would send"),
    ("list s3://BUCKET", "what is in a bucket; r2:// b2:// wasabi:// spaces:// work alike"),
    ("cost --storage 1TB --egress 1TB", "what the vendors bill for that a month"),
)
"""What the demo tells users to try next: command lines, each with what it shows."""
NEXT_OF_MODELS = (
    ("datasets upload ./data NAME --url s3://BUCKET", "store a directory of yours as a dataset"),
    ("models backup ./out NAME --url s3://BUCKET", "store a model of yours as its first version"),
    ("models versions NAME --url s3://BUCKET", "what is stored of it; models --help shows what else there is"),
)
"""The same after `demo --models`."""

T = TypeVar("T")
PREFIX = "demo/"
CONFIG = TransferConfig(part_size=5 * MiB, max_concurrency=8)  # the smallest parts of S3, so the large file has many


@dataclass(frozen=True, slots=True)
class Step:
    """The name of one step, its time, and the number of its files and bytes."""

    name: str
    seconds: float
    files: int
    bytes: int


@dataclass(slots=True)
class Demo:
    """The results of the steps."""

    source: str
    restored: str
    server: str
    steps: list[Step] = field(default_factory=list)
    uploaded: BatchResult = field(default_factory=BatchResult)
    downloaded: BatchResult = field(default_factory=BatchResult)
    listed: list[ObjectInfo] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether all files are the same after the download, and nothing failed."""
        return not (self.differing or self.uploaded.failed or self.downloaded.failed)

    def large_object(self) -> dict[str, object] | None:
        """Describe how the largest object was transferred."""
        if not self.downloaded.results:
            return None
        down = max(self.downloaded.results.values(), key=lambda one: one.size)
        return {
            "key": down.key,
            "size": down.size,
            "parts": self.uploaded.results[down.key].parts,
            "part_size": CONFIG.part_size,
            "concurrency": CONFIG.max_concurrency,
            "upload_verified": self.uploaded.results[down.key].verified,
            "verified": down.verified,
        }


class Options(Arguments):
    """The options of `demo`."""

    local: str | None = None
    keep: bool = False
    models: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `demo`."""
    parser.add_argument("--local", metavar="DIR", help="use the files of this directory instead of sample files")
    parser.add_argument("--keep", action="store_true", help="keep the directories, and print their paths")
    parser.add_argument(
        "--models", action="store_true", help="show a dataset, a training run, and versions of a model instead"
    )


async def run(options: Options, places: Places, output: Output) -> int:  # noqa: ARG001 - as every verb
    """Run the steps and print their times; the exit code says whether all bytes are the same."""
    for name in ("url", "provider", *ENTRIES):
        if getattr(options, name):
            message = f"starts its own server: leave out --{name.replace('_', '-')}"
            raise UsageError(message)
    if options.models and options.local is not None:
        message = "--models makes its own files: leave out --local"
        raise UsageError(message)
    if options.local is not None:
        await in_thread(_check_directory, options.local)
    if options.models:
        async with _server_and_directory(options) as (server, work):
            models = ModelsDemo(work)
            await models.run(server)
        code = models.print(output, kept=options.keep)
    else:
        async with _server_and_directory(options) as (server, work):
            source, restored = options.local or os.path.join(work, "source"), os.path.join(work, "restored")
            found = Demo(source=source, restored=restored, server=server.endpoint_url)
            await _take_steps(found, server, made=options.local is None)
        code = _report(found, options, output)
    if not output.as_json:
        output.line("\nto try next:")
        for line, text in NEXT_OF_MODELS if options.models else NEXT:
            output.line(f"  bucketry {line}\n      {text}")
    return code


@asynccontextmanager
async def _server_and_directory(options: Options) -> AsyncIterator[tuple[EmbeddedS3, str]]:
    from bucketry.testing import embedded_s3

    stack = ExitStack()
    try:
        server = await in_thread(stack.enter_context, embedded_s3())
        yield server, await in_thread(_make_work, stack, options.keep)
    finally:
        await in_thread(stack.close)


def _report(found: Demo, options: Options, output: Output) -> int:
    output.failures(found.uploaded)
    output.failures(found.downloaded)
    if output.as_json:
        output.document(_facts(found, options))
    else:
        _print(found, output, kept=options.keep)
    return DONE if found.identical else FAILED


async def _take_steps(found: Demo, server: EmbeddedS3, *, made: bool) -> None:
    from bucketry import S3Provider, TransferManager

    if made:
        seconds, _ = await _timed(in_thread(make_sample, found.source))
    files = await in_thread(files_below, found.source)
    size = sum(files.values())
    if made:
        found.steps.append(Step("make", seconds, len(files), size))
    async with S3Provider(server.config, transfer=CONFIG) as provider:
        manager = TransferManager(provider, CONFIG)
        seconds, found.uploaded = await _timed(manager.upload_tree(found.source, PREFIX))
        found.steps.append(_moved("upload", seconds, found.uploaded))
        seconds, found.listed = await _timed(_listing(provider))
        found.steps.append(Step("list", seconds, len(found.listed), sum(one.size for one in found.listed)))
        seconds, found.downloaded = await _timed(manager.download_tree(PREFIX, found.restored))
        found.steps.append(_moved("download", seconds, found.downloaded))
    seconds, found.differing = await _timed(in_thread(differences, found.source, found.restored))
    found.steps.append(Step("compare", seconds, len(files), size))


async def _listing(provider: S3Provider) -> list[ObjectInfo]:
    return [entry async for entry in provider.list(PREFIX)]


async def _timed(step: Awaitable[T]) -> tuple[float, T]:
    started = time.monotonic()
    result = await step
    return round(time.monotonic() - started, 4), result


def _moved(name: str, seconds: float, batch: BatchResult) -> Step:
    return Step(name, seconds, len(batch.results), sum(one.size for one in batch.results.values()))


def _make_work(stack: ExitStack, kept: bool) -> str:  # noqa: FBT001 - in_thread passes positional arguments
    if kept:
        return tempfile.mkdtemp(prefix="bucketry-demo-")
    return stack.enter_context(tempfile.TemporaryDirectory(prefix="bucketry-demo-"))


def _check_directory(path: str) -> None:
    if not os.path.lexists(path):
        message = f"{path}: the directory does not exist"
        raise LocalFileNotFoundError(message, path=path)
    if not os.path.isdir(path):
        message = f"{path}: is not a directory"
        raise LocalNotADirectoryError(message, path=path)


def _facts(found: Demo, options: Options) -> dict[str, object]:
    return {
        "server": found.server,
        "source": found.source if options.keep or options.local is not None else None,
        "restored": found.restored if options.keep else None,
        "steps": [asdict(step) for step in found.steps],
        "large_object": found.large_object(),
        "identical": found.identical,
        "differing": found.differing,
    }


def _print(found: Demo, output: Output, *, kept: bool) -> None:
    output.line(f"S3 server on {found.server}, {CONFIG.max_concurrency} requests at once\n")
    rows = [
        (
            step.name,
            f"{step.seconds:.2f}",
            f"{step.files:,}",
            shown_size(step.bytes),
            "–" if step.name == "list" else shown_rate(step.bytes, step.seconds),
        )
        for step in found.steps
    ]
    output.table([("step", "seconds", "files", "bytes", "rate"), *rows], right=(1, 2, 3, 4))
    large = found.large_object()
    if large is not None:
        output.line("")
        output.table(
            [
                ("largest object", shown(str(large["key"]))),
                ("  size", f"{large['size']:,} bytes"),
                ("  parts", f"{large['parts']}"),
                ("  part size", shown_size(CONFIG.part_size or 0)),
                ("  concurrency", str(CONFIG.max_concurrency)),
                ("  upload verified", str(large["upload_verified"])),
                ("  download verified", str(large["verified"])),
            ]
        )
    output.line("")
    for name in found.differing:
        output.line(f"differs: {shown(name)}")
    output.line(f"directories identical: {'yes' if found.identical else 'NO'}")
    if kept:
        output.line(f"kept: {found.source} and {found.restored}")
