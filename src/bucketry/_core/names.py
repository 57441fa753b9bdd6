"""What every part of the contract knows of a provider: its name, its place and its row."""

from __future__ import annotations

from typing import Protocol

from bucketry._core.capabilities import Capabilities


class Names(Protocol):
    """How a provider names itself and its objects in messages, and what it can do."""

    @property
    def name(self) -> str:
        """Such as `"s3"` or `"local"`."""

    @property
    def capabilities(self) -> Capabilities:
        """The vendor row: limits and promises."""

    def locate(self, key: str = "") -> str:
        """Give a URL for messages, such as `"s3://bucket/key"`; never holds a credential."""
