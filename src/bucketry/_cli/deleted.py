"""How the deletions of the verb `delete` ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from bucketry._cli.exits import DONE, FAILED, NOT_FOUND
from bucketry._cli.output import error_facts
from bucketry._core.values import BatchResult
from bucketry.errors import NotFoundError


@dataclass(slots=True)
class Ended:
    """How the deletions ended so far.

    Attributes:
        requested: Keys that were asked for.
        done: Keys that the server says are gone.
        first: The first of the requested keys.
        missing: Keys that did not exist, with `--strict`, and directories with nothing in them.
        failed: Key and error of each that failed, for JSON.
    """

    requested: int = 0
    first: list[str] = field(default_factory=list)
    done: int = 0
    missing: int = 0
    failed: list[dict[str, object]] = field(default_factory=list)

    def add(self, problems: BatchResult) -> None:
        """Add the keys that failed."""
        self.missing += sum(isinstance(error, NotFoundError) for error in problems.failed.values())
        self.failed += [{"key": key, **error_facts(error)} for key, error in problems.failed.items()]

    @property
    def code(self) -> int:
        """The exit code."""
        if self.requested and self.missing == self.requested:
            return NOT_FOUND
        return FAILED if self.failed else DONE
