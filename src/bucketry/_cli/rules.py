"""Checks options that depend on each other, before a provider is made and before any byte moves."""

from __future__ import annotations

from bucketry._cli.args import ENTRIES, Arguments, UsageError

STREAM = "-"
"""The local path for standard input or output."""


def check(arguments: Arguments) -> None:
    """Raise an error for options that contradict each other, or that could delete more than the user meant.

    Raises:
        UsageError: The options are refused; the message says what to write instead.
    """
    rule = _RULES.get(arguments.command)
    problem = rule(arguments) if rule else None
    if problem:
        text = f"{arguments.command}: {problem}"
        raise UsageError(text)


def _upload(arguments: Arguments) -> str | None:
    names = [name for name, _ in arguments.metadata]
    if not arguments.local:
        return "--local is empty"
    if arguments.local == STREAM and (not arguments.remote or arguments.remote.endswith("/")):
        return "standard input has no name: give the complete key with --remote"
    if len(set(names)) < len(names):
        return "--metadata gives a name twice"
    return None


def _download(arguments: Arguments) -> str | None:
    if not arguments.local:
        return "--local is empty"
    if arguments.local != STREAM:
        return None
    if arguments.no_clobber:
        return "--no-clobber is for files, and standard output is not a file"
    if not arguments.remote or arguments.remote.endswith("/"):
        return "standard output takes one object only: give one key, or a directory with --local"
    if arguments.json:
        return "standard output takes the object's bytes, so --json cannot be used"
    return None


def _cat(arguments: Arguments) -> str | None:
    return "writes the object's bytes to standard output, so --json cannot be used" if arguments.json else None


def _delete(arguments: Arguments) -> str | None:
    wide = arguments.all or arguments.prefix is not None
    if arguments.keys and wide:
        return "give keys, or --prefix, or --all"
    if arguments.keys:
        return None
    return _delete_many(arguments) if wide else "needs keys to delete: give keys, or --prefix P --recursive"


def _delete_many(arguments: Arguments) -> str | None:
    if arguments.all and arguments.prefix:
        return "--all and --prefix contradict each other"
    if arguments.prefix == "" and not arguments.all:
        return "an empty prefix selects all objects; to delete them all, write --all --recursive"
    if arguments.strict:
        return "--strict works with keys only, not with --prefix or --all"
    if not arguments.recursive:
        return "would delete all matching objects (see them with list); to delete them, add --recursive"
    return None


def _demo(arguments: Arguments) -> str | None:
    for name in ("url", "provider", *ENTRIES):
        if getattr(arguments, name):
            return f"starts its own server: leave out --{name.replace('_', '-')}"
    return None


_RULES = {"upload": _upload, "download": _download, "cat": _cat, "delete": _delete, "demo": _demo}
