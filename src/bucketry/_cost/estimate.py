"""Computes what a month costs, and what a piece of work costs, from a vendor's list prices. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType

from bucketry._cost.values import EXACT, STANDARD, CostEstimate, CostItem, StoredObjects, Usage, What
from bucketry._vendors.prices import Price, PricePage, Prices, RequestPrice, StorageClass
from bucketry._vendors.row import Vendor
from bucketry.errors import UnsupportedError

MAX_AGE = timedelta(days=180)
"""Prices that were read longer ago cause a warning."""

LEFT_OUT = (
    "taxes, discounts and contracts",
    "replication, event notifications, inventories and other paid features",
    "other prices of egress that does not go to the internet, such as to the vendor's own machines or its CDN",
)
"""What no estimate includes, for any vendor."""

_LEFT_OUT_OF_MONTH = ("other use of the same account, which shares free amounts and minimums",)
_LEFT_OUT_OF_WORK = (
    "free amounts, because the account may have used them already",
    "the storage of what is transferred, see `bucketry cost` for a month",
    "requests that are repeated after an error",
)
_NOT_LISTED = "old versions and the parts of open uploads, which are stored and billed, but not listed"
_UNKNOWN = "the price is not in the rows"


def estimate(vendor: Vendor, usage: Usage) -> CostEstimate:
    """Compute the bill of one month from list prices, with free amounts, minimums and rounding.

    The whole account has only this usage, so all free amounts are available. All bytes are stored for the whole month.
    Requests and egress are priced in the storage class of the objects; if there are several, in the vendor's first.

    Raises:
        UnsupportedError: The vendor has no prices.
    """
    prices = prices_of(vendor)
    classes = _by_class(prices, usage)
    filled = [one for one, (stored, _) in classes.items() if stored.size] or list(classes)
    used = filled[0] if len(filled) == 1 else prices.classes[0]
    items = [*_fee(prices)]
    items += [_storage(one, stored, note) for one, (stored, note) in classes.items()]
    items += [*_egress(prices, usage), *_retrieval(used, usage), *_requests(used, usage.requests, free=True)]
    leaves_out = [_early_deletion(one) for one in classes if one.minimum_days]
    if len(filled) > 1 and (usage.egress or usage.requests):
        leaves_out.append(f"other prices of reading and of requests in storage classes other than {used.name}")
    outside = ""
    if prices.egress_policy_ratio is not None and usage.egress > prices.egress_policy_ratio * usage.size:
        outside = "egress is more than what is stored; the vendor may limit or suspend the service"
    not_listed = (_NOT_LISTED,) if usage.listed else ()
    general = (*not_listed, *_LEFT_OUT_OF_MONTH, *LEFT_OUT)
    return _estimated(vendor, items, outside, (*leaves_out, *prices.missing, *general))


def estimate_work(vendor: Vendor, *, egress: int, requests: Mapping[str, int]) -> CostEstimate:
    """Compute about what some requests and some egress cost by list prices.

    The requests are priced in the vendor's first storage class, because only a listing says which class an object has.
    Free amounts are not subtracted, so the bill can be lower. It can be higher by what `leaves_out` names, such as
    other storage classes and rounding.

    Raises:
        UnsupportedError: The vendor has no prices.
    """
    prices = prices_of(vendor)
    first = prices.classes[0]
    items = [*_requests(first, requests, free=False)]
    leaves_out = [*_LEFT_OUT_OF_WORK, *prices.missing]
    if len(prices.classes) > 1 or prices.other_classes:
        leaves_out.append(
            f"retrieval, and other prices of requests, for objects in storage classes other than {first.name}"
        )
    leaves_out += [_early_deletion(one) for one in prices.classes if one.minimum_days]
    if any(price.rounded_up for price in figures(prices)):
        leaves_out.append("the rounding up of a month's use to whole units")
    if egress:
        price = prices.egress
        items.insert(0, _item("egress", "", egress, _units(egress, price, whole=False), price))
        if prices.egress_policy_ratio is not None:
            leaves_out.append("the policy that a month's egress is at most what is stored")
    return _estimated(vendor, items, "", (*leaves_out, *LEFT_OUT))


def prices_of(vendor: Vendor) -> Prices:
    """Return the prices of a vendor.

    Raises:
        UnsupportedError: The vendor has none.
    """
    if vendor.prices is None:
        raise UnsupportedError(f"{vendor.title} has no list prices")
    return vendor.prices


def sources(prices: Prices) -> tuple[PricePage, ...]:
    """Return the sources of all figures of a row, each once."""
    found = [price.source for price in figures(prices)]
    return tuple(dict.fromkeys(found))


def figures(prices: Prices) -> Iterator[Price]:
    """Yield every price of a row."""
    for one in prices.classes:
        yield from (price for price in (one.storage, one.retrieval) if price is not None)
        yield from (request.price for request in one.requests)
    yield prices.egress
    if prices.monthly is not None:
        yield prices.monthly


def outdated(estimates: Iterable[CostEstimate], today: date) -> tuple[str, ...]:
    """Return a warning for each estimate from prices that were read more than 180 days before a day."""
    return tuple(
        f"the prices of {one.title} are of {one.as_of}, {(today - one.as_of).days} days ago; compare {one.sources[0]}"
        for one in estimates
        if today - one.as_of > MAX_AGE
    )


def _estimated(vendor: Vendor, items: Iterable[CostItem], outside: str, leaves_out: tuple[str, ...]) -> CostEstimate:
    prices = prices_of(vendor)
    pages = sources(prices)
    return CostEstimate(
        vendor=vendor.name,
        title=vendor.title,
        items=tuple(items),
        outside_policy=outside,
        notes=prices.notes,
        leaves_out=leaves_out,
        as_of=min(page.as_of for page in pages),
        sources=tuple(page.url for page in pages),
    )


def _by_class(prices: Prices, usage: Usage) -> dict[StorageClass, tuple[StoredObjects, str]]:
    """Return the storage classes of the vendor that the stored objects get, with their objects and a note."""
    first = prices.classes[0]
    known = {one.name: one for one in prices.classes}
    found: dict[StorageClass, tuple[StoredObjects, str]] = {}
    for name, stored in (usage.stored or {STANDARD: StoredObjects()}).items():
        own, note = known.get(name), ""
        if own is None and prices.other_classes:
            own = StorageClass(name=name)
        elif own is None:
            own, note = first, f"the vendor has no class {name}"
        before, earlier = found.get(own, (StoredObjects(), ""))
        found[own] = (_sum(before, stored), "; ".join(filter(None, (earlier, note))))
    return found


def _sum(one: StoredObjects, other: StoredObjects) -> StoredObjects:
    if not one.size and not one.objects:
        return other
    minimums = {*one.missing, *other.missing}
    missing = {size: one.billed(size) - one.size + other.billed(size) - other.size for size in minimums}
    return StoredObjects(
        size=one.size + other.size, objects=one.objects + other.objects, missing=MappingProxyType(missing)
    )


def _fee(prices: Prices) -> Iterator[CostItem]:
    if prices.monthly is not None:
        yield _item("fee", "", 1, Decimal(1), prices.monthly, "due while any bucket exists")


def _storage(one: StorageClass, stored: StoredObjects, note: str) -> CostItem:
    if one.storage is None:
        return _unpriced("storage", one.name, stored.size)
    size = stored.billed(one.minimum_object_size)
    notes = [note] if note else []
    if size > stored.size:
        notes.append(f"objects count as at least {one.minimum_object_size:,} bytes")
    if size < one.minimum_billed:
        size = one.minimum_billed
        notes.append("the least that is billed")
    if one.holds_up_to is not None and size > one.holds_up_to:
        notes.append("too high: the lower prices for such amounts are not in the rows")
    units = _units(max(0, size - one.free), one.storage)
    return _item("storage", one.name, stored.size, units, one.storage, "; ".join(notes))


def _egress(prices: Prices, usage: Usage) -> Iterator[CostItem]:
    if not usage.egress:
        return
    price = prices.egress
    ratio = prices.egress_policy_ratio
    if ratio is not None and usage.egress > ratio * usage.size:
        units = _units(usage.egress, price)
        yield CostItem(
            what="egress",
            used=usage.egress,
            billed=units,
            unit=price.unit,
            price=price.dollars,
            amount=None,
            note="outside policy: more than what is stored",
        )
        return
    free = max(prices.free_egress, prices.free_egress_ratio * usage.size)
    yield _item("egress", "", usage.egress, _units(max(0, usage.egress - free), price), price)


def _retrieval(one: StorageClass, usage: Usage) -> Iterator[CostItem]:
    if one.retrieval is not None and usage.egress:
        yield _item("retrieval", one.name, usage.egress, _units(usage.egress, one.retrieval), one.retrieval)


def _requests(one: StorageClass, counts: Mapping[str, int], *, free: bool) -> Iterator[CostItem]:
    """Yield an item for each of the vendor's classes of requests that are used.

    Args:
        one: The storage class of the objects.
        counts: Numbers of requests by kind.
        free: Whether free amounts and rounding count.
    """
    for price in one.requests:
        used = sum(counts.get(kind, 0) for kind in price.kinds)
        if used:
            yield _item("requests", price.name, used, _request_units(used, price, free=free), price.price)
    priced = {kind for price in one.requests for kind in price.kinds}
    other = sum(count for kind, count in counts.items() if kind not in priced)
    if other:
        yield _unpriced("requests", one.name, other)


def _request_units(used: int, price: RequestPrice, *, free: bool) -> Decimal:
    return _units(max(0, used - price.free) if free else used, price.price, whole=free)


def _units(count: int, price: Price, *, whole: bool = True) -> Decimal:
    """Return a number of bytes or requests in the price's unit; with `whole`, rounded up if the vendor does so."""
    if price.rounded_up and whole:
        return Decimal(-(-count // price.per))
    return EXACT.divide(Decimal(count), Decimal(price.per))


def _item(what: What, name: str, used: int, units: Decimal, price: Price, note: str = "") -> CostItem:
    return CostItem(
        what=what,
        name=name,
        used=used,
        billed=units,
        unit=price.unit,
        price=price.dollars,
        amount=EXACT.multiply(units, price.dollars),
        note=note,
    )


def _unpriced(what: What, name: str, used: int) -> CostItem:
    return CostItem(
        what=what, name=name, used=used, billed=Decimal(used), unit="", price=None, amount=None, note=_UNKNOWN
    )


def _early_deletion(one: StorageClass) -> str:
    return (
        f"the rest of {one.minimum_days} days for each object of class {one.name} that is deleted or overwritten "
        "earlier"
    )
