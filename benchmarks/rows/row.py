"""The type of a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure


@dataclass(frozen=True)
class Row:
    """One question that the benchmarks answer.

    Attributes:
        number: The row's name: `"1"`, `"1b"`; or `"4+5"` if one run answers two questions.
        title: The question.
        measure: The function that measures it.
        needs: Rows whose samples it reads, instead of its own measurement.
    """

    number: str
    title: str
    measure: Callable[[Bench], list[Measure]]
    needs: tuple[str, ...] = ()
