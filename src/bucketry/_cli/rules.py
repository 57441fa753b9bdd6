"""What options mean together: checked before a provider is made and before any byte moves."""

from __future__ import annotations

from bucketry._cli.args import ENTRIES, Arguments, UsageError

STREAM = "-"
"""The local path that means standard input or output."""


def check(arguments: Arguments) -> None:
    """Refuse options that contradict each other, or that would do more than was said.

    Raises:
        UsageError: They do; the message says what to write instead.
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
        return "standard input has no name: give its whole key with --remote"
    if len(set(names)) < len(names):
        return "--metadata gives a name twice"
    return None


def _download(arguments: Arguments) -> str | None:
    if not arguments.local:
        return "--local is empty"
    if arguments.local != STREAM:
        return None
    if arguments.no_clobber:
        return "--no-clobber is for files, and standard output is none"
    if not arguments.remote or arguments.remote.endswith("/"):
        return "many objects do not fit standard output: give one key, or a directory with --local"
    if arguments.json:
        return "standard output takes the object's bytes, so --json has no place there"
    return None


def _cat(arguments: Arguments) -> str | None:
    return "writes the object's bytes, so --json has no place there" if arguments.json else None


def _delete(arguments: Arguments) -> str | None:
    wide = arguments.all or arguments.prefix is not None
    if arguments.keys and wide:
        return "give keys, or --prefix, or --all"
    if arguments.keys:
        return None
    return _delete_many(arguments) if wide else "says nothing to delete: give keys, or --prefix P --recursive"


def _delete_many(arguments: Arguments) -> str | None:
    if arguments.all and arguments.prefix:
        return "--all and --prefix contradict each other"
    if arguments.prefix == "" and not arguments.all:
        return "an empty prefix is every object there is; if that is meant, write --all --recursive"
    if arguments.strict:
        return "--strict is for keys; --prefix and --all delete what they find"
    if not arguments.recursive:
        return "would delete every object that matches; if that is meant, add --recursive (list shows them)"
    return None


def _demo(arguments: Arguments) -> str | None:
    for name in ("url", "provider", *ENTRIES):
        if getattr(arguments, name):
            return f"brings its own server: leave --{name.replace('_', '-')} out"
    return None


_RULES = {"upload": _upload, "download": _download, "cat": _cat, "delete": _delete, "demo": _demo}
