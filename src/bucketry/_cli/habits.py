"""What there is instead of verbs and options that users know from aws, rclone, s5cmd and the shell's own programs."""

from __future__ import annotations

from collections.abc import Collection

_NO_BUCKETS = "buckets are made and deleted with the vendor's own program or console"
_PROGRESS = "progress is shown on a terminal only; transfers hide it with --quiet"
_QUIET = "results go to standard output, so write > /dev/null; errors are still shown"

_VERBS = {
    "mb": _NO_BUCKETS,
    "rb": _NO_BUCKETS,
    "mkdir": "a bucket needs no directories: they exist as soon as a key has them",
    "rmdir": "a bucket has no empty directories; to delete what is in one, write delete -r",
    "purge": "write delete -r",
    "deletefile": "write delete",
    "copyto": "write copy",
    "moveto": "write move",
    "lsd": "write list",
    "lsf": "write list",
    "lsl": "write list -l",
    "lsjson": "write list --json",
    "size": "write du --depth 0",
    "ncdu": "write du",
    "check": "write sync --dry-run",
    "rcat": "write upload - KEY",
    "pipe": "write upload - KEY",
    "link": "write presign",
    "put": "write upload",
    "get": "write download",
    "config": "places are written in the configuration file, ~/.config/bucketry/config.toml",
}
_PRUNE = (
    "a version is deleted by models prune NAME --keep N, which keeps the newest N and all that have a tag; "
    "to let it delete a version with a tag, remove the tag first with models untag"
)
_VERBS_OF = {("models", "delete"): _PRUNE, ("models", "rm"): _PRUNE, ("models", "remove"): _PRUNE}
_OPTIONS = {
    "--acl": "there are no options for access lists; set access by the bucket's policy",
    "--quiet": _QUIET,
    "--only-show-errors": _QUIET,
    "--progress": _PROGRESS,
    "--no-progress": _PROGRESS,
    "--show-progress": _PROGRESS,
    "--human-readable": "sizes are shown in units already (exact ones: --bytes)",
    "--summarize": "sums are shown already",
    "--force": "with --yes, nothing is asked",
    "--verbose": "--debug logs each request",
    "--no-sign-request": "write --anonymous",
    "--transfers": "write --concurrency",
    "--numworkers": "write --concurrency",
}
_LETTERS = {
    "H": "sizes are shown in units already; exact ones: --bytes",
    "P": _PROGRESS,
    "R": "write -r",
    "a": "nothing is hidden",
    "f": "with --yes, nothing is asked",
    "h": "-h shows the help, and is written alone; sizes are shown in units already",
    "i": "write --dry-run to see first what would be done",
    "n": "write --dry-run; or --no-clobber, to keep what is there",
    "q": _QUIET,
    "v": "--debug logs each request",
}


def instead_of_verb(word: str, of: str = "") -> str:
    """Return what to write instead of a verb of another program; empty: it is not known.

    Args:
        word: The verb.
        of: The verb before it, such as `models`; empty: there is none.
    """
    return _VERBS_OF.get((of, word), "") if of else _VERBS.get(word, "")


def instead_of_option(option: str) -> str:
    """Return what to write instead of an option of another program; empty: it is not known."""
    return _OPTIONS.get(option, "")


def wrong_letters(word: str, known: Collection[str]) -> str:
    """Return what is wrong with a word of short options, such as `-rf`; empty: nothing is.

    Args:
        word: A dash and letters.
        known: The letters of the verb's short options.
    """
    given = word[1:]
    wrong = [letter for letter in given if letter not in known or (letter == "h" and given != "h")]
    if not wrong:
        return ""
    reasons = []
    for letter in wrong:
        reason = _LETTERS.get(letter, "")
        if letter == "h":
            reasons.append(reason)
        else:
            reasons.append(f"there is no -{letter} here{f' ({reason})' if reason else ''}")
    rest = "".join(letter for letter in given if letter not in wrong)
    return f"{word}: {', and '.join(reasons)}{f'; write -{rest}' if rest else ''}"
