"""A provider that keeps objects in the memory of this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bucketry._core.config import MemoryConfig, TransferConfig
from bucketry._providers.memory.requests import MemoryRequests
from bucketry._vendors.memory import VENDOR
from bucketry.providers.provider import StorageProvider

if TYPE_CHECKING:
    from bucketry._core.config_dicts import MemoryConfigDict
    from bucketry._session.pool import SessionPool


class MemoryProvider(MemoryRequests, StorageProvider):
    """Objects in a dictionary, for tests and examples. It cannot be pickled, because its bytes stay in one process.

    Args:
        config: An empty mapping, a `MemoryConfig` or `None`; there are no configuration entries.
        pool: Not used; accepted because all providers have it.
        transfer: How `upload`, `download` and streams are transferred.
    """

    def __init__(
        self,
        config: MemoryConfigDict | MemoryConfig | Mapping[str, Any] | None = None,
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> None:
        """Begin empty; no I/O."""
        MemoryRequests.__init__(self, MemoryConfig.of({} if config is None else config), VENDOR)
        StorageProvider.__init__(self, transfer)
