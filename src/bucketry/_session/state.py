"""What was learned about an endpoint, and what its users share beside connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from bucketry._core.retry import RetryBudget
from bucketry._wire.clock import Clock


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The clock and the retry budget of one endpoint. Event loops and threads may share both: they only count."""

    clock: Clock = field(default_factory=Clock)
    budget: RetryBudget = field(default_factory=RetryBudget)
