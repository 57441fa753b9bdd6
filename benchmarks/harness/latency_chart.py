"""The chart of the rows that measure how long one job takes: an SVG of all clients' times, made from the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.harness.figures import Figure, Measure
from benchmarks.harness.results import RowResult

ROWS = ("13", "14")
"""The rows that it draws: all their measures have the unit `ms`."""

_NAME, _SCALE, _VALUE = 130, 480, 150  # widths in pixels: the client, its bar, its time
_WIDTH = _NAME + _SCALE + _VALUE
_TOP, _TITLE, _ROW, _BAR = 78, 34, 20, 12
_STYLE = """
  .page { fill: #ffffff } text { font: 13px system-ui, sans-serif; fill: #1f2933 }
  .title { font-size: 18px; font-weight: 600 } .work { font-weight: 600 } .note { fill: #616e7c; font-size: 12px }
  .ours { fill: #2a9d5c } .missed { fill: #d9822b } .peer { fill: #9aa5b1 }
  .spread { stroke: #1f2933; stroke-opacity: .55 } .goal { stroke: #1f2933; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #14181d } text { fill: #e4e7eb } .note { fill: #9aa5b1 } .peer { fill: #52606d }
    .goal, .spread { stroke: #e4e7eb }
  }
"""


@dataclass(frozen=True)
class _Work:
    """The clients' times for one kind of work, in milliseconds.

    Attributes:
        name: The work.
        ours: bucketry's, measured beside the peer with the target.
        peers: Those of the peers, by name.
        limit: What bucketry's may be; `None`: there is no target.
        missed: Whether the ratio of the pairs is above the target.
    """

    name: str
    ours: Figure
    peers: dict[str, Figure]
    limit: float | None
    missed: bool


def latency_svg(rows: Iterable[RowResult]) -> str:
    """Draw the times of all clients for each kind of work; each kind has a scale of its own."""
    works = [work for row in rows if row.number in ROWS for work in _works(row.measures)]
    height = _TOP + sum(_TITLE + _ROW * (1 + len(work.peers)) for work in works) + 34
    label = "Time of one job, less is better"
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        _text(16, 30, label, "title"),
        _text(16, 52, "Medians, each kind of work on its own scale, which ends at the slowest client.", "note"),
    ]
    top = float(_TOP)
    for work in works:
        parts += _group(top, work)
        top += _TITLE + _ROW * (1 + len(work.peers))
    note = "Thin line: lowest to highest of the runs. Upright line: what bucketry may take; orange: it takes more."
    parts.append(_text(16, height - 12, note, "note"))
    return "\n".join([*parts, "</svg>", ""])


def _works(measures: Sequence[Measure]) -> Iterator[_Work]:
    for name in dict.fromkeys(measure.name for measure in measures):
        found = [measure for measure in measures if measure.name == name and measure.theirs is not None]
        if not found:
            continue
        first = next((measure for measure in found if measure.target is not None), found[0])
        assert first.theirs is not None
        limit = first.theirs.median * first.target if first.target is not None else None
        peers = {measure.peer: measure.theirs for measure in found if measure.theirs is not None}
        yield _Work(name, first.ours, peers, limit, first.reached is False)


def _group(top: float, work: _Work) -> Iterator[str]:
    longest = max(figure.high for figure in (work.ours, *work.peers.values()))
    yield _text(16, top + 22, work.name, "work")
    bars = [
        ("bucketry", work.ours, "missed" if work.missed else "ours"),
        *((peer, figure, "peer") for peer, figure in work.peers.items()),
    ]
    for index, (client, figure, colour) in enumerate(bars):
        centre = top + _TITLE + _ROW * index + _ROW / 2 - 4
        end, low, high = (_x(value, longest) for value in (figure.median, figure.low, figure.high))
        yield _text(28, centre + 4, client)
        yield (
            f'<rect class="{colour}" x="{_NAME}" y="{centre - _BAR / 2}" width="{end - _NAME:.1f}" '
            f'height="{_BAR}" rx="2"/>'
        )
        yield f'<line class="spread" x1="{low}" y1="{centre}" x2="{high}" y2="{centre}"/>'
        if client == "bucketry" and work.limit is not None and work.limit <= longest:
            x = _x(work.limit, longest)
            yield f'<line class="goal" x1="{x}" y1="{centre - 9}" x2="{x}" y2="{centre + 9}"/>'
        yield _text(_NAME + _SCALE + 10, centre + 4, _time(figure.median))


def _time(milliseconds: float) -> str:
    return f"{milliseconds / 1e3:.2f} s" if milliseconds >= 1_000 else f"{milliseconds:.0f} ms"


def _x(value: float, longest: float) -> float:
    return round(_NAME + _SCALE * value / longest, 1)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{x}" y="{y}">{escape(text)}</text>'
