"""Shows cost estimates: as tables, and as values for JSON. No I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from decimal import Decimal

from bucketry._cli.output import counted
from bucketry._cost.values import STANDARD, CostEstimate, CostItem, Usage, cents, dollars, total_of
from bucketry._manage.sync.price import PlanPrice

OUTSIDE = "outside policy"
_UNKNOWN = "price not known"
_DECIMAL = (("PB", 10**15), ("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_STORAGE = ("fee", "storage")
_TRANSFER = ("egress", "retrieval")


def shown_bytes(size: int) -> str:
    """Return the text of a size in decimal units, as price lists have them: `1 TB`, `931.3 GB`."""
    name, factor = next(((name, factor) for name, factor in _DECIMAL if size >= factor), ("bytes", 1))
    return f"{_short(round(Decimal(size) / factor, 3))} {name}"


def shown_usage(usage: Usage) -> str:
    """Return a usage in words: `1 TB stored, 1 TB sent, 1,000,000 get requests`."""
    parts = [_stored(usage), f"{shown_bytes(usage.egress)} sent"]
    return ", ".join([*parts, *(counted(count, f"{kind} request") for kind, count in usage.requests.items() if count)])


def _stored(usage: Usage) -> str:
    classes = [name for name, one in usage.stored.items() if one.size]
    objects = sum(one.objects for one in usage.stored.values())
    named = f" in {', '.join(classes)}" if classes and classes != [STANDARD] else ""
    among = f" in {counted(objects, 'object')}" if objects else ""
    return f"{shown_bytes(usage.size)} stored{among}{named}"


def shown_total(estimate: CostEstimate) -> str:
    """Return the total in dollars, or why there is none."""
    total = estimate.total
    if total is not None:
        return dollars(total)
    return OUTSIDE if estimate.outside_policy else _UNKNOWN


def shown_price(price: PlanPrice) -> str:
    """Return the price of a plan in words: `about $5.00`, `less than $0.01`, or that it is not known."""
    if price.total is None:
        return _UNKNOWN
    if price.total and not cents(price.total):
        return "less than $0.01"
    return f"about {dollars(price.total)}"


def comparison_rows(estimates: Iterable[CostEstimate], here: str = "") -> list[tuple[str, ...]]:
    """Return the rows of the table that compares vendors, with a title row.

    Args:
        estimates: The estimates, in the order of the rows.
        here: The name of the vendor that has the objects; it gets a mark. Empty: none.
    """
    rows: list[tuple[str, ...]] = [("vendor", "a month", "storage", "egress", "requests")]
    for one in estimates:
        parts = (_part(one, kinds) for kinds in (_STORAGE, _TRANSFER, ("requests",)))
        mark = " *" if here and here == one.vendor else ""
        rows.append((one.title + mark, shown_total(one), *parts))
    return rows


def _part(estimate: CostEstimate, kinds: Sequence[str]) -> str:
    items = [item for item in estimate.items if item.what in kinds]
    total = total_of(items)
    return "–" if not items or total is None else dollars(total)


def item_rows(items: Iterable[CostItem]) -> list[tuple[str, ...]]:
    """Return the rows of the table of one estimate's items, with a title row; `remarks` has their notes."""
    rows: list[tuple[str, ...]] = [("item", "used", "billed", "unit", "per unit", "dollars")]
    for item in items:
        used = f"{item.used:,}" if item.what in {"requests", "fee"} else shown_bytes(item.used)
        billed, price = ("–", "–") if item.price is None else (_short(item.billed), _price(item.price))
        amount = "–" if item.amount is None else dollars(item.amount)
        rows.append((f"{item.what} {item.name}".strip(), used, billed, item.unit, price, amount))
    return rows


def remarks(estimates: Sequence[CostEstimate], width: int) -> list[str]:
    """Return lines that say what the figures mean and what they leave out.

    Args:
        estimates: The estimates.
        width: The number of columns to fill.
    """
    common = set.intersection(*(set(one.leaves_out) for one in estimates)) if estimates else set()
    lines: list[str] = []
    for one in estimates:
        said = [text for text in (one.outside_policy, *_items_said(one), *one.notes) if text]
        lines += _wrapped(f"{one.title}: {'; '.join(said)}.", width) if said else []
    lines.append("not in the figures:")
    lines += _wrapped(f"{'; '.join(text for text in estimates[0].leaves_out if text in common)}.", width)
    for one in estimates:
        own = [text for text in one.leaves_out if text not in common]
        lines += _wrapped(f"{one.title}: {'; '.join(own)}.", width) if own else []
    lines.append("sources, and the day when each was read:")
    return lines + [f"  {one.as_of}  {one.title}: {url}" for one in estimates for url in one.sources]


def _items_said(estimate: CostEstimate) -> list[str]:
    return [
        f"{f'{item.what} {item.name}'.strip()}: {item.note}"
        for item in estimate.items
        if item.note and item.what != "fee" and not (item.what == "egress" and estimate.outside_policy)
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
    )


def _price(price: Decimal) -> str:
    """Return a price with all its digits, and at least with cents: `$0.40`, `$0.00695`."""
    return f"${max(cents(price), price.normalize(), key=lambda one: -int(one.as_tuple().exponent)):f}"


def _short(number: Decimal) -> str:
    """Return a number with 1 digit behind the point if it is large, else with up to 6."""
    text = f"{number:,.1f}" if number >= 100 else f"{number:,.6f}"  # noqa: PLR2004 - enough digits either way
    return text.rstrip("0").rstrip(".")


def estimate_values(estimate: CostEstimate) -> dict[str, object]:
    """Return an estimate for JSON; amounts are texts, because they are exact decimal numbers."""
    total = estimate.total
    return {
        "vendor": estimate.vendor,
        "title": estimate.title,
        "total": None if total is None else f"{cents(total)}",
        "outside_policy": estimate.outside_policy or None,
        "as_of": estimate.as_of.isoformat(),
        "sources": estimate.sources,
        "items": [_item_values(item) for item in estimate.items],
        "notes": estimate.notes,
        "leaves_out": estimate.leaves_out,
    }


def _item_values(item: CostItem) -> dict[str, object]:
    return {
        "what": item.what,
        "name": item.name,
        "used": item.used,
        "billed": _exact(item.billed),
        "unit": item.unit,
        "price": _exact(item.price),
        "amount": _exact(item.amount),
        "note": item.note,
    }


def price_values(price: PlanPrice) -> dict[str, object]:
    """Return the price of a plan for JSON; its total is exact, because it can be far below a cent."""
    estimates = [estimate_values(one) | {"total": _exact(one.total)} for one in price.estimates]
    return {"total": _exact(price.total), "as_of": price.as_of.isoformat(), "vendors": estimates}


def _exact(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def usage_values(usage: Usage) -> dict[str, object]:
    """Return a usage for JSON."""
    stored = {name: {"bytes": one.size, "objects": one.objects} for name, one in usage.stored.items()}
    return {"stored": stored, "egress": usage.egress, "requests": dict(usage.requests)}
