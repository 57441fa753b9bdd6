"""The type of a vendor's list prices; data only. Each figure has its unit, its source and the day it was read.

What no source says is not in a row: `Prices.missing` names it, and `_cost` reports it with every estimate.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bucketry._core.frozen import dataclass

GB = 10**9
TB = 10**12
MILLION = 10**6

WRITES = ("put", "copy", "post", "list")
READS = ("get", "head")
DELETES = ("delete",)
KINDS = (*WRITES, *READS, *DELETES)
"""The kinds of requests; the parts of an upload are `put`, opening and completing one is `post`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePage:
    """A page with prices.

    Attributes:
        url: The page.
        as_of: The day when the page was read.
    """

    url: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A list price in US dollars.

    Attributes:
        dollars: The price of one unit.
        per: The size of the unit: bytes, or requests; 1 for a monthly fee.
        unit: The name of the unit.
        source: The page.
        rounded_up: Whether the vendor bills whole units only.
    """

    dollars: Decimal
    per: int
    unit: str
    source: PricePage
    rounded_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPrice:
    """The price of some kinds of requests.

    Attributes:
        name: The vendor's name for them, such as `"class A"`.
        kinds: The kinds, of `KINDS`.
        price: The price.
        free: Requests of these kinds that are free each month.
    """

    name: str
    kinds: tuple[str, ...]
    price: Price
    free: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClass:
    """The prices and minimums of a storage class.

    Attributes:
        name: The name in listings.
        storage: The price for a month; `None`: no source has it.
        requests: The prices of requests to objects of the class.
        free: Stored bytes that are free, or that the monthly fee covers.
        minimum_billed: The least number of bytes that is billed each month.
        minimum_days: An object is billed for so many days, even if it is deleted or overwritten earlier.
        minimum_object_size: Bytes; a smaller object is billed as if it had this size.
        retrieval: The price of reading; `None`: there is none.
        holds_up_to: Bytes; more bytes are cheaper, at prices that no source has. `None`: one price for any amount.
    """

    name: str
    storage: Price | None = None
    requests: tuple[RequestPrice, ...] = ()
    free: int = 0
    minimum_billed: int = 0
    minimum_days: int = 0
    minimum_object_size: int = 0
    retrieval: Price | None = None
    holds_up_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The list prices of a vendor.

    Attributes:
        classes: The storage classes; the first is the one that an upload gets.
        other_classes: Whether the vendor has more classes, whose prices are not in the row.
        egress: The price of bytes sent to the internet.
        free_egress: Bytes sent each month that are free, or that the monthly fee covers.
        free_egress_ratio: Free bytes sent each month, as a multiple of the stored bytes.
        egress_policy_ratio: Sending more than this multiple of the stored bytes breaks the vendor's policy. It has no
            price. `None`: there is no such policy.
        monthly: A fee while there is any bucket; `None`: there is none.
        notes: Sentences about what the other fields do not express.
        missing: What the vendor bills, or may bill, and the row has no price for.
    """

    classes: tuple[StorageClass, ...]
    egress: Price
    other_classes: bool = False
    free_egress: int = 0
    free_egress_ratio: int = 0
    egress_policy_ratio: int | None = None
    monthly: Price | None = None
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
