"""The attributes that all protocols of a provider need: its name, its URLs and its capabilities."""

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
        """The features and limits of the provider."""

    def locate(self, key: str = "") -> str:
        """Return a URL for messages, such as `"s3://bucket/key"`; the URL never contains a credential."""
