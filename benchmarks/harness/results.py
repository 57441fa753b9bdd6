"""The results file: one entry for each row, replaced when the row is measured again, kept otherwise."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.figures import Measure, Pair
from benchmarks.harness.task import Sample

Series = dict[str, dict[str, list[Pair]]]
"""What was done → peer → pairs."""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """One measured row.

    Attributes:
        number: The row.
        title: The question.
        measured: When, ISO 8601, UTC.
        seconds: How long it took.
        quick: With small sizes, to see that all works.
        load: The machine's load average of a minute before it began.
        environment: On what.
        measures: The answer.
        series: All samples.
    """

    number: str
    title: str
    measured: str
    seconds: float
    quick: bool
    load: float
    environment: dict[str, Any]
    measures: list[Measure]
    series: Series

    def as_json(self) -> dict[str, Any]:
        """Give it for the file."""
        series = {
            work: {
                peer: [[_rounded(asdict(sample)) for sample in pair] for pair in pairs] for peer, pairs in peers.items()
            }
            for work, peers in self.series.items()
        }
        measures = [_rounded(measure.as_json()) for measure in self.measures]
        return {
            "number": self.number,
            "title": self.title,
            "measured": self.measured,
            "seconds": round(self.seconds, 1),
            "quick": self.quick,
            "load": round(self.load, 2),
            "environment": self.environment,
            "measures": measures,
            "series": series,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> RowResult:
        """Read it from the file."""
        series = {
            work: {
                peer: [(Sample(**mine), Sample(**theirs)) for mine, theirs in pairs] for peer, pairs in peers.items()
            }
            for work, peers in entry["series"].items()
        }
        measures = [Measure.from_json(measure) for measure in entry["measures"]]
        return cls(**{**entry, "measures": measures, "series": series})


def load(path: Path) -> dict[str, RowResult]:
    """Read the file; an absent one holds no rows."""
    if not path.exists():
        return {}
    rows = (RowResult.from_json(entry) for entry in json.loads(path.read_text())["rows"])
    return {row.number: row for row in rows}


def save(path: Path, rows: dict[str, RowResult], order: list[str]) -> None:
    """Write the file, the rows in the given order."""
    entries = [rows[number].as_json() for number in order if number in rows]
    text = json.dumps({"schema": 1, "rows": entries}, indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Cut digits that are noise."""
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
