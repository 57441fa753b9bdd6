"""A provider that keeps objects as files on the local disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bucketry._core.config import LocalConfig, TransferConfig
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.providers.provider import StorageProvider

if TYPE_CHECKING:
    from bucketry._core.config_dicts import LocalConfigDict
    from bucketry._session.pool import SessionPool


class LocalProvider(LocalRequests, StorageProvider):
    """A directory whose files are the objects; see `LocalConfig`.

    Args:
        config: A mapping with `base_path`, or a `LocalConfig`; `None`: the default directory.
        pool: Not used; accepted because all providers have it.
        transfer: How `upload`, `download` and streams are transferred.
    """

    def __init__(
        self,
        config: LocalConfigDict | LocalConfig | Mapping[str, Any] | None = None,
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> None:
        """Check the configuration; no I/O."""
        given = LocalConfig.of({} if config is None else config)
        # Absolute, because a pickled provider may be used in a process with another working directory.
        self._config = replace(given, base_path=os.path.abspath(given.base_path))
        LocalRequests.__init__(self, self._config, VENDOR)
        StorageProvider.__init__(self, transfer)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the configuration only."""
        return _restore, (self._config, self.transfer.config)


def _restore(config: LocalConfig, transfer: TransferConfig) -> LocalProvider:
    return LocalProvider(config, transfer=transfer)
