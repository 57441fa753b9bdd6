"""Draws the comparison of costs as a chart: shapes, and from these an SVG, or with Pillow a PNG.

The SVG needs no library. Pillow was chosen for PNG because it has wheels for every platform and a font of its own:
programs that convert SVG use the system's fonts, and draw no text where there are none.
"""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Literal, TypeAlias

from bucketry._cli.commands import UsageError
from bucketry._cli.costs import shown_total
from bucketry._cost.values import CostEstimate
from bucketry.errors import ConfigError

Kind: TypeAlias = Literal["page", "title", "text", "note", "storage", "egress", "requests"]

_WIDTH, _MARGIN = 760, 20  # pixels
_LABEL, _SCALE = 200, 400  # widths of the labels and of the longest bar
_ROW, _BAR, _LINE = 34, 18, 18  # heights of a vendor's row, of its bar, and of a line of text
_LEGEND = 110  # width of an entry
_TITLE_CHARACTERS, _NOTE_CHARACTERS = 72, 92  # as many as fit into a line, also in a wide font
_PNG_SCALE = 2  # PNG pixels for each of the above, for screens with a high resolution

_PARTS: tuple[tuple[Kind, str, tuple[str, ...]], ...] = (
    ("storage", "storage", ("fee", "storage")),
    ("egress", "egress", ("egress", "retrieval")),
    ("requests", "requests", ("requests",)),
)
_COLOURS: dict[Kind, str] = {
    "page": "#ffffff",
    "title": "#1f2933",
    "text": "#1f2933",
    "note": "#616e7c",
    "storage": "#2b6cb0",
    "egress": "#d9822b",
    "requests": "#2a9d5c",
}
_SIZES: dict[Kind, int] = {"title": 16, "text": 13, "note": 12}
_STYLE = "\n".join(
    [
        "  text { font-family: system-ui, sans-serif }",
        *(
            f"  .{kind} {{ fill: {colour}{f'; font-size: {_SIZES[kind]}px' if kind in _SIZES else ''} }}"
            for kind, colour in _COLOURS.items()
        ),
        "  @media (prefers-color-scheme: dark) {",
        "    .page { fill: #14181d } .title, .text { fill: #e4e7eb } .note { fill: #9aa5b1 }",
        "    .storage { fill: #63a4e8 }",
        "  }",
    ]
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in pixels from the upper left corner."""

    x: float
    y: float
    width: float
    height: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Label:
    """A text; `y` is its base line."""

    x: float
    y: float
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Chart:
    """The shapes of a chart, and its size in pixels."""

    width: int
    height: int
    title: str
    bars: tuple[Bar, ...]
    labels: tuple[Label, ...]


def check_chart(path: str) -> None:
    """Check that a chart can be written to a file, before anything else is done.

    Raises:
        UsageError: The name ends neither in `.svg` nor in `.png`.
        ConfigError: The directory does not exist, or a PNG is wanted and Pillow is not installed.
    """
    if _ending(path) not in {".svg", ".png"}:
        message = f"--chart {path}: give a file name that ends in .svg or .png"
        raise UsageError(message)
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        message = f"--chart {path}: there is no directory {directory}; make it first"
        raise ConfigError(message)
    if os.path.isdir(path):
        message = f"--chart {path}: this is a directory; give the name of a file"
        raise ConfigError(message)
    if _ending(path) == ".png":
        try:
            import PIL  # noqa: F401 - only to see whether it is installed
        except ImportError as error:
            message = '--chart with a PNG needs Pillow: python -m pip install "bucketry[chart]"; or give a .svg file'
            raise ConfigError(message) from error


def draw_chart(title: str, estimates: Sequence[CostEstimate], path: str) -> bytes:
    """Return the bytes of the chart's file, in the format that its name says."""
    chart = layout(title, estimates)
    return as_png(chart) if _ending(path) == ".png" else as_svg(chart).encode()


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def layout(title: str, estimates: Sequence[CostEstimate]) -> Chart:
    """Place a bar for each vendor below each other, with the parts of its total side by side.

    A vendor without a total has a text instead of a bar.
    """
    longest = max((one.total or Decimal(0) for one in estimates), default=Decimal(0))
    labels: list[Label] = []
    bars: list[Bar] = []
    y = 14
    for line in textwrap.wrap(title, _TITLE_CHARACTERS):
        y += _LINE + 4
        labels.append(Label(_MARGIN, y, line, "title"))
    y += _LINE + 14
    billed = {item.what for one in estimates for item in one.items if item.amount}
    for index, (kind, name, _) in enumerate(part for part in _PARTS if billed & set(part[2])):
        x = _MARGIN + _LABEL + _LEGEND * index
        bars.append(Bar(x, y - 11, 12, 12, kind))
        labels.append(Label(x + 18, y, name, "note"))
    y += 16
    for one in estimates:
        middle = y + _ROW // 2
        labels.append(Label(_MARGIN, middle + 4, one.title, "text"))
        start = float(_MARGIN + _LABEL)
        if one.total is not None and longest:
            for kind, _, items in _PARTS:
                amount = sum((item.amount or Decimal(0) for item in one.items if item.what in items), Decimal(0))
                width = round(float(amount / longest) * _SCALE, 1)
                if width:
                    bars.append(Bar(start, middle - _BAR // 2, width, _BAR, kind))
                start += width
            start += 8
        labels.append(Label(round(start, 1), middle + 4, shown_total(one), "text" if one.total is not None else "note"))
        y += _ROW
    y += 6
    for line in _foot(estimates):
        y += _LINE
        labels.append(Label(_MARGIN, y, line, "note"))
    return Chart(_WIDTH, y + 18, title, tuple(bars), tuple(labels))


def _foot(estimates: Sequence[CostEstimate]) -> list[str]:
    days = sorted({one.as_of for one in estimates})
    read = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    common = [text for text in estimates[0].leaves_out if all(text in one.leaves_out for one in estimates)]
    texts = [f"US dollars a month by list prices, as of {read}.", f"Not in the figures: {'; '.join(common)}."]
    return [line for text in texts for line in textwrap.wrap(text, _NOTE_CHARACTERS)]


def as_svg(chart: Chart) -> str:
    """Return the chart as an SVG, which adapts to a dark page."""
    size = f'viewBox="0 0 {chart.width} {chart.height}" width="{chart.width}" height="{chart.height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(chart.title)}">',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="page" width="{chart.width}" height="{chart.height}"/>',
    ]
    parts += [
        f'<rect class="{bar.kind}" x="{bar.x}" y="{bar.y}" width="{bar.width}" height="{bar.height}"/>'
        for bar in chart.bars
    ]
    parts += [
        f'<text class="{label.kind}" x="{label.x}" y="{label.y}">{escape(label.text)}</text>' for label in chart.labels
    ]
    return "\n".join([*parts, "</svg>", ""])


def as_png(chart: Chart) -> bytes:
    """Return the chart as a PNG; needs Pillow."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (chart.width * _PNG_SCALE, chart.height * _PNG_SCALE), _COLOURS["page"])
    draw = ImageDraw.Draw(image)
    for bar in chart.bars:
        right, bottom = bar.x + bar.width, bar.y + bar.height
        corners = [round(place * _PNG_SCALE) for place in (bar.x, bar.y, right, bottom)]
        # Pillow paints the last column and row, too.
        draw.rectangle((corners[0], corners[1], corners[2] - 1, corners[3] - 1), fill=_COLOURS[bar.kind])
    for label in chart.labels:
        font = ImageFont.load_default(_SIZES[label.kind] * _PNG_SCALE)
        place = (label.x * _PNG_SCALE, label.y * _PNG_SCALE)
        draw.text(place, label.text, fill=_COLOURS[label.kind], font=font, anchor="ls")
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
