"""What a row is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        number: Its name: `"1"`, `"1b"`; or `"4+5"` where one run answers two.
        title: The question.
        measure: Answers it.
        needs: Rows whose samples it reads instead of measuring itself.
    """

    number: str
    title: str
    measure: Callable[[Bench], list[Measure]]
    needs: tuple[str, ...] = ()
