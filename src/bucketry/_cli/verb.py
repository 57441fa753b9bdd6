"""What the module of a verb has, and how it is loaded: only when the verb is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from bucketry._cli.commands import Command

if TYPE_CHECKING:
    import argparse

    from bucketry._cli.args import Arguments
    from bucketry._cli.output import Output
    from bucketry._cli.place import Places


class Verb(Protocol):
    """The module of a verb."""

    Options: type[Arguments]
    """The verb's options with their defaults; a subclass of `Arguments`."""
    EXAMPLES: tuple[tuple[str, str], ...]
    """Command lines for the help, each with what it does: `(("list --prefix run-1/", "one run"), …)`."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's own options and positional arguments to its parser."""

    async def run(self, options: Any, places: Places, output: Output) -> int:  # noqa: ANN401 - an `Options`
        """Check the options, then do the work; return the exit code.

        Raises:
            UsageError: Options contradict each other, or could do more than the user meant. Nothing was done.
        """


def load(command: Command) -> Verb:
    """Import the module of a verb that does the work itself."""
    return cast("Verb", import_module(f"bucketry._cli.verbs.{command.name.replace(' ', '.')}"))
