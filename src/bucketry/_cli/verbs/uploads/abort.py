"""The verb `uploads abort`."""

from __future__ import annotations

import argparse
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias

from bucketry._cli.ask import confirmed
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.output import Output, counted, error_facts, shown
from bucketry._cli.place import Places, Remote
from bucketry._cli.uploads import FoundUpload, UploadArguments, add_upload_options, open_uploads, upload_document
from bucketry._core.config import FIXED_CONCURRENCY
from bucketry._transfer.workers import fan_out
from bucketry.errors import StorageError

EXAMPLES = (
    ("uploads abort s3://bucket", "delete what killed transfers of this machine have left"),
    ("uploads abort s3://bucket --dry-run", "show what would be aborted"),
    ("uploads abort s3://bucket --all --older 7d --yes", "abort all uploads that were opened over a week ago"),
)


class Options(UploadArguments):
    """The options of `uploads abort`."""

    yes: bool = False
    dry_run: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `uploads abort`."""
    add_upload_options(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before foreign uploads are aborted")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be aborted")


async def run(options: Options, places: Places, output: Output) -> int:
    """Abort open uploads, and delete their parts; uploads of processes that still run on this machine are left alone.

    JSON: `{"aborted": [{"key", "upload_id", "initiated", "own", "running"}], "running": N, "foreign": N, "failed":
    [{"key", "upload_id", "type", "message", …}], "dry_run"}`; `running` and `foreign` are the numbers of uploads left
    alone.
    """
    remote = await places.open(options.word)
    choice = await _choose(remote, options)
    others = sum(not found.own for found in choice.chosen)
    if others and not options.dry_run:
        question = f"{question_of(len(choice.chosen), others)}, in {remote.name_and_server}"
        if not await confirmed(question, output, yes=options.yes):
            output.note("uploads abort: nothing was aborted")
            return FAILED
    aborted = choice.chosen
    failed: list[_Failure] = []
    if not options.dry_run:
        aborted, failed = await _abort(remote, choice.chosen)
        output.failed([(_named(found), error) for found, error in failed])
    if output.as_json:
        output.document(
            {
                "aborted": [upload_document(found) for found in aborted],
                "running": choice.running,
                "foreign": choice.foreign,
                "failed": [{**_named(found), **error_facts(error)} for found, error in failed],
                "dry_run": options.dry_run,
            }
        )
    else:
        _print(aborted, choice, len(failed), output, dry_run=options.dry_run)
    return FAILED if failed else DONE


_Failure: TypeAlias = tuple[FoundUpload, StorageError]  # a key can have several uploads


def question_of(number: int, others: int) -> str:
    """Return what the user is asked: it counts all uploads that are aborted, and says how many are not their own."""
    which = " that" if others == number else f", {others:,} of which"
    return f"abort {counted(number, 'upload')}{which} may belong to others"


@dataclass(slots=True)
class _Choice:
    """The uploads to abort, and the numbers of those that are left alone."""

    chosen: list[FoundUpload] = field(default_factory=list)
    running: int = 0
    foreign: int = 0


async def _choose(remote: Remote, options: Options) -> _Choice:
    choice = _Choice()
    async with aclosing(open_uploads(remote, options)) as uploads:
        async for found in uploads:
            if found.running:
                choice.running += 1
            elif not (found.own or options.all):
                choice.foreign += 1
            else:
                choice.chosen.append(found)
    return choice


async def _abort(remote: Remote, chosen: list[FoundUpload]) -> tuple[list[FoundUpload], list[_Failure]]:
    aborted: list[FoundUpload] = []
    failed: list[_Failure] = []

    async def one(found: FoundUpload) -> None:
        try:
            await remote.provider.abort_multipart(found.upload)
        except StorageError as error:
            failed.append((found, error))
        else:
            aborted.append(found)

    await fan_out(chosen, one, width=FIXED_CONCURRENCY)
    return aborted, failed


def _named(found: FoundUpload) -> dict[str, str]:
    return {"key": found.upload.key, "upload_id": found.upload.upload_id}


def _print(aborted: list[FoundUpload], choice: _Choice, failed: int, output: Output, *, dry_run: bool) -> None:
    if dry_run:
        for found in aborted:
            output.row("would abort ", shown(found.upload.key))
    output.line(
        f"{'would abort' if dry_run else 'aborted'} {counted(len(aborted), 'upload')}"
        f"{f', {failed} failed' if failed else ''}"
    )
    if choice.running:
        output.note(f"{counted(choice.running, 'upload')} left alone: still running on this machine")
    if choice.foreign:
        output.note(f"{counted(choice.foreign, 'foreign upload')} left alone; to abort them, too, add --all")
