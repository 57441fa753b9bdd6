"""Turns samples into figures: medians, spreads, ratios, and whether a target is reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.harness.task import Sample

Pair = tuple[Sample, Sample]
"""One run of bucketry, and the peer's run after it."""


@dataclass(frozen=True)
class Figure:
    """The median and the spread of some values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Make a figure from at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the report.

    Attributes:
        name: The measured work.
        unit: Of `ours` and `theirs`.
        ours: bucketry's figure.
        peer: The client to compare with; `""`: a fixed limit.
        theirs: The peer's figure.
        ratio: Median and spread of the pairs' ratios, bucketry to peer.
        target: For the ratio, or without a peer for our figure; `None`: for information.
        at_most: Whether the target is an upper limit.
        runs: The number of pairs, or of runs.
    """

    name: str
    unit: str
    ours: Figure
    peer: str = ""
    theirs: Figure | None = None
    ratio: Figure | None = None
    target: float | None = None
    at_most: bool = False
    runs: int

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; `None`: there is none."""
        if self.target is None:
            return None
        value = (self.ratio or self.ours).median
        return value <= self.target if self.at_most else value >= self.target

    def as_json(self) -> dict[str, Any]:
        """Give the measure for the results file."""
        return asdict(self) | {"reached": self.reached}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Measure:
        """Read a measure from the results file."""
        figures = {name: entry[name] and Figure(**entry[name]) for name in ("ours", "theirs", "ratio")}
        return cls(**{name: value for name, value in entry.items() if name != "reached"} | figures)


def compare(
    name: str,
    unit: str,
    peer: str,
    pairs: Sequence[Pair],
    value: Callable[[Sample], float],
    *,
    target: float | None = None,
    at_most: bool = False,
) -> Measure:
    """Compare one value of the samples of bucketry and a peer."""
    ours, theirs = [value(pair[0]) for pair in pairs], [value(pair[1]) for pair in pairs]
    return Measure(
        name=name,
        unit=unit,
        ours=Figure.of(ours),
        peer=peer,
        theirs=Figure.of(theirs),
        ratio=Figure.of([mine / other for mine, other in zip(ours, theirs, strict=True)]),
        target=target,
        at_most=at_most,
        runs=len(pairs),
    )


def limit(name: str, unit: str, values: Sequence[float], *, target: float | None) -> Measure:
    """Compare bucketry's own values with an upper limit."""
    return Measure(name=name, unit=unit, ours=Figure.of(values), target=target, at_most=True, runs=len(values))
