"""Writes `docs/reference/json.md` from `docs/reference/json-schemas.json`: run it after a schema has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bucketry._cli.commands import all_commands

REFERENCE = Path(__file__).parent / "reference"
PAGE = REFERENCE / "json.md"
DEFINITIONS: dict[str, Any] = json.loads((REFERENCE / "json-schemas.json").read_text(encoding="utf-8"))["$defs"]
HEAD = REFERENCE / "json-head.txt"
"""What the schemas do not know: written by hand."""


def render() -> str:
    """Give the page's text."""
    lines = [HEAD.read_text(encoding="utf-8"), "## Verbs", ""]
    verbs = [command.name for command in all_commands() if command.name in DEFINITIONS]
    for verb in verbs:
        lines += [f"### `{verb}`", "", *_described(DEFINITIONS[verb])]
    lines += ["## Parts", ""]
    for name in sorted(set(DEFINITIONS) - set(verbs) - {"error"}):
        lines += [f"### {_title(name)}", "", *_described(DEFINITIONS[name])]
    return "\n".join(lines).rstrip() + "\n"


def _described(schema: dict[str, Any]) -> list[str]:
    lines = [schema["description"], ""] if "description" in schema else []
    if "$ref" in schema:
        return [*lines, f"{_link(schema)}.", ""]
    if "anyOf" in schema:
        kinds = [_link(one) if "$ref" in one else f"`null`: {one['description']}" for one in schema["anyOf"]]
        return [*lines, *(f"- {kind}" for kind in kinds), ""]
    lines += ["| field | | |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        text = field.get("description", "")
        if name not in schema["required"]:
            text = f"{text} May be missing.".strip()
        lines.append(f"| `{name}` | {_kind(field)} | {text} |")
    return [*lines, ""]


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return _link(field)
    if "allOf" in field:
        return _kind(field["allOf"][0])
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    kinds = field.get("type", "any")
    words = [_word(kind, field) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return " or ".join(words)


def _word(kind: str, field: dict[str, Any]) -> str:
    if kind == "array":
        return f"list of {_kind(field['items'])}"
    if kind == "object":
        return f"object of {_kind(field['additionalProperties'])}"
    return {"date-time": "time", "date": "day"}.get(field.get("format", ""), kind) if kind == "string" else kind


def _link(schema: dict[str, Any]) -> str:
    title = _title(schema["$ref"].rpartition("/")[2])
    return f"[{title}](#{title.replace(' ', '-')})"


def _title(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
