"""What can come of a request instead of a good answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bucketry.errors import StorageError


class WireError(Exception):
    """What kept a request from being answered; whoever made the request says where and what for.

    Attributes:
        kind: The class of error that the user is to see.
        problem: What happened, in words.
    """

    def __init__(self, kind: type[StorageError], problem: str) -> None:
        """Remember both."""
        super().__init__(problem)
        self.kind = kind
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error, whichever transport brought it.

    Attributes:
        status: Of the HTTP answer.
        headers: By lower-case name.
        fields: Of its XML: `Code`, `Message`, `Region`, …; empty where there was no body (HEAD).
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
