"""The price of applying a plan of a sync, by the list prices of the clouds of its two sides. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from bucketry._cost.compare import NAMES
from bucketry._cost.estimate import estimate_work
from bucketry._cost.values import EXACT, CostEstimate
from bucketry._manage.sync.values import PlanSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPrice:
    """What it costs to apply a plan, by list prices.

    Attributes:
        total: Dollars, exact, not rounded: at most so much, because free amounts are not subtracted.
        estimates: The estimate for each cloud that has list prices, the source first. A side that is a directory, or a
            server of your own, has none.
        as_of: The day when the oldest of the prices was read.
    """

    total: Decimal
    estimates: tuple[CostEstimate, ...]
    as_of: date


def price_of(summary: PlanSummary) -> PlanPrice | None:
    """Return the price of applying a plan; `None`: no side has list prices, or an older version saved the plan."""
    estimates = tuple(
        estimate_work(NAMES[side.vendor], egress=side.egress, requests=side.requests)
        for side in summary.sides
        if side.vendor in NAMES
    )
    if not estimates:
        return None
    total = Decimal(0)
    for one in estimates:
        total = EXACT.add(total, one.total or Decimal(0))
    return PlanPrice(total=total, estimates=estimates, as_of=min(one.as_of for one in estimates))
