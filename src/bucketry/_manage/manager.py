"""StorageManager: syncs of directories, datasets, models, training runs, and a local cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from bucketry._core.config import TransferConfig
from bucketry._core.provider import IStorageProvider
from bucketry._manage.cache_methods import CacheMethods
from bucketry._manage.managed import check_apart, check_root
from bucketry._manage.run.methods import RunMethods
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._session.pool import SessionPool
from bucketry.providers.factory import storage_provider_from_env


class StorageManager(ApplyMethods, RunMethods, CacheMethods):
    """Syncs directories, and stores datasets, models and checkpoints of training runs, on any provider.

    It holds configuration only, so it can be pickled and used in several processes and event loops. It neither connects
    nor disconnects its provider: use `async with provider:`, or let the first call open what it needs.

    Args:
        provider: The provider of the datasets and models, and the remote side of each sync.
        transfer: The limits of all transfers of this manager; `None`: the manager uses the limits of
            `provider.transfer` together with it.
        datasets: The prefix of all datasets; for example, the dataset `cats` is below `datasets/cats/`.
        models: The prefix of all models.

    Raises:
        ConfigError: `provider` is no provider, or `transfer.max_concurrency` is more than its connections.
        InvalidRequestError: A prefix is empty, or one of the two is the other or below it: a dataset and a model would
            then have the same keys.
        UnsafeKeyError: A prefix is not a relative path.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        *,
        transfer: TransferConfig | None = None,
        datasets: str = "datasets",
        models: str = "models",
    ) -> None:
        """Store the arguments; no I/O."""
        super().__init__(provider, transfer=transfer)
        self.datasets_root = check_root("datasets", datasets)
        self.models_root = check_root("models", models)
        check_apart(self.datasets_root, self.models_root)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        pool: SessionPool | None = None,
        transfer: TransferConfig | None = None,
    ) -> Self:
        """Return a manager of the provider that the environment names; see `storage_provider_from_env`.

        Args:
            environ: The environment variables; `None`: the variables of this process.
            pool: Shares its connections with other providers.
            transfer: The limits of all transfers; `None`: the defaults.

        Raises:
            ConfigError: A variable is missing or malformed.
        """
        provider = storage_provider_from_env(environ, pool=pool)
        return cls(provider, transfer=transfer)
