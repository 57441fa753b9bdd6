"""The price of applying a plan of a sync, by the list prices of the clouds of its two sides. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from bucketry._cost.compare import NAMES
from bucketry._cost.estimate import estimate_work
from bucketry._cost.values import CostEstimate, total_of
from bucketry._manage.sync.values import PlanSummary
from bucketry._vendors.row import Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPrice:
    """About what it costs to apply a plan, by list prices.

    Attributes:
        total: Dollars, exact, not rounded. Free amounts are not subtracted; what the figure lacks is in `leaves_out` of
            the estimates. `None`: a price is missing.
        estimates: The estimate for each cloud that has list prices, the source first. A side that is a directory, or a
            server of your own, has none.
        as_of: The day when the oldest of the prices was read.
    """

    total: Decimal | None
    estimates: tuple[CostEstimate, ...]
    as_of: date


def price_of(summary: PlanSummary, vendors: Mapping[str, Vendor] = NAMES) -> PlanPrice | None:
    """Return the price of applying a plan; `None`: no side has list prices, or an older version saved the plan.

    Args:
        summary: The totals of the plan.
        vendors: The vendors with list prices, by their names.
    """
    estimates = tuple(
        estimate_work(vendors[side.vendor], egress=side.egress, requests=side.requests)
        for side in summary.sides
        if side.vendor in vendors
    )
    if not estimates:
        return None
    total = total_of(item for one in estimates for item in one.items)
    return PlanPrice(total=total, estimates=estimates, as_of=min(one.as_of for one in estimates))
