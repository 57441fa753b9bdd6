"""StorageManager: syncs of directories, datasets, models, training runs, and a local cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from bucketry._core.config import TransferConfig
from bucketry._core.os_errors import check_path
from bucketry._core.provider import IStorageProvider, StrPath
from bucketry._manage.cache_methods import CacheMethods
from bucketry._manage.managed import check_apart, check_root
from bucketry._manage.run.methods import RunMethods
from bucketry._manage.sync.apply_methods import ApplyMethods
from bucketry._manage.sync.memo import cache_directory
from bucketry._session.pool import SessionPool
from bucketry.errors import InvalidRequestError
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
        memo_dir: The directory in which syncs with S3-compatible providers remember the times of objects. So the next
            plan needs no HEAD for an object whose size, etag and `last_modified` in the listing are the same. Empty:
            `bucketry` in `$XDG_CACHE_HOME` or `~/.cache`. `None`: nothing is remembered. There is one file for each
            bucket, of about 150 bytes and the key for each object; entries unused for 90 days are dropped, and you can
            remove the directory at any time. If it cannot be used, the sync makes the HEADs instead.

    Raises:
        ConfigError: `provider` is no provider, or `transfer.max_concurrency` is more than its connections.
        InvalidRequestError: A prefix is empty, or one of the two is the other or below it: a dataset and a model would
            then have the same keys. Or `memo_dir` is not a path.
        LocalFileError: `memo_dir` contains a NUL.
        UnsafeKeyError: A prefix is not a relative path.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        *,
        transfer: TransferConfig | None = None,
        datasets: str = "datasets",
        models: str = "models",
        memo_dir: StrPath | None = "",
    ) -> None:
        """Store the arguments; no I/O."""
        super().__init__(provider, transfer=transfer, memo_dir=_directory(memo_dir, os.environ))
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
        return cls(provider, transfer=transfer, memo_dir=_directory("", os.environ if environ is None else environ))


def _directory(memo_dir: StrPath | None, environ: Mapping[str, str]) -> str | None:
    """Return the absolute path of the directory of memos; `None`: there is none."""
    if memo_dir is None:
        return None
    path = os.fspath(memo_dir) if isinstance(memo_dir, os.PathLike) else memo_dir
    if not isinstance(path, str):
        raise InvalidRequestError(f"memo_dir={path!r}: give a str or a path of str, or None")
    if not path:
        return cache_directory(environ)
    check_path(path)
    return os.path.abspath(path)
