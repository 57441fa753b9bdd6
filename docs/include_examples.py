"""Keep the code on the pages the same as in docs/examples, where it runs: `python docs/include_examples.py`.

A page names sections in a comment before a block, `<!-- examples: quickstart.py:main -->`; the block
is then filled with them, so that a page can be read as it is, and is still never wrong.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

DOCS = Path(__file__).parent
BLOCK = re.compile(
    r"^(?P<indent> *)<!-- examples: (?P<names>[^>]+) -->\n(?P=indent)```python\n.*?^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
DEFINITION = re.compile(r"(?:async )?def |class |@")
GAP, SPACE = "\n\n\n", "\n\n"
SECTION = re.compile(r"^# --8<-- \[start:([\w-]+)\]\n(.*?)^# --8<-- \[end:\1\]$", re.MULTILINE | re.DOTALL)


def sections(example: Path) -> dict[str, str]:
    """Give the marked sections of an example."""
    return {name: text.strip("\n") for name, text in SECTION.findall(example.read_text(encoding="utf-8"))}


def render(page: str) -> str:
    """Give a page with its blocks filled."""

    def fill(match: re.Match[str]) -> str:
        names = [name.split(":") for name in match["names"].split()]
        pieces = [sections(DOCS / "examples" / file)[section] for file, section in names]
        code = pieces[0] + "".join(f"{GAP if DEFINITION.match(piece) else SPACE}{piece}" for piece in pieces[1:])
        block = f"<!-- examples: {match['names']} -->\n```python\n{code}\n```"
        return textwrap.indent(block, match["indent"])

    return BLOCK.sub(fill, page)


def main() -> None:
    """Rewrite every page."""
    for path in sorted(DOCS.rglob("*.md")):
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
