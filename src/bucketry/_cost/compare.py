"""Compares the vendors' list prices for one usage, and finds vendors by name. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from bucketry._core.entries import nearest
from bucketry._cost.estimate import estimate, prices_of
from bucketry._cost.values import STANDARD, CostEstimate, StoredObjects, Usage
from bucketry._vendors import aws, backblaze, r2, spaces, wasabi
from bucketry._vendors.row import Vendor
from bucketry.errors import ConfigError

VENDORS: tuple[Vendor, ...] = (aws.VENDOR, spaces.VENDOR, wasabi.VENDOR, backblaze.VENDOR, r2.VENDOR)
"""The vendors with prices."""

NAMES: Mapping[str, Vendor] = {
    "s3": aws.VENDOR,
    "aws": aws.VENDOR,
    "digitalocean": spaces.VENDOR,
    "do": spaces.VENDOR,
    "spaces": spaces.VENDOR,
    "wasabi": wasabi.VENDOR,
    "backblaze": backblaze.VENDOR,
    "b2": backblaze.VENDOR,
    "cloudflare": r2.VENDOR,
    "r2": r2.VENDOR,
    "cloudflare_r2": r2.VENDOR,
}
"""The vendors by each of their names in the factory."""

MINIMUM_SIZES = frozenset(
    one.minimum_object_size for vendor in VENDORS for one in prices_of(vendor).classes if one.minimum_object_size
)
"""The minimum sizes of objects of all vendors, for `StoredCounter`."""


def find_vendors(names: Iterable[str] | None) -> tuple[Vendor, ...]:
    """Return the vendors with these names, each once; `None`: all.

    Raises:
        ConfigError: A name is unknown; the message has the nearest.
    """
    if names is None:
        return VENDORS
    found: dict[str, Vendor] = {}
    for name in names:
        vendor = NAMES.get(name.strip().lower()) if isinstance(name, str) else None
        if vendor is None:
            raise ConfigError(f"there are no prices of a vendor {name!r}; {nearest(str(name), tuple(NAMES))}")
        found[vendor.name] = vendor
    if not found:
        raise ConfigError(f"no vendor is named; known are {', '.join(NAMES)}")
    return tuple(found.values())


def compare(usage: Usage, vendors: Iterable[Vendor] = VENDORS) -> tuple[CostEstimate, ...]:
    """Return each vendor's estimate, the cheapest first; those without a total are last."""
    return tuple(sorted((estimate(vendor, usage) for vendor in vendors), key=_order))


def compare_costs(
    *,
    storage: int = 0,
    egress: int = 0,
    requests: Mapping[str, int] | None = None,
    objects: int = 0,
    storage_class: str = STANDARD,
    vendors: Iterable[str] | None = None,
) -> tuple[CostEstimate, ...]:
    """Compare what a month costs at AWS S3, Spaces, Wasabi, B2 and R2, by their list prices.

    The estimates count free amounts, minimums and the vendors' rounding. They take the free amounts of the account to
    be unused otherwise. What an estimate leaves out is in its `leaves_out`; a use that a vendor's policy forbids has no
    total. The prices come with this version of the package: `as_of` says of which day they are.

    Args:
        storage: Bytes stored during the whole month: `10**12` is a TB, `2**40` a TiB.
        egress: Bytes sent to the internet in the month.
        requests: Numbers of requests in the month by kind: `"put"` (also each part of an upload), `"copy"`, `"post"`
            (opening and completing an upload in parts), `"list"`, `"get"`, `"head"`, `"delete"`.
        objects: The number of objects, for vendors that bill a minimum size; the objects are taken to be equally large.
            0: no minimum size counts.
        storage_class: The class of the objects; a vendor without such a class uses its only one.
        vendors: The names of vendors to compare, as in the factory; `None`: all.

    Returns:
        An estimate for each vendor, the cheapest first; those without a total are last.

    Raises:
        ConfigError: A vendor is unknown.
        InvalidRequestError: A number is negative, or a kind of request is unknown.

    Cost: no request.
    """
    stored = {storage_class: StoredObjects(size=storage, objects=objects)}
    return compare(Usage(stored=stored, egress=egress, requests=requests or {}), find_vendors(vendors))


def _order(one: CostEstimate) -> tuple[bool, Decimal, str]:
    total = one.total
    return total is None, total or Decimal(0), one.title
