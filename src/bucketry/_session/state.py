"""The state that the providers of one endpoint share in addition to connections."""

from __future__ import annotations

from dataclasses import field

from bucketry._core.frozen import dataclass
from bucketry._core.hedging import HedgingPolicy
from bucketry._core.retry import RetryBudget
from bucketry._runtime.gate import Gates
from bucketry._runtime.loop_local import LoopLocal
from bucketry._wire.clock import Clock


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What several event loops and threads may use: the clock, the retry budget, and what each loop has of its own."""

    clock: Clock = field(default_factory=Clock)
    budget: RetryBudget = field(default_factory=RetryBudget)
    gates: LoopLocal[Gates] = field(default_factory=lambda: LoopLocal(Gates.new))
    hedging: LoopLocal[HedgingPolicy] = field(default_factory=lambda: LoopLocal(HedgingPolicy))
