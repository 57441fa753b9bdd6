"""The base of all parts of the StorageManager: the provider, its transfer manager, and the checks of names."""

from __future__ import annotations

import re

from bucketry._core.checks import local_parts
from bucketry._core.config import TransferConfig
from bucketry._core.provider import IStorageProvider
from bucketry._transfer.manager import TransferManager
from bucketry.errors import ConfigError, InvalidRequestError
from bucketry.providers.provider import StorageProvider

DATASET_MANIFEST = ".bucketry-dataset.json"
"""The manifest's key below a dataset's prefix; a sync between a directory and a prefix ignores the manifest."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Managed:
    """The provider and the transfer manager that all methods of a StorageManager share.

    Args:
        provider: Any provider; this class neither connects nor disconnects it.
        transfer: The limits of all transfers; `None`: `provider.transfer` is used, so that its limits hold for all
            transfers of the provider together.
        memo_dir: The directory in which syncs remember times of objects; `None`: they do not remember them.

    Raises:
        ConfigError: `provider` is no provider, or `transfer.max_concurrency` is more than its connections.
    """

    def __init__(
        self, provider: IStorageProvider, *, transfer: TransferConfig | None = None, memo_dir: str | None = None
    ) -> None:
        """Store the provider, and make the transfer manager; no I/O."""
        if not isinstance(provider, StorageProvider):
            message = f"{type(self).__name__}: provider must be a StorageProvider, not {type(provider).__name__}"
            raise ConfigError(message)
        self.provider = provider
        self.transfers = provider.transfer if transfer is None else TransferManager(provider, transfer)
        self.memo_dir = memo_dir


def check_name(kind: str, name: str) -> str:
    """Check the name of a dataset, model, version or tag, and return it.

    Args:
        kind: What the name is for, such as `"model"`; for the message.
        name: 1 to 128 letters, digits, `.`, `_` and `-`; the first is a letter or digit. So the name can be one part of
            a key, and one part of a path on every system.

    Raises:
        InvalidRequestError: The name has other characters or another length.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = (
            f"{kind} name {name!r}: give 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
        raise InvalidRequestError(message)
    return name


def check_root(kind: str, root: str) -> str:
    """Check the prefix of all datasets or models, and return it without a "/" at its end.

    Args:
        kind: What the prefix is for; for the message.
        root: The prefix, such as `"team/datasets"`.

    Raises:
        InvalidRequestError: The prefix is empty.
        UnsafeKeyError: The prefix is not a relative path.
    """
    if not isinstance(root, str) or not root.rstrip("/"):
        message = f"{kind}={root!r}: give a prefix that is not empty, such as {kind!r}"
        raise InvalidRequestError(message)
    return "/".join(local_parts(root.removesuffix("/"), kind))


def check_apart(datasets: str, models: str) -> None:
    """Check that no key can belong to a dataset and to a model, because one would be removed with the other.

    Args:
        datasets: The prefix of all datasets, as `check_root` returns it.
        models: The prefix of all models, as `check_root` returns it.

    Raises:
        InvalidRequestError: They are equal, or one is below the other.
    """
    one, other = f"{datasets}/", f"{models}/"
    if one.startswith(other) or other.startswith(one):
        message = f"datasets={datasets!r} and models={models!r} overlap; give two prefixes next to each other"
        raise InvalidRequestError(message)
