"""A provider seen through a prefix, as `open_storage("s3://bucket/prefix")` gives it."""

from __future__ import annotations

from typing import Any

from bucketry._core.config import TransferConfig
from bucketry._providers.wrapped import WrappedRequests
from bucketry.providers.provider import StorageProvider


class PrefixedProvider(WrappedRequests, StorageProvider):
    """Another provider's objects below a prefix, under keys without it.

    Args:
        inner: The provider that does the work.
        prefix: Put before every key as it is; usually ends in `/`.
        transfer: How `upload`, `download` and streams are transferred; `None`: as the inner provider does.
    """

    def __init__(self, inner: StorageProvider, prefix: str, *, transfer: TransferConfig | None = None) -> None:
        """Remember what is wrapped; no I/O."""
        WrappedRequests.__init__(self, inner, prefix)
        StorageProvider.__init__(self, transfer or inner.transfer.config)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what is wrapped and how."""
        return _restore, (self.inner, self.prefix, self.transfer.config)


def _restore(inner: StorageProvider, prefix: str, transfer: TransferConfig) -> PrefixedProvider:
    return PrefixedProvider(inner, prefix, transfer=transfer)
