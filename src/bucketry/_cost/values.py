"""The values of a cost estimate: what is used in a month, and what it costs. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from types import MappingProxyType
from typing import Literal, TypeAlias

from bucketry._core.entries import nearest
from bucketry._vendors.prices import KINDS
from bucketry.errors import InvalidRequestError

STANDARD = "STANDARD"
"""The storage class of an object whose listing names none."""

EXACT = Context(prec=60)
"""Enough digits for any number of bytes, divided by a power of 2 or 10, times a price."""

_CENT = Decimal("0.01")
_NOTHING: Mapping[str, int] = MappingProxyType({})

What: TypeAlias = Literal["fee", "storage", "egress", "retrieval", "requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObjects:
    """What is stored in one storage class.

    Attributes:
        size: The bytes of all objects together.
        objects: The number of objects; 0: not known, so no minimum size counts.
        missing: For each minimum size, the bytes that the smaller objects lack; if a size is not in it, all objects are
            taken to be equally large.
    """

    size: int = 0
    objects: int = 0
    missing: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))

    def billed(self, minimum: int) -> int:
        """Return the bytes that are billed if each object counts as at least `minimum` bytes."""
        if minimum in self.missing:
            return self.size + self.missing[minimum]
        return max(self.size, self.objects * minimum)


class StoredCounter:
    """Adds up objects of one storage class, and what they lack to reach each minimum size.

    Args:
        minimums: The minimum sizes to count for.
    """

    __slots__ = ("_missing", "_objects", "_size")

    def __init__(self, minimums: Iterable[int]) -> None:
        """Start with no objects."""
        self._size = self._objects = 0
        self._missing = dict.fromkeys(minimums, 0)

    def add(self, size: int) -> None:
        """Add an object."""
        self._size += size
        self._objects += 1
        for minimum in self._missing:
            if size < minimum:
                self._missing[minimum] += minimum - size

    def total(self) -> StoredObjects:
        """Return what was added."""
        return StoredObjects(size=self._size, objects=self._objects, missing=MappingProxyType(dict(self._missing)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The use of a vendor in one month.

    Attributes:
        stored: What is stored, by the name of the storage class.
        egress: Bytes sent to the internet.
        requests: Numbers of requests, by their kind, see `KINDS`.
        listed: Whether a listing of objects gave `stored`; it lacks old versions and the parts of open uploads.
    """

    stored: Mapping[str, StoredObjects] = field(default_factory=lambda: MappingProxyType({}))
    egress: int = 0
    requests: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    listed: bool = False

    def __post_init__(self) -> None:
        """Refuse negative numbers and unknown kinds of requests.

        Raises:
            InvalidRequestError: See above; the message names the value.
        """
        for kind in self.requests:
            if kind not in KINDS:
                raise InvalidRequestError(f"requests: {kind!r} is no kind of request; {nearest(str(kind), KINDS)}")
        numbers = {"egress": self.egress, **{f"requests of kind {kind}": n for kind, n in self.requests.items()}}
        for name, one in self.stored.items():
            numbers |= {f"bytes stored in {name}": one.size, f"objects stored in {name}": one.objects}
        for what, number in numbers.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise InvalidRequestError(f"{what}: {number!r} is no number of 0 or more; give an int")

    @property
    def size(self) -> int:
        """The stored bytes of all classes together."""
        return sum(one.size for one in self.stored.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CostItem:
    """One line of an estimate.

    Attributes:
        what: `"fee"`, `"storage"`, `"egress"`, `"retrieval"` or `"requests"`.
        name: The storage class, or the vendor's name for the requests; empty for a fee and for egress.
        used: The number of bytes or requests.
        billed: The number of units that are billed: after free amounts, minimums and rounding.
        unit: The unit, such as `"GB"`, which is 10**9 bytes, or `"GiB"`, which is 2**30.
        price: Dollars for one unit; `None`: the rows have no such price.
        amount: Dollars, exact, not rounded; `None`: there is no price, and `note` says why.
        note: What changed the number of units, or why there is no price; empty: nothing.
    """

    what: What
    name: str = ""
    used: int
    billed: Decimal
    unit: str
    price: Decimal | None
    amount: Decimal | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What a vendor's list prices give for a month, or for one plan.

    Attributes:
        vendor: The provider's name in the factory, such as `"wasabi"`.
        title: The vendor's name in its own spelling.
        items: The lines of the estimate.
        outside_policy: Why the use breaks a policy of the vendor, so that it has no price; empty: it does not.
        notes: What to know about the figures.
        leaves_out: What the vendor may bill, and the estimate has not.
        as_of: The day when the oldest of the vendor's prices was read.
        sources: The pages of the prices.
    """

    vendor: str
    title: str
    items: tuple[CostItem, ...]
    outside_policy: str = ""
    notes: tuple[str, ...] = ()
    leaves_out: tuple[str, ...] = ()
    as_of: date
    sources: tuple[str, ...]

    @property
    def total(self) -> Decimal | None:
        """The sum in dollars, exact, not rounded; `None`: the use is outside the policy, or a price is missing."""
        return total_of(self.items)

    @property
    def unpriced(self) -> tuple[CostItem, ...]:
        """The items that the rows have no price for."""
        return tuple(item for item in self.items if item.price is None)


def total_of(items: Iterable[CostItem]) -> Decimal | None:
    """Return the sum of the amounts; `None`: an item has no amount."""
    total = Decimal(0)
    for item in items:
        if item.amount is None:
            return None
        total = EXACT.add(total, item.amount)
    return total


def cents(amount: Decimal) -> Decimal:
    """Round dollars to cents; half a cent is rounded up."""
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP, context=EXACT)


def dollars(amount: Decimal) -> str:
    """Return the text of an amount: `$6.88`, `$1,234.00`; a small amount that is not 0 is `< $0.01`."""
    rounded = cents(amount)
    return f"${rounded:,}" if rounded or not amount else "< $0.01"
