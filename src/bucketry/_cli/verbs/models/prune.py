"""The verb `models prune`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from bucketry._cli.args import Arguments
from bucketry._cli.ask import confirmed
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.manager import open_manager
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places, server_of
from bucketry._manage.models.prune import expected_report
from bucketry._manage.models.values import ModelVersion, PruneReport
from bucketry.errors import PreconditionFailedError

if TYPE_CHECKING:
    from bucketry import StorageManager

EXAMPLES = (
    ("models prune resnet --keep 3 --dry-run --url s3://bucket", "show which versions would be deleted"),
    ("models prune resnet --keep 3", "show them, and ask"),
    ("models prune resnet --keep 3 --yes", "do not ask, for scripts"),
)
_NAMED = 10  # versions that a line names


class Options(Arguments):
    """The options of `models prune`."""

    name: str
    keep: int
    dry_run: bool = False
    yes: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models prune`."""
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument(
        "--keep", type=int, required=True, metavar="N", help="keep the newest N versions, and all that have a tag"
    )
    parser.add_argument("--dry-run", action="store_true", help="delete nothing, show what would be deleted")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


async def run(options: Options, places: Places, output: Output) -> int:
    """Delete old versions, and report.

    With `--json`: `{"name", "dry_run", "kept", "removed", "blobs_removed", "bytes_removed", "blobs_in_use"}`; `kept`
    and `removed` are lists of versions, oldest first. A dry run counts only the objects of these versions, not those of
    backups that were interrupted, and `blobs_in_use` is 0.
    """
    if options.keep < 1:
        message = f"--keep {options.keep}: give the number of versions to keep, at least 1"
        raise UsageError(message)
    manager = await open_manager(places, options)
    if options.dry_run or not options.yes:
        versions, expected = await _expected(manager, options)
        if options.dry_run:
            return _report(output, options, "would delete", expected)
        url = manager.provider.locate(f"{manager.models_root}/{options.name}/")
        what = f"delete {_removed(expected)} of {options.name} below {shown(url)}{server_of(manager.provider)}"
        if expected.removed and not await confirmed(what, output, yes=False):
            nothing = PruneReport(
                kept=tuple(one.version for one in versions),
                removed=(),
                blobs_removed=0,
                bytes_removed=0,
                blobs_in_use=0,
            )
            _report(output, options, "deleted", nothing)
            return FAILED
        if expected.removed and (await _expected(manager, options))[1].removed != expected.removed:
            message = f"{options.name}: versions or tags changed before the answer; nothing was deleted; run it again"
            raise PreconditionFailedError(message)
    return _report(output, options, "deleted", await manager.prune_models(options.name, keep=options.keep))


async def _expected(manager: StorageManager, options: Options) -> tuple[list[ModelVersion], PruneReport]:
    """Return all versions, and what a prune would report that begins now."""
    versions = await manager.list_model_versions(options.name)
    return versions, expected_report(versions, await manager.model_tags(options.name), options.keep)


def _report(output: Output, options: Options, did: str, report: PruneReport) -> int:
    if output.as_json:
        output.document({"name": options.name, "dry_run": options.dry_run, **asdict(report)})
        return DONE
    output.line(f"{did} {_removed(report)} of {options.name}; kept {_named(report.kept)}")
    if report.blobs_in_use:
        output.note(f"{counted(report.blobs_in_use, 'object')} kept, because a backup may need them; prune again later")
    return DONE


def _removed(report: PruneReport) -> str:
    objects = f"{counted(report.blobs_removed, 'object')}, {shown_size(report.bytes_removed)}"
    return f"{_named(report.removed)} ({objects})"


def _named(versions: Sequence[str]) -> str:
    """Return the number of versions, and the names of the first."""
    more = ", …" if len(versions) > _NAMED else ""
    names = f": {', '.join(versions[:_NAMED])}{more}" if versions else ""
    return f"{counted(len(versions), 'version')}{names}"
