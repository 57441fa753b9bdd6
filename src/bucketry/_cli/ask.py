"""Asks the user a question on the terminal."""

from __future__ import annotations

import sys
from contextlib import aclosing

from bucketry._cli.commands import UsageError
from bucketry._cli.output import Output
from bucketry._cli.streams import read_stdin
from bucketry._cli.terminal import filled


def can_ask() -> bool:
    """Return whether there is a terminal to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def confirmed(question: str, output: Output, *, yes: bool) -> bool:
    """Return whether the user agrees.

    Args:
        question: What would be done, without a question mark: `"delete 12 objects below s3://bucket/run-1/"`.
        output: The command's output.
        yes: The user has agreed already, with `--yes`.

    Raises:
        UsageError: There is no terminal to ask on.
    """
    if yes:
        return True
    if not can_ask():
        message = f"would {question}; there is no terminal to ask on: to agree, add --yes"
        raise UsageError(message)
    output.ask(f"{filled(f'{question}? [y/N]', sys.stderr)} ")
    answer = b""
    output.asking = True
    async with aclosing(read_stdin()) as chunks:
        async for chunk in chunks:
            answer += chunk
            if b"\n" in answer:
                break
    output.asking = False
    return answer.strip().lower() in {b"y", b"yes"}
