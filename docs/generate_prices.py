"""Writes the prices of pages, README and chart from the vendors' rows: run it after a row has changed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from bucketry._cli.chart import as_svg, layout
from bucketry._core.units import GiB, KiB
from bucketry._cost.compare import VENDORS, compare_costs
from bucketry._cost.estimate import LEFT_OUT, prices_of, sources
from bucketry._cost.values import CostEstimate, cents, dollars
from bucketry._vendors.prices import GB, KINDS, MILLION, TB, Price, Prices, StorageClass
from bucketry._vendors.row import Vendor

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "prices.md"
README = ROOT / "README.md"
CHART = ROOT / "docs" / "how-to" / "compare-costs.svg"
BEGIN = "<!-- prices: written by docs/generate_prices.py, do not edit -->"
END = "<!-- end of prices -->"
SCENARIOS = (
    ("1 TB stored, 1 TB out", TB, TB),
    ("250 GB stored, 1 TB out", 250 * GB, TB),
    ("1 TB stored, 10 TB out", TB, 10 * TB),
    ("10 GB stored, 50 GB out", 10 * GB, 50 * GB),
)
UNITS = (("GiB", GiB), ("TB", TB), ("GB", GB), ("KiB", KiB))


def render() -> str:
    """Give the page's text."""
    lines = [
        "# Prices",
        "",
        "<!-- Written by docs/generate_prices.py from src/bucketry/_vendors: do not edit. -->",
        "",
        "The list prices in US dollars from which `bucketry cost`, `compare_costs` and `SyncPlan.price` compute.",
        "Each figure has the vendor's page that it is from and the day when that page was read, by the project",
        "[Cmdr](https://github.com/vdavid/cmdr), which published what it read.",
        "Prices change: `bucketry cost` warns if a row is older than 180 days.",
        "",
        f"**As of {_days()}.** A GB is 10^9 bytes, a GiB is 2^30 bytes.",
        "",
        "## The same month at each vendor",
        "",
        *comparison(),
        "",
        "Storage and egress of one month, without requests; the free amounts are counted.",
        "**Outside policy**: Wasabi's egress must not be more than what is stored, so there is no price for more.",
        "[Compare costs](../how-to/compare-costs.md) shows how to compute this for your own numbers.",
        f"No figure includes: {'; '.join(LEFT_OUT)}.",
    ]
    for vendor in VENDORS:
        lines += ["", *_section(vendor, prices_of(vendor))]
    return "\n".join(lines) + "\n"


def readme() -> str:
    """Give the README's text with the present comparison."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([*comparison(), "", f"US dollars by list prices, as of {_days()}; storage and egress only."])
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def chart() -> str:
    """Give the chart of the how-to page."""
    return as_svg(layout("A month of 1 TB stored, 1 TB sent", compare_costs(storage=TB, egress=TB)))


def comparison() -> list[str]:
    """Give the lines of the table of scenarios."""
    lines = [_line(["a month", *(vendor.title for vendor in VENDORS)]), _line(["---"] * (len(VENDORS) + 1))]
    for title, stored, sent in SCENARIOS:
        found = {one.vendor: one for one in compare_costs(storage=stored, egress=sent)}
        lines.append(_line([title, *(_total(found[vendor.name]) for vendor in VENDORS)]))
    return lines


def _total(one: CostEstimate) -> str:
    return "outside policy" if one.total is None else dollars(one.total)


def _days() -> str:
    days = sorted({page.as_of for vendor in VENDORS for page in sources(prices_of(vendor))})
    return f"{days[0]} to {days[-1]}"


def _section(vendor: Vendor, prices: Prices) -> list[str]:
    rows: list[list[str]] = []
    if prices.monthly is not None:
        rows.append(["monthly fee", _price(prices.monthly), "", _link(prices.monthly)])
    for one in prices.classes:
        rows += _class_rows(one, prices)
    rows.append(["egress", _price(prices.egress), _free_egress(prices), _link(prices.egress)])
    lines = [f"## {vendor.title}", "", _line(["", "price", "conditions", "as of"]), _line(["---"] * 4)]
    lines += [_line(row) for row in rows]
    if prices.notes:
        lines += ["", f"{_sentence(prices.notes)}."]
    if prices.missing:
        lines += ["", f"Not in the rows: {'; '.join(prices.missing)}."]
    return lines


def _class_rows(one: StorageClass, prices: Prices) -> list[list[str]]:
    page = one.storage or prices.egress
    price = "not in the rows" if one.storage is None else _price(one.storage, " and month")
    rows = [[f"storage, {one.name}", price, "; ".join(_conditions(one, prices)), _link(page) if one.storage else ""]]
    if one.retrieval is not None:
        rows.append([f"reading, {one.name}", _price(one.retrieval), "", _link(one.retrieval)])
    for request in one.requests:
        some = request.name.startswith("class ") and request.kinds != KINDS
        kinds = f" ({', '.join(request.kinds)})" if some else ""
        free = f"{request.free // MILLION} million free a month" if request.free else ""
        rows.append([f"requests, {one.name}: {request.name}{kinds}", _price(request.price), free, _link(request.price)])
    return rows


def _conditions(one: StorageClass, prices: Prices) -> list[str]:
    found = [_free(one.free, prices)] if one.free else []
    found += [f"at least {_size(one.minimum_billed)} is billed"] if one.minimum_billed else []
    found += [f"an object is billed for at least {one.minimum_days} days"] if one.minimum_days else []
    found += [f"an object counts as at least {_size(one.minimum_object_size)}"] if one.minimum_object_size else []
    found += [f"for the first {_size(one.holds_up_to)}"] if one.holds_up_to else []
    return found


def _free_egress(prices: Prices) -> str:
    if prices.free_egress_ratio:
        return f"free up to {prices.free_egress_ratio} times what is stored"
    if prices.egress_policy_ratio is not None:
        return "at most as much as is stored; more is outside policy"
    return _free(prices.free_egress, prices) if prices.free_egress else ""


def _free(size: int, prices: Prices) -> str:
    return f"{_size(size)} {'free' if prices.monthly is None else 'covered by the fee'}"


def _price(price: Price, month: str = "") -> str:
    if not price.dollars:
        return "free"
    digits = max(cents(price.dollars), price.dollars.normalize(), key=_digits)
    return f"${digits:f} per {price.unit}{month}{', rounded up' if price.rounded_up else ''}"


def _digits(number: Decimal) -> int:
    return -int(number.as_tuple().exponent)


def _link(price: Price) -> str:
    return f"[{price.source.as_of}]({price.source.url})"


def _size(size: int) -> str:
    return next(f"{size // factor:,} {unit}" for unit, factor in UNITS if size % factor == 0)


def _sentence(texts: tuple[str, ...]) -> str:
    text = "; ".join(texts)
    return text[0].upper() + text[1:]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    CHART.write_text(chart(), encoding="utf-8")
