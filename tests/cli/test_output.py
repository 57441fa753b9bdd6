"""Texts for terminals: widths, cuts, tables and colours."""

from __future__ import annotations

import io

import pytest

from bucketry._cli.output import Output
from bucketry._cli.terminal import columns, cut, padded, styled, width_of

CHINESE = "数据/训练.bin"
FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}"


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("plain", 5),
        ("größe", 5),
        ("gro\N{COMBINING DIAERESIS}sse", 6),
        (CHINESE, 13),
        ("\N{ROCKET}", 2),
        ("\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}", 2),
        (FAMILY, 2),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}", 2),
        ("한글", 4),
    ],
)
def test_the_width_of_a_text(text: str, width: int) -> None:
    """Wide characters take two columns, combining ones none."""
    assert width_of(text) == width


@pytest.mark.parametrize("text", ["a" * 50, "数" * 30, "e\N{COMBINING ACUTE ACCENT}" * 40, f"{FAMILY}x" * 20])
@pytest.mark.parametrize("width", [12, 13, 20, 31])
def test_a_cut_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    """A text is cut in its middle to the width, and no character loses its accent."""
    short = cut(text, width)
    assert width - 4 < width_of(short) <= width
    head, tail = short.split("…")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert not tail.startswith("\N{COMBINING ACUTE ACCENT}")


def test_a_text_that_fits_is_not_cut() -> None:
    """A text is cut only if it is too wide, and never to less than 12 columns."""
    assert cut("exactly ten", 11) == "exactly ten"
    assert cut("a" * 12, 3) == "a" * 12
    assert width_of(cut("a" * 13, -5)) == 12


def test_blanks_fill_columns() -> None:
    """Blanks are counted in columns, not in characters."""
    assert padded("数", 4) == "数  "
    assert padded("数", 4, right=True) == "  数"


def test_a_table_aligns_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """The second column begins at the same place in each row; the end of a row has no blanks."""
    Output(as_json=False, debug=False).table([(CHINESE, "1", ""), ("a", "20", "")], right=(1,))
    assert capsys.readouterr().out == f"{CHINESE}   1\n{'a':13}  20\n"


def test_a_table_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows are no lines."""
    Output(as_json=False, debug=False).table([], shorten=0)
    assert capsys.readouterr().out == ""


def test_nothing_is_cut_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets whole keys."""
    output = Output(as_json=False, debug=False)
    output.table([("k" * 500, "x")], shorten=0)
    output.row("begin ", "k" * 500)
    assert capsys.readouterr().out == f"{'k' * 500}  x\nbegin {'k' * 500}\n"


def test_what_is_no_terminal_has_no_width_and_no_colour() -> None:
    """A file, a closed stream and a missing one are no terminals."""
    closed = io.StringIO()
    closed.close()
    for stream in (io.StringIO(), closed, None):
        assert columns(stream) is None
        assert styled("text", "red", stream) == "text"
