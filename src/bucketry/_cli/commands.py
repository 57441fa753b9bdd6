"""The verbs of the command line: names, aliases and summaries. A verb's code is the module `verbs/<name>.py`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from bucketry._core.entries import nearest
from bucketry.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from bucketry._cli.args import Arguments
    from bucketry._cli.output import Output
    from bucketry._cli.place import Places


class UsageError(ConfigError):
    """The command line is wrong; nothing was done."""


@dataclass(frozen=True, slots=True)
class Command:
    """A verb.

    Attributes:
        name: The verb, and the name of its module.
        summary: One line for the overview.
        aliases: Other names that users know from other programs.
    """

    name: str
    summary: str
    aliases: tuple[str, ...] = ()

    def load(self) -> Verb:
        """Import the verb's module."""
        return cast("Verb", import_module(f"bucketry._cli.verbs.{self.name}"))


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


COMMANDS = (
    Command("list", "list objects in the order of their keys", ("ls",)),
    Command("upload", "upload a file, a directory or standard input"),
    Command("download", "download an object, or all objects below a prefix"),
    Command("info", "show the properties of an object, or of the provider", ("stat",)),
    Command("delete", "delete objects; a missing object is an error only with --strict", ("rm",)),
    Command("cat", "write an object's bytes to standard output"),
    Command("demo", "start an S3 server on this machine, move files to it and back, and compare them"),
)
"""All verbs, in the order of the help."""


def find_command(word: str) -> Command:
    """Return the command with this name or alias.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    for command in COMMANDS:
        if word == command.name or word in command.aliases:
            return command
    names = tuple(name for command in COMMANDS for name in (command.name, *command.aliases))
    message = f"unknown verb {word!r}; {nearest(word, names)}; see `bucketry --help`"
    raise UsageError(message)
