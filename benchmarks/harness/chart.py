"""The chart, an SVG made from the results file only: each measurement as a multiple of its target."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from benchmarks.harness.figures import Figure, Measure
from benchmarks.harness.results import RowResult

_LABEL, _SCALE, _VALUE = 380, 420, 170  # widths in pixels: the label, its bar, its figures
_WIDTH = _LABEL + _SCALE + _VALUE
_ROW, _BAR, _TOP = 24, 14, 96
_LONGEST = 2.0  # times the target; a longer bar is cut, and its figure gives the value
_STYLE = """
  .page { fill: #ffffff } text { font: 13px system-ui, sans-serif; fill: #1f2933 }
  .title { font-size: 18px; font-weight: 600 } .note { fill: #616e7c; font-size: 12px }
  .reached { fill: #2a9d5c } .missed { fill: #d9822b } .spread { stroke: #1f2933; stroke-opacity: .55 }
  .goal { stroke: #1f2933; stroke-width: 1.5 } .grid { stroke: #e4e7eb }
  @media (prefers-color-scheme: dark) {
    .page { fill: #14181d } text { fill: #e4e7eb } .note { fill: #9aa5b1 } .grid { stroke: #323f4b }
    .goal, .spread { stroke: #e4e7eb }
  }
"""


def svg(rows: Iterable[RowResult]) -> str:
    """Draw a bar for each target; 1 on the scale is the target, and more is better."""
    rows = list(rows)
    bars = [(row.number, measure) for row in rows for measure in row.measures if measure.target is not None]
    height = _TOP + _ROW * len(bars) + 40
    reached = sum(bool(measure.reached) for _, measure in bars)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    label = f"bucketry: {reached} of {len(bars)} targets reached"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        _text(16, 30, label, "title"),
        _text(16, 52, _machine(rows), "note"),
        *_axis(height),
    ]
    for index, (number, measure) in enumerate(bars):
        parts += _bar(_TOP + _ROW * index, number, measure)
    parts.append(_text(16, height - 14, "Line across a bar: lowest to highest of the runs. Bars are cut at 2.", "note"))
    return "\n".join([*parts, "</svg>", ""])


def _axis(height: int) -> list[str]:
    bottom = height - 36
    parts = []
    for tick in (0.0, 0.5, 1.0, 1.5, 2.0):
        kind = "goal" if tick == 1.0 else "grid"
        parts.append(f'<line class="{kind}" x1="{_x(tick)}" y1="{_TOP - 6}" x2="{_x(tick)}" y2="{bottom}"/>')
        label = "target" if tick == 1.0 else f"{tick:g}×"
        parts.append(f'<text class="note" x="{_x(tick)}" y="{_TOP - 12}" text-anchor="middle">{label}</text>')
    return parts


def _bar(top: int, number: str, measure: Measure) -> list[str]:
    measured = measure.ratio or measure.ours
    low, middle, high = sorted(_attained(measure, value) for value in (measured.low, measured.median, measured.high))
    centre, end = top + _ROW / 2, _x(middle)
    peer = f" / {measure.peer}" if measure.ratio else ""
    kind = "reached" if measure.reached else "missed"
    parts = [
        _text(16, centre + 4, f"{number}  {measure.name}{peer}"),
        f'<rect class="{kind}" x="{_x(0)}" y="{centre - _BAR / 2}" width="{end - _x(0):.1f}" height="{_BAR}" rx="2"/>',
        f'<line class="spread" x1="{_x(low)}" y1="{centre}" x2="{_x(high)}" y2="{centre}"/>',
        _text(_LABEL + _SCALE + 12, centre + 4, _value(measure, measured)),
    ]
    if middle > _LONGEST:  # a gap in the bar shows that it is cut
        parts.append(f'<path class="page" d="M{end - 14} {centre + 8} l5 -16 h4 l-5 16 z"/>')
    return parts


def _attained(measure: Measure, value: float) -> float:
    """Give the result as a multiple of the target; below 1 the target is missed."""
    assert measure.target is not None
    if not measure.at_most:
        return value / measure.target
    return measure.target / value if value > 0 else _LONGEST * 2


def _value(measure: Measure, measured: Figure) -> str:
    unit = "×" if measure.ratio else f" {measure.unit}"
    mark = "✓" if measure.reached else "✗"
    return f"{mark} {measured.median:.3g}{unit} ({'≤' if measure.at_most else '≥'} {measure.target:g})"


def _machine(rows: list[RowResult]) -> str:
    if not rows:
        return ""
    latest = max(rows, key=lambda row: row.measured)
    machine = latest.environment["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {latest.environment['python']}, {latest.measured[:10]}"


def _x(value: float) -> float:
    return round(_LABEL + _SCALE * min(value, _LONGEST) / _LONGEST, 1)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{x}" y="{y}">{escape(text)}</text>'
