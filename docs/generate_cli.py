"""Writes `docs/reference/cli.md` from the parsers of the command line: run it after a verb or an option has changed."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from bucketry._cli.commands import COMMANDS, Command
from bucketry._cli.parser import overview_parser, shell_line, verb_parser
from bucketry._cli.verb import load

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEAD = PAGE.with_name("cli-head.txt")
"""What the parsers do not know: written by hand."""


def render() -> str:
    """Give the page's text."""
    common = overview_parser()
    words = [action for action in _actions(common) if action.option_strings and action.dest != "help"]
    shared = {option for action in words for option in action.option_strings} | {"-h", "--help"}
    lines = [HEAD.read_text(encoding="utf-8"), "## Options of every verb", "", *_options(common, words), "## Verbs", ""]
    lines += ["| verb | |", "|---|---|"]
    lines += [f"| {_names(command)} | {_text(command.summary)} |" for command in COMMANDS]
    lines += [""]
    for command in COMMANDS:
        lines += _section(command, shared, "###")
        for inner in command.verbs:
            lines += _section(inner, shared, "####")
    return "\n".join(lines).rstrip() + "\n"


def _section(command: Command, shared: set[str], mark: str) -> list[str]:
    summary = f"{command.summary[0].upper()}{command.summary[1:]}."
    if command.verbs:
        return [f"{mark} `{command.name}`", "", _text(summary), ""]
    verb = load(command)
    parser = verb_parser(command, verb)
    own = [action for action in _actions(parser) if not (shared & set(action.option_strings)) or _replaced(action)]
    title = " ".join([command.name, *(_argument(action) for action in own if not action.option_strings)])
    also = f" Also `{'`, `'.join(command.aliases)}`." if command.aliases else ""
    lines = [f"{mark} `{title}`", "", f"{_text(summary)}{also}", "", *_options(parser, own)]
    lines += ["```console"]
    for line, text in verb.EXAMPLES:
        lines += [f"# {text}", f"$ {shell_line(line)}"]
    return [*lines, "```", ""]


def _replaced(action: argparse.Action) -> bool:
    """Return whether a verb gives an option of every verb another meaning, as `models` does with `--version`."""
    return action.option_strings == ["--version"] and action.nargs != 0


def _names(command: Command) -> str:
    return ", ".join(
        f"[`{word}`](#{_anchor(command)})" if word == command.name else f"`{word}`" for word in command.words
    )


def _anchor(command: Command) -> str:
    if command.verbs:
        return command.name
    parser = verb_parser(command, load(command))
    words = [_argument(action) for action in _actions(parser) if not action.option_strings]
    return re.sub(r"[^\w -]", "", " ".join([command.name, *words]).lower()).replace(" ", "-")


def _argument(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    if action.nargs in {"*", "+"} and "…" not in name and " " not in name:
        name += "…"
    return f"[{name}]" if action.nargs in {"?", "*"} else name


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse has no public list of them


def _options(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> list[str]:
    if not actions:
        return []
    lines = ["| | |", "|---|---|"]
    for action in actions:
        formatter = parser.formatter_class(prog=parser.prog)
        text = _text(formatter._expand_help(action) if action.help else "")  # noqa: SLF001 - no public way
        lines.append(f"| {_written(action)} | {text} |")
    return [*lines, ""]


def _written(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    if action.nargs == 0:
        return ", ".join(f"`{option}`" for option in action.option_strings)
    value = action.metavar or (
        "\\|".join(map(str, action.choices)) if action.choices is not None else action.dest.upper()
    )
    value = f"[{value}]" if action.nargs == "?" else value
    *short, last = sorted(action.option_strings, key=len)
    return ", ".join([*(f"`{option}`" for option in short), f"`{last} {value}`"])


def _text(text: str) -> str:
    """Write a help text as Markdown: URLs, options and stars stay as they are."""
    code = re.sub(r"(?<![\w`])(--[a-z][a-z-]*|[a-z0-9]+://[^\s,;)]+)", r"`\1`", text.replace("|", "\\|"))
    return re.sub(r"(?<![`\w/])\*(?![`\w/])", r"\\*", code)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
