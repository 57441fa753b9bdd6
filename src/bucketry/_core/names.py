"""The attributes that every protocol of the contract needs: a provider's name, its URLs and its capabilities."""

from __future__ import annotations

from typing import Protocol

from bucketry._core.capabilities import Capabilities


class Names(Protocol):
    """A provider's name, its capabilities, and the URLs of its objects for messages."""

    @property
    def name(self) -> str:
        """The provider's name, such as `"s3"` or `"local"`."""

    @property
    def capabilities(self) -> Capabilities:
        """The limits and promises of the vendor's row."""

    def locate(self, key: str = "") -> str:
        """Give a URL for messages, such as `"s3://bucket/key"`; never holds a credential."""
