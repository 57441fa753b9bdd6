"""The verbs of the command line: names, aliases and summaries.

A verb's code is the module `verbs/<name>.py`. A verb such as `models` has verbs of its own; the code of `models backup`
is the module `verbs/models/backup.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bucketry.errors import ConfigError


class UsageError(ConfigError):
    """The command line is wrong; nothing was done."""


class Command(NamedTuple):
    """A verb; a named tuple, because the module for dataclasses takes longer to load than all of `--help`.

    Attributes:
        name: The verb as users write it, such as `list` or `models backup`; its words are also the path of its module.
        summary: One line for the overview.
        aliases: Other names that users know from other programs; one word each.
        verbs: The verbs that follow this one, such as `models backup`; empty: this verb does the work itself.
    """

    name: str
    summary: str
    aliases: tuple[str, ...] = ()
    verbs: tuple[Command, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The last word of the name, and the aliases."""
        return (self.name.rpartition(" ")[2], *self.aliases)


COMMANDS = (
    Command("list", "list objects in the order of their keys", ("ls",)),
    Command("upload", "upload a file, a directory or standard input"),
    Command("download", "download an object, or all objects below a prefix"),
    Command("sync", "make a directory and a prefix equal, or two prefixes; only what differs is sent"),
    Command("copy", "copy files and objects: to a store, from a store, or between stores", ("cp",)),
    Command("move", "move files and objects: copy each, check the copy, then delete the source", ("mv",)),
    Command("info", "show the properties of an object, or of the provider", ("stat",)),
    Command("delete", "delete objects; a missing object is an error only with --strict", ("rm",)),
    Command("cat", "write the bytes of objects to standard output"),
    Command("head", "show the headers of an object, with one HEAD request (for its first bytes: cat --range 0-99)"),
    Command("du", "add up bytes and objects by directory and by storage class"),
    Command("presign", "make a URL that works without credentials for a time"),
    Command(
        "uploads",
        "list or abort multipart uploads that were not completed; their parts are billed",
        verbs=(
            Command("uploads list", "list open multipart uploads of this machine, or all", ("ls",)),
            Command("uploads abort", "abort open multipart uploads, and delete their parts"),
        ),
    ),
    Command(
        "datasets",
        "keep directories of files as datasets: list, upload, download, ensure, info, delete",
        verbs=(
            Command("datasets list", "list the datasets", ("ls",)),
            Command("datasets upload", "upload a directory as a dataset; files that are stored already are not sent"),
            Command("datasets download", "download a dataset, and check every local file by its bytes"),
            Command("datasets ensure", "bring a directory in step with a dataset; quick if there is nothing to do"),
            Command("datasets info", "show the files, the time and the metadata of a dataset"),
            Command("datasets delete", "delete a dataset", ("rm",)),
        ),
    ),
    Command(
        "models",
        "keep models as versions that never change: list, versions, info, backup, restore, verify, tag, prune",
        verbs=(
            Command("models list", "list the models", ("ls",)),
            Command("models versions", "list the versions of a model, oldest first"),
            Command("models info", "show a version of a model, and its files"),
            Command("models backup", "store a file or a directory as a new version of a model"),
            Command("models restore", "restore a version of a model to a file or a directory"),
            Command("models verify", "check that every file of a version is stored undamaged"),
            Command("models tag", "let a tag, such as prod, name a version; a tagged version is never pruned"),
            Command("models untag", "remove a tag; its version stays until it is pruned"),
            Command("models prune", "delete old versions of a model, and files that no version needs any more"),
        ),
    ),
    Command("cost", "compare what the vendors bill a month, for given numbers or for the objects of a bucket"),
    Command("doctor", "examine a provider: configuration, network, access, and what its server really does"),
    Command("completion", "print the script that lets bash, zsh or fish complete words, also keys"),
    Command("demo", "start an S3 server on this machine, move files to it and back, and compare them"),
)
"""All verbs, in the order of the help."""


def find_command(word: str, *, of: Command | None = None) -> Command:
    """Return the command with this name or alias.

    Args:
        word: The word.
        of: Search among the verbs of this verb; `None`: among all that can come first.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    commands, program = (COMMANDS, "bucketry") if of is None else (of.verbs, f"bucketry {of.name}")
    for command in commands:
        if word in command.words:
            return command
    from bucketry._cli.habits import instead_of_verb  # here, because they are needed for errors only
    from bucketry._core.entries import CLOSE, nearest

    names = tuple(name for command in commands for name in command.words)
    hint = instead_of_verb(word, "" if of is None else of.name) or nearest(word, names, cutoff=CLOSE)
    message = f"unknown verb {word!r}{'' if of is None else f' of {of.name}'}; {hint}"
    raise UsageError(f"{message}; see `{program} --help`")


def all_commands() -> Iterator[Command]:
    """Yield the verbs that do work, in the order of the help: `models backup`, not `models`."""
    for command in COMMANDS:
        yield from command.verbs or (command,)
