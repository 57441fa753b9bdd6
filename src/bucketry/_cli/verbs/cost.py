"""The verb `cost`."""

from __future__ import annotations

import argparse
import re
import shutil
from contextlib import aclosing
from datetime import UTC, date, datetime

from bucketry._cli.args import size
from bucketry._cli.chart import check_chart, draw_chart
from bucketry._cli.commands import UsageError
from bucketry._cli.costs import (
    comparison_rows,
    estimate_values,
    item_rows,
    price_values,
    remarks,
    shown_bytes,
    shown_price,
    shown_total,
    shown_usage,
    usage_values,
)
from bucketry._cli.exits import DONE
from bucketry._cli.objects import Tally, counting_display, nothing_there
from bucketry._cli.output import Output, counted, printable
from bucketry._cli.place import Places, Remote
from bucketry._cli.selection import Filters, SelectionArguments, add_selection_options, narrows, selected
from bucketry._core.entries import nearest
from bucketry._core.os_errors import local_error
from bucketry._cost.compare import MINIMUM_SIZES, compare, find_vendors
from bucketry._cost.estimate import outdated
from bucketry._cost.values import STANDARD, CostEstimate, StoredCounter, StoredObjects, Usage
from bucketry._manage.sync.saved import SyncPlan
from bucketry._runtime.threads import in_thread
from bucketry._vendors.prices import KINDS
from bucketry.errors import UnsupportedError

EXAMPLES = (
    ("cost --storage 1TB --egress 1TB", "compare the vendors for 1 TB stored and 1 TB downloaded a month"),
    ("cost s3://bucket/run-1/ --egress 500GB", "the same for the objects that a bucket has below run-1/"),
    (
        "cost --storage 2TiB --requests get=10M,put=100k --vendors r2,b2",
        "two vendors, with requests; 1 TB is 10^12 bytes, 1 TiB is 2^40",
    ),
    ("cost --plan plan.jsonl", "about what it costs to apply a saved plan of a sync"),
)
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmg]?)")
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_WIDTH = 100
"""The widest paragraph of remarks."""


class Options(SelectionArguments):
    """The options of `cost`."""

    place: str | None = None
    storage: int | None = None
    egress: int | None = None
    requests: dict[str, int] | None = None
    objects: int | None = None
    storage_class: str | None = None
    vendors: tuple[str, ...] | None = None
    plan: str | None = None
    chart: str | None = None
    today: date | None = None
    """The day from which the age of the prices is counted; not an option; `None`: today."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `cost`."""
    parser.add_argument(
        "place", metavar="PLACE", nargs="?", help="a bucket, a directory or a glob; its objects are listed"
    )
    parser.add_argument("--storage", type=size, metavar="SIZE", help="bytes stored, such as 1TB (10^12) or 1TiB (2^40)")
    parser.add_argument("--egress", type=size, metavar="SIZE", help="bytes downloaded to the internet in a month")
    parser.add_argument(
        "--requests",
        type=_requests,
        metavar="KIND=N,…",
        help=f"requests in a month, such as get=1M,put=100k; kinds: {', '.join(KINDS)} (a part of an upload is a put)",
    )
    parser.add_argument(
        "--objects", type=_count, metavar="N", help="number of objects, for vendors that bill a minimum size"
    )
    parser.add_argument("--class", dest="storage_class", metavar="NAME", help="storage class, such as STANDARD_IA")
    parser.add_argument(
        "--vendors", type=_names, metavar="NAMES", help="compare only these, such as r2,b2; one name: show each item"
    )
    parser.add_argument("--chart", metavar="FILE", help="also draw the comparison, to a file .svg or .png")
    parser.add_argument("--plan", metavar="FILE", help="price a saved plan of a sync: its requests and its egress")
    add_selection_options(parser)


async def run(options: Options, places: Places, output: Output) -> int:
    """Compare the vendors' prices, or price a plan."""
    problem = _problem(options)
    if problem:
        raise UsageError(problem)
    Filters(options)
    today = options.today or datetime.now(UTC).date()
    if options.plan is not None:
        return _price_plan(await SyncPlan.load(options.plan), options.plan, today, output)
    vendors = find_vendors(_chosen(options))
    if options.chart is not None:
        await in_thread(check_chart, options.chart)
    remote = None
    if _is_listed(options):
        remote = await places.open(options.place)
        stored = await _listed(remote, options, output)
    else:
        name = (options.storage_class or STANDARD).upper()
        stored = {name: StoredObjects(size=options.storage or 0, objects=options.objects or 0)}
    usage = Usage(stored=stored, egress=options.egress or 0, requests=options.requests or {}, listed=remote is not None)
    estimates = compare(usage, vendors)
    _warn(estimates, today, output)
    if options.chart is not None:
        await in_thread(_draw, f"A month of {_title(remote, usage)}", estimates, options.chart)
        output.note(f"chart: {options.chart}")
    _show(output, remote, usage, estimates)
    return DONE


def _title(remote: Remote | None, usage: Usage) -> str:
    where = "" if remote is None else f"{printable(remote.url)}: "
    return f"{where}{shown_usage(usage)}"


def _draw(title: str, estimates: tuple[CostEstimate, ...], path: str) -> None:
    """Draw the chart, and write its file. Blocks."""
    data = draw_chart(title, estimates, path)
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as exc:
        raise local_error(exc, path, "writing the chart") from exc


def _warn(estimates: tuple[CostEstimate, ...], today: date, output: Output) -> None:
    for warning in outdated(estimates, today):
        output.note(f"warning: {warning}")


def _price_plan(plan: SyncPlan, file: str, today: date, output: Output) -> int:
    """Print the price of applying a plan.

    Raises:
        UnsupportedError: The plan has no price.
    """
    header, summary, price = plan.header, plan.summary, plan.price()
    if price is None:
        raise UnsupportedError(
            f"{file}: {header.source} → {header.target} has no price: neither side is a cloud with list prices"
            if summary.sides
            else f"{file}: an older version saved this plan, without what a price needs; plan again"
        )
    _warn(price.estimates, today, output)
    if output.as_json:
        ends = {"direction": header.direction, "source": header.source, "target": header.target}
        totals = {"transfers": summary.transfers, "bytes": summary.transfer_bytes, "requests": summary.requests}
        output.document({"plan": file, **ends, **totals, "currency": "USD", **price_values(price)})
        return DONE
    output.line(printable(f"{header.direction} {header.source} → {header.target}"))
    moved = f"{counted(summary.transfers, 'transfer')} of {shown_bytes(summary.transfer_bytes)}"
    output.line(f"{moved}, {counted(summary.requests, 'request')}: {shown_price(price)} by list prices")
    for one in price.estimates:
        output.line(f"{one.title}:")
        output.table(item_rows(one.items), right=(1, 2, 4, 5))
    _remark(price.estimates, output)
    return DONE


def _remark(estimates: tuple[CostEstimate, ...], output: Output) -> None:
    columns = shutil.get_terminal_size((80, 24)).columns
    for line in remarks(estimates, min(columns, _WIDTH)):
        output.line(line)


def _problem(options: Options) -> str | None:
    """Return what is wrong with the options, if anything is."""
    if options.plan is not None:
        names = ("place", "url", "provider", "storage", "egress", "requests", "objects", "storage_class", "vendors")
        if any(getattr(options, name) is not None for name in (*names, "chart")) or narrows(options):
            return "--plan prices a plan as it was saved: leave out PLACE and the other options"
        return None
    return _problem_of_usage(options)


def _problem_of_usage(options: Options) -> str | None:
    if options.place is not None and options.url is not None:
        return "give PLACE or --url, not both"
    if _is_listed(options):
        if any(one is not None for one in (options.storage, options.objects, options.storage_class)):
            return "--storage, --objects and --class are for numbers of your own; a bucket is listed: leave them out"
    elif narrows(options):
        return "--include, --exclude, --newer and --older select objects of a bucket; give its URL"
    elif all(one is None for one in (options.storage, options.egress, options.requests)):
        return "needs something to price: give --storage and --egress, or the URL of a bucket, such as s3://bucket"
    return None


def _is_listed(options: Options) -> bool:
    """Return whether a bucket is listed: a place is named, or a provider and no amount of storage."""
    if options.place is not None or options.url is not None:
        return True
    return options.provider is not None and options.storage is None


def _chosen(options: Options) -> tuple[str, ...] | None:
    """Return the names of the vendors to compare; `--provider` without a bucket names one, too."""
    if options.vendors is None and options.provider is not None and not _is_listed(options):
        return (options.provider,)
    return options.vendors


async def _listed(remote: Remote, options: Options, output: Output) -> dict[str, StoredObjects]:
    """List a place; return its bytes and objects by storage class.

    Raises:
        NotFoundError: Nothing is there, though a directory, an object or a glob was named.
    """
    counters: dict[str, StoredCounter] = {}
    total = Tally()
    with counting_display(output, total) as display:
        async with aclosing(selected(remote, options, recursive=True)) as found:
            async for entry in found:
                name = entry.storage_class or STANDARD
                if name not in counters:
                    counters[name] = StoredCounter(MINIMUM_SIZES)
                counters[name].add(entry.size)
                total.add(entry.size)
                display.update()
    if not total.objects and remote.key and not narrows(options):
        raise nothing_there(remote)
    return {name: counter.total() for name, counter in counters.items()}


def _show(output: Output, remote: Remote | None, usage: Usage, estimates: tuple[CostEstimate, ...]) -> None:
    if output.as_json:
        output.document(
            {
                "place": None if remote is None else remote.url,
                "usage": usage_values(usage),
                "currency": "USD",
                "vendors": [estimate_values(one) for one in estimates],
            }
        )
        return
    output.line(f"{_title(remote, usage)}; list prices of one month in US dollars")
    if len(estimates) == 1:
        output.line(f"{estimates[0].title}: {shown_total(estimates[0])}")
        output.table(item_rows(estimates[0].items), right=(1, 2, 4, 5))
    else:
        here = "" if remote is None else getattr(remote.provider, "billed_by", "")
        output.table(comparison_rows(estimates, here), right=(1, 2, 3, 4))
        if any(here == one.vendor for one in estimates):
            output.line("* has the objects now")
    _remark(estimates, output)


def _names(text: str) -> tuple[str, ...]:
    """Split `r2,b2`."""
    return tuple(name for name in (one.strip() for one in text.split(",")) if name)


def _requests(text: str) -> dict[str, int]:
    """Convert `get=1M,put=100k` to numbers by kind."""
    found: dict[str, int] = {}
    for one in _names(text):
        kind, equals, number = one.partition("=")
        kind = kind.strip().lower()
        if not equals:
            message = f"{one!r} is not KIND=NUMBER; write for example get=1M,put=100k"
            raise argparse.ArgumentTypeError(message)
        if kind not in KINDS:
            message = f"{kind!r} is no kind of request; {nearest(kind, KINDS)}"
            raise argparse.ArgumentTypeError(message)
        if kind in found:
            message = f"{kind} is given twice; give it once"
            raise argparse.ArgumentTypeError(message)
        found[kind] = _count(number)
    return found


def _count(text: str) -> int:
    """Convert `1M`, `100k` or `2500` to a number."""
    match = _COUNT.fullmatch(text.strip().lower())
    if match is not None:
        whole, point, rest = match[1].partition(".")
        number = int(whole + rest) * _FACTORS[match[2]]
        if not point:
            return number
        scale = int(f"1{'0' * len(rest)}")
        if number % scale == 0:
            return number // scale
    message = f"{text!r} is not a number of items; write for example 2500, 100k or 1.5M"
    raise argparse.ArgumentTypeError(message)
