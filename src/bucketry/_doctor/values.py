"""The results of an examination: checks, and findings about a row's promises. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bucketry.errors import StorageError

Group: TypeAlias = Literal["configuration", "network", "access", "throughput", "promises", "cleanup"]

Outcome: TypeAlias = Literal[
    "ok", "warning", "failed", "allowed", "denied", "kept", "refused", "different", "more", "not tested"
]
"""`kept`, `refused`, `different` and `more` (than promised) are for promises of the row; `allowed` and `denied` are for
permissions."""

PROBLEMS: frozenset[Outcome] = frozenset({"failed", "denied", "refused", "different"})
"""The outcomes after which not all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check.

    Attributes:
        group: What the check is about.
        name: The check's name; for a promise of the row, the name of its field in `Capabilities`.
        outcome: The result.
        text: What was seen, in one sentence.
        advice: What to do, such as a line for the configuration; empty: nothing.
        promised: For a promise, what the row says.
        error: For a failed check, the error that shows the failure.
    """

    group: Group
    name: str
    outcome: Outcome
    text: str
    advice: str = ""
    promised: object = None
    error: StorageError | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the server does about one promise.

    Attributes:
        name: The name of the field in `Capabilities`, or of something that bucketry needs of every server.
        found: What the server does, in the form of the field; `False`: it does not do it; `None`: it is not known.
        text: What was seen, in one sentence.
        refused: The server answered with an error.
    """

    name: str
    found: object
    text: str
    refused: bool = False


def unknown(name: str, reason: str) -> Finding:
    """Return the finding of a check that was not made."""
    return Finding(name=name, found=None, text=reason)
