"""The Markdown table, made from the results file only."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.harness.figures import Figure, Measure
from benchmarks.harness.results import RowResult

_HEAD = """# Results

Made by `python -m benchmarks report` from `latest.json`, which holds every sample.
Each figure is a median, with the lowest and highest of the runs behind it. A ratio is bucketry's figure divided by the
peer's of the same pair of runs, one directly after the other; an absolute figure means little on another machine.
Rows without a target are for information.
"""


def markdown(rows: Iterable[RowResult]) -> str:
    """Give the report."""
    rows = list(rows)
    blocks = [_HEAD]
    blocks += ["\n".join(_row(row)) for row in rows]
    blocks.append("\n".join(_environments(rows)))
    return "\n".join(blocks) + "\n"


def summary(row: RowResult) -> str:
    """Give one row for a terminal."""
    lines = []
    for measure in row.measures:
        against = f"{measure.peer}: {_short(measure.theirs)}" if measure.theirs else ""
        ratio = f"ratio {_short(measure.ratio)}" if measure.ratio else ""
        head = f"{measure.name} [{measure.unit}]: {_short(measure.ours)}"
        lines.append("  ".join(filter(None, ("", head, against, ratio, _target(measure), _mark(measure)))))
    return "\n".join(lines)


def _row(row: RowResult) -> list[str]:
    lines = [f"## {row.number}: {row.title}", ""]
    lines += ["| work | bucketry | peer | ratio | target | reached |", "|---|--:|--:|--:|--:|---|"]
    for measure in row.measures:
        theirs = f"{measure.peer} {_figure(measure.theirs)}" if measure.theirs else ""
        cells = [
            f"{measure.name}, {measure.unit}",
            _figure(measure.ours),
            theirs,
            _figure(measure.ratio),
            _target(measure),
            _mark(measure),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    runs = sorted({measure.runs for measure in row.measures})
    counted = f"{runs[0]} to {runs[-1]}" if len(runs) > 1 else str(runs[0])
    when = row.measured[:16].replace("T", " ")
    quick = " Quick mode: sizes are smaller than the names say." if row.quick else ""
    lines += ["", f"Measured {when} UTC, {counted} runs, load {row.load:.2f} before them.{quick}", ""]
    return lines


def _environments(rows: list[RowResult]) -> list[str]:
    """Describe the environment of the rows; once, if it is the same for all."""
    lines = ["## Measured on", ""]
    told: list[tuple[dict[str, object], list[str]]] = []
    for row in rows:
        same = next((numbers for known, numbers in told if known == row.environment), None)
        if same is None:
            told.append((row.environment, [row.number]))
        else:
            same.append(row.number)
    for environment, numbers in told:
        machine, versions = environment["machine"], environment["versions"]
        assert isinstance(machine, dict)
        assert isinstance(versions, dict)
        which = f"Rows {', '.join(numbers)}: " if len(told) > 1 else ""
        libraries = ", ".join(f"{name} {found}" for name, found in versions.items())
        server = f'; bucketry with `server="{environment["server"]}"`' if "server" in environment else ""
        lines.append(
            f"- {which}{machine['cpu']}, {machine['cores']} cores, {machine['memory_GiB']} GiB, {machine['system']}; "
            f"{environment['python']}, {environment['openssl']}; {libraries}{server}"
        )
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _figure(figure: Figure | None) -> str:
    return f"**{_number(figure.median)}** ({_number(figure.low)} – {_number(figure.high)})" if figure else ""


def _short(figure: Figure | None) -> str:
    return f"{_number(figure.median)} ({_number(figure.low)}–{_number(figure.high)})" if figure else ""


def _target(measure: Measure) -> str:
    if measure.target is None:
        return ""
    unit = "×" if measure.ratio else f" {measure.unit}"
    return f"{'≤' if measure.at_most else '≥'} {measure.target:g}{unit}"


def _mark(measure: Measure) -> str:
    return {True: "yes", False: "**no**", None: ""}[measure.reached]
