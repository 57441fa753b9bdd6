"""Estimates from list prices: known bills to the cent, minimums, free amounts, and what has no price."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._core.units import GiB, KiB, TiB
from bucketry._cost.compare import MINIMUM_SIZES, NAMES, VENDORS, compare, compare_costs, find_vendors
from bucketry._cost.estimate import MAX_AGE, estimate, estimate_work, outdated
from bucketry._cost.values import CostEstimate, StoredCounter, StoredObjects, Usage, cents, dollars
from bucketry._vendors import generic
from bucketry._vendors.prices import KINDS
from bucketry.errors import ConfigError, InvalidRequestError, UnsupportedError
from bucketry.providers.builtin import BUILTIN

GB, TB = 10**9, 10**12
OUTSIDE = "outside policy"

SCENARIOS = {
    (TB, TB): {"aws": "104.00", "spaces": "18.63", "wasabi": "7.99", "b2": "6.88", "r2": "14.85"},
    (250 * GB, TB): {"aws": "86.75", "spaces": "5.00", "wasabi": OUTSIDE, "b2": "4.17", "r2": "3.60"},
    (TB, 10 * TB): {"aws": "914.00", "spaces": "101.52", "wasabi": OUTSIDE, "b2": "76.88", "r2": "14.85"},
    (10 * GB, 50 * GB): {"aws": "0.23", "spaces": "5.00", "wasabi": OUTSIDE, "b2": "0.20", "r2": "0.00"},
}
"""Bills that were calculated by hand from the vendors' pages: stored bytes and egress, then dollars by vendor."""


def of(vendor: str, **usage: Any) -> CostEstimate:
    """Return the estimate of one vendor."""
    (found,) = compare_costs(vendors=[vendor], **usage)
    return found


def paid(estimated: CostEstimate) -> str:
    """Return the total to the cent."""
    total = estimated.total
    return OUTSIDE if total is None and estimated.outside_policy else f"{'unknown' if total is None else cents(total)}"


@pytest.mark.parametrize(("usage", "bills"), SCENARIOS.items())
def test_the_worked_comparison_to_the_cent(usage: tuple[int, int], bills: Mapping[str, str]) -> None:
    """Four scenarios give each vendor's bill to the cent, and Wasabi has no price outside its policy."""
    stored, sent = usage
    assert {name: paid(of(name, storage=stored, egress=sent)) for name in bills} == bills


def test_the_cheapest_is_first_and_what_has_no_total_last() -> None:
    """The order is by total; a vendor whose policy forbids the usage is last, though its storage is cheap."""
    found = compare_costs(storage=TB, egress=10 * TB)
    assert [one.vendor for one in found] == ["cloudflare_r2", "backblaze", "digitalocean", "s3", "wasabi"]


@pytest.mark.parametrize(
    ("vendor", "usage", "dollars_"),
    [
        ("aws", {"requests": {"put": 1_000_000, "copy": 500_000, "list": 500_000}}, "10.00"),
        ("aws", {"requests": {"get": 1_000_000, "head": 1_500_000}}, "1.00"),
        ("aws", {"requests": {"delete": 10**9}}, "0.00"),
        ("r2", {"requests": {"put": 1_000_000, "get": 10_000_000}}, "0.00"),
        ("r2", {"requests": {"put": 999_999, "post": 2}}, "4.50"),
        ("r2", {"requests": {"get": 10_000_001}}, "0.36"),
        ("r2", {"requests": {"delete": 10**9}}, "0.00"),
        ("b2", {"requests": dict.fromkeys(KINDS, 10**9)}, "0.00"),
        ("wasabi", {"requests": dict.fromkeys(KINDS, 10**9)}, "7.99"),
        ("spaces", {"requests": dict.fromkeys(KINDS, 10**9)}, "5.00"),
    ],
)
def test_requests(vendor: str, usage: dict[str, Any], dollars_: str) -> None:
    """Requests are billed by the vendor's classes, with free amounts, and R2 bills whole millions."""
    assert paid(of(vendor, **usage)) == dollars_


@pytest.mark.parametrize(
    ("vendor", "stored", "expected"),
    [
        ("r2", 10 * GB, "0.00"),
        ("r2", 10 * GB + 1, "0.02"),  # one whole GB of 1.5 cents
        ("r2", 12 * GB, "0.03"),
        ("b2", 10 * GB, "0.00"),
        ("b2", TB, "6.88"),
        ("spaces", 250 * GiB, "5.00"),
        ("spaces", 1_024 * GiB, "20.48"),
        ("wasabi", 0, "7.99"),
        ("wasabi", TiB, "7.99"),
        ("wasabi", 2 * TiB, "15.98"),
        ("wasabi", 2 * TB, "14.53"),  # 2 TB are 1.819 TB of 1,024 GiB
        ("aws", TiB, "25.29"),
    ],
)
def test_units_and_minimums_of_storage(vendor: str, stored: int, expected: str) -> None:
    """GB and GiB differ, R2 bills whole GB, Wasabi bills at least 1 TB of 1,024 GiB, and a fee covers 250 GiB."""
    assert paid(of(vendor, storage=stored)) == expected


@pytest.mark.parametrize(
    ("vendor", "sent", "expected"),
    [
        ("spaces", 1_024 * GiB, "18.63"),
        ("spaces", 1_124 * GiB, "19.63"),
        ("aws", 100 * GB, "23.00"),
        ("aws", 200 * GB, "32.00"),
        ("b2", 3 * TB, "6.88"),
        ("b2", 4 * TB, "16.88"),
    ],
)
def test_egress_beyond_what_is_free(vendor: str, sent: int, expected: str) -> None:
    """Only egress beyond the free amount is billed; B2's free amount is three times what is stored."""
    assert paid(of(vendor, storage=TB, egress=sent)) == expected


def test_infrequent_access() -> None:
    """R2's second class has its own prices, a price of reading and no free amounts; 30 days are named, not billed."""
    found = of("r2", storage=TB, egress=TB, requests={"put": 1_000_000, "get": 1}, storage_class="STANDARD_IA")
    assert [(item.what, item.name, str(item.amount)) for item in found.items] == [
        ("storage", "STANDARD_IA", "10.00"),
        ("egress", "", "0"),
        ("retrieval", "STANDARD_IA", "10.00"),
        ("requests", "class A", "9.00"),
        ("requests", "class B", "0.90"),
    ]
    assert any("30 days" in text for text in found.leaves_out)


def test_a_class_without_a_price_has_no_total() -> None:
    """AWS has classes whose prices are not in the rows: the estimate says so instead of giving a total."""
    for name in ("STANDARD_IA", "GLACIER"):
        found = of("aws", storage=TB, requests={"get": 5}, storage_class=name)
        assert found.total is None
        assert [(item.what, item.name, item.used) for item in found.unpriced] == [
            ("storage", name, TB),
            ("requests", name, 5),
        ]
        assert not found.outside_policy
    assert any("30 days" in text for text in of("aws", storage=TB, storage_class="STANDARD_IA").leaves_out)


def test_several_classes() -> None:
    """A vendor without a class puts its objects into the only one, with a note; free amounts count once."""
    stored = {"STANDARD": StoredObjects(size=6 * GB, objects=3), "STANDARD_IA": StoredObjects(size=5 * GB, objects=2)}
    usage = Usage(stored=stored, egress=GB)
    b2, r2 = (estimate(vendor, usage) for vendor in find_vendors(["b2", "r2"]))
    assert [(item.used, str(item.amount)) for item in b2.items if item.what == "storage"] == [(11 * GB, "0.00695")]
    assert "STANDARD_IA" in b2.items[0].note
    assert [str(item.amount) for item in r2.items] == ["0.000", "0.05", "0"]
    assert any("other than STANDARD" in text for text in r2.leaves_out)


def test_small_objects() -> None:
    """Where a vendor has a minimum size, a smaller object counts as that size, exactly for listed objects."""
    counter = StoredCounter(MINIMUM_SIZES)
    for size in (1, 4 * KiB, 10**6):
        counter.add(size)
    listed = counter.total()
    assert (listed.size, listed.objects) == (4 * KiB + 10**6 + 1, 3)
    assert listed.billed(4 * KiB) == 8 * KiB + 10**6
    assert StoredObjects(size=10, objects=3).billed(4 * KiB) == 12 * KiB
    assert StoredObjects(size=10).billed(4 * KiB) == 10
    tiny = of("spaces", storage=10**9, objects=10**9)  # 4,096 GB are 3,814.7 GiB
    assert paid(tiny) == f"{cents(Decimal(5) + (Decimal(4096 * 10**9) / GiB - 250) * Decimal('0.02'))}"
    assert "4,096 bytes" in tiny.items[1].note
    assert paid(of("r2", storage=10**9, objects=10**9)) == "0.00"


def test_listed_objects_of_two_classes_are_added() -> None:
    """What small objects lack is added, too, when a vendor puts two classes into one."""
    counter = StoredCounter(MINIMUM_SIZES)
    counter.add(1)
    usage = Usage(stored={"STANDARD": counter.total(), "COLD": StoredObjects(size=2, objects=1)})
    (wasabi,) = compare(dataclasses.replace(usage), find_vendors(["spaces"]))
    assert wasabi.items[1].note.endswith("objects count as at least 4,096 bytes")


def test_amounts_above_the_first_tier_are_marked() -> None:
    """AWS is cheaper above 50 TB; those prices are not in the rows, and the item says that it is too high."""
    assert "too high" in of("aws", storage=51 * TB).items[0].note
    assert of("aws", storage=50 * TB).items[0].note == ""


def test_every_estimate_says_what_it_leaves_out() -> None:
    """Taxes and early deletion are named, never silently missing; notes, day and pages are there."""
    for one in compare_costs(storage=TB):
        assert any("taxes" in text for text in one.leaves_out)
        assert one.sources
        assert one.as_of
    assert any("90 days" in text for text in of("wasabi", storage=TB).leaves_out)


@pytest.mark.slow
@given(stored=st.integers(0, 10**18), sent=st.integers(0, 10**18), reads=st.integers(0, 10**12))
def test_totals_are_exact_sums(stored: int, sent: int, reads: int) -> None:
    """Each total is the exact sum of its items, and more use never costs less."""
    for vendor in VENDORS:
        one = estimate(vendor, Usage(stored={"STANDARD": StoredObjects(size=stored)}, requests={"get": reads}))
        more = estimate(
            vendor,
            Usage(stored={"STANDARD": StoredObjects(size=stored + sent)}, requests={"get": reads + 1}),
        )
        assert one.total is not None
        assert more.total is not None
        assert 0 <= one.total <= more.total
        assert Fraction(one.total) == sum(Fraction(item.amount or 0) for item in one.items)


def test_work_is_priced_without_free_amounts() -> None:
    """The price of a piece of work has no fee, no free amount and no rounding; what can make it higher is named."""
    aws, wasabi, spaces, r2 = (
        estimate_work(vendor, egress=GB, requests={"put": 1000, "get": 1})
        for vendor in find_vendors(["aws", "wasabi", "spaces", "r2"])
    )
    assert aws.total == Decimal("0.09") + Decimal("0.005") + Decimal("0.0000004")
    assert r2.total == Decimal("0.0045") + Decimal("0.00000036")
    assert wasabi.total == 0
    assert any("policy" in text for text in wasabi.leaves_out)
    assert spaces.total == Decimal("0.01") * GB / GiB
    assert any("free amounts" in text for text in aws.leaves_out)
    assert any("rounding" in text for text in r2.leaves_out)
    assert not any("rounding" in text for text in aws.leaves_out)
    for one in (aws, r2):
        assert any("retrieval" in text and "other than STANDARD" in text for text in one.leaves_out)
    assert not any("other than" in text for text in spaces.leaves_out)
    assert any("90 days" in text for text in wasabi.leaves_out)


def test_a_listing_lacks_what_is_billed() -> None:
    """An estimate of listed objects says that old versions and open uploads are not in it."""
    for listed in (True, False):
        usage = Usage(stored={"STANDARD": StoredObjects(size=1)}, listed=listed)
        for vendor in VENDORS:
            assert any("old versions" in text for text in estimate(vendor, usage).leaves_out) is listed


def test_names_are_those_of_the_factory() -> None:
    """A vendor is found by each of its names in the factory, in any case; those without prices are unknown."""
    for name, builtin in BUILTIN.items():
        if name in {"local", "memory"}:
            assert name not in NAMES
        else:
            assert NAMES[name].name == builtin.config_class.provider
    assert [one.name for one in find_vendors([" R2", "b2", "cloudflare"])] == ["cloudflare_r2", "backblaze"]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"vendors": ["wasabbi"]}, ConfigError, "did you mean 'wasabi'"),
        ({"vendors": ["local"]}, ConfigError, "no prices of a vendor 'local'"),
        ({"vendors": []}, ConfigError, "no vendor is named"),
        ({"vendors": [5]}, ConfigError, "no prices of a vendor 5"),
        ({"requests": {"gets": 1}}, InvalidRequestError, "did you mean 'get'"),
        ({"requests": {"get": -1}}, InvalidRequestError, "requests of kind get: -1"),
        ({"storage": -1}, InvalidRequestError, "bytes stored in STANDARD: -1"),
        ({"objects": True}, InvalidRequestError, "objects stored in STANDARD: True"),
        ({"egress": 0.5}, InvalidRequestError, "egress: 0.5"),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    """Unknown vendors and kinds, and numbers that are none, are errors that say what to give."""
    with pytest.raises(error, match=text):
        compare_costs(**arguments)


def test_a_vendor_without_prices() -> None:
    """A server of one's own has no list prices."""
    with pytest.raises(UnsupportedError, match="no list prices"):
        estimate(generic.VENDOR, Usage())


def test_old_prices_warn() -> None:
    """Prices that were read more than 180 days before the given day cause one warning for each vendor."""
    found = compare_costs(vendors=["r2", "spaces"])
    r2, spaces = sorted(found, key=lambda one: one.vendor)
    assert (r2.as_of, spaces.as_of) > (date(2026, 1, 1), date(2026, 1, 1))
    assert outdated(found, max(r2.as_of, spaces.as_of)) == ()
    assert outdated([r2], r2.as_of + MAX_AGE) == ()
    (warning,) = outdated([r2], r2.as_of + MAX_AGE + timedelta(days=1))
    assert warning.startswith(f"the prices of Cloudflare R2 are of {r2.as_of}, 181 days ago")
    assert r2.sources[0] in warning
    assert len(outdated(found, date(2030, 1, 1))) == 2


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0.00"), ("0.004", "< $0.01"), ("0.005", "$0.01"), ("6.8805", "$6.88"), ("1234.5", "$1,234.50")],
)
def test_dollars(amount: str, text: str) -> None:
    """Amounts are shown in whole cents; half a cent is rounded up, and a little is not shown as nothing."""
    assert dollars(Decimal(amount)) == text
