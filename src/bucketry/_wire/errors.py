"""The two ways in which a request can fail: no answer came, or the answer is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bucketry.errors import StorageError


class WireError(Exception):
    """The reason why a request got no answer; the caller adds the bucket and key to the message.

    Attributes:
        kind: The class of the error that the user gets.
        problem: A description of what happened.
    """

    def __init__(self, kind: type[StorageError], problem: str) -> None:
        """Store both."""
        super().__init__(problem)
        self.kind = kind
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error, from either transport.

    Attributes:
        status: Of the HTTP answer.
        headers: By lower-case name.
        fields: Of its XML: `Code`, `Message`, `Region`, …; empty if there was no body (HEAD).
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
