"""The two words of `upload` and `download`, LOCAL and REMOTE, which are positionals or options."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError


class TwoWords(Arguments):
    """The words as they were given."""

    local_word: str | None = None
    remote_word: str | None = None
    local: str | None = None
    remote: str | None = None
    recursive: bool = False


def add_local(parser: argparse.ArgumentParser, text: str) -> None:
    """Add LOCAL, `--local`, and the `--recursive` that users of `copy` are used to."""
    parser.add_argument("local_word", nargs="?", metavar="LOCAL", help=text)
    parser.add_argument("--local", metavar="L", help="the same as LOCAL")
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="not needed: a directory or prefix is always sent as a whole"
    )


def add_remote(parser: argparse.ArgumentParser, text: str) -> None:
    """Add REMOTE and `--remote`."""
    parser.add_argument("remote_word", nargs="?", metavar="REMOTE", help=text)
    parser.add_argument("--remote", metavar="R", help="the same as REMOTE")


def two_words(options: TwoWords) -> tuple[str | None, str | None]:
    """Return LOCAL and REMOTE; `None`: it is not given.

    Raises:
        UsageError: There are both forms, so it is not clear which word is meant for what.
    """
    by_place = options.local_word is not None or options.remote_word is not None
    if by_place and (options.local is not None or options.remote is not None):
        message = "give LOCAL and REMOTE either as words or with --local and --remote, not both"
        raise UsageError(message)
    if by_place:
        return options.local_word, options.remote_word
    return options.local, options.remote
