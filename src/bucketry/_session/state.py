"""The state that the providers of one endpoint share in addition to connections."""

from __future__ import annotations

from dataclasses import field

from bucketry._core.frozen import dataclass
from bucketry._core.retry import RetryBudget
from bucketry._wire.clock import Clock


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The clock and the retry budget of one endpoint; several event loops and threads may use them."""

    clock: Clock = field(default_factory=Clock)
    budget: RetryBudget = field(default_factory=RetryBudget)
