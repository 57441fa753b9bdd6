"""The help of each verb, and the page that is made from it."""

from __future__ import annotations

import argparse
import runpy
import shlex
from pathlib import Path

import pytest

from bucketry._cli.commands import COMMANDS, Command, all_commands
from bucketry._cli.parser import overview_parser, parse, shell_line, verb_parser
from bucketry._cli.verb import load

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 80
EACH = pytest.mark.parametrize("command", [*all_commands()], ids=lambda command: command.name)


def programs(line: str) -> list[list[str]]:
    """Return the words of each program of a shell line, which are separated by `|`."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word in {"|", "&&", ";"}:
            found.append([])
        else:
            found[-1].append(word)
    return found


@EACH
def test_a_verb_has_three_examples_that_parse(command: Command) -> None:
    """Each verb shows at least three command lines; the parser takes them all, and most are of this verb."""
    examples = load(command).EXAMPLES
    assert len(examples) >= 3
    assert len({line for line, _ in examples}) == len(examples)
    used = []
    for line, text in examples:
        ours = [words[1:] for words in programs(shell_line(line)) if words[0] == "bucketry"]
        assert ours, line
        assert text
        assert text[-1] != "."
        used += [parse(words)[0] for words in ours]
    assert used.count(command) > len(used) / 2


@EACH
def test_the_help_of_a_verb_fits(command: Command) -> None:
    """The help of a verb has no line that a terminal of 80 columns breaks, and each option has a text."""
    parser = verb_parser(command, load(command))
    assert [line for line in parser.format_help().splitlines() if len(line) > WIDTH] == []
    assert [action.dest for action in parser._actions if action.help in {None, argparse.SUPPRESS}] == []


@pytest.mark.parametrize("command", [None, *(one for one in COMMANDS if one.verbs)], ids=str)
def test_the_overview_fits(command: Command | None) -> None:
    """The overviews have no line that a terminal of 80 columns breaks, and name every verb."""
    text = overview_parser(command).format_help()
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []
    for one in COMMANDS if command is None else command.verbs:
        assert f"\n  {', '.join(one.words)} " in text


def test_the_texts_of_the_help_are_made_when_it_is_shown() -> None:
    """A parser breaks the lines of its help only for the help, because few runs show it."""
    parser = overview_parser()
    assert parser.description is None
    assert str(parser.format_help()).count(parser.description or "") == 1
    assert "verbs:" in (parser.description or "")


def test_the_page_is_current() -> None:
    """The reference of the command line is what its generator makes of the parsers."""
    generator = runpy.run_path(str(DOCS / "generate_cli.py"))
    written = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == generator["render"](), "run `python docs/generate_cli.py`"
