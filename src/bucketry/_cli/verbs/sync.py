"""The verb `sync`."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, get_args

from bucketry._cli.args import ENTRIES, TransferArguments, add_quiet, add_transfer_options
from bucketry._cli.ask import can_ask, confirmed
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import DONE
from bucketry._cli.manager import in_words_of_options, moving
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import Places
from bucketry._cli.report import told_to_continue
from bucketry._cli.sync_report import ShownPlan, SyncTally
from bucketry._cli.sync_sides import Sides, sides_of_options, sides_of_plan, sides_of_words
from bucketry._manage.sync.saved import BANDWIDTH
from bucketry._manage.sync.values import Compare

if TYPE_CHECKING:
    from bucketry import StorageManager, SyncPlan

EXAMPLES = (
    ("sync ./data s3://bucket/data", "upload what is new or has changed"),
    ("sync s3://bucket/data ./data --delete", "make the directory equal; asks before it deletes"),
    ("sync ./data s3://bucket/data --delete --dry-run --include '*.parquet'", "show what would change"),
    ("sync s3://bucket/data r2://other/data", "from one provider to another"),
    ("sync --direction upload", "from data/ to datasets/, or what the place of --url names"),
    ("sync ./data s3://bucket/data --save-plan plan.jsonl", "write the plan to a file, and change nothing"),
    ("sync --apply plan.jsonl", "make the changes of a plan that was saved"),
)
_CONTINUE = "run the same command again; finished files are not sent again"
_TWO = 2
_OF_SIDES = ("direction", "local", "remote", "url", "provider", "env_file", *ENTRIES)
_OF_PLAN = ("delete", "max_delete", "force", "include", "exclude", "compare")


class Options(TransferArguments):
    """The options of `sync`."""

    paths: Sequence[str] = ()
    direction: str | None = None
    local: str | None = None
    remote: str | None = None
    delete: bool = False
    max_delete: int | None = None
    force: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    compare: Compare = "size-mtime"
    dry_run: bool = False
    yes: bool = False
    save_plan: str | None = None
    apply: str | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sync`."""
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="SOURCE DESTINATION",
        help="URLs or NAME:path; a word that is neither is a local directory",
    )
    parser.add_argument("--direction", choices=("upload", "download"), help="for --local and --remote")
    parser.add_argument("--local", metavar="L", help="the local directory (default: data/, or that of the named place)")
    parser.add_argument(
        "--remote", metavar="R", help="a URL or a prefix (default: datasets/, or that of the named place)"
    )
    parser.add_argument("--delete", action="store_true", help="delete what only the destination has; asks first")
    parser.add_argument("--max-delete", type=int, metavar="N", help="if more than N files would be deleted, do nothing")
    parser.add_argument("--force", action="store_true", help="accept a source that has nothing to sync")
    parser.add_argument("--yes", "-y", action="store_true", help="delete without asking")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, print what would be done")
    parser.add_argument(
        "--include",
        action="append",
        metavar="PATTERN",
        help="sync only files that match, as in a .gitignore file; may be given several times",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        metavar="PATTERN",
        help="leave these files out, on both sides",
    )
    parser.add_argument(
        "--compare",
        choices=get_args(Compare),
        help="what makes files of one size differ: the time of the last change (default), nothing, or the bytes",
    )
    parser.add_argument("--save-plan", metavar="FILE", help="write the plan to FILE as JSON Lines, and change nothing")
    parser.add_argument("--apply", metavar="FILE", help="make the changes of a saved plan")
    add_quiet(parser)
    add_transfer_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Plan, ask if the plan deletes, apply, and report.

    With `--json` the report is one document, see `SyncTally.print_report`. A dry run prints JSON Lines, and a plan that
    is only saved or refused a document of its own, see `ShownPlan`.
    """
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    started = time.monotonic()
    with in_words_of_options():
        sides, manager, plan = await _planned(options, places, output)
    planning = time.monotonic() - started
    rate = min(BANDWIDTH, manager.transfers.config.max_bandwidth or BANDWIDTH)
    seconds = plan.estimate(bandwidth=rate, concurrency=manager.transfers.config.max_concurrency)
    names = sides.names(urls=output.as_json)
    shown_plan = ShownPlan(plan, names, seconds)
    if options.dry_run:
        await shown_plan.print_actions(output)
        _check_number_of_deletions(plan, sides)
        return DONE
    shown_plan.print_summary(output)
    if options.save_plan is not None:
        return shown_plan.print_saved(output, options.save_plan, _to_apply(options))
    _check_number_of_deletions(plan, sides)
    totals = plan.summary
    if totals.deletions:
        what = f"delete {counted(totals.deletions, 'file')} ({shown_size(totals.deletion_bytes)})"
        if not options.yes and can_ask():
            await shown_plan.print_deletions(output)
        if not await confirmed(f"{what} below {shown(sides.target_and_server)}", output, yes=options.yes):
            return shown_plan.print_refused(output)
    tally, started = SyncTally(output, totals), time.monotonic()
    with told_to_continue(output, _CONTINUE), moving(output, "sync") as moved:
        async with aclosing(manager.apply_each(plan, other=sides.other, progress=moved.in_all)) as outcomes:
            async for path, outcome in outcomes:
                tally.add(path, outcome)
    return tally.print_report(plan, names, planning + time.monotonic() - started)


async def _planned(options: Options, places: Places, output: Output) -> tuple[Sides, StorageManager, SyncPlan]:
    """Open both sides, and make or load the plan."""
    from bucketry import SyncPlan

    sides = None
    if options.paths:
        sides = await sides_of_words(places, *options.paths)
    elif options.direction is not None:
        sides = await sides_of_options(places, options.direction, options.local, options.remote)
    if options.apply is not None:
        plan = await SyncPlan.load(options.apply)
        sides = await sides_of_plan(places, plan.header, sides)
        return sides, sides.manager(options), plan
    assert sides is not None  # noqa: S101 - `_problem` has checked it
    for line in sides.said:
        output.note(f"sync: {line}")
    arguments: dict[str, Any] = {
        "delete": options.delete,
        "max_delete": options.max_delete,
        "force": options.force,
        "include": options.include,
        "exclude": [*options.exclude, *sides.exclude],
        "compare": options.compare,
        "path": options.save_plan,
    }
    manager = sides.manager(options)
    return sides, manager, await sides.plan(manager, arguments)


def _check_number_of_deletions(plan: SyncPlan, sides: Sides) -> None:
    """Refuse too many deletions before the user is asked about them.

    Raises:
        UsageError: There are more than the plan's `max_delete`.
    """
    most, count = plan.header.max_delete, plan.summary.deletions
    if most is not None and count > most:
        message = (
            f"{shown(sides.names()[1])}: would delete {counted(count, 'file')}, more than --max-delete {most}, so "
            "nothing was changed; if these deletions are right, give a larger number"
        )
        raise UsageError(message)


def _to_apply(options: Options) -> str:
    """Return the command that applies the plan that is saved, with the same words and options for both sides."""
    words = ["bucketry", "sync", *options.paths]
    for name in _OF_SIDES:
        value = getattr(options, name)
        if value:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    return shlex.join([*words, "--apply", options.save_plan or ""])


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    if "" in (*options.paths, options.local):
        return "a path is empty; for the current directory, write ."
    problem = _problem_of_paths(options)
    if problem is not None or options.apply is not None:
        return problem or _problem_of_apply(options)
    if options.max_delete is not None and not options.delete:
        return "--max-delete limits what --delete removes: add --delete, or leave it out"
    if options.max_delete is not None and options.max_delete < 0:
        return f"--max-delete {options.max_delete}: give a number of files, such as 100"
    return None


def _problem_of_paths(options: Options) -> str | None:
    sides = options.local is not None or options.remote is not None
    if options.paths and (sides or options.direction is not None):
        return "give SOURCE and DESTINATION, or --direction with --local and --remote, not both"
    if options.paths and len(options.paths) != _TWO:
        return f"needs two paths, SOURCE and DESTINATION, and got {len(options.paths)}; a path with blanks needs quotes"
    if sides and options.direction is None:
        return "--local and --remote need --direction upload or --direction download"
    if not options.paths and options.direction is None and options.apply is None:
        return "needs SOURCE and DESTINATION, such as ./data s3://BUCKET/data, or --direction upload or download"
    return None


def _problem_of_apply(options: Options) -> str | None:
    if (options.url or options.provider) and not options.paths and options.direction is None:
        option = "--url" if options.url else "--provider"
        return f"{option} needs what the plan was made with: SOURCE and DESTINATION, or --direction"
    if options.save_plan is not None:
        return "--save-plan makes a plan, and --apply takes one that was made; give one of them"
    given = next((name for name in _OF_PLAN if getattr(options, name) != getattr(Options, name)), None)
    return given and f"--{given.replace('_', '-')} is a part of the plan, and cannot be given with --apply"
