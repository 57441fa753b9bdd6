"""What every part of the StorageManager has: the provider, its transfer manager, and the check of names."""

from __future__ import annotations

import re

from bucketry._core.config import TransferConfig
from bucketry._transfer.manager import TransferManager
from bucketry.errors import InvalidRequestError
from bucketry.providers.provider import StorageProvider

DATASET_MANIFEST = ".bucketry-dataset.json"
"""The manifest's key below a dataset's prefix; a sync between a directory and a prefix leaves it alone."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Managed:
    """The provider and the transfer manager that all methods of a StorageManager share.

    Args:
        provider: Any provider; it is neither connected nor disconnected.
        transfer: The limits of all transfers; `None`: the provider's own transfer manager, so that its limits hold for
            both together.

    Raises:
        ConfigError: `transfer.max_concurrency` is more than the provider's connections.
    """

    def __init__(self, provider: StorageProvider, *, transfer: TransferConfig | None = None) -> None:
        """Store provider and configuration; no I/O."""
        self.provider = provider
        self.transfers = provider.transfer if transfer is None else TransferManager(provider, transfer)


def check_name(kind: str, name: str) -> str:
    """Check the name of a dataset, model, version or tag, and return it.

    Args:
        kind: What the name is for, such as `"model"`; for the message.
        name: 1 to 128 letters, digits, `.`, `_` and `-`; the first is a letter or digit. So it is one segment of a key
            and of a path on every system.

    Raises:
        InvalidRequestError: The name has other characters or another length.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = (
            f"{kind} name {name!r}: give 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
        raise InvalidRequestError(message)
    return name
