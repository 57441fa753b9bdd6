"""A provider of the objects below a prefix, as `open_storage("s3://bucket/prefix")` returns it."""

from __future__ import annotations

from typing import Any

from bucketry._core.config import TransferConfig
from bucketry._providers.wrapped import WrappedRequests
from bucketry.providers.provider import StorageProvider


class PrefixedProvider(WrappedRequests, StorageProvider):
    """The objects of another provider below a prefix; their keys here are without the prefix.

    Args:
        inner: The provider that makes the requests.
        prefix: Added before every key, unchanged; usually ends in `/`.
        transfer: The configuration of `upload`, `download` and streams; `None`: that of the inner provider.
    """

    def __init__(self, inner: StorageProvider, prefix: str, *, transfer: TransferConfig | None = None) -> None:
        """Store the provider and the prefix; no I/O."""
        WrappedRequests.__init__(self, inner, prefix)
        StorageProvider.__init__(self, transfer or inner.transfer.config)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the inner provider, the prefix and the configuration."""
        return _restore, (self.inner, self.prefix, self.transfer.config)


def _restore(inner: StorageProvider, prefix: str, transfer: TransferConfig) -> PrefixedProvider:
    return PrefixedProvider(inner, prefix, transfer=transfer)
