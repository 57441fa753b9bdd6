"""The two ways in which a request can fail: no response came, or the response is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from bucketry._core.frozen import dataclass
from bucketry.errors import StorageError


class WireError(Exception):
    """The reason why a request got no response; the caller adds the bucket and key to the message.

    Attributes:
        kind: The class of the error that the user gets.
        problem: A description of what happened.
    """

    def __init__(self, kind: type[StorageError], problem: str) -> None:
        """Store the class and the description."""
        super().__init__(problem)
        self.kind = kind
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that is an error, from either transport.

    Attributes:
        status: The response's status.
        headers: The response's headers, by lower-case name.
        fields: The fields of the response's XML: `Code`, `Message`, `Region`, …; empty if it has no body (HEAD).
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
