"""The results file: one entry for each row, which is replaced when the row is measured again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.figures import Measure, Pair
from benchmarks.harness.task import Sample

Series = dict[str, dict[str, list[Pair]]]
"""Name of the work → peer → pairs."""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """One measured row.

    Attributes:
        number: The row's name.
        title: The row's question.
        measured: The time, ISO 8601, UTC.
        seconds: The duration of the measurement.
        quick: Whether sizes were small, only to check that everything works.
        load: The machine's load average over the minute before the start.
        environment: Machine and versions.
        measures: The figures.
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
        """Give the result for the file."""
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
        """Read a result from the file."""
        series = {
            work: {
                peer: [(Sample(**mine), Sample(**theirs)) for mine, theirs in pairs] for peer, pairs in peers.items()
            }
            for work, peers in entry["series"].items()
        }
        measures = [Measure.from_json(measure) for measure in entry["measures"]]
        return cls(**{**entry, "measures": measures, "series": series})


def load(path: Path) -> dict[str, RowResult]:
    """Read the file; a missing file has no rows."""
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
    """Remove digits below the precision of the measurement."""
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
